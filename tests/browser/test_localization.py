"""Localization in a real browser: first request, the slider moves the cards, a part opens."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.server import serve, settled
from tests.fakes import random_parts, write_fake_audit
from trust_core.decision.localization.audit_masks import report
from trust_core.decision.localization.pixel_counts import MASK_HEAD, make_counts
from trust_core.storage.audit_files import Audit

Visit = Callable[[str], Page]


@pytest.fixture(scope="module")
def masked(workspace: Path) -> Iterator[Audit]:
    """An audit with a mask head, whose pixels nobody has counted yet."""
    yield write_fake_audit(workspace / "masked", random_parts(160), mask_head=True)
    shutil.rmtree(workspace / "masked")
    shutil.rmtree(workspace / "masked-images")


def marked(page: Page) -> int:
    heading = page.locator(".finding h1").inner_text()
    found = re.search(r"marks (\d+) of", heading)
    assert found, heading
    return int(found[1])


def test_from_the_first_request_to_a_part(
    page: Page, masked: Audit, workspace: Path, tmp_path: Path
) -> None:
    with serve(workspace, tmp_path / "log") as fresh:
        page.goto(f"{fresh.url}/localisation?audit=masked")  # the address of old links
        expect(page).to_have_url(re.compile(r"/localization\?audit=masked$"))
        # The pixels are counted first, by a process of their own; then the page comes by itself.
        expect(page.locator(".card")).to_have_count(5, timeout=60_000)
        settled(page)
        told = report(masked, make_counts(masked, MASK_HEAD))
        assert marked(page) == told.metrics.seg_recall.hits
        expect(page.locator(".st-key-sizes .chart path.point").first).to_be_attached()
        expect(page.locator(".st-key-thresholds .chart path.js-line").first).to_be_attached()
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0
        height = page.evaluate("document.querySelector('.st-key-thresholds').offsetTop")
        slider = page.get_by_role("slider", name="Mask threshold")
        for _ in range(3):
            before = page.url
            slider.press("PageUp")
            expect(page).not_to_have_url(before)
            settled(page)
        threshold = float(page.url.split("mask=")[1].split("&")[0])
        assert threshold > 0.5
        moved = report(masked, make_counts(masked, MASK_HEAD), threshold)
        expect(page.locator(".card").nth(2).locator("b")).to_have_text(
            f"{moved.metrics.seg_recall.hits:.0f} of {moved.metrics.seg_recall.total}"
        )
        assert page.evaluate("document.querySelector('.st-key-thresholds').offsetTop") == height
        page.get_by_text("Least agreement").click()
        expect(page).to_have_url(re.compile("worst=lowest"))
        settled(page)
        page.locator(".st-key-worst-parts a").first.click()
        expect(page).to_have_url(re.compile("parts.*look=mask"))
        expect(page.get_by_alt_text("Predicted and true mask")).to_be_visible()
        assert f"mask={threshold:g}" in page.url
        settled(page)
        assert "Uncaught app execution" not in fresh.log
