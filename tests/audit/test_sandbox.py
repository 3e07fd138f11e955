import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from trust_core.audit import sandbox as module
from trust_core.audit.sandbox import GivenUp, Limits, Sandbox, own_memory
from trust_core.errors import LabelsNeeded

SHORT = Limits(seconds=1, memory=2**28)


@pytest.fixture(scope="module")
def sandbox():
    sandbox = Sandbox("tests.sandboxed")
    yield sandbox
    sandbox.close()


def call(sandbox, name, *arguments, limits=SHORT):
    return sandbox.call(f"tests.sandboxed:{name}", *arguments, what="net.pt", limits=limits)


def test_results_and_errors_come_back(sandbox):
    assert call(sandbox, "double", 21) == 42
    assert call(sandbox, "chatter") == "x" * 5_000_000
    with pytest.raises(LabelsNeeded, match="Which folders") as caught:
        call(sandbox, "ask")
    assert caught.value.folders == {"a": 3}
    with pytest.raises(RuntimeError, match="KeyError: 'a fault'"):
        call(sandbox, "fail")


def test_a_process_is_reused_and_has_its_own_folder(sandbox):
    pid, folder = call(sandbox, "whereabouts")
    assert call(sandbox, "whereabouts") == (pid, folder)
    assert pid != os.getpid()
    assert "sandbox" in folder


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("compute_for_ever", "more than 1 s of processor time"),
        ("take_memory", "more than 0.25 GiB of memory"),
        ("crash", "broke the process"),
        ("leave", "broke the process"),
    ],
)
def test_death_is_a_sentence_and_the_next_call_is_answered_at_once(sandbox, name, reason):
    _, folder = call(sandbox, "whereabouts")
    call(sandbox, "chatter")
    loaded = sandbox._free[-1].process.pid
    with pytest.raises(GivenUp, match=rf"^net\.pt was given up: it .*{reason}"):
        call(sandbox, name)
    assert call(sandbox, "double", 4) == 8
    assert sandbox._free[-1].process.pid == loaded, "the modules were loaded again"
    assert not list(Path(folder).iterdir())


def test_more_memory_than_there_is_kills_nothing(sandbox):
    pid, _ = call(sandbox, "whereabouts")
    with pytest.raises(GivenUp, match=r"more than 0\.25 GiB of memory"):
        call(sandbox, "take_far_too_much")
    assert call(sandbox, "whereabouts")[0] == pid


def test_what_waits_too_long_is_given_up(sandbox, monkeypatch):
    monkeypatch.setattr("trust_core.audit.sandbox.PATIENCE", 1)
    with pytest.raises(GivenUp, match="processor time"):
        call(sandbox, "wait")


def test_it_reaches_nothing(sandbox):
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert call(sandbox, "reach", server.getsockname()) != "reached"
        socket.create_connection(server.getsockname(), 2).close()


def test_where_the_kernel_does_not_help_the_interpreter_refuses():
    code = (
        "import sys; sys.platform = 'other'\n"
        "from trust_core.audit.sandbox import without_network; without_network()\n"
        "import socket\n"
        "for ask in (lambda: socket.create_connection(('127.0.0.1', 9)),\n"
        "            lambda: socket.getaddrinfo('localhost', 80),\n"
        "            lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('1.1.1.1', 9))):\n"
        "    try: ask()\n"
        "    except PermissionError: continue\n"
        "    sys.exit('reached')\n"
    )  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_two_calls_at_once_do_not_wait_for_each_other(sandbox):
    with ThreadPoolExecutor(2) as pool:
        stuck = pool.submit(call, sandbox, "compute_for_ever", limits=Limits(2, 2**28))
        assert call(sandbox, "double", 1) == 2
        assert not stuck.done()
        assert isinstance(stuck.exception(), GivenUp)


def test_secrets_of_the_environment_stay_outside(monkeypatch):
    for name in ("TRUST_CORE_TOKEN", "AWS_SECRET_ACCESS_KEY", "HARMLESS"):
        monkeypatch.setenv(name, "a value")
    sandbox = Sandbox("tests.sandboxed")
    assert call(sandbox, "variable", "TRUST_CORE_TOKEN") is None
    assert call(sandbox, "variable", "AWS_SECRET_ACCESS_KEY") is None
    assert call(sandbox, "variable", "HARMLESS") == "a value"
    sandbox.close()


def test_it_says_what_to_do(sandbox):
    limits = Limits(1, 2**28, "Buy a larger machine.")
    with pytest.raises(GivenUp, match=r"of memory\. Buy a larger machine\.$"):
        call(sandbox, "take_memory", limits=limits)


def test_memory_is_watched_where_there_is_no_proc(sandbox, monkeypatch):
    known = own_memory(os.getpid())
    monkeypatch.setattr(module, "PROC", Path("/no-such-folder"))
    assert own_memory(os.getpid()) > known / 2 > 0
    assert own_memory(2**22) == 0
    with pytest.raises(GivenUp, match=r"more than 0\.25 GiB of memory"):
        call(sandbox, "take_memory")


def test_what_a_call_has_kept_stays_unless_it_is_too_big(sandbox, monkeypatch):
    pid, _ = call(sandbox, "whereabouts")
    call(sandbox, "keep", 2**24)
    assert call(sandbox, "whereabouts")[0] == pid
    monkeypatch.setattr(module, "MOST_KEPT", 2**25)
    assert call(sandbox, "keep", 2**26) == 2**24 + 2**26
    assert call(sandbox, "whereabouts")[0] != pid
    assert call(sandbox, "keep", 1) == 1


def test_what_nobody_asks_ends_and_comes_back_when_it_is_asked():
    sandbox = Sandbox("tests.sandboxed", idle=0.3)
    pid, folder = call(sandbox, "whereabouts")
    end = time.monotonic() + 20
    while Path(folder).exists():
        assert time.monotonic() < end, "it goes on"
        time.sleep(0.05)
    assert call(sandbox, "whereabouts")[0] != pid
    sandbox.close()


def test_a_call_ends_with_the_sandbox():
    sandbox = Sandbox("tests.sandboxed")
    folder = Path(call(sandbox, "whereabouts")[1])
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(call, sandbox, "wait")
        while not list(folder.iterdir()):  # it has begun
            time.sleep(0.02)
        sandbox.close()
        assert isinstance(waiting.exception(20), GivenUp)
    assert not folder.exists()


def test_nothing_is_left_of_a_caller_that_was_killed():
    code = (
        "import sys; from trust_core.audit.sandbox import Sandbox\n"
        "sandbox = Sandbox('tests.sandboxed')\n"
        "print(sandbox.call('tests.sandboxed:whereabouts', what='it')[1], flush=True)\n"
        "sys.stdin.read()\n"
    )
    caller = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    folder = Path(caller.stdout.readline().strip())
    assert folder.is_dir()
    caller.kill()
    caller.wait()
    end = time.monotonic() + 20
    while folder.exists():
        assert time.monotonic() < end, "its folder is left"
        time.sleep(0.05)


def test_nothing_is_left_when_it_closes():
    sandbox = Sandbox("tests.sandboxed")
    pid, folder = call(sandbox, "whereabouts")
    sandbox.close()
    assert not Path(folder).exists()
    status = Path(f"/proc/{pid}/stat")  # whoever inherits the dead may be slow to bury them
    for _ in range(200):
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("a fork goes on")
