"""What a move of the threshold slider costs on 100,000 stored scores.

    python -m benchmarks.slider [--quick] --json

`slider_ms`: the server's time for a move, with the whole page run anew (a served session runs only
its fragment, which is less), measured by Streamlit's own test harness.
`redraw_ms`: from the key press on the slider until a real browser has drawn the point elsewhere.
`page_ms`: from opening the page's address until the chart stands; `first_page_ms`: the first time,
when the server reads the tables and the browser loads its scripts.
Medians over 20 moves (5 openings); `rss_mb` is the server's memory after them. Without a browser on
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
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from playwright.sync_api import sync_playwright
from streamlit.testing.v1 import AppTest

from tests.browser.server import ROOT, NoBrowser, launch, serve
from trust_core.settings import AuditSettings
from trust_core.store import (
    FINISHED,
    MANIFEST,
    SAMPLES,
    SCHEMA_VERSION,
    SCORES,
    WORKSPACE_VARIABLE,
    write_json,
)

IMAGES, QUICK_IMAGES = 100_000, 10_000
MISSED_SHARE = 0.03
MOVES, OPENINGS = 20, 5
AUDIT = "scores"
# Kept in the page: when a key went down, and when the browser had painted the moved point.
WATCH = """(() => {
    const times = (window.times = { key: 0, drawn: 0 });
    addEventListener("keydown", (event) => { times.key = event.timeStamp; }, true);
    new MutationObserver((changes) => {
        const moved = changes.some((c) => c.target.closest?.(".st-key-tradeoff .shapelayer"));
        const painted = () => { times.drawn = performance.now(); };
        if (moved) requestAnimationFrame(() => setTimeout(painted));
    }).observe(document, { subtree: true, childList: true, attributes: true });
})()"""
RESET = "() => Object.assign(window.times, { key: 0, drawn: 0 })"
CHART, SLIDER = ".st-key-tradeoff .shapelayer path", ".st-key-threshold input"
SETTLE = 400  # milliseconds, so that one move has ended before the next


def write_scores(folder: Path, images: int) -> None:
    """Write a finished audit of passed images with random scores at all default strengths."""
    draw = np.random.default_rng(0)
    settings = AuditSettings()
    missed = draw.random(images) < MISSED_SHARE
    p = 1 / (1 + np.exp(-draw.normal(-4 + 1.5 * missed, 1.2))) / 2
    samples = pd.DataFrame(
        {
            "sample_id": [f"{i:016x}" for i in range(images)],
            "path": [f"{i:06d}.png" for i in range(images)],
            "label": missed.astype(np.int8),
            "kind": np.where(missed, draw.choice(["crack", "pit", "scratch"], images), ""),
            "role": "tune",
            "group": [f"{i:016x}" for i in range(images)],
            "log_odds": np.log(p / (1 - p)),
            "p_defect": p,
            "predicted": 0,
            "status": "scored",
            "outcome": np.where(missed, "FN", "TN"),
        }
    )
    count = len(settings.strengths)
    delta = np.clip(draw.normal(-0.2 + 0.35 * missed[:, None], 0.2, (images, count)), -1, 1)
    scores = pd.DataFrame(
        {
            "sample_id": np.repeat(samples["sample_id"], count),
            "strength": np.tile(settings.strengths, images),
            "log_odds": np.repeat(samples["log_odds"], count),
            "iou_defect": (0.5 + delta / 2).ravel(),
            "iou_good": (0.5 - delta / 2).ravel(),
            "iou_difference": delta.ravel(),
            "status": "scored",
            "row": np.arange(images * count),
        }
    )
    folder.mkdir(parents=True)
    samples.to_parquet(folder / SAMPLES, index=False)
    scores.to_parquet(folder / SCORES, index=False)
    counts = {"tp": 0, "fn": int(missed.sum()), "tn": int((~missed).sum()), "fp": 0}
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "model_pass": "0" * 64,
        "table": "0" * 64,
        "mask": settings.mask,
        "settings": asdict(settings),
        "maps": [],
        "counts": counts,
        "counts_by_role": {"tune": counts},
        "status": FINISHED,
        "created": "2026-05-04T03:02:01+0000",
    }
    write_json(folder / MANIFEST, manifest)


def move_in_server(workspace: Path, moves: int) -> list[float]:
    """Milliseconds of the page's code for each of some moves."""
    os.environ[WORKSPACE_VARIABLE] = str(workspace)
    test = AppTest.from_file(ROOT / "app.py", default_timeout=120)
    test.switch_page("pages/tradeoff.py")
    test.query_params["audit"] = AUDIT
    test.run()
    taken = []
    for step in range(2 + moves):
        slider = test.select_slider("threshold")
        stop = float(slider.options[20 + 5 * step].replace("−", "-"))
        began = time.perf_counter()
        slider.set_value(stop).run()
        taken.append(1000 * (time.perf_counter() - began))
    return taken[2:]


def move_in_browser(address: str, moves: int) -> dict[str, list[float]]:
    """Milliseconds in a real browser: opening the page, pressing the slider's key."""
    opened, drawn = [], []
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(viewport={"width": 1280, "height": 720})
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
        browser.close()
    return {"redraw_ms": drawn[2:], "page_ms": opened[1:], "first_page_ms": opened[:1]}


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.slider", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer scores")
    parser.add_argument("--json", action="store_true", help="the only form there is")
    images = QUICK_IMAGES if parser.parse_args().quick else IMAGES
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        write_scores(workspace / AUDIT, images)
        taken = {"slider_ms": move_in_server(workspace, MOVES)}
        memory = None
        try:
            dashboard = serve(workspace, workspace / "log")
            with dashboard as server:
                taken |= move_in_browser(server.url, MOVES)
                memory = _resident_megabytes(dashboard.process.pid)
        except NoBrowser as reason:
            print(reason, file=sys.stderr)
    result: dict[str, object] = {"slider_ms": None, "redraw_ms": None, "page_ms": None}
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


def _resident_megabytes(pid: int) -> float | None:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return None
    line = next(x for x in status.read_text().splitlines() if x.startswith("VmRSS"))
    return round(int(line.split()[1]) / 1024, 1)


if __name__ == "__main__":
    main()
