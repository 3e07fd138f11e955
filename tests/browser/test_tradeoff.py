"""The Trade-off page in a real browser: click, slide, zoom, and the command line's numbers."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.server import ROOT, Server, settled
from tests.fakes import random_parts, write_fake_audit

Visit = Callable[[str], Page]
CHART = ".st-key-tradeoff .chart"
HEATS = ("caught", "again")
COUNTS = re.compile(r"(\d+) of (\d+) missed photos caught; (\d+) of (\d+) good photos")


@pytest.fixture(scope="module")
def told(workspace: Path) -> dict:
    """What the command line says of the same audit."""
    command = [sys.executable, "-m", "trust_core", "tradeoff", str(workspace / "demo"), "--json"]
    answer = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return json.loads(answer.stdout)


def finding(page: Page) -> Locator:
    return page.locator(".finding h1")


def counts(page: Page) -> tuple[int, int, int, int]:
    expect(finding(page)).to_have_text(COUNTS)
    return tuple(map(int, COUNTS.search(finding(page).inner_text()).groups()))


def address(page: Page) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(page.url).query).items()}


def drawn(page: Page) -> Page:
    expect(page.locator(f"{CHART} path.point").first).to_be_attached()
    expect(page.locator(f"{CHART} .shapelayer path").first).to_be_attached()
    settled(page)
    return page


def check_against(told: dict, page: Page) -> None:
    """The page's counts are the command line's at the point that the address names."""
    settled(page)
    at = address(page)
    line = next(c for c in told["curves"] if c["strength"] == float(at["eps"]))
    tau = float(at["tau"])
    above = [p for p in line["points"] if p["threshold"] is None or p["threshold"] >= tau]
    fn, tn = above[-1]["flagged_fn"], above[-1]["flagged_tn"]
    assert counts(page) == (fn, told["counts"]["fn"], tn, told["counts"]["tn"])


def test_a_click_on_the_curve_sets_the_operating_point(visit: Visit, told: dict) -> None:
    page = drawn(visit("tradeoff?audit=demo&eps=1"))
    before = finding(page).inner_text()
    page.locator(f"{CHART} path.point").nth(12).click(force=True)
    expect(finding(page)).not_to_have_text(before)
    expect(page).to_have_url(re.compile("tau="))
    check_against(told, page)
    line = next(c for c in told["curves"] if c["strength"] == 1.0)
    point = line["points"][12]
    caught, _, again, _ = counts(page)  # points lie so close that the click may take the next one
    assert abs(caught - point["flagged_fn"]) + abs(again - point["flagged_tn"]) <= 1
    assert address(page)["eps"] == "1"
    expect(page.get_by_text("Since τ")).to_be_visible()


def test_the_slider_moves_the_mark_and_nothing_else(visit: Visit, told: dict) -> None:
    page = drawn(visit("tradeoff?audit=demo&eps=0"))
    page.eval_on_selector(f"{CHART} .main-svg", "svg => { svg.dataset.same = 'yes' }")
    height = page.evaluate("document.querySelector('.stMainBlockContainer').scrollHeight")
    zoom(page)
    zoomed = x_range(page)
    mark = page.locator(f"{CHART} .shapelayer path").last
    before, place = finding(page).inner_text(), mark.get_attribute("d")
    slider = page.locator(".st-key-threshold input")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(finding(page)).not_to_have_text(before)
    expect(mark).not_to_have_attribute("d", place)
    expect(page).to_have_url(re.compile("tau="))  # the server confirms what has moved already
    settled(page)
    check_against(told, page)
    assert x_range(page) == zoomed
    page.locator(".st-key-strength input").focus()
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile("eps=1"))
    settled(page)
    check_against(told, page)
    assert x_range(page) == zoomed
    assert page.get_attribute(f"{CHART} .main-svg >> nth=0", "data-same") == "yes"
    grown = page.evaluate("document.querySelector('.stMainBlockContainer').scrollHeight") - height
    assert abs(grown) <= 1


def zoom(page: Page) -> None:
    box = page.locator(f"{CHART} .nsewdrag").bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 260, box["y"] + 260, steps=4)
    page.mouse.up()
    page.wait_for_function(
        f"document.querySelector('{CHART}').layout.xaxis.range[1] < 0.9", timeout=5000
    )


def x_range(page: Page) -> list[float]:
    return page.evaluate(f"document.querySelector('{CHART}').layout.xaxis.range")


def test_what_a_drag_moves_is_what_the_server_then_confirms(visit: Visit, told: dict) -> None:
    page = drawn(visit("tradeoff?audit=demo&eps=1"))
    before, asked = counts(page), page.url
    place = page.locator(f"{CHART} .shapelayer path").last.get_attribute("d")
    thumb = page.locator(".st-key-threshold [data-testid=stSliderThumbValue]").locator("..")
    box = thumb.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] - 60, box["y"] + box["height"] / 2, steps=5)
    expect(page.locator("html.ahead")).to_be_attached()
    expect(page.locator(f"{CHART} .shapelayer path").last).not_to_have_attribute("d", place)
    during = counts(page)
    assert during != before
    ringed = [int(page.locator(f".st-key-heat-{n} td.here").inner_text()) for n in HEATS]
    assert ringed == [during[0], during[2]]
    assert page.url == asked  # the server has heard nothing yet
    page.mouse.up()
    expect(page).not_to_have_url(asked)
    expect(page.locator("html.ahead")).not_to_be_attached()
    settled(page)
    assert counts(page) == during
    check_against(told, page)
    tau = page.locator(".st-key-threshold input").get_attribute("aria-valuetext")
    expect(page.locator(".finding p")).to_contain_text(f"of {tau} or more")
    assert page.locator(".heat th.own").all_inner_texts() == [tau, tau]


def test_the_heat_tables_are_walked_by_keyboard_and_clicked(visit: Visit, told: dict) -> None:
    page = drawn(visit("tradeoff?audit=demo&eps=0"))
    here = page.locator(".st-key-heat-again td.here")
    here.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    label = page.locator("td:focus").get_attribute("aria-label")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("eps=1"))
    settled(page)
    check_against(told, page)
    assert label.startswith(f"{counts(page)[2]} of {counts(page)[3]} good photos re-inspected")
    expect(here).to_have_text(str(counts(page)[2]))
    last = page.locator(".st-key-heat-caught tr").last.locator("td").first
    last.click()
    expect(page).to_have_url(re.compile("eps=4"))
    settled(page)
    check_against(told, page)


def test_a_shared_link_and_a_reload_show_the_same(visit: Visit, told: dict) -> None:
    page = drawn(visit("tradeoff?audit=demo&ind=iou_difference&eps=4&tau=0.05&role=tune"))
    before = counts(page)
    check_against(told, page)
    page.reload()
    settled(page)
    assert counts(drawn(page)) == before


# Boxes of the chart's texts, and points of its lines and marks, all in pixels of the window.
DRAWN = """chart => {
  const boxes = (names) => [...chart.querySelectorAll(names)].map((text) => {
    const { left, right, top, bottom } = text.getBoundingClientRect();
    return { text: text.textContent, left, right, top, bottom };
  });
  const lines = chart.querySelectorAll(".scatterlayer .js-line, .shapelayer path");
  const points = [...lines].flatMap((line) => {
    const place = line.getScreenCTM(), length = line.getTotalLength();
    return Array.from({ length: Math.ceil(length) + 1 }, (_, at) => {
      const { x, y } = line.getPointAtLength(at).matrixTransform(place);
      return [x, y];
    });
  });
  const others = boxes(".xtick text, .ytick text, .g-xtitle, .g-ytitle, .modebar-group");
  return { names: boxes("text.annotation-text"), others, points };
}"""
WIDTHS = (390, 768, 900, 1280, 1440)


def test_names_stand_free_at_every_width_and_shares_are_written_as_in_texts(visit: Visit) -> None:
    page = drawn(visit("tradeoff?audit=demo&eps=1"))
    size = page.viewport_size
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(
            "chart => chart.layout.width === chart.clientWidth", arg=page.query_selector(CHART)
        )
        texts = free_names(page, 4)  # three strengths and threshold shift
        assert {"0\N{NO-BREAK SPACE}%", "100\N{NO-BREAK SPACE}%"} <= texts
    page.set_viewport_size(size)


def free_names(page: Page, several: int) -> set[str]:
    """All texts of the chart, when so many names of curves stand free in it."""
    shown = page.locator(CHART).evaluate(DRAWN)
    boxes = [*shown["names"], *shown["others"]]
    assert len(shown["names"]) == several
    assert len(shown["points"]) > 500
    for name in shown["names"]:
        assert not [point for point in shown["points"] if inside(point, name)], name
        assert not [other for other in boxes if other is not name and lapped(name, other)], name
    return {box["text"] for box in boxes}


def inside(point: list[float], box: dict[str, float]) -> bool:
    x, y = point
    return box["left"] < x < box["right"] and box["top"] < y < box["bottom"]


def lapped(one: dict[str, float], other: dict[str, float]) -> bool:
    return (
        one["left"] < other["right"]
        and one["right"] > other["left"]
        and one["top"] < other["bottom"]
        and one["bottom"] > other["top"]
    )


@pytest.fixture
def rival(workspace: Path) -> Iterator[None]:
    """Another audit in the workspace, for as long as a test needs it."""
    write_fake_audit(workspace / "rival", random_parts(200, 7))
    yield
    shutil.rmtree(workspace / "rival")


@pytest.mark.usefixtures("rival")
def test_another_audit_is_laid_over_and_re_inspections_lead_to_a_threshold(
    visit: Visit, told: dict
) -> None:
    page = drawn(visit("tradeoff?audit=demo&eps=1&tau=0.4&with=rival"))
    expect(page.get_by_text("Dotted: rival at ε 1")).to_be_visible()
    expect(page.locator(f"{CHART} text.annotation-text")).to_have_count(5)
    assert "rival" in free_names(page, 5)
    before, asked = counts(page), page.url
    field = page.get_by_role("spinbutton", name="I can re-inspect, a shift")
    field.fill("300")
    field.press("Enter")
    expect(page).not_to_have_url(asked)
    settled(page)
    assert counts(page) != before
    check_against(told, page)
    now = field.get_attribute("placeholder").removeprefix("now ").replace(",", "")
    assert float(now) <= 300


def test_the_parts_that_change_side_are_one_click_away(visit: Visit) -> None:
    page = drawn(visit("tradeoff?audit=demo&eps=0"))
    page.locator(f"{CHART} path.point").nth(3).click(force=True)
    expect(page.get_by_text("Since τ")).to_be_visible()
    told = page.get_by_text("Since τ").inner_text()
    parts = sum(int(n) for n in re.findall(r"(\d[\d,]*) (?:missed|good)", told))
    page.get_by_role("link", name="Changed side").click()
    expect(finding(page)).to_contain_text(f"changes the side of {parts} photo")
    assert address(page)["show"] == "changed"


def test_so_are_those_that_change_side_between_strengths(visit: Visit) -> None:
    page = drawn(visit("tradeoff?audit=demo&eps=0&tau=0.25"))
    page.get_by_role("slider", name="Adversarial strength").press("ArrowRight")
    expect(page).to_have_url(re.compile("eps=1"))
    told = page.get_by_text("Since τ").inner_text()
    parts = sum(int(n) for n in re.findall(r"(\d[\d,]*) (?:missed|good)", told))
    assert parts
    page.get_by_role("link", name="Changed side").click()
    expect(finding(page)).to_contain_text(
        f"Moving the adversarial strength from 0 to 1 changes the side of {parts} photo"
    )


def test_the_keyboard_reaches_the_slider_and_words_name_the_chart(visit: Visit) -> None:
    page = drawn(visit("tradeoff?audit=demo&eps=0"))
    chart = page.locator(CHART)
    assert chart.get_attribute("role") == "figure"
    assert "Missed photos caught" in chart.get_attribute("aria-label")
    before = finding(page).inner_text()
    page.locator(".st-key-threshold input").focus()
    page.keyboard.press("End")
    expect(finding(page)).not_to_have_text(before)
    caught, missed, again, good = counts(page)
    assert (caught, again) == (missed, good)


def test_nothing_is_fetched_from_elsewhere(page: Page, server: Server) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{server.url}/tradeoff?audit=demo")
    settled(page)
    drawn(page)
    assert any("plotly" in url for url in asked)
    assert all(url.startswith((server.url, "data:", "blob:")) for url in asked)
