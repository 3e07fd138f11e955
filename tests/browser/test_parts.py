"""The page Parts in a real browser: looking through parts as a quality engineer would."""

import csv
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import settled, sign
from tests.fakes import random_parts, write_fake_audit
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.part_filter import PAGE_SIZE, Filters, page_of_parts
from trust_core.storage.audit_files import Audit, open_audit

Visit = Callable[..., Page]
START = "parts?audit=demo&eps=0&tau=0.2"
POINT = OperatingPoint("iou_difference", 0.0, 0.2, "tune")


@pytest.fixture
def audit(workspace: Path) -> Audit:
    return open_audit(workspace / "demo")


def tiles(page: Page) -> Locator:
    return page.locator(".st-key-parts-grid [class*=st-key-tile-]")


def ids(audit: Audit, page: int = 1, **filters: str) -> list[str]:
    return page_of_parts(audit, POINT, Filters(**filters), page)["sample_id"].tolist()


def expect_part(page: Page, sample_id: str) -> None:
    expect(page).to_have_url(re.compile(f"part={sample_id}"))
    settled(page)
    expect(page.locator(".st-key-part-panels img")).to_have_count(4)


def expect_no_tall_jump(page: Page) -> None:
    """Every picture has its place before it has loaded."""
    for image in page.locator(".st-key-parts-grid img").all():
        box = image.bounding_box()
        assert box is not None
        assert box["width"] == pytest.approx(box["height"], abs=1)


def test_open_filter_open_a_part_next_back(visit: Visit, audit: Audit):
    page = visit(START)
    expect(tiles(page)).to_have_count(PAGE_SIZE)
    expect_no_tall_jump(page)
    page.locator(".st-key-parts-show").get_by_text("Missed defects").click()
    expect(page).to_have_url(re.compile("show=fn"))
    settled(page)
    missed = ids(audit, show="fn")
    expect(tiles(page)).to_have_count(len(missed))
    expect(tiles(page).first).to_contain_text("Missed defect")
    tiles(page).nth(1).click()
    expect_part(page, missed[1])
    page.get_by_role("button", name="Next").click()
    expect_part(page, missed[2])
    page.get_by_role("button", name="All photos").click()
    expect(tiles(page)).to_have_count(len(missed))
    expect(page).to_have_url(re.compile(r"^((?!part=).)*show=fn((?!part=).)*$"))


def test_keys_step_through_the_parts_and_back_to_the_same_page(visit: Visit, audit: Audit):
    first, second = ids(audit), ids(audit, 2)
    page = visit(f"{START}&page=2")
    tiles(page).first.click()
    expect_part(page, second[0])
    page.keyboard.press("ArrowLeft")
    expect_part(page, first[-1])
    page.keyboard.press("ArrowRight")
    expect_part(page, second[0])
    page.keyboard.press("Escape")
    expect(tiles(page)).to_have_count(min(PAGE_SIZE, len(second)))
    expect(page).to_have_url(re.compile("page=2"))


def test_a_key_shows_the_bare_photograph_and_the_maps_again(visit: Visit, audit: Audit):
    page = visit(f"{START}&part={ids(audit, show='fn')[0]}")
    picture = page.locator(".st-key-panel-good img")
    switch = page.locator(".st-key-part-bare input")
    with_map = picture.get_attribute("src")
    page.keyboard.press("b")
    expect(switch).to_be_checked()
    expect(picture).not_to_have_attribute("src", with_map or "")
    page.keyboard.press("b")
    expect(switch).not_to_be_checked()
    expect(picture).to_have_attribute("src", with_map or "")


def test_keys_typed_into_a_note_stay_there(visit: Visit, audit: Audit):
    sample_id = ids(audit, show="fn")[0]
    page = visit(f"{START}&part={sample_id}")
    page.get_by_role("button", name="This label is wrong").click()
    page.get_by_role("textbox", name="What is it really?").fill("b")
    for key in ("b", "ArrowLeft", "ArrowRight", "Escape"):
        page.keyboard.press(key)
    page.wait_for_timeout(500)
    expect(page).to_have_url(re.compile(f"part={sample_id}"))
    expect(page.locator(".st-key-part-bare input")).not_to_be_checked()


