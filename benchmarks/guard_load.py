"""The server of a guard under load on loopback: nothing lost, 503 alone when full, flat memory.

    python -m benchmarks.guard_load GUARD IMAGES... [--seconds 180] [--onnx] [--json]

So many seconds in equal parts for each number of senders. Every tenth request is malformed, huge,
truncated or hostile and has to get 4xx; who is told 503 tries again. Then the server is killed with
requests in it and started again on the same port: it has to give the same answers, and its log has
to be readable. Exit 1 where anything of that fails.
"""

import argparse
import http.client
import io
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.machine import machine, versions
from trust_core.deploy.line_images import find_images
from trust_core.deploy.log import read_log

SENDERS = (1, 2, 4, 8, 16, 32, 32)  # the most twice: what memory does the second time is growth
QUEUE = 24  # below the most senders, so that the queue is full at times
MEGABYTES = 2
HOSTILE_EVERY = 10
PATIENCE = 60.0  # seconds that the server may take to start, or an answer to come
FORM = "multipart/form-data; boundary=xx"


@dataclass
class Server:
    """A server of a guard, in a process of its own."""

    process: subprocess.Popen[str]
    port: int

    def ask(
        self, method: str, path: str, body: bytes = b"", kind: str = "image/png"
    ) -> tuple[int, Any]:
        """Status and content of one request."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            return _asked(link, method, path, body, kind)
        finally:
            link.close()

    @property
    def megabytes(self) -> float:
        """Memory that it holds; NaN where Linux does not tell."""
        try:
            lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        except OSError:
            return float("nan")
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def _asked(
    link: http.client.HTTPConnection, method: str, path: str, body: bytes, kind: str
) -> tuple[int, Any]:
    link.request(method, path, body or None, {"Content-Type": kind} if body else {})
    answer = link.getresponse()
    content = answer.read()
    told = answer.headers.get_content_type() == "application/json"
    return answer.status, json.loads(content) if told else content.decode(errors="replace")


@contextmanager
def serving(folder: Path, *options: str, port: int = 0) -> Iterator[Server]:
    """`guard serve` of a folder, ready; ended in the end.

    Args:
        folder: of the guard.
        options: of the command.
        port: 0 for a free one.
    """
    port = port or _free_port()
    words = [sys.executable, "-m", "trust_core", "guard", "serve", str(folder), *options]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(  # noqa: S603 - our own program, words of ours
            [*words, "--port", str(port)], stdout=said, stderr=said, text=True
        )
        server = Server(process, port)
        try:
            _wait_until_ready(server, said)
            yield server
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _wait_until_ready(server: Server, said: Any) -> None:  # noqa: ANN401 - a file
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and server.process.poll() is None:
        with suppress(OSError):
            if server.ask("GET", "/health")[0] == 200:
                return
        time.sleep(0.1)
    said.seek(0)
    raise RuntimeError(f"The server did not start: {said.read()[-2000:]}")


def hostile(image: bytes) -> list[tuple[bytes, str]]:
    """Requests that hold no image, or too much, with their content types."""
    bomb = io.BytesIO()
    Image.fromarray(np.zeros((12_000, 9_000), np.uint8)).save(bomb, "PNG")
    head = b'--xx\r\nContent-Disposition: form-data; name="a"; filename="../../a.png"\r\n\r\n'
    return [
        (b"no image at all", "image/png"),
        (image[: len(image) // 2], "image/png"),
        (image[:20], "application/octet-stream"),
        (bomb.getvalue(), "image/png"),
        (b"\0" * (MEGABYTES * 2**20 + 1), "image/png"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/svg+xml"),
        (head + image, FORM),  # without an end
        (head + image[:40] + b"\r\n--xx--\r\n", FORM),
        (head + image, "multipart/form-data"),  # without a boundary
        (65 * (head + b"x\r\n") + b"--xx--\r\n", FORM),
    ]


@dataclass
class Tally:
    """What senders were told; any number of threads may add to it."""

    seconds: list[float] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, what: str, seconds: float | None = None) -> None:
        """Note an answer, with its time where it is of a proper image."""
        with self._lock:
            self.counts[what] += 1
            if seconds is not None:
                self.seconds.append(seconds)


def load(
    server: Server,
    images: Sequence[bytes],
    decisions: Sequence[str],
    senders: int,
    seconds: float,
) -> Tally:
    """Send images, one after the other from each of some senders.

    Args:
        server: a server.
        images: files of images.
        decisions: what the server has to say of each.
        senders: at a time.
        seconds: for so long.
    """
    tally, bad = Tally(), hostile(images[0])
    until = time.monotonic() + seconds

    def send(sender: int) -> None:
        link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        turn = sender
        while time.monotonic() < until:
            turn += 1
            try:
                if turn % HOSTILE_EVERY == 0:
                    body, kind = bad[turn // HOSTILE_EVERY % len(bad)]
                    status, _ = _asked(link, "POST", "/inspect", body, kind)
                    refused = 400 <= status < 500 or status == 503
                    tally.add("hostile refused" if refused else f"hostile got {status}")
                    continue
                _send_until_taken(link, tally, images, decisions, turn % len(images))
            except (OSError, http.client.HTTPException, ValueError):
                # A server may close where it refuses a body that it has not read to its end.
                hung_up = turn % HOSTILE_EVERY == 0
                tally.add("hostile hung up on" if hung_up else "lost")
                link.close()
        link.close()

    threads = [threading.Thread(target=send, args=(number * 7,)) for number in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tally


def _send_until_taken(
    link: http.client.HTTPConnection,
    tally: Tally,
    images: Sequence[bytes],
    decisions: Sequence[str],
    which: int,
) -> None:
    while True:
        began = time.perf_counter()
        status, told = _asked(link, "POST", "/inspect", images[which], "image/png")
        if status != 503:
            break
        tally.add("full (503)")
        time.sleep(0.05)
    if status != 200:
        tally.add(f"got {status}")
        return
    right = [part["decision"] for part in told["parts"]] == [decisions[which]]
    tally.add("answered" if right else "answered otherwise", time.perf_counter() - began)


def killed_and_started_again(
    folder: Path, options: Sequence[str], images: Sequence[bytes], decisions: Sequence[str]
) -> dict[str, Any]:
    """Kill a server with requests in it; what the next one on its port says."""
    with tempfile.TemporaryDirectory() as place:
        log = Path(place) / "line.jsonl"
        words = [*options, "--log", str(log)]
        with serving(folder, *words) as first:
            senders = threading.Thread(target=load, args=(first, images, decisions, 8, 2.0))
            senders.start()
            time.sleep(1.0)
            first.process.kill()
            senders.join()
        began = time.monotonic()
        with serving(folder, *words, port=first.port) as again:
            seconds = time.monotonic() - began
            tally = load(again, images, decisions, 2, 2.0)
        return {
            "ready_again_s": round(seconds, 1),
            "answers": dict(tally.counts),
            "log_entries": len(read_log(log)),
        }


def run(folder: Path, files: Sequence[Path], seconds: float, options: Sequence[str]) -> Any:  # noqa: ANN401
    """Everything; a JSON object."""
    images = [file.read_bytes() for file in files]
    levels = []
    with tempfile.TemporaryDirectory() as place:
        log = Path(place) / "line.jsonl"
        limits = [f"--queue={QUEUE}", f"--max-megabytes={MEGABYTES}", *options]
        with serving(folder, *limits, "--log", str(log)) as server:
            decisions = [
                server.ask("POST", "/inspect", image)[1]["parts"][0]["decision"] for image in images
            ]
            before = server.megabytes
            for senders in SENDERS:
                tally = load(server, images, decisions, senders, seconds / len(SENDERS))
                levels.append(_level(senders, tally, server.megabytes, seconds / len(SENDERS)))
            health = server.ask("GET", "/health")[1]
        noted = sum(read_log(log)["p_defect"].notna())
    total = Counter[str]()
    for level in levels:
        total.update(level["answers"])
    wrong = {what: n for what, n in total.items() if what not in FINE}
    killed = killed_and_started_again(folder, limits, images, decisions)
    wrong |= {f"after a kill: {w}": n for w, n in killed["answers"].items() if w not in FINE}
    return {
        "images": len(images),
        "decisions": dict(Counter(decisions)),
        "answers": dict(total),
        "wrong": wrong,
        "noted_in_the_log": noted,
        "expected_in_the_log": total["answered"] + len(images),
        "left_in_the_queue": health["queue"],
        "memory_mb": {
            "before": round(before),
            "most_senders": levels[-2]["memory_mb"],
            "most_senders_again": levels[-1]["memory_mb"],
        },
        "levels": levels,
        "killed": killed,
    }


FINE = {"answered", "full (503)", "hostile refused", "hostile hung up on"}


def _level(senders: int, tally: Tally, megabytes: float, seconds: float) -> dict[str, Any]:
    times = sorted(tally.seconds) or [float("nan")]
    last = times[min(len(times) - 1, int(0.99 * len(times)))]
    return {
        "senders": senders,
        "a_second": round(len(tally.seconds) / seconds, 1),
        "median_ms": round(1000 * statistics.median(times), 1),
        "p99_ms": round(1000 * last, 1),
        "memory_mb": round(megabytes),
        "answers": dict(tally.counts),
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard_load")
    parser.add_argument("folder", type=Path, metavar="GUARD")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGES")
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--most", type=int, default=60, help="images that are sent in turn")
    parser.add_argument("--onnx", action="store_true")
    parser.add_argument("--json", action="store_true", help="the only form there is")
    options = parser.parse_args()
    files = [image.path for image in find_images(options.images)]
    chosen = files[:: max(1, len(files) // options.most)]
    found = run(options.folder, chosen, options.seconds, ["--onnx"] if options.onnx else [])
    about = {"machine": machine(), "versions": versions("torch", "onnxruntime", "uvicorn")}
    print(json.dumps(found | about | {"load": [round(x, 1) for x in os.getloadavg()]}))
    same = found["noted_in_the_log"] == found["expected_in_the_log"]
    sys.exit(0 if same and not found["wrong"] and not found["left_in_the_queue"] else 1)


if __name__ == "__main__":
    main()
