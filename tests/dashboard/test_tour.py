"""The tour of the demo: five stops, each on a page that is there, and a way out of every one."""

import pytest

from dashboard.home.idea import AWAY
from dashboard.shell import PAGES
from dashboard.tour import STOPS
from tests.dashboard.app import again, html, links, open_page
from trust_core.storage.audit_files import Audit


def test_every_stop_is_a_page_in_the_bar():
    assert len(STOPS) == 5
    assert {stop.page for stop in STOPS} <= set(PAGES)


@pytest.mark.parametrize("number", range(1, 6))
def test_each_stop_says_where_it_is_and_leads_on_or_out(demo: Audit, number: int):
    stop = STOPS[number - 1]
    name = "" if stop.page == "app.py" else stop.page.removeprefix("pages/").removesuffix(".py")
    app = open_page(name, audit="demo", tour=str(number))
    assert f"Stop {number} of 5" in html(app)
    following = [label for label in links(app) if label.startswith("Next: ")]
    assert following == ([] if number == 5 else [f"Next: {STOPS[number].name}"])
    app.button(key="tour-end").click()
    assert "Stop " not in html(again(app))
    assert "tour" not in app.query_params


def test_a_stop_of_another_page_or_none_at_all_shows_nothing(demo: Audit):
    for number in ("2", "6", "x"):
        assert 'class="tour"' not in html(open_page(audit="demo", tour=number))


def test_the_steps_stand_above_the_demo_until_they_are_put_away(demo: Audit):
    app = open_page(audit="demo")
    assert 'class="steps"' in html(app)
    assert "Look around in five stops" in links(app)
    app.button(key="steps-put-away").click()
    assert 'class="steps"' not in html(again(app))
    assert app.session_state[AWAY]
