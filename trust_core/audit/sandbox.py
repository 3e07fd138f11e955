"""Calls in a killable process of their own: bounded memory and processor time, no network.

What strangers have made is opened there, and what a page asks of a model is computed there, so that
whatever happens, the caller goes on and has one sentence to tell. The process loads its modules
once and then forks: a call that ends in death costs the next one nothing. What a fork keeps between
calls stays warm, unless it grows too big; what nobody asks for long ends. Requests and answers are
pickles in pipes, between processes of one program.
"""

import atexit
import ctypes
import gc
import importlib
import os
import pickle
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from trust_core.errors import TrustError

GIBIBYTE = 2**30
WATCH_SECONDS, SLOW_WATCH_SECONDS = 0.05, 0.25  # between looks at the memory of a process
PATIENCE = 10  # a call may last so many times as long as it may compute: disks are slow
MOST_PROCESSES = 2
IDLE_SECONDS = 900.0  # after which a process that nobody asks ends
MOST_KEPT = 2 * GIBIBYTE  # of memory between calls; a fork that keeps more makes room for a new one
PROC = Path("/proc")
SECRET = re.compile("TOKEN|SECRET|PASSW|CREDENTIAL|_KEY")  # in the name of a variable: stays here
NOTICE = struct.Struct("!Bq")  # READY or DIED; a process id or a status of `os.waitpid`
READY, DIED = 1, 2
CHUNK = 1 << 20
NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000  # of Linux's unshare(2)
SOCKET_EVENTS = frozenset(
    f"socket.{name}"
    for name in ("connect", "bind", "sendto", "getaddrinfo", "gethostbyname", "gethostbyaddr")
)


@dataclass(frozen=True)
class Limits:
    """What one call may take.

    Attributes:
        seconds: of processor time, all threads together.
        memory: bytes above what the process has before the call.
        advice: what to do when it takes more, a sentence.
    """

    seconds: int = 60
    memory: int = 2 * GIBIBYTE
    advice: str = "Check that it is the file you meant."


OPENING = Limits()


class GivenUp(TrustError):
    """What was asked of a sandbox took too much, or ended its process."""


class Sandbox:
    """Up to `MOST_PROCESSES` processes that have loaded some modules and answer calls.

    Args:
        modules: to be loaded, dotted names; they must neither start threads nor compute when they
            are imported.
        idle: seconds after which a process that nobody asks ends.
    """

    def __init__(self, *modules: str, idle: float = IDLE_SECONDS) -> None:
        self._modules, self._idle = modules, idle
        self._all: list[_Process] = []
        self._free: list[_Process] = []
        self._changed = threading.Condition()
        self._watched = False
        atexit.register(self.close)

    def start(self) -> None:
        """Have a process load its modules, unless there is one; returns at once."""
        with self._changed:
            if not self._all:
                self._free.append(self._new())

    def call(self, function: str, *arguments: object, what: str, limits: Limits = OPENING) -> Any:  # noqa: ANN401
        """What a function returns, or the `TrustError` that it raises.

        Args:
            function: `MODULE:NAME`.
            arguments: of it; like its result they are pickled.
            what: it is called for, as the beginning of a sentence: a file name.
            limits: of this call.

        Raises:
            GivenUp: it took more than it may, or its process died.
            RuntimeError: the function has a fault of its own; its traceback.
        """
        with self._process() as process:
            answer = process.ask(pickle.dumps((function, arguments, what, limits)), what, limits)
        kind, content = pickle.loads(answer)  # noqa: S301 - written by this very program
        if kind == "value":
            return content
        if kind == "fault":
            raise RuntimeError(content)
        error, values, attributes = content
        found: TrustError = error.__new__(error)
        found.args = values
        vars(found).update(attributes)
        raise found

    def close(self) -> None:
        """End all processes, whatever they do, and remove their temporary folders."""
        with self._changed:
            for process in self._all[:]:
                if process in self._free:
                    self._end(process)
                else:
                    process.kill()  # whoever waits for its answer is told, and ends it
            self._free.clear()

    @contextmanager
    def _process(self) -> Iterator["_Process"]:
        """A process for one call alone."""
        with self._changed:
            self._changed.wait_for(lambda: self._free or len(self._all) < MOST_PROCESSES)
            process = self._free.pop() if self._free else self._new()
        try:
            yield process
        finally:
            with self._changed:
                if process.is_sound():
                    process.used = time.monotonic()
                    self._free.append(process)
                else:
                    self._end(process)
                self._changed.notify()

    def _new(self) -> "_Process":
        """One process more; the lock is held."""
        process = _Process(self._modules)
        self._all.append(process)
        if not self._watched:
            self._watched = True
            threading.Thread(target=self._end_idle, daemon=True).start()
        return process

    def _end(self, process: "_Process") -> None:
        process.end()
        self._all.remove(process)

    def _end_idle(self) -> None:
        """End what nobody has asked for long, until nothing is left."""
        while True:
            time.sleep(self._idle / 10)
            with self._changed:
                long_ago = time.monotonic() - self._idle
                for process in [one for one in self._free if one.used < long_ago]:
                    self._free.remove(process)
                    self._end(process)
                if not self._all:
                    self._watched = False
                    return


