"""What many people at once cost: moves of the threshold in sessions of a real server.

    python -m benchmarks.load [--quick] --json

Sessions at the websocket, as browsers hold them, each on Trade-off with a threshold of its own,
which moves every 2 seconds. `move_ms`: from the message that moves it until the server says that
the run has ended: median, 95 %, largest. `strangers`: answers with another threshold than the one
that was asked for. `growth_mb`: resident memory of the server after `growth_moves` more moves,
without a pause, above what it had before them. `load_before`: what else the machine did.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from urllib.parse import parse_qs

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.simulated import write_simulated
from dashboard.access import cookie
from tests.browser.server import TOKEN, serve
from trust_core.messages import threshold_text

IMAGES, QUICK_IMAGES = 100_000, 10_000
SESSIONS, PAUSE = 20, 2.0  # seconds between the moves of one
MOVES, GROWTH_MOVES = 20, 2000
QUICK_MOVES, QUICK_GROWTH_MOVES = 3, 100
AUDIT = "scores"
LABEL = "Flagging threshold"  # how the slider's begins
FIRST_SECONDS = 300  # that the first page may take


@dataclass
class Slider:
    """The slider of the threshold as the server drew it last."""

    name: str = ""
    fragment: str = ""
    stops: tuple[str, ...] = ()


@dataclass
class Session:
    """One reader's websocket, on the page Trade-off.

    Attributes:
        socket: open.
        draw: where the slider goes next.
        query: of the address, as the server said last.
        strangers: answers that were meant for somebody else.
    """

    socket: ClientConnection
    draw: random.Random
    query: str = f"audit={AUDIT}"
    slider: Slider = field(default_factory=Slider)
    strangers: int = 0

    async def open(self) -> None:
        """Draw the page for the first time."""
        asked = BackMsg()
        asked.rerun_script.query_string = self.query
        asked.rerun_script.page_name = "tradeoff"
        await asyncio.wait_for(self._run(asked), FIRST_SECONDS)
        if not self.slider.stops:
            raise RuntimeError("the page has no slider of the threshold")

    async def move(self) -> float:
        """Put the slider elsewhere; milliseconds until the run has ended."""
        wanted = self.draw.choice(self.slider.stops)
        asked = BackMsg()
        asked.rerun_script.query_string = self.query
        asked.rerun_script.page_name = "tradeoff"
        asked.rerun_script.fragment_id = self.slider.fragment
        widget = asked.rerun_script.widget_states.widgets.add()
        widget.id = self.slider.name
        widget.string_array_value.data.append(wanted)
        began = time.perf_counter()
        await self._run(asked)
        taken = 1000 * (time.perf_counter() - began)
        told = parse_qs(self.query).get("tau", ["nan"])[0]
        self.strangers += threshold_text(float(told)) != wanted
        return taken

    async def _run(self, asked: BackMsg) -> None:
        """Send a message and read until the run that it begins has ended."""
        await self.socket.send(asked.SerializeToString())
        begun = False
        while True:
            answer = ForwardMsg()
            answer.ParseFromString(await self.socket.recv(decode=False))
            kind = answer.WhichOneof("type")
            if kind == "new_session":
                begun = True
            elif kind == "page_info_changed":
                self.query = answer.page_info_changed.query_string
            elif kind == "delta":
                slider = answer.delta.new_element.slider
                if slider.label.startswith(LABEL):
                    self.slider = Slider(slider.id, answer.delta.fragment_id, tuple(slider.options))
            elif kind == "script_finished" and begun:
                return


@asynccontextmanager
async def sessions(url: str, number: int) -> AsyncIterator[list[Session]]:
    """So many readers, each with the page open."""
    address = url.replace("http", "ws", 1) + "/_stcore/stream"
    headers = {"Cookie": "=".join(cookie(TOKEN))}
    async with AsyncExitStack() as stack:
        opened = []
        for seed in range(number):
            socket = connect(
                address, additional_headers=headers, max_size=None, subprotocols=["streamlit"]
            )
            draw = random.Random(seed)  # noqa: S311 - where a slider goes is no secret
            opened.append(Session(await stack.enter_async_context(socket), draw))
            await opened[-1].open()
        yield opened


async def moves(readers: Sequence[Session], each: int, pause: float) -> list[float]:
    """Milliseconds of all moves; every reader moves once in `pause` seconds, or without a pause."""

    async def reader(number: int, one: Session) -> list[float]:
        taken = []
        await asyncio.sleep(pause * number / len(readers))  # people do not move in step
        for _ in range(each):
            taken.append(await one.move())
            await asyncio.sleep(max(0.0, pause - taken[-1] / 1000))
        return taken

    found = await asyncio.gather(*(reader(number, one) for number, one in enumerate(readers)))
    return [taken for one in found for taken in one]


async def measure(url: str, process: int, each: int, many: int) -> dict[str, object]:
    """All figures of a server.

    Args:
        url: of the server.
        process: of the server.
        each: moves of each session that are timed.
        many: moves in all for the growth of memory.
    """
    async with sessions(url, SESSIONS) as readers:
        await moves(readers, 1, PAUSE)  # what is computed once
        load = os.getloadavg()[0]
        taken = sorted(await moves(readers, each, PAUSE))
        before = resident_megabytes(process)
        await moves(readers, many // SESSIONS, 0.0)
        after = resident_megabytes(process)
        return {
            "move_ms": {
                "median": round(statistics.median(taken), 1),
                "95 %": round(taken[int(0.95 * (len(taken) - 1))], 1),
                "largest": round(taken[-1], 1),
            },
            "moves": len(taken),
            "strangers": sum(one.strangers for one in readers),
            "growth_mb": round(after - before, 1),
            "growth_moves": many // SESSIONS * SESSIONS,
            "rss_mb": round(after, 1),
            "load_before": round(load, 2),
        }


def resident_megabytes(process: int) -> float:
    """Memory that a process has in use."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer images and moves")
    parser.add_argument("--json", action="store_true", help="the only form there is")
    parser.add_argument("--growth-moves", type=int, metavar="N", help="for the growth of memory")
    options = parser.parse_args()
    quick, many = options.quick, options.growth_moves
    many = many or (QUICK_GROWTH_MOVES if quick else GROWTH_MOVES)
    images = QUICK_IMAGES if quick else IMAGES
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        write_simulated(workspace / AUDIT, images, roles=("tune",))
        dashboard = serve(workspace, workspace / "log")
        with dashboard as server:
            each = QUICK_MOVES if quick else MOVES
            result = asyncio.run(measure(server.url, dashboard.process.pid, each, many))
    result |= {
        "sessions": SESSIONS,
        "images": images,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ("streamlit", "numpy", "duckdb")},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
