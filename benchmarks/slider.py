"""What a move of the threshold slider costs on 100,000 stored scores.

    python -m benchmarks.slider [--quick] --json

`slider_ms`: the server's time for a move, with the whole page run anew (a served session runs only
its fragment, which is less), measured by Streamlit's own test harness.
`redraw_ms`: from the key press on the slider until a real browser has drawn the point elsewhere;
`settled_ms`: until it has drawn it for the last time, after the server's answer.
`page_ms`: from opening the page's address until the chart stands; `first_page_ms`: the first time,
when the server reads the tables and the browser loads its scripts.
Medians over 20 moves (5 openings); `rss_mb` is the server's peak memory. Without a browser on
this machine only `slider_ms` is measured.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.simulated import write_simulated
from benchmarks.visits import Visit, peak_megabytes
from tests.browser.server import NoBrowser, launch, serve, visitor
from trust_core.audit.settings import AuditSettings

IMAGES, QUICK_IMAGES = 100_000, 10_000
MOVES, OPENINGS = 20, 5
AUDIT = "scores"
# Kept in the page: when a key went down, and when the browser had painted the moved point.
WATCH = """(() => {
    const times = (window.times = { key: 0, drawn: 0, settled: 0 });
    addEventListener("keydown", (event) => { times.key = event.timeStamp; }, true);
    new MutationObserver((changes) => {
        const moved = changes.some((c) => c.target.closest?.(".st-key-tradeoff .shapelayer"));
        const painted = () => {
            times.settled = performance.now();
            times.drawn ||= times.settled;
        };
        if (moved) requestAnimationFrame(() => setTimeout(painted));
    }).observe(document, { subtree: true, childList: true, attributes: true });
})()"""
RESET = "() => Object.assign(window.times, { key: 0, drawn: 0, settled: 0 })"
CHART, SLIDER = ".st-key-tradeoff .shapelayer path", ".st-key-threshold input"
SETTLE = 400  # milliseconds, so that one move has ended before the next


def move_in_browser(address: str, moves: int) -> dict[str, list[float]]:
    """Milliseconds in a real browser: opening the page, pressing the slider's key."""
    opened, drawn, settled = [], [], []
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = visitor(browser, viewport={"width": 1280, "height": 720}).new_page()
        page.add_init_script(WATCH)
        for _ in range(1 + OPENINGS):
            began = time.perf_counter()
            page.goto(f"{address}/tradeoff?audit={AUDIT}")
            page.wait_for_selector(CHART, state="attached")
            opened.append(1000 * (time.perf_counter() - began))
        page.wait_for_timeout(5 * SETTLE)
        page.locator(SLIDER).focus()
        for _ in range(2 + moves):
            page.evaluate(RESET)
            page.keyboard.press("ArrowRight")
            page.wait_for_function("window.times.drawn > 0")
            page.wait_for_timeout(SETTLE)
            drawn.append(page.evaluate("window.times.drawn - window.times.key"))
            settled.append(page.evaluate("window.times.settled - window.times.key"))
        browser.close()
    times = {"redraw_ms": drawn[2:], "settled_ms": settled[2:]}
    return times | {"page_ms": opened[1:], "first_page_ms": opened[:1]}


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.slider", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer scores")
    parser.add_argument("--json", action="store_true", help="the only form there is")
    images = QUICK_IMAGES if parser.parse_args().quick else IMAGES
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        write_simulated(workspace / AUDIT, images, roles=("tune",))
        reader = Visit(workspace, AUDIT)
        reader.open("pages/tradeoff.py")
        taken = {"slider_ms": reader.slide(MOVES)}
        memory = None
        try:
            dashboard = serve(workspace, workspace / "log")
            with dashboard as server:
                taken |= move_in_browser(server.url, MOVES)
                memory = peak_megabytes(dashboard.process.pid)
        except NoBrowser as reason:
            print(reason, file=sys.stderr)
    result: dict[str, object] = {
        "slider_ms": None,
        "redraw_ms": None,
        "settled_ms": None,
        "page_ms": None,
    }
    result |= {name: round(statistics.median(all_), 1) for name, all_ in taken.items()}
    result |= {
        "rss_mb": memory,
        "range_ms": {n: [round(min(all_), 1), round(max(all_), 1)] for n, all_ in taken.items()},
        "images": images,
        "strengths": len(AuditSettings().strengths),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ("streamlit", "plotly", "numpy", "duckdb")},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
