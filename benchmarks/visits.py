"""Visits to the pages of the dashboard, timed in the server: what benchmarks of it share."""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from streamlit.testing.v1 import AppTest

from dashboard import access
from tests.browser.server import ROOT
from trust_core.storage.workspace import WORKSPACE_VARIABLE


class Visit:
    """One reader's session, in this process, with Streamlit's own test harness.

    A step runs the whole page anew; a served session runs only its fragment where there is one,
    which is less.

    Args:
        workspace: where the audit lies.
        audit: its folder's name.
    """

    def __init__(self, workspace: Path, audit: str) -> None:
        os.environ[WORKSPACE_VARIABLE] = str(workspace)
        access.is_guarded = lambda: True  # this process serves nobody
        self.audit = audit
        self.test = AppTest.from_file(ROOT / "app.py", default_timeout=600)

    def open(self, page: str, **query: str) -> float:
        """Open a page at its address; milliseconds."""
        self.test.switch_page(page)
        self.test.query_params.clear()
        return self.step(lambda: None, audit=self.audit, **query)

    def step(self, act: Callable[[], object] = lambda: None, **query: str) -> float:
        """Act on a widget or change the address, and draw the page; milliseconds."""
        for name, value in query.items():
            self.test.query_params[name] = value
        began = time.perf_counter()
        act()
        self.test.run()
        taken = 1000 * (time.perf_counter() - began)
        if self.test.exception:
            raise RuntimeError(self.test.exception[0].message)
        return taken

    def slide(self, moves: int) -> list[float]:
        """Move the threshold slider of the page Trade-off; milliseconds of each move."""
        taken = []
        for step in range(2 + moves):
            slider = self.test.select_slider("threshold")
            stop = float(slider.options[20 + 5 * step].replace("−", "-"))
            taken.append(self.step(lambda slider=slider, stop=stop: slider.set_value(stop)))
        return taken[2:]


def peak_megabytes(pid: int) -> float | None:
    """The most memory that a process has had at a time; None where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return None
    line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
    return round(int(line.split()[1]) / 1024, 1)


def summary(taken: dict[str, list[float]]) -> dict[str, list[float]]:
    """Median, smallest and largest of each, in whole tenths."""
    return {
        name: [round(value, 1) for value in (statistics.median(all_), min(all_), max(all_))]
        for name, all_ in taken.items()
    }