class _Process:
    """One process as its caller sees it."""

    def __init__(self, modules: Sequence[str]) -> None:
        self.folder = tempfile.mkdtemp(prefix="trust-core-sandbox-")
        self.notices, notices = os.pipe()
        root = str(Path(__file__).parents[2])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        self.process = subprocess.Popen(  # noqa: S603 - this program's own module
            [sys.executable, "-m", "trust_core.audit.sandbox", str(notices), *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(notices,),
            start_new_session=True,
            env={
                **{name: value for name, value in os.environ.items() if not SECRET.search(name)},
                "PYTHONPATH": os.pathsep.join(paths),
                "TMPDIR": self.folder,
                "HF_HUB_OFFLINE": "1",
                "OMP_WAIT_POLICY": "PASSIVE",
            },
        )
        os.close(notices)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.requests, self.answers = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self.answers, False)
        self.pid = 0  # of the fork that answers
        self.fresh = 0  # bytes that it had at first
        self.busy = False
        self.used = time.monotonic()

    def is_sound(self) -> bool:
        """Whether it can take another call."""
        return not self.busy and self.process.poll() is None

    def ask(self, request: bytes, what: str, limits: Limits) -> bytes:
        """The answer to a request; raises as `Sandbox.call`."""
        self.busy = True  # until the answer is whole, or the fork is known to be dead
        try:
            while self.pid == 0:
                self.pid = self._notice(READY)
                self.fresh = own_memory(self.pid) if self.pid else 0
            _write(self.requests, request)
            answer = self._answer(what, limits)
        except (BrokenPipeError, EOFError) as error:
            raise GivenUp(f"{what}: the process that was asked has ended; try again.") from error
        if own_memory(self.pid) > self.fresh + MOST_KEPT:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.pid = 0
        return answer

    def _answer(self, what: str, limits: Limits) -> bytes:
        content, reason = bytearray(), ""
        at_first, end = own_memory(self.pid), time.monotonic() + PATIENCE * limits.seconds
        pause, looked = WATCH_SECONDS if PROC.is_dir() else SLOW_WATCH_SECONDS, 0.0
        while True:
            ready, _, _ = select.select([self.answers, self.notices], [], [], pause)
            if self.answers in ready:
                chunk = os.read(self.answers, CHUNK)
                if not chunk:
                    raise EOFError
                content += chunk
                if len(content) >= 8 and len(content) == 8 + int.from_bytes(content[:8], "big"):
                    self.busy = False
                    return bytes(content[8:])
            elif self.notices in ready:
                status = self._notice(DIED)
                self.pid, self.busy = 0, False
                with suppress(BlockingIOError):
                    while os.read(self.answers, CHUNK):
                        pass
                if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
                    reason = "time"
                raise GivenUp(_given_up(what, reason, limits))
            if not reason and time.monotonic() >= looked + pause:
                looked = time.monotonic()
                if own_memory(self.pid) > at_first + limits.memory:
                    reason = "memory"
                elif time.monotonic() > end:
                    reason = "time"
                if reason:
                    with suppress(ProcessLookupError):
                        os.kill(self.pid, signal.SIGKILL)

    def _notice(self, wanted: int) -> int:
        found = os.read(self.notices, NOTICE.size)
        if len(found) < NOTICE.size:
            raise EOFError
        kind, value = NOTICE.unpack(found)
        return value if kind == wanted else 0

    def kill(self) -> None:
        """End it, forks included, and remove what it has written."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def end(self) -> None:
        """Kill it, and close the pipes to it."""
        self.kill()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        os.close(self.notices)


def _given_up(what: str, reason: str, limits: Limits) -> str:
    """Why a call was given up, for people."""
    if reason == "memory":
        cause = f"it asked for more than {limits.memory / GIBIBYTE:.3g} GiB of memory"
    elif reason == "time":
        cause = f"it took more than {limits.seconds} s of processor time"
    else:
        cause = "it broke the process that it ran in"
    return f"{what} was given up: {cause}. {limits.advice}"


def own_memory(pid: int) -> int:
    """Bytes of memory that a process has in use; 0 for one that has ended.

    Where there is no `/proc` (macOS), `ps` counts what it shares with others too; only how it grows
    is of use then.
    """
    if PROC.is_dir():
        try:
            with (PROC / str(pid) / "status").open() as file:
                lines = (line.split() for line in file if line.startswith("RssAnon:"))
                return next((int(words[1]) * 1024 for words in lines), 0)
        except OSError:
            return 0
    told = subprocess.run(  # noqa: S603 - a program of the system, and a number
        ["/bin/ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return int(told.stdout.strip() or 0) * 1024


def _write(pipe: int, content: bytes) -> None:
    for part in (len(content).to_bytes(8, "big"), content):
        left = memoryview(part)
        while left:
            left = left[os.write(pipe, left) :]


def _read(pipe: int) -> bytes:
    """One message; raises EOFError where there is none any more."""
    size, content = -1, bytearray()
    while size != len(content) - 8:
        wanted = 8 - len(content) if size < 0 else size + 8 - len(content)
        chunk = os.read(pipe, min(wanted, CHUNK))
        if not chunk:
            raise EOFError
        content += chunk
        size = int.from_bytes(content[:8], "big") if len(content) >= 8 else -1
    return bytes(content[8:])


# What follows runs in the process itself.


def keep_forks(notices: int, modules: Sequence[str]) -> None:
    """Load modules, then have one fork after the other answer, until nobody asks any more."""
    answers, folder = os.dup(1), Path(os.environ["TMPDIR"])
    os.dup2(2, 1)  # what libraries print is no answer
    for module in modules:
        importlib.import_module(module)
    gc.freeze()  # no collection of a fork walks through what was loaded here
    while True:
        pid = os.fork()
        if pid == 0:
            _serve(answers)
        os.write(notices, NOTICE.pack(READY, pid))
        _, status = os.waitpid(pid, 0)
        if status == 0:  # the caller is gone, perhaps without a chance to clear up
            shutil.rmtree(folder, ignore_errors=True)
            return
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        os.write(notices, NOTICE.pack(DIED, status))


def _serve(answers: int) -> NoReturn:
    """Answer requests until there are none any more."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    without_network()
    while True:
        try:
            function, arguments, what, limits = pickle.loads(_read(0))  # noqa: S301 - of our caller
        except EOFError:
            os._exit(0)
        _bound(limits)
        try:
            module, _, name = function.partition(":")
            answer: tuple[str, Any] = (
                "value",
                getattr(importlib.import_module(module), name)(*arguments),
            )
        except TrustError as error:
            answer = "error", (type(error), error.args, vars(error))
        except MemoryError:
            answer = "error", (GivenUp, (_given_up(what, "memory", limits),), {})
        except Exception:
            answer = "fault", traceback.format_exc()
        _write(answers, pickle.dumps(answer))


