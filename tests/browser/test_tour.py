"""The demo's three steps and its tour, as a newcomer takes them: every stop, out, and put away."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from dashboard.home.idea import COOKIE
from dashboard.shell import PAGES
from dashboard.tour import STOPS
from tests.browser.server import settled

Visit = Callable[[str], Page]


def test_a_newcomer_takes_the_tour_and_puts_the_steps_away(visit: Visit) -> None:
    page = visit("?audit=demo")
    steps, stop = page.locator(".steps li"), page.locator(".tour b")
    expect(steps).to_have_count(3)
    page.get_by_role("link", name="Look around in five stops").click()
    for number, (here, after) in enumerate(zip(STOPS, [*STOPS[1:], None], strict=True), 1):
        expect(stop).to_have_text(f"Stop {number} of {len(STOPS)}")
        expect(page.locator(".st-key-nav [class*='-here']")).to_have_text(PAGES[here.page])
        expect(steps).to_have_count(0)
        settled(page)
        if after:
            page.get_by_role("link", name=f"Next: {after.name}").click()
    page.get_by_role("button", name="End the tour").click()
    expect(stop).to_have_count(0)
    expect(page).not_to_have_url(re.compile("tour="))

    page = visit("?audit=demo&tour=1")
    page.get_by_role("button", name="Skip the tour").click()
    expect(stop).to_have_count(0)
    expect(steps).to_have_count(3)
    settled(page)
    page.get_by_role("button", name="Put this away").click()
    expect(steps).to_have_count(0)
    kept = f"document.cookie.includes('{COOKIE}=')"
    page.wait_for_function(kept)
    page.reload()
    settled(page)
    expect(page.locator(".finding h1")).to_be_visible()
    expect(steps).to_have_count(0)
    page.context.clear_cookies(name=COOKIE)  # the other tests meet the demo as it is at first
