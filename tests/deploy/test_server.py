"""The guard over HTTP: the same decisions, limits, hostile uploads, a graceful end."""

import http.client
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from PIL import Image

from benchmarks import guard_load
from trust_core.deploy import server as module
from trust_core.deploy.log import GuardLog, guard_log, read_log
from trust_core.deploy.server import RequestLimits, create_app

BOUNDARY = "xxbound"
LIMITS = RequestLimits(queue=8, bytes=200_000)


@dataclass
class Served:
    """A server on a port of its own."""

    port: int
    server: uvicorn.Server

    def ask(self, method: str, path: str, body: bytes = b"", kind: str = "image/png"):
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        link.request(method, path, body or None, {"Content-Type": kind} if body else {})
        answer = link.getresponse()
        content = answer.read()
        link.close()
        told = answer.headers.get_content_type() == "application/json"
        return answer.status, json.loads(content) if told else content.decode()


@contextmanager
def served(app) -> Iterator[Served]:
    config = uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=10)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield Served(server.servers[0].sockets[0].getsockname()[1], server)
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def log(guard, tmp_path_factory):
    return guard_log(tmp_path_factory.mktemp("log") / "guard.jsonl", guard.folder)


@pytest.fixture(scope="module")
def live(guard, log):
    with served(create_app(guard, LIMITS, log)) as found:
        yield found


@pytest.fixture(scope="module")
def files(ware) -> list[Path]:
    return ware.files(ware.paths("tune"))


def multipart(*files: tuple[str, bytes]) -> bytes:
    lines = b""
    for name, content in files:
        lines += (
            f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=images; filename={name}\r\n\r\n"
        ).encode() + content + b"\r\n"  # fmt: skip
    return lines + f"--{BOUNDARY}--\r\n".encode()


FORM = f"multipart/form-data; boundary={BOUNDARY}"


def test_raw_and_multipart_get_the_decisions_of_the_guard(live, guard, files, log):
    expected = guard.inspect(files, [file.name for file in files])
    for file, wanted in zip(files[:6], expected, strict=False):
        status, told = live.ask("POST", f"/inspect?name={file.name}", file.read_bytes())
        assert status == 200
        (part,) = told["parts"]
        assert (part["path"], part["decision"]) == (file.name, wanted.decision)
        assert part["p_defect"] == pytest.approx(wanted.p_defect, abs=1e-5)
        assert "maps" not in part
    form = multipart(*((file.name, file.read_bytes()) for file in files[:6]))
    status, told = live.ask("POST", "/inspect?maps=true", form, FORM)
    assert status == 200
    assert [p["decision"] for p in told["parts"]] == [p.decision for p in expected[:6]]
    assert np.shape(told["parts"][0]["maps"]["defect"]) == (8, 8)
    assert read_log(log.path)["path"].tolist()[-6:] == [file.name for file in files[:6]]


def test_what_is_not_asked_for_by_images(live, guard):
    status, told = live.ask("GET", "/health")
    assert (status, told["status"], told["queue"]) == (200, "ok", 0)
    assert live.ask("GET", "/policy")[1]["threshold"] == guard.policy.threshold
    schema = live.ask("GET", "/openapi.json")[1]
    assert "multipart/form-data" in schema["paths"]["/inspect"]["post"]["requestBody"]["content"]
    assert {"413", "422", "503"} <= schema["paths"]["/inspect"]["post"]["responses"].keys()
    assert live.ask("GET", "/docs")[0] == 200


def test_metrics_count_what_was_decided(live, files):
    def counts() -> dict[str, float]:
        lines = (x.rpartition(" ") for x in live.ask("GET", "/metrics")[1].splitlines())
        return {name: float(value) for name, _, value in lines if not name.startswith("#")}

    before = counts()
    parts = [live.ask("POST", "/inspect", f.read_bytes())[1]["parts"][0] for f in files[:5]]
    after = counts()
    for decision in {part["decision"] for part in parts}:
        name = f'guard_parts_total{{decision="{decision}"}}'
        many = sum(part["decision"] == decision for part in parts)
        assert after[name] - before.get(name, 0) == many
    assert after["guard_request_seconds_count"] - before["guard_request_seconds_count"] == 5
    assert after["guard_queue"] == 0


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