def test_a_link_to_a_part_and_a_strength_shows_them(visit: Visit, audit: Audit):
    page = visit(f"{START}&part={ids(audit, show='fn')[0]}&view=4")
    expect(page.locator(".part-difference")).to_contain_text("ε = 4")
    expect(page.locator("[class*=st-key-tile-here-strength]")).to_contain_text("ε = 4")
    page.locator("[class*=st-key-tile-strength]").first.click()
    expect(page.locator(".part-difference")).to_contain_text("ε = 0")
    page.reload()
    settled(page)
    expect(page.locator(".part-difference")).to_contain_text("ε = 0")


def test_the_browser_goes_back_from_a_part_to_the_grid(visit: Visit, audit: Audit):
    page = visit(f"{START}&show=tn")
    tiles(page).nth(2).click()
    expect_part(page, ids(audit, show="tn")[2])
    page.go_back()
    expect(tiles(page)).to_have_count(PAGE_SIZE)
    expect(page).to_have_url(re.compile("show=tn"))


def test_every_photo_of_the_group_is_there_and_opens(visit: Visit, audit: Audit):
    sample_id = ids(audit, show="fn")[0]
    page = visit(f"{START}&part={sample_id}")
    photos = page.locator(".st-key-part-group [class*=st-key-tile-]")
    expect(photos).to_have_count(2)
    page.locator(".st-key-part-group [class*=st-key-tile-group]").click()
    settled(page)
    expect(page).not_to_have_url(re.compile(f"part={sample_id}"))
    expect(photos).to_have_count(2)


def test_the_overlooked_list_is_what_the_audit_says(visit: Visit, audit: Audit):
    page = visit(START)
    page.get_by_role("button", name="Download CSV").click()
    with page.expect_download() as download:
        page.get_by_role("button", name=re.compile("Still missed photos")).click()
    with Path(download.value.path()).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    want = page_of_parts(audit, POINT, Filters("overlooked"), 1)
    assert sorted(row["path"] for row in rows) == sorted(want["path"])
    assert {row["outcome"] for row in rows} == {"FN"}


def test_the_page_fits_and_the_keyboard_reaches_the_tiles(visit: Visit, audit: Audit):
    page = visit(START)
    wide = page.evaluate("document.scrollingElement.scrollWidth - window.innerWidth")
    assert wide <= 0
    page.locator(".st-key-open-part-3 button").focus()
    page.keyboard.press("Enter")
    expect_part(page, ids(audit)[3])


def test_both_classes_share_one_scale_until_each_map_gets_its_own(visit: Visit, audit: Audit):
    page = visit(f"{START}&part={ids(audit, show='fn')[0]}")
    ends = [page.locator(f".st-key-panel-{side} .scale span").last for side in ("defect", "good")]
    shared = ends[0].inner_text()
    expect(ends[1]).to_have_text(shared)
    page.get_by_role("button", name="Colours").click()
    page.get_by_role("combobox", name="Scale of the colours").click()
    page.get_by_role("option", name="Each map its own").click()
    expect(page).to_have_url(re.compile("scale=own"))
    settled(page)
    assert sorted(end.inner_text() == shared for end in ends) == [False, True]
    picture = page.locator(".st-key-panel-defect img")
    before = picture.get_attribute("src") or ""
    page.get_by_role("combobox", name="Colours", exact=True).click()
    page.get_by_role("option", name="Viridis").click()
    expect(picture).not_to_have_attribute("src", before)
    expect(page).to_have_url(re.compile("colours=viridis"))


@pytest.fixture
def disputed(workspace: Path) -> Iterator[Audit]:
    """An audit whose labels may be called wrong."""
    yield write_fake_audit(workspace / "labels", random_parts(160))
    shutil.rmtree(workspace / "labels")
    shutil.rmtree(workspace / "labels-images")


