"""Calls in a killable process of their own: bounded memory and processor time, no network.

What strangers have made is opened there, so that whatever it does, the caller goes on and has one
sentence to tell. The process loads its modules once and then forks: a call that ends in death costs
the next one nothing. Requests and answers are pickles in pipes, between processes of one program.
"""

import atexit
import ctypes
import importlib
import os
import pickle
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
WATCH_SECONDS = 0.05  # between looks at the memory of a process
PATIENCE = 10  # a call may last so many times as long as it may compute: disks are slow
MOST_PROCESSES = 2
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
    """

    seconds: int = 60
    memory: int = 2 * GIBIBYTE


OPENING = Limits()


class GivenUp(TrustError):
    """What was asked of a sandbox took too much, or ended its process."""


class Sandbox:
    """Up to `MOST_PROCESSES` processes that have loaded some modules and answer calls.

    Args:
        modules: to be loaded, dotted names; they must neither start threads nor compute when they
            are imported.
    """

    def __init__(self, *modules: str) -> None:
        self._modules = modules
        self._free: list[_Process] = []
        self._count = 0
        self._changed = threading.Condition()
        atexit.register(self.close)

    def start(self) -> None:
        """Have a process load its modules, unless there is one; returns at once."""
        with self._changed:
            if self._count == 0:
                self._free.append(_Process(self._modules))
                self._count = 1

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
        """End the processes that are idle, and remove their temporary folders."""
        with self._changed:
            while self._free:
                self._free.pop().end()
                self._count -= 1

    @contextmanager
    def _process(self) -> Iterator["_Process"]:
        """A process for one call alone."""
        with self._changed:
            self._changed.wait_for(lambda: self._free or self._count < MOST_PROCESSES)
            if self._free:
                process = self._free.pop()
            else:
                process = _Process(self._modules)
                self._count += 1
        try:
            yield process
        finally:
            with self._changed:
                if process.is_sound():
                    self._free.append(process)
                else:
                    process.end()
                    self._count -= 1
                self._changed.notify()


class _Process:
    """One process as its caller sees it."""

    def __init__(self, modules: Sequence[str]) -> None:
        self.folder = tempfile.mkdtemp(prefix="trust-core-sandbox-")
        self.notices, notices = os.pipe()
        root = str(Path(__file__).parents[1])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        self.process = subprocess.Popen(  # noqa: S603 - this program's own module
            [sys.executable, "-m", "trust_core.sandbox", str(notices), *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(notices,),
            start_new_session=True,
            env={
                **os.environ,
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
        self.busy = False

    def is_sound(self) -> bool:
        """Whether it can take another call."""
        return not self.busy and self.process.poll() is None

    def ask(self, request: bytes, what: str, limits: Limits) -> bytes:
        """The answer to a request; raises as `Sandbox.call`."""
        self.busy = True  # until the answer is whole, or the fork is known to be dead
        try:
            while self.pid == 0:
                self.pid = self._notice(READY)
            _write(self.requests, request)
            return self._answer(what, limits)
        except (BrokenPipeError, EOFError) as error:
            raise GivenUp(
                f"{what}: the process that opens foreign files ended; try again."
            ) from error

    def _answer(self, what: str, limits: Limits) -> bytes:
        content, reason = bytearray(), ""
        at_first, end = _own_memory(self.pid), time.monotonic() + PATIENCE * limits.seconds
        while True:
            ready, _, _ = select.select([self.answers, self.notices], [], [], WATCH_SECONDS)
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
            if not reason:
                if _own_memory(self.pid) > at_first + limits.memory:
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

    def end(self) -> None:
        """Kill it, forks included, and remove what it has written."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        os.close(self.notices)
        shutil.rmtree(self.folder, ignore_errors=True)


def _given_up(what: str, reason: str, limits: Limits) -> str:
    """Why a call was given up, for people."""
    if reason == "memory":
        cause = f"it asked for more than {limits.memory / GIBIBYTE:.3g} GiB of memory"
    elif reason == "time":
        cause = f"it took more than {limits.seconds} s of processor time"
    else:
        cause = "it broke the process that opens foreign files"
    return f"{what} was given up: {cause}. Check that it is the file you meant."


def _own_memory(pid: int) -> int:
    """Bytes that a process has for itself; 0 where the system does not tell."""
    try:
        with Path(f"/proc/{pid}/status").open() as file:
            return next((int(line.split()[1]) * 1024 for line in file if line[:8] == "RssAnon:"), 0)
    except OSError:
        return 0


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
    answers = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no answer
    for module in modules:
        importlib.import_module(module)
    while True:
        pid = os.fork()
        if pid == 0:
            _serve(answers)
        os.write(notices, NOTICE.pack(READY, pid))
        _, status = os.waitpid(pid, 0)
        if status == 0:  # the caller is gone
            return
        for left in Path(tempfile.gettempdir()).iterdir():
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
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
    importlib.import_module("trust_core.sandbox").keep_forks(int(sys.argv[1]), sys.argv[2:])
