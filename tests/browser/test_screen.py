"""Every page, light and dark: nothing jumps, nothing sticks out, axe-core finds nothing serious."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.screen import SHIFT_LIMIT, WIDTHS, look, overflowing, shifts, watch
from tests.browser.server import Server, serve, settled
from tests.fakes import random_parts, write_fake_audit

pytestmark = pytest.mark.slow
PAGES = ("", "tradeoff", "parts", "decide", "localization", "deploy", "run", "run?train=new")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose one audit has masks, so that every page has something to show."""
    folder = tmp_path_factory.mktemp("screen")
    write_fake_audit(folder / "workspace" / "demo", random_parts(400), mask_head=True)
    with serve(folder / "workspace", folder / "log") as running:
        yield running


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    page = context.new_page()
    watch(page)
    yield page
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_holds_still_can_be_read_and_fits(own: Server, page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    faults = []
    for name in PAGES:
        shown = look(page, f"{own.url}/{name}")
        faults += [f"{name}: {finding}" for finding in shown.findings]
        if shown.shift > SHIFT_LIMIT:
            faults.append(f"{name}: shift {shown.shift:.2f}, {shown.jumps}")
        if scheme == "light":
            faults += [f"{name} at {w}: {out}" for w in WIDTHS for out in overflowing(page, w)]
    assert not faults, "\n".join(faults)


def test_opening_a_part_moves_nothing(own: Server, page: Page) -> None:
    look(page, f"{own.url}/parts")
    page.locator(".st-key-parts-grid [class*=st-key-open-] button").first.click()
    expect(page.locator(".st-key-part-panels")).to_be_visible()
    settled(page)
    assert shifts(page)[0] <= SHIFT_LIMIT


def test_on_a_phone_all_pages_and_audits_can_be_reached(own: Server, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(own.url)
    settled(page)
    for label in ("Trade-off", "Decide", "Run"):
        page.locator(".st-key-nav a", has_text=label).click()
        expect(page.locator(".st-key-nav [class*='-here']")).to_have_text(label)
        settled(page)
    expect(page.locator(".st-key-open_audit")).to_be_in_viewport()


def test_the_style_stands_in_the_document(own: Server, page: Page) -> None:
    """Without it, pages are drawn once in Streamlit's layout and once more in ours."""
    answer = page.request.get(f"{own.url}/tradeoff", headers={"accept": "text/html"})
    assert ".st-key-topbar" in answer.text()
    assert "etag" not in answer.headers