def _bound(limits: Limits) -> None:
    """Let the kernel hold this process to the limits of its next call."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(spent.ru_utime + spent.ru_stime) + 1 + limits.seconds
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))


def without_network() -> None:
    """Take the network from this process: by the kernel where it lets us, else in the interpreter.

    A namespace of its own has no way out; where that is not permitted, whatever the interpreter
    announces of sockets is refused.
    """
    user, group = os.getuid(), os.getgid()
    if sys.platform == "linux":
        unshare = ctypes.CDLL(None, use_errno=True).unshare
        if unshare(NEW_NETWORK) == 0:
            return
        if unshare(NEW_USER | NEW_NETWORK) == 0:
            for name, text in (
                ("setgroups", "deny"),
                ("uid_map", f"{user} {user} 1"),
                ("gid_map", f"{group} {group} 1"),
            ):
                Path("/proc/self", name).write_text(text)
            return
    sys.addaudithook(_refuse_sockets)


def _refuse_sockets(event: str, arguments: tuple[Any, ...]) -> None:
    if event in SOCKET_EVENTS and not (
        isinstance(arguments[0], socket.socket) and arguments[0].family == socket.AF_UNIX
    ):
        raise PermissionError("there is no network here")


if __name__ == "__main__":
    # By its own name, or what crosses the pipes would be of a module that the caller does not have.
    importlib.import_module("trust_core.audit.sandbox").keep_forks(int(sys.argv[1]), sys.argv[2:])
