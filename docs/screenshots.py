"""Takes the pictures of the docs from the real dashboard: `python -m docs.screenshots [FOLDER]`.

The demo audit is computed when it is not in the workspace yet. `--all` takes every page at five
sizes, from a telephone to a desk, light and dark, to be looked at.
"""

import argparse
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.server import launch, serve, settled, visitor
from trust_core.audit.demo import demo_audit
from trust_core.storage.audit_files import Audit
from trust_core.storage.workspace import workspace_folder

ROOT = Path(__file__).parents[1]
LARGE = (1440, 900)
SIZES = (LARGE, (1280, 720), (900, 1000), (768, 1024), (390, 844))
FIRST_TIME = 120_000  # ms: the evidence view of an audit learns its surroundings once


def addresses(audit: Audit) -> dict[str, str]:
    """What is photographed: name of the picture → address below the server."""
    part = audit.query(
        """SELECT sample_id FROM samples JOIN scores USING (sample_id)
           WHERE outcome = 'FN' AND role = 'tune' AND strength = 0 AND mask_path <> ''
           ORDER BY iou_difference DESC LIMIT 1"""
    )["sample_id"].iloc[0]
    return {
        "home": "",
        "tradeoff": "tradeoff?audit=demo",
        "parts": "parts?audit=demo",
        "part": f"parts?audit=demo&part={part}",
        "evidence-view": f"parts?audit=demo&part={part}&look=evidence",
        "localization": "localization?audit=demo",
        "decide": "decide?audit=demo",
        "deploy": "deploy?audit=demo",
        "run": "run",
    }


def photograph(page: Page, address: str, file: Path) -> None:
    """Open an address, wait until all of it is drawn, and take the picture."""
    page.goto(address)
    settled(page)
    page.wait_for_timeout(1500)  # fonts and the charts' own drawing
    page.screenshot(path=file)


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "docs")
    parser.add_argument("--all", action="store_true", help="five sizes, light and dark")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    looks = (
        [(size, scheme) for size in SIZES for scheme in ("light", "dark")]
        if options.all
        else [(LARGE, "light")]
    )
    expect.set_options(timeout=FIRST_TIME)
    audit = demo_audit()
    log = Path(tempfile.mkdtemp()) / "log"
    with serve(workspace_folder().resolve(), log) as server, sync_playwright() as playwright:
        browser = launch(playwright)
        for (width, height), scheme in looks:
            context = visitor(
                browser, viewport={"width": width, "height": height}, color_scheme=scheme
            )
            page = context.new_page()
            for name, address in addresses(audit).items():
                look = f"-{width}-{scheme}" if options.all else ""
                photograph(page, f"{server.url}/{address}", options.folder / f"{name}{look}.png")
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
