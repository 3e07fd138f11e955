"""Home and the frame around every page, in a real browser."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.server import Server, serve, settled
from tests.fakes import passed_parts, write_fake_audit
from trust_core.figures.words.audit import not_scored
from trust_core.storage.audit_files import open_audit
from trust_core.storage.workspace import delete, display_name

Visit = Callable[..., Page]
BAR = ".st-key-topbar"
BUBBLE = """() => {  // of a term within a line: from where its help and the word itself begin
    const inside = ({ offsetLeft, offsetParent }) =>
        offsetLeft > 40 && offsetLeft < offsetParent.offsetWidth - 416;
    const term = [...document.querySelectorAll(".stHtml p .term")].find(inside);
    term.focus();
    return [parseFloat(getComputedStyle(term, "::before").left), term.offsetLeft];
}"""
VERDICT = re.compile("econd look .*(is worth it|is not worth it|cannot be told yet)")


def test_home_tells_the_verdict_and_everything_fits(visit: Visit):
    page = visit()
    expect(page.get_by_role("heading", level=1)).to_contain_text(VERDICT)
    expect(page.locator(".finding .action")).to_be_visible()
    expect(page.locator(".proof")).to_contain_text("Picking at random")
    expect(page).to_have_title("Home · Second Look")
    expect(page).to_have_url(re.compile(r"\?audit=demo$"))
    expect(page.locator("[data-testid=stSidebar]")).to_have_count(0)
    wide = page.evaluate("document.scrollingElement.scrollWidth - window.innerWidth")
    assert wide <= 0
    for way in page.locator("[class*=st-key-way-] a").all():
        box = way.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 720, "the ways on have to be seen without scrolling"
    opens, stands = page.evaluate(BUBBLE)
    assert abs(opens - stands) <= 2, "help opens below the word that it is of"


def test_one_number_means_the_same_on_every_page(visit: Visit, workspace: Path):
    point = "audit=demo&ind=iou_difference&eps=1&tau=0.25"
    page = visit(f"?{point}")
    said = page.locator(".finding p").nth(1)
    expect(said).to_contain_text(re.compile("95.% sure: .* of such defects"))
    passed, missed, flagged, caught = numbers(said.inner_text())[:4]
    good, again = passed - missed, flagged - caught
    bars = page.locator(".proof td:last-child").all_inner_texts()
    assert int(bars[0]) == caught
    expect(said).to_contain_text(
        f"Threshold shift catches {bars[1]} with as many; as many picked at random would catch "
        f"about {bars[2]}."
    )
    manifest = open_audit(workspace / "demo").manifest
    by_role = {role: counts.fn for role, counts in manifest.counts_by_role.items()}
    assert missed == by_role["tune"]
    expect(page.get_by_text("photos of missed defects in all")).to_contain_text(
        f"{by_role['tune'] + by_role['certify'] + by_role['test']} photos of missed defects in "
        f"all: {missed} may be looked at, {by_role['certify']} in certify, "
        f"{by_role['test']} in test sealed."
    )
    counted = f"{caught} of {missed} missed photos caught; {again} of {good} good photos"
    for name in ("tradeoff", "parts"):
        expect(visit(f"{name}?{point}").locator(".finding h1")).to_contain_text(counted)
    own = visit(f"decide?{point}").locator(".st-key-decide-which")
    expect(own).to_contain_text(f"{counted} re-inspected on the photos for choosing.")


def test_nothing_is_fetched_from_elsewhere(page: Page, visit: Visit, server: Server):
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    visit()
    page.evaluate("document.fonts.ready")
    assert any(url.endswith("plex-sans.woff2") for url in fetched)
    local = (server.url, server.url.replace("http", "ws"), "data:", "blob:")
    assert [url for url in fetched if not url.startswith(local)] == []


def test_the_ways_on_and_back_keep_audit_and_operating_point(visit: Visit):
    page = visit("?audit=demo&tau=0.25&eps=1")
    page.get_by_role("link", name="Look at the trade-off").click()
    expect(page).to_have_url(re.compile(r"/tradeoff\?audit=demo&eps=1&tau=0.25"))
    settled(page)
    expect(page.locator(f"{BAR} [class*='-here']")).to_have_text("Trade-off")
    page.locator(f"{BAR} a", has_text="Parts").click()
    expect(page).to_have_url(re.compile(r"/parts\?audit=demo&ind=iou_difference&eps=1&tau=0.25"))
    settled(page)
    page.locator(f"{BAR} a", has_text="Second Look").click()
    expect(page).to_have_url(re.compile(r"/\?audit=demo&ind=iou_difference&eps=1&tau=0.25"))
    expect(page.get_by_role("heading", level=1)).to_contain_text(VERDICT)


def test_a_deep_link_is_the_first_request_to_a_fresh_server_and_nothing_flashes(
    workspace: Path, context: BrowserContext, tmp_path: Path
):
    """At no moment there is a sidebar, "page not found" or another page."""
    with serve(workspace, tmp_path / "log") as server:
        page = context.new_page()
        page.add_init_script(
            """window.seen = new Set();
            new MutationObserver(() => {
              if (document.querySelector('[data-testid=stSidebar]')) seen.add('sidebar');
              if (/page not found/i.test(document.body?.innerText)) seen.add('not found');
              const here = document.querySelector(".st-key-topbar [class*='-here']")?.innerText;
              if (here) seen.add(here.trim());
            }).observe(document, {childList: true, subtree: true});"""
        )
        page.goto(f"{server.url}/parts?audit=demo")
        expect(page.locator(f"{BAR} [class*='-here']")).to_have_text("Parts")
        settled(page)
        assert page.evaluate("[...window.seen]") == ["Parts"]
        page.close()
        assert "Traceback" not in server.log


def test_the_switcher_opens_another_audit(visit: Visit, workspace: Path):
    write_fake_audit(workspace / "line 3", passed_parts([0.5, 0.1], [0.2]))
    try:
        page = visit("?audit=demo&tau=0.25")
        page.locator(f"{BAR} [data-testid=stSelectbox]").click()
        page.get_by_role("option", name="line 3").click()
        expect(page.locator(".finding")).to_contain_text("calls 3 photos good")
        expect(page).to_have_url(re.compile(r"\?audit=line(\+|%20)3$"))
        page.reload()
        expect(page.locator(".finding")).to_contain_text("calls 3 photos good")
    finally:
        library_delete(workspace, "line 3")


def test_rename_and_delete_an_audit(visit: Visit, workspace: Path):
    write_fake_audit(workspace / "trial", passed_parts([0.5], [0.2]))
    page = visit("?audit=demo")
    row = page.locator(".st-key-row-trial")
    row.get_by_role("button", name="Edit").click()
    page.get_by_label("Name").fill("<b>Spring</b> *trial*")
    page.get_by_role("button", name="Rename").click()
    expect(row).to_contain_text("<b>Spring</b> *trial*")
    assert display_name(workspace / "trial") == "<b>Spring</b> *trial*"
    settled(page)
    page.keyboard.press("Escape")
    delete = page.get_by_role("button", name="Delete", exact=True)
    expect(delete).to_be_hidden()  # a click on Edit while it still closes would close it again
    row.get_by_role("button", name="Edit").click()
    expect(delete).to_be_disabled()
    page.get_by_text("Delete it, with all decisions").click()
    expect(delete).to_be_enabled()
    delete.click()
    expect(row).to_have_count(0)
    assert not (workspace / "trial").exists()
    page.get_by_role("button", name="Bring it back").click()
    expect(row).to_contain_text("<b>Spring</b> *trial*")
    assert display_name(workspace / "trial") == "<b>Spring</b> *trial*"
    settled(page)
    library_delete(workspace, "trial")
    assert (workspace / "demo").is_dir()


def test_what_was_not_scored_is_downloaded_with_reasons(visit: Visit, workspace: Path, tmp_path):
    page = visit("?audit=demo")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the list with reasons").click()
    download.value.save_as(tmp_path / "list.csv")
    with (tmp_path / "list.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    audit = open_audit(workspace / "demo")
    assert len(rows) == audit.manifest.unreadable + audit.manifest.unscored > 0
    assert [row["path"] for row in rows] == not_scored(audit)["path"].tolist()
    assert all(row["reason"] for row in rows)


def test_the_keyboard_reaches_the_pages_and_its_focus_is_seen(visit: Visit):
    page = visit()
    reached = []
    while "Parts" not in reached and len(reached) < 8:
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.innerText"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert reached[-4:] == ["Second Look", "Home", "Trade-off", "Parts"]
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/parts"))


@pytest.mark.parametrize("address", ["?audit=gone", "parts?audit=gone", "tradeoff?audit=..%2Fdemo"])
def test_an_audit_that_is_not_there_is_told_and_the_switcher_helps(visit: Visit, address: str):
    page = visit(address)
    expect(page.get_by_role("alert")).to_contain_text("There is no audit")
    page.locator(f"{BAR} [data-testid=stSelectbox]").click()
    page.get_by_role("option", name="Demo").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page).to_have_url(re.compile("audit=demo"))


def numbers(text: str) -> list[int]:
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", text)]


def library_delete(workspace: Path, name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRUST_CORE_WORKSPACE", str(workspace))
        delete(name)
