"""What a person waits for on the pages of the demo: milliseconds of seven gestures in a browser.

    python -m benchmarks.gestures [--quick] [--json]

`drag_ms`: the threshold slider dragged a step further until the chart's mark stands elsewhere;
`counts_ms`: let go until the server has confirmed the new counts; `strength_ms`: a step of the
strength until its counts are confirmed; `part_ms`: a click on a part until all its pictures stand;
`next_ms`: the same for the next one; `evidence_ms`: the first evidence view of an audit, when its
surroundings have to be learnt; `evidence_next_ms`: that of the next parts. Median, smallest and
largest of 10 (`--quick`: 3); the first evidence is one. A copy of the demo audit is measured.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from playwright.sync_api import Locator, Page, expect, sync_playwright

from benchmarks.machine import machine
from tests.browser.server import launch, serve, settled, visitor
from trust_core.storage.audit_files import EVIDENCE
from trust_core.storage.workspace import DEMO, folder_of

TIMES, QUICK_TIMES = 10, 3
SLOWEST = 120_000  # ms
STEP, STEPS = 6, 8  # pixels of one step of a drag, steps in one direction
MARK = ".st-key-tradeoff .chart .shapelayer path"
LAST_MARK = f"[...document.querySelectorAll('{MARK}')].at(-1).getAttribute('d')"
PANELS = ".st-key-part-panels img"
TILE = ".st-key-parts-grid [class*=st-key-tile-]"
EVIDENCE_MAP = ".st-key-evidence-map-column img"
# Asked in every frame, where an expectation of Playwright asks every 100 to 1,000 ms.
STANDS = """document.querySelector('[data-testid=stApp][data-test-script-state=notRunning]')
    && !document.querySelector('[data-testid=stSkeleton]')
    && !document.documentElement.classList.contains('ahead')"""


def waited(page: Page, act: Callable[[], None], until: str) -> float:
    """Milliseconds from an action until a condition in the page's JavaScript holds."""
    began = time.perf_counter()
    act()
    page.wait_for_function(f"() => {until}", polling="raf")
    return 1000 * (time.perf_counter() - began)


def drags(page: Page, address: str, times: int) -> dict[str, list[float]]:
    """The threshold dragged step by step and let go; the strength moved by key."""
    page.goto(address)
    page.wait_for_selector(MARK, state="attached")
    settled(page)
    drawn, counts, strengths = [], [], []
    for turn in range(times):
        thumb = page.locator(".st-key-threshold [data-testid=stSliderThumbValue]").locator("..")
        x, y = _middle(thumb)
        page.mouse.move(x, y)
        page.mouse.down()
        direction = STEP if turn % 2 else -STEP
        for step in range(1, STEPS + 1):
            elsewhere = f"{LAST_MARK} !== '{page.evaluate(LAST_MARK)}'"
            further = partial(page.mouse.move, x + step * direction, y)
            drawn.append(waited(page, further, elsewhere))
        asked = page.url
        counts.append(waited(page, page.mouse.up, f"location.href !== '{asked}' && {STANDS}"))
    page.locator(".st-key-strength input").focus()
    for turn in range(times):
        asked, key = page.url, "ArrowLeft" if turn % 2 else "ArrowRight"
        press = partial(page.keyboard.press, key)
        strengths.append(waited(page, press, f"location.href !== '{asked}' && {STANDS}"))
        page.wait_for_timeout(300)
    return {"drag_ms": drawn, "counts_ms": counts, "strength_ms": strengths}


def parts(page: Page, address: str, times: int) -> dict[str, list[float]]:
    """Parts opened from the grid, and stepped through."""
    opened = []
    for turn in range(times):
        page.goto(address)
        settled(page)
        tile = page.locator(TILE).nth(turn)
        opened.append(waited(page, tile.click, f"{_all_drawn(PANELS, 4)} && {STANDS}"))
    return {"part_ms": opened, "next_ms": _following(page, PANELS, 4, times)}


def evidence(page: Page, address: str, times: int) -> dict[str, list[float]]:
    """The evidence view of an audit that has learnt no surroundings yet, then of the next parts."""
    page.goto(address)
    settled(page)
    view = page.get_by_text("Evidence, pixel by pixel")
    first = waited(page, view.click, f"{_all_drawn(EVIDENCE_MAP, 1)} && {STANDS}")
    return {"evidence_ms": [first], "evidence_next_ms": _following(page, EVIDENCE_MAP, 1, times)}


def _following(page: Page, pictures: str, least: int, times: int) -> list[float]:
    """From a click on Next until the pictures are those of the next part."""
    taken = []
    for _ in range(times):
        shown = page.locator(pictures).first.get_attribute("src")
        other = f"document.querySelector('{pictures}')?.getAttribute('src') !== '{shown}'"
        until = f"{other} && {_all_drawn(pictures, least)} && {STANDS}"
        taken.append(waited(page, page.get_by_role("button", name="Next").click, until))
    return taken


def _all_drawn(selector: str, least: int) -> str:
    images = f"[...document.querySelectorAll('{selector}')]"
    return f"{images}.length >= {least} && {images}.every((i) => i.complete && i.naturalWidth)"


def _middle(thing: Locator) -> tuple[float, float]:
    box = thing.bounding_box()
    if box is None:
        raise RuntimeError("the slider is not on the screen")
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 times instead of 10")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    times = QUICK_TIMES if options.quick else TIMES
    expect.set_options(timeout=SLOWEST)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        workspace = Path(folder) / "workspace"
        shutil.copytree(folder_of(DEMO), workspace / DEMO)
        (workspace / DEMO / EVIDENCE).unlink(missing_ok=True)
        page = visitor(launch(playwright), viewport={"width": 1280, "height": 720}).new_page()
        page.set_default_timeout(SLOWEST)
        with serve(workspace, Path(folder) / "log") as server:
            at = f"?audit={DEMO}"
            taken = drags(page, f"{server.url}/tradeoff{at}", times)
            taken |= parts(page, f"{server.url}/parts{at}", times)
            page.goto(f"{server.url}/parts{at}")
            settled(page)
            page.locator(TILE).first.click()
            page.wait_for_function("() => location.href.includes('part=')")
            taken |= evidence(page, page.url, times)
    rows = {
        name: [round(f(all_)) for f in (statistics.median, min, max)]
        for name, all_ in taken.items()
    }
    if options.json:
        json.dump(rows | {"machine": machine()}, sys.stdout)
        return
    for name, (median, least, most) in rows.items():
        print(f"{name:18} {median:6} [{least}, {most}]")


if __name__ == "__main__":
    main()