def test_a_wrong_label_is_recounted_taken_away_and_taken_back(visit: Visit, disputed: Audit):
    rows = page_of_parts(disputed, POINT, Filters("fn"), 1)
    row = rows.iloc[0]
    page = visit(f"parts?audit=labels&eps=0&tau=0.2&part={row['sample_id']}")
    page.get_by_role("button", name="This label is wrong").click()
    sign(page)
    page.get_by_role("textbox", name="What is it really?").fill("only dust")
    page.get_by_role("button", name="Note it").click()
    expect(page.locator(".part-remark")).to_contain_text("by Ada: “only dust”")
    settled(page)
    page.get_by_role("button", name="Review of the labels").click()
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("1 label was called wrong.")
    settled(page)
    expect(page.locator(".verdict")).to_have_count(0)  # nothing is applied by itself
    page.get_by_text("Recount with these labels turned").click()
    expect(page.get_by_text("With 1 label turned")).to_be_visible()
    expect(page.locator(".verdict")).to_have_count(2)
    counts = page.locator(".outcome-counts")
    for index, number in enumerate((len(rows), len(rows) - 1)):
        expect(counts.nth(index)).to_contain_text(f"Missed defect {number}")
    settled(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Corrected labels (CSV)").click()
    with Path(download.value.path()).open(encoding="utf-8") as file:
        labels = {row["path"]: row["label"] for row in csv.DictReader(file)}
    assert len(labels) == 160
    assert labels[row["path"]] == "good"
    page.get_by_role("button", name="Take back").click()
    expect(heading).to_have_text("No labels were called wrong.")


def test_sealed_images_stay_closed_to_a_link(visit: Visit):
    page = visit(f"{START}&role=certify")
    expect(page.get_by_role("heading", level=1)).to_contain_text("are sealed")
    expect(page.get_by_role("button", name="Open the seal")).to_be_disabled()
    expect(tiles(page)).to_have_count(0)
    page.get_by_role("button", name="Back to the photos for choosing").click()
    expect(tiles(page)).to_have_count(PAGE_SIZE)


def test_pictures_zoom_in_step_and_esc_leaves_a_full_screen_only(visit: Visit, audit: Audit):
    sample_id = ids(audit, show="fn")[0]
    page = visit(f"{START}&part={sample_id}")
    pictures = page.locator(".st-key-part-panels .stImage img")

    def looks() -> list[str]:
        style = "images => images.map(image => getComputedStyle(image).transform)"
        return pictures.evaluate_all(style)

    whole = looks()
    assert len(set(whole)) == 1
    page.get_by_role("button", name="Zoom in").click()
    expect(page.locator(".part-zoom output")).to_have_text("140 %")
    zoomed = looks()
    assert len(set(zoomed)) == 1
    assert zoomed != whole
    frame = page.locator(".st-key-panel-good .stImage").bounding_box()
    page.mouse.move(frame["x"] + 60, frame["y"] + 60)
    page.mouse.down()
    page.mouse.move(frame["x"] + 90, frame["y"] + 80, steps=3)
    page.mouse.up()
    assert len(set(looks())) == 1
    assert looks() != zoomed
    page.get_by_role("button", name="The whole picture").click()
    expect(page.locator(".part-zoom output")).to_have_text("100 %")
    page.locator(".st-key-panel-good").hover()
    page.locator(".st-key-panel-good").get_by_role("button", name=re.compile("Fullscreen")).click()
    close = page.get_by_role("button", name=re.compile("Close fullscreen"))
    expect(close).to_be_visible()
    page.keyboard.press("Escape")
    expect(close).to_have_count(0)
    settled(page)
    expect(page).to_have_url(re.compile(f"part={sample_id}"))
    page.keyboard.press("Escape")
    expect(tiles(page)).to_have_count(PAGE_SIZE)


def test_photos_are_picked_over_pages_and_the_labels_reviewed(visit: Visit, audit: Audit):
    page = visit(f"{START}&names=1")
    page.get_by_role("button", name="Cards").click()
    page.get_by_text("Pick several").click()
    settled(page)
    page.keyboard.press("Escape")
    tiles(page).nth(2).locator("label").click()
    expect(page.get_by_text("1 photo picked")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the pictures").click()
    with zipfile.ZipFile(download.value.path()) as file:
        (name,) = file.namelist()
    expect(tiles(page).nth(2)).to_contain_text(Path(name).name)
    page.get_by_role("button", name="Labels").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("No labels were called wrong.")
    doubted = page.locator(".st-key-labels-grid [class*=st-key-tile-]")
    expect(doubted.first).to_contain_text("against it")
    doubted.first.click()
    expect(page.locator(".st-key-part-panels img")).to_have_count(4)
    expect(page).to_have_url(re.compile("part="))
