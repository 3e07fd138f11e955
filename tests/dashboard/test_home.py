"""Home: the finding, the ways on, and the page of a newcomer."""

from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from tests.dashboard.app import again, html, links, open_page, texts
from tests.fakes import Part, passed_parts, random_parts, write_fake_audit
from trust_core.decision.certificate import Demand
from trust_core.decision.certify import compute_certificate, indicator_to_certify
from trust_core.decision.journal import decide, open_seals
from trust_core.decision.standing import UNKNOWN, leading_point, standing
from trust_core.figures.words import standing as words
from trust_core.storage.audit_files import Audit


def test_the_verdict_as_it_stands_comes_first_with_action_and_catch(demo: Audit):
    said = texts(open_page())
    stands = standing(demo, leading_point(demo))
    assert (stands.state, stands.point.indicator) == (UNKNOWN, "p_defect")  # 5 good parts
    assert "Cannot be told yet" in said
    for sentence in (words.state_sentence, words.action_sentence, words.catch_sentence):
        assert sentence(stands) in said
    assert "the detector calls 15 photos good; 10 show a defect." in said
    assert "11 photos of missed defects in all: 10 may be looked at, 1 in certify sealed." in said
    assert "Use threshold shift" in said


def test_the_operating_point_of_the_url_is_the_one_shown(demo: Audit):
    said = texts(open_page(tau="0.6", ind="iou_difference"))
    assert "Looking again at 5 of them by IoU difference catches 4 of 10" in said
    # p falls from part to part, so the five likeliest are missed defects; any five hold 3.3.
    assert (
        "Threshold shift catches 5 with as many; as many picked at random would catch about 3.3."
        in said
    )


def test_ways_on_keep_the_audit_and_lead_to_the_same_numbers(demo: Audit):
    app = open_page(tau="0.6", ind="iou_difference", eps="0")
    ways = {e.proto.label: e.proto.query_string for e in app.get("page_link")}
    assert ways["Look at the trade-off →"] == "audit=demo&ind=iou_difference&eps=0&tau=0.6"
    assert {"Open the parts →", "Audit your own model →"} <= set(ways)
    trade = open_page("tradeoff", **dict(parse_qsl(ways["Look at the trade-off →"])))
    assert "4 of 10 missed photos caught; 1 of 5 good photos re-inspected" in texts(trade)


def test_a_choice_is_told_with_its_person_and_what_is_proven(workspace: Path):
    audit = write_fake_audit(workspace / "mine", random_parts(500))
    decide(audit, "iou_difference", 0.1, 0.0, "six a shift", who="Ada")
    said = texts(open_page(audit="mine"))
    assert "Decided: IoU difference, τ 0.1, by Ada, on" in said
    assert "the photos that would tell are still sealed" in said
    open_seals(audit, ["certify", "test"], "a test", who="Ada")
    proof = compute_certificate(audit, Demand(0.95, 0.95), indicator_to_certify(audit))
    said = texts(open_page(audit="mine"))
    assert proof.sentence in said
    # What was decided on is held to what it was for.
    decide(audit, "iou_difference", 0.1, 0.0, "a trial", who="Ada", recall=0.7, confidence=0.9)
    proof = compute_certificate(audit, Demand(0.7, 0.9), indicator_to_certify(audit))
    said = texts(open_page(audit="mine"))
    assert proof.sentence in said
    assert "On the sealed photos (test) the detector calls" in said


@pytest.mark.parametrize(
    "parts",
    [
        passed_parts([], [0.02 * i for i in range(9)]),
        [Part(True, 0.9, (0.3,)), Part(False, 0.8, (0.1,)), Part(True, 0.7, (0.2,))],
        passed_parts([0.5], [0.1], role="test"),
    ],
    ids=["none missed", "none called good", "three photos, none for choosing"],
)
def test_pages_stand_on_an_audit_that_shows_next_to_nothing(workspace: Path, parts: list[Part]):
    """`open_page` fails where a page does."""
    audit = write_fake_audit(workspace / "mine", parts)
    said = texts(open_page(audit="mine"))
    assert "cannot be told yet" in said
    for name in ("parts", "deploy"):  # Trade-off and Decide are tried with little data themselves
        open_page(name, audit="mine")
    if not audit.manifest.counts.fn:
        assert "Audit more defective parts" in said


def test_a_large_audit_is_compared_beside_the_page(demo: Audit, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dashboard.home.standing.LARGE", 3)
    app = open_page()
    wanted = words.state_sentence(standing(demo, leading_point(demo)))
    for _ in range(100):
        if wanted in texts(app):
            break
        assert "Comparing the indicators" in texts(app)
        again(app)
    assert wanted in texts(app)
    assert "Look at the trade-off →" in links(app)


def test_a_newcomer_is_told_what_this_is_and_offered_the_demo(workspace: Path):
    app = open_page()
    assert "Second Look finds the parts that your defect detector calls good" in html(app)
    assert app.button(key="demo").label == "Open the demo audit"
    assert "Audit your own model" in links(app)


def test_a_missing_audit_is_told_and_the_page_lives_on(demo: Audit):
    app = open_page(audit="gone")
    assert "There is no audit &#x27;gone&#x27;" in html(app)
    assert "Open the demo audit" in links(app)
    assert "Demo" in links(app)


def test_what_was_not_scored_is_offered_where_there_is_any(demo: Audit, workspace: Path):
    assert open_page().get("download_button")[0].proto.label == "Download the list with reasons"
    write_fake_audit(workspace / "whole", passed_parts([0.5], [0.1]))
    assert len(open_page(audit="whole").get("download_button")) == 0
