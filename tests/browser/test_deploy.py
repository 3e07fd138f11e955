"""Deploy in the browser: a report is made beside the page, and is what it says when taken away."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from trust_core.deploy.report.seal import verify

MAKING = 60_000  # ms: verdicts of all indicators, pictures of eight parts


def test_a_report_is_made_and_downloaded(visit: Callable[[str], Page], tmp_path: Path) -> None:
    page = visit("deploy?audit=demo")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Do not take it to the line yet")
    page.get_by_role("button", name="Make the report").click()
    button = page.locator(".st-key-take-report button")
    expect(button).to_be_visible(timeout=MAKING)
    with page.expect_download() as taken:
        button.click()
    file = tmp_path / taken.value.suggested_filename
    taken.value.save_as(file)
    assert file.name == "demo-report.html"
    assert verify(file.read_bytes()).ok
