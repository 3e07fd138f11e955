"""The Decide page in a real browser: fill in, prove, decide, and it survives a reload."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import sign
from tests.browser.server import settled
from tests.fakes import random_parts, write_fake_audit
from trust_core.decision.journal import entries
from trust_core.figures.words.numbers import tau_text
from trust_core.storage.audit_files import open_audit

Visit = Callable[[str], Page]


@pytest.fixture
def fresh(workspace: Path):
    """An audit of its own, whose seals may be opened."""
    folder = workspace / "deciding"
    write_fake_audit(folder, random_parts(600))
    yield folder
    shutil.rmtree(folder)
    shutil.rmtree(workspace / "deciding-images")


def test_from_the_preview_to_a_decision(visit: Visit, fresh: Path) -> None:
    page = visit("decide?audit=deciding&ind=iou_difference&eps=0&tau=0.1")
    expect(page.get_by_text("Preview: ")).to_be_visible()
    expect(page.locator(".st-key-contenders .chart path.point").first).to_be_attached()
    recall = page.get_by_role("spinbutton", name="Missed parts to catch, %")
    recall.fill("70")
    recall.press("Enter")
    expect(page).to_have_url(re.compile("recall=70"))
    settled(page)
    sign(page)
    page.get_by_text("My choice is made: open the photos of certify and test").click()
    prove = page.get_by_role("button", name="Prove it")
    expect(prove).to_be_enabled()
    prove.click()
    certified = page.get_by_text("Certified: at least 70 %")
    expect(certified).to_be_in_viewport()  # the eye is led to what changed
    expect(page.get_by_text("Preview: ")).to_have_count(0)
    settled(page)
    page.get_by_label("Why this one?").fill("the night shift can do it")
    page.get_by_role("button", name="Decide on it").click()
    expect(page.locator(".history").get_by_text("the night shift can do it")).to_be_visible()
    told = page.get_by_text(re.compile(r"Decided: IoU difference, τ [−\d.]+, by Ada, on "))
    expect(told).to_be_visible()
    expect(page.locator("p.action")).to_be_visible()
    decided = entries(open_audit(fresh))[-1]
    chosen = page.locator(".st-key-decide-which label", has=page.locator("input:checked"))
    expect(chosen).to_contain_text(tau_text(decided["threshold"]))  # not thrown back
    assert decided["who"] == "Ada"
    at = {key: values[0] for key, values in parse_qs(urlsplit(page.url).query).items()}
    assert float(at["tau"]) == decided["threshold"]
    page.reload()
    settled(page)
    expect(page.get_by_text("Certified: at least 70 %")).to_be_visible()
    expect(page.get_by_text("You sign as Ada")).to_be_visible()  # the browser has kept it
    advice = page.locator("p.action").inner_text()
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.locator(".finding h1")).to_have_css("color", "rgb(27, 32, 37)")  # ink on paper
    expect(page.locator(".st-key-topbar")).to_be_hidden()
    expect(page.get_by_role("button", name="Decide on it")).to_be_hidden()
    expect(told).to_be_visible()
    page.emulate_media(media="screen", color_scheme="light")

    page.locator(".st-key-brand a").click()  # and Home says the same of it
    expect(page.locator(".st-key-nav [class*='-here']")).to_have_text("Home")
    settled(page)
    expect(told).to_be_visible()
    expect(page.get_by_text("Certified: at least 70 %")).to_be_visible()
    expect(page.locator(".finding .action")).to_have_text(advice)


def test_it_fits_and_holds_still(visit: Visit) -> None:
    page = visit("decide?audit=demo")
    expect(page.locator(".st-key-costs .chart path.point").first).to_be_attached()
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0
    sign(page)  # a name that the browser says later takes away the fields for it
    height = page.evaluate("document.querySelector('.stMainBlockContainer').scrollHeight")
    page.eval_on_selector(".st-key-contenders .main-svg", "svg => { svg.dataset.same = 'yes' }")
    cost = page.get_by_role("spinbutton", name="Cost of an escape")
    cost.fill("400")
    cost.press("Enter")
    expect(page).to_have_url(re.compile("escape=400"))
    settled(page)
    grown = page.evaluate("document.querySelector('.stMainBlockContainer').scrollHeight") - height
    assert abs(grown) <= 60  # a sentence may take another line
    assert page.get_attribute(".st-key-contenders .main-svg >> nth=0", "data-same") == "yes"
