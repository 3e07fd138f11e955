"""What the dashboard costs on a finished audit of a million images at eight strengths.

    python -m benchmarks.store [--quick] [--audit DIR] --json

The audit is simulated in the real format (`benchmarks/simulated.py`, 0.8 GB of disk). Server time,
measured by Streamlit's own test harness: `slider_ms`, a move of the threshold (median of 20);
`page_ms`, the slowest kind of step on any page – opening it, a filter, an order, a page further,
another threshold, strength or role, a part – each the median of several with different values.
`steps_ms` lists them all as median, smallest and largest; `first_ms` is the first time that any
reader opens a page after the server has started, when the columns are read; `compare_ms` is what
Decide takes, once for a strength, to compare every indicator.
`rss_mb` is the peak memory of a real server (`python -m dashboard`) after a browser has been on
every page; null without a browser.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.simulated import write_simulated
from benchmarks.visits import Visit, peak_megabytes, summary
from tests.browser.server import NoBrowser, launch, serve, visitor
from trust_core.decision.journal import SEALED, open_seals
from trust_core.storage.audit_files import open_audit

IMAGES, QUICK_IMAGES = 1_000_000, 20_000
MOVES = 20
ENDED, PATIENCE = "[data-testid=stApp][data-test-script-state=notRunning]", 60_000
AUDIT = "simulated"
PAGES = {
    "home": "app.py",
    "tradeoff": "pages/tradeoff.py",
    "parts": "pages/parts.py",
    "decide": "pages/decide.py",
}
# Each kind of step on Parts with values that were not asked for before.
FILTERS = {
    "outcome": [{"show": show} for show in ("fn", "overlooked", "flagged", "tp", "fp", "all")],
    "kind": [{"kind": kind} for kind in ("crack", "pit", "stain", "dent")],
    "order": [{"sort": sort, "kind": ""} for sort in ("trusted", "likely", "path", "suspicious")],
    "page": [{"page": page} for page in ("2", "30", "400", "5000")],
    "search": [{"search": text, "page": "1"} for text in ("lot 0003", "part a1", "77.jpg")],
    "threshold": [{"tau": tau, "search": ""} for tau in ("0.1", "0.125", "0.2", "0.3")],
    "strength": [{"eps": eps} for eps in ("1", "2", "4", "8")],
    "indicator": [{"ind": name} for name in ("energy", "log_odds", "knn", "iou_defect")],
}


def visit_pages(workspace: Path) -> dict[str, dict[str, list[float]]]:
    """Milliseconds of each kind of step: the first openings, and all others."""
    reader = Visit(workspace, AUDIT)
    first = {name: [reader.open(file)] for name, file in PAGES.items() if name != "decide"}
    steps = {f"open {name}": [reader.open(PAGES[name]) for _ in range(5)] for name in first}
    reader.open(PAGES["tradeoff"])
    steps["slider"] = reader.slide(MOVES)
    steps["tradeoff: role"] = [reader.step(role=role) for role in ("test", "certify", "all")]
    reader.step(role="tune")
    steps["tradeoff: strength"] = [reader.step(eps=eps) for eps in ("1", "2", "4", "8")]
    reader.open(PAGES["parts"])
    for name, changes in FILTERS.items():
        steps[f"parts: {name}"] = [reader.step(**change) for change in changes]
    ids = open_audit(workspace / AUDIT).query(
        "SELECT sample_id FROM samples WHERE outcome = 'FN' AND role = 'tune' LIMIT 8"
    )["sample_id"]
    first["part"] = [reader.step(part=ids[0])]
    steps["part"] = [reader.step(part=part) for part in ids[1:]]
    first["decide"] = [reader.open(PAGES["decide"])]
    steps["open decide"] = [reader.open(PAGES["decide"]) for _ in range(5)]
    compared = {"compare": [reader.step(eps=eps) for eps in ("1", "4")]}
    return {"first": first, "steps": steps, "compare": compared}


def visit_in_browser(page: Page, address: str, part: str) -> None:
    """Be on every page once."""
    ways = ["", "tradeoff", "tradeoff?role=all", "parts", "parts?sort=path", "decide"]
    for way in [*ways, f"parts?part={part}"]:
        page.goto(f"{address}/{way}{'&' if '?' in way else '?'}audit={AUDIT}")
        page.wait_for_selector("h1")
        page.wait_for_selector(ENDED, state="attached", timeout=PATIENCE)


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer images")
    parser.add_argument("--audit", type=Path, metavar="DIR", help="kept, and used again")
    parser.add_argument("--json", action="store_true", help="the only form there is")
    options = parser.parse_args()
    images = QUICK_IMAGES if options.quick else IMAGES
    with tempfile.TemporaryDirectory() as folder:
        workspace = options.audit or Path(folder)
        if not (workspace / AUDIT).exists():
            write_simulated(workspace / AUDIT, images)
        audit = open_audit(workspace / AUDIT)
        open_seals(audit, SEALED, "benchmark")
        part = audit.query("SELECT sample_id FROM samples WHERE outcome = 'FN' LIMIT 1").iloc[0, 0]
        memory = None
        try:
            dashboard = serve(workspace, workspace / "log")
            with dashboard as server, sync_playwright() as playwright:
                browser = launch(playwright)
                visit_in_browser(visitor(browser).new_page(), server.url, str(part))
                memory = peak_megabytes(dashboard.process.pid)
                browser.close()
        except NoBrowser as reason:
            print(reason, file=sys.stderr)
        taken = {name: summary(found) for name, found in visit_pages(workspace).items()}
    steps = taken["steps"]
    result = {
        "slider_ms": steps["slider"][0],
        "page_ms": max(median for median, *_ in steps.values()),
        "rss_mb": memory,
        "steps_ms": steps,
        "first_ms": {name: median for name, (median, *_) in taken["first"].items()},
        "compare_ms": taken["compare"]["compare"],
        "images": audit.manifest.counts.total + audit.manifest.unreadable,
        "strengths": len(audit.strengths),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {n: version(n) for n in ("streamlit", "numpy", "pyarrow", "duckdb", "pandas")},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