BOMB = png(np.zeros((12_000, 9_000), np.uint8))  # 108 million pixels in 100 kB
ONE = png(np.zeros((20, 20), np.uint8))
HOSTILE = {
    "text": (b"no picture at all", "image/png", 422),
    "truncated": (ONE[: len(ONE) // 2], "image/png", 422),
    "a bomb of pixels": (BOMB, "image/png", 422),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml", 422),
    "too many bytes": (b"\0" * 200_001, "image/png", 413),
    "a form without an end": (multipart(("a.png", ONE))[:-30], FORM, 400),
    "a form without a boundary": (multipart(("a.png", ONE)), "multipart/form-data", 400),
    "a form without a file": (multipart(), FORM, 400),
    "a form of too many files": (multipart(*[("a.png", b"x")] * 65), FORM, 413),
    "a torn file in a form": (multipart(("a.png", ONE[:30])), FORM, 422),
    "no body": (b"", "", 400),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_uploads_get_4xx_and_leave_the_server_as_it_was(live, what):
    body, kind, code = HOSTILE[what]
    status, told = live.ask("POST", "/inspect", body, kind)
    assert status == code, told
    if code == 422:
        assert [part["decision"] for part in told["parts"]] == ["re_inspect"]
    assert live.ask("GET", "/health")[1]["queue"] == 0


def test_a_mixed_form_is_answered_part_by_part(live, files):
    form = multipart(("torn.png", b"x"), ("whole.png", files[0].read_bytes()))
    status, told = live.ask("POST", "/inspect", form, FORM)
    assert status == 200
    assert [part["p_defect"] is None for part in told["parts"]] == [True, False]


def test_a_chunked_body_without_a_length_is_bounded_too(live):
    def pieces():
        for _ in range(40):
            yield b"\0" * 10_000

    link = http.client.HTTPConnection("127.0.0.1", live.port, timeout=30)
    link.request("POST", "/inspect", pieces(), {"Content-Type": "image/png"})
    assert link.getresponse().status == 413


def test_a_sender_that_stops_is_let_go(live, monkeypatch):
    monkeypatch.setattr(module, "BODY_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", live.port), timeout=10) as link:
        link.sendall(b"POST /inspect HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
        assert b"408" in link.recv(1000)
    with socket.create_connection(("127.0.0.1", live.port), timeout=10) as link:
        link.sendall(b"POST /inspect HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
    for _ in range(100):
        if live.ask("GET", "/health")[1]["queue"] == 0:
            return
        time.sleep(0.02)
    pytest.fail("what a sender who has gone had taken was not given back")


class Slow:
    """A guard that waits to be let go on."""

    def __init__(self, guard) -> None:
        self.guard, self.go = guard, threading.Event()
        self.policy, self.folder, self.batch_size = guard.policy, guard.folder, 2
        self.sizes = []  # of batches

    def pixels(self, *given):
        return self.guard.pixels(*given)

    def inspect_read(self, read, names, **more):
        if not isinstance(read[0], str):
            assert self.go.wait(20)
            self.sizes.append(len(read))
        return self.guard.inspect_read(read, names, **more)


def test_a_full_queue_is_told_at_once_and_nothing_is_lost(guard, files):
    slow, body = Slow(guard), files[0].read_bytes()
    with served(create_app(slow, RequestLimits(queue=3))) as found, ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(found.ask, "POST", "/inspect", body) for _ in range(3)]
        while found.ask("GET", "/health")[1]["queue"] < 3:
            time.sleep(0.01)
        assert found.ask("POST", "/inspect", body)[0] == 503
        slow.go.set()
        assert [each.result()[0] for each in asked] == [200] * 3
        assert found.ask("POST", "/inspect", body)[0] == 200


def test_under_load_nothing_is_lost(guard, files, tmp_path):
    """A second of what `benchmarks.guard_load` does for minutes, hostile requests among it."""
    bodies, log = [file.read_bytes() for file in files], guard_log(tmp_path / "log", guard.folder)
    decisions = [part.decision for part in guard.inspect(bodies)]
    limits = RequestLimits(queue=4, bytes=guard_load.MEGABYTES * 2**20)
    with served(create_app(guard, limits, log)) as found:
        server = guard_load.Server(None, found.port)
        answers = guard_load.load(server, bodies, decisions, 8, 1.0).counts
        assert found.ask("GET", "/health")[1]["queue"] == 0
    assert set(answers) <= guard_load.FINE
    assert answers["answered"] == read_log(log.path)["p_defect"].notna().sum() > 0
    assert answers["hostile refused"] > 0


def test_what_waits_shares_a_pass_in_powers_of_two(guard, files):
    slow = Slow(guard)
    slow.batch_size = 4
    body = files[0].read_bytes()
    with served(create_app(slow, RequestLimits(queue=12))) as found, ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(found.ask, "POST", "/inspect", body) for _ in range(8)]
        while found.ask("GET", "/health")[1]["queue"] < 8:
            time.sleep(0.01)
        assert found.ask("POST", "/inspect", b"torn")[0] == 422  # waits for nobody
        slow.go.set()
        assert [each.result()[0] for each in asked] == [200] * 8
    assert sum(slow.sizes) == 8
    assert set(slow.sizes) <= {1, 2, 4}
    assert max(slow.sizes) > 1


def test_what_has_begun_is_answered_when_the_server_is_stopped(guard, files):
    slow = Slow(guard)
    with ThreadPoolExecutor(1) as pool:
        with served(create_app(slow)) as found:
            asked = pool.submit(found.ask, "POST", "/inspect", files[0].read_bytes())
            while found.ask("GET", "/health")[1]["queue"] < 1:
                time.sleep(0.01)
            found.server.should_exit = True
            time.sleep(0.2)
            slow.go.set()
        assert asked.result()[0] == 200


def test_what_cannot_be_noted_does_not_count(guard, files):
    with served(create_app(guard, log=GuardLog(Path("/dev/full"), "x"))) as found:
        status, told = found.ask("POST", "/inspect", files[0].read_bytes())
        assert status == 503
        assert "No space left" in told["detail"]
        assert "guard_parts_total{" not in found.ask("GET", "/metrics")[1]
        assert found.ask("GET", "/health")[1]["queue"] == 0


def test_a_fault_is_told_and_the_line_goes_on(guard, files, monkeypatch):
    slow = Slow(guard)
    slow.go.set()
    with served(create_app(slow)) as found:
        with monkeypatch.context() as patched:
            patched.setattr(slow, "inspect_read", lambda *_, **__: 1 / 0)
            assert found.ask("POST", "/inspect", files[0].read_bytes())[0] == 500
        assert found.ask("POST", "/inspect", files[0].read_bytes())[0] == 200
