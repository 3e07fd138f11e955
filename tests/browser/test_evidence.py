"""The evidence view in a real browser: pointing, switching, and the slow method to its end."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import settled
from tests.dashboard.ware import write_audit
from tests.fakes import passed_parts
from trust_core.explanation.evidence.audit_gaussian import audit_patch_gaussian
from trust_core.storage.audit_files import Audit
from trust_core.storage.workspace import delete

Visit = Callable[..., Page]
# Pictures of what was open before, seen under the words of what is open now.
STALE = """([words, before, pictures]) => {
    const old = [...document.querySelectorAll(pictures)].map((image) => image.src);
    window.stale = [];
    new MutationObserver(() => {
        const now = document.querySelector(words)?.innerText;
        if (!now || now.includes(before)) return;
        for (const image of document.querySelectorAll(".stMain img"))
            if (old.includes(image.src) && image.checkVisibility()) window.stale.push(now);
    }).observe(document.body, { subtree: true, childList: true, attributes: true });
}"""
WORKER_MILLISECONDS = 120_000  # it opens the model and asks it 640 times


@pytest.fixture(scope="module")
def audit(workspace: Path) -> Iterator[Audit]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRUST_CORE_WORKSPACE", str(workspace))
        audit = write_audit(workspace / "small", passed_parts([0.3, 0.2], [0.1]))
        audit_patch_gaussian(audit)  # takes its seconds once, before anyone waits for a page
        yield audit
        delete("small")


def address(audit: Audit, part: int, **more: str) -> str:
    paths = audit.query("SELECT sample_id FROM samples ORDER BY path")["sample_id"]
    query = {"audit": "small", "eps": "0", "tau": "0.25", "part": paths[part]} | more
    return "parts?" + "&".join(f"{name}={value}" for name, value in query.items())


def picture(page: Page, column: str) -> Locator:
    return page.locator(f".st-key-evidence-{column}-column .evidence-panel")


def test_pointing_at_one_picture_tells_the_bits_on_all(visit: Visit, audit: Audit):
    page = visit(address(audit, 0))
    page.get_by_text("Evidence, pixel by pixel").click()
    expect(page).to_have_url(re.compile("look=evidence"))
    settled(page)
    photo, evidence = picture(page, "photo"), picture(page, "map")
    expect(evidence.locator("img")).to_be_visible()
    photo.hover()
    told = re.compile(r"^([+−][\d.]+|under [\d.]+) bits\nspeaks for (good|defective)\nrow 3\d, ")
    expect(evidence.locator("output")).to_have_text(told, use_inner_text=True)
    expect(photo.locator("output")).to_have_text(re.compile(r"^row 3\d, column 3\d$"))
    page.mouse.move(2, 2)
    expect(evidence.locator("output")).to_be_empty()


def test_the_keyboard_reads_the_bits_and_does_not_turn_the_page(visit: Visit, audit: Audit):
    page = visit(address(audit, 0, look="evidence"))
    part = re.compile(page.url.split("part=")[1][:16])
    evidence = picture(page, "map")
    evidence.get_by_role("img").focus()
    page.keyboard.press("ArrowRight")
    expect(evidence.locator("output")).to_contain_text("row 33, column 34")
    page.keyboard.press("Shift+ArrowUp")
    expect(evidence.locator("output")).to_contain_text("row 23, column 34")
    page.keyboard.press("Escape")
    expect(evidence.locator("output")).to_be_empty()
    page.wait_for_timeout(500)
    expect(page).to_have_url(part)


def test_no_picture_of_before_stands_under_new_words(visit: Visit, audit: Audit):
    page = visit(address(audit, 0))
    expect(page.locator(".st-key-part-panels img")).to_have_count(4)
    maps = ".st-key-part-panels .stImage img"
    page.evaluate(STALE, [".st-key-evidence-panels", "no such words", maps])
    page.get_by_text("Evidence, pixel by pixel").click()
    expect(picture(page, "map").locator("img")).to_be_visible()
    settled(page)
    assert page.evaluate("window.stale") == []
    shown = page.locator(".finding p").inner_text()
    page.evaluate(STALE, [".finding p", shown, ".evidence-panel img"])
    page.get_by_role("button", name="Next").click()
    expect(page.locator(".finding p")).not_to_have_text(shown)
    expect(picture(page, "map").locator("img")).to_be_visible()
    settled(page)
    assert page.evaluate("window.stale") == []


def test_another_form_and_side_replace_the_picture_and_a_reload_shows_the_same(
    visit: Visit, audit: Audit
):
    page = visit(address(audit, 0, look="evidence"))
    image = picture(page, "map").locator("img")
    place, first = image.bounding_box(), image.get_attribute("src") or ""
    page.locator(".st-key-evidence-form input").click()
    page.get_by_role("option", name="Gradient × input").click()
    expect(image).not_to_have_attribute("src", first)
    expect(page).to_have_url(re.compile("form=gradient-x-input"))
    second = image.get_attribute("src") or ""
    page.get_by_text("For good", exact=True).click()
    expect(image).not_to_have_attribute("src", second)
    assert image.bounding_box() == place
    last = image.get_attribute("src") or ""
    page.reload()
    settled(page)
    expect(image).to_have_attribute("src", last)


def test_the_slow_method_runs_to_its_end_and_is_there_at_once_next_time(visit: Visit, audit: Audit):
    page = visit(address(audit, 0, look="evidence"))
    page.get_by_role("button", name="Check against the slow method").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    page.reload()  # the worker goes on
    slow = picture(page, "slow").locator("img")
    expect(slow).to_be_visible(timeout=WORKER_MILLISECONDS)
    said = page.get_by_role("status").filter(has_text="strongest windows are the same")
    expect(said).to_be_visible()
    page.goto(page.url)
    expect(slow).to_be_visible()
    expect(said).to_be_visible()


def test_a_slow_method_that_was_cancelled_can_be_asked_for_again(visit: Visit, audit: Audit):
    page = visit(address(audit, 1, look="evidence"))
    start = page.get_by_role("button", name="Check against the slow method")
    start.click()
    page.get_by_role("button", name="Cancel").click()
    expect(start).to_be_visible()
    expect(page.get_by_text("It was stopped before it was complete.")).to_be_visible()
    expect(picture(page, "slow")).to_have_count(0)
