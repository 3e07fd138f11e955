"""How the pages of the demo stand on the screen: jumps, readability, times.

    python -m benchmarks.screen [--quick] [--json]

A row a page: cumulative layout shift and serious findings of axe-core, light and dark, and the
milliseconds from its address to all of it drawn (`load_ms`) and from a click in the top bar
(`click_ms`), medians of 10 (`--quick`: 2) in a browser that has seen the page before. `first_ms` is
the first page of a fresh server. The demo audit has to be in the workspace.
"""

import argparse
import json
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.gestures import STANDS, waited
from benchmarks.machine import machine
from tests.browser.screen import look, watch
from tests.browser.server import Server, launch, serve, settled, visitor
from trust_core.storage.workspace import DEMO, folder_of, workspace_folder

PAGES = ("", "tradeoff", "parts", "decide", "localization", "deploy", "run")
OPENINGS, QUICK_OPENINGS = 10, 2
SLOWEST = 120_000  # ms


def measure(server: Server, page: Page, openings: int) -> list[dict[str, object]]:
    """A row for each page."""
    rows = []
    for name in PAGES:
        row: dict[str, object] = {"page": name or "home"}
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            shown = look(page, f"{server.url}/{name}")
            row[f"shift_{scheme}"] = round(shown.shift, 3)
            row[f"findings_{scheme}"] = len(shown.findings)
        page.emulate_media(color_scheme="light")
        loads = [_load(page, f"{server.url}/{name}") for _ in range(openings)]
        clicks = [_click(server, page, name) for _ in range(openings)]
        row["load_ms"], row["click_ms"] = map(round, map(statistics.median, (loads, clicks)))
        rows.append(row)
    return rows


def _load(page: Page, address: str) -> float:
    return waited(page, partial(page.goto, address), STANDS)


def _click(server: Server, page: Page, name: str) -> float:
    """From the page before it (the one after, for the first) by its link in the top bar."""
    place = PAGES.index(name)
    page.goto(f"{server.url}/{PAGES[place - 1] if place else PAGES[1]}")
    settled(page)
    key = f".st-key-nav-{name or 'app'}"
    arrived = f"document.querySelector('{key}-here') && {STANDS}"
    return waited(page, page.locator(f"{key} a").click, arrived)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2 openings instead of 10")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    folder_of(DEMO)
    expect.set_options(timeout=SLOWEST)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = visitor(launch(playwright), viewport={"width": 1280, "height": 720}).new_page()
        page.set_default_timeout(SLOWEST)
        watch(page)
        with serve(workspace_folder().resolve(), Path(folder) / "log") as server:
            first = _load(page, server.url)
            rows = measure(server, page, QUICK_OPENINGS if options.quick else OPENINGS)
    if options.json:
        json.dump({"first_ms": round(first), "pages": rows, "machine": machine()}, sys.stdout)
        return
    print(" | ".join(rows[0]))
    for row in rows:
        print(" | ".join(map(str, row.values())))
    print(f"first page of a fresh server: {first:.0f} ms")


if __name__ == "__main__":
    main()
