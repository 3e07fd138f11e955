"""The Decide page: what it says is what the core says, and every seal opens deliberately."""

import math
import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.decide.indicators import chosen_verdicts
from dashboard.wording import page_text
from tests.dashboard.app import fine, open_page, query, texts
from tests.fakes import Part, passed_parts, random_parts, write_fake_audit
from trust_core.decision.certificate import Budget, Demand
from trust_core.decision.certify import ChosenIndicator, certify
from trust_core.decision.curves import scored
from trust_core.decision.journal import JOURNAL, decide, entries, open_seals
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.proposal import propose_indicator
from trust_core.decision.verdict import verdict
from trust_core.figures.words.proof import OPTION_NAMES
from trust_core.figures.words.verdict import absent_sentences
from trust_core.storage.audit_files import Audit


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Audit:
    monkeypatch.setenv("TRUST_CORE_WORKSPACE", str(tmp_path))
    return write_fake_audit(tmp_path / "mine", random_parts(500))


def opened(**query: str) -> AppTest:
    return open_page(
        "decide", **({"audit": "mine", "ind": "iou_difference", "eps": "0", "tau": "0.1"} | query)
    )


def test_before_the_seal_it_is_a_preview_and_opens_nothing(audit: Audit) -> None:
    told = texts(opened())
    assert "Preview: " in told
    assert "also chosen on them" in told
    assert "Nothing yet: the proof needs the sealed photos." in told
    assert not (audit.folder / JOURNAL).exists()


def test_the_preview_is_the_verdict_on_tune(audit: Audit) -> None:
    judged = verdict(scored(audit, ["tune"], "iou_difference", 0.0))
    told = texts(opened())
    assert f"a lead of {100 * judged.difference:+.1f}".replace("-", "−") in told
    assert f"of {judged.fn} missed photos it re-inspects" in told


def test_the_verdict_comes_with_the_seal_of_test(audit: Audit) -> None:
    app = opened()
    assert app.button("verdict-open").disabled
    fine(app.checkbox("verdict-sure").check().run())
    fine(app.button("verdict-open").click().run())
    assert [(e["what"], e["role"]) for e in entries(audit)] == [("seal_opened", "test")]
    judged = verdict(scored(audit, ["test"], "iou_difference", 0.0))
    told = texts(opened())
    assert "Preview" not in told
    assert "test was opened" in told
    assert f"of {judged.fn} missed photos it re-inspects" in told
    assert "Nothing yet: the proof needs the sealed photos." in told  # certify is still sealed


def test_the_proof_is_that_of_the_command_line_and_names_the_choice(audit: Audit) -> None:
    app = opened(recall="80", sure="90")
    fine(app.checkbox("proof-sure").check().run())
    fine(app.button("proof-open").click().run())
    logged = {e["role"]: e["why"] for e in entries(audit)}
    assert set(logged) == {"certify", "test"}
    assert set(logged.values()) == {"certify iou_difference at strength 0"}
    told = certify(audit, Demand(0.8, 0.9), ChosenIndicator("iou_difference", 0.0, "asked for"))
    shown = texts(opened(recall="80", sure="90"))
    assert told.certified
    assert told.sentence in shown
    assert "was chosen before the sealed photos were seen." in shown
    lost = told.ours.test
    assert f"It re-inspects {lost.flagged_tn} of {lost.tn} good photos of test" in shown
    assert len(entries(audit)) == 2


def test_what_a_budget_proves_stands_beside_it(audit: Audit) -> None:
    open_seals(audit, ["certify", "test"], "a test")
    told = certify(audit, Budget(0.3, 0.95), ChosenIndicator("iou_difference", 0.0, "asked for"))
    assert "at most 30 % of the good parts" in told.sentence
    assert told.sentence in texts(opened(afford="30"))


def test_a_choice_after_the_look_is_told(audit: Audit) -> None:
    open_seals(audit, ["certify", "test"], "curiosity")
    assert "chosen before the sealed photos were seen; a choice made after a look" in texts(
        opened(ind="log_odds")
    )


def test_too_few_are_told_before_the_seal_is_spent(audit: Audit) -> None:
    have = audit.query(
        "SELECT count(DISTINCT \"group\") FROM samples WHERE outcome = 'FN' AND role = 'certify'"
    ).iloc[0, 0]
    told = texts(opened(recall="99"))
    assert f"{have} missed parts lie sealed, and 299 are needed to prove 99 %" in told
    assert "takes 299 missed parts if none is overlooked" in told


def test_what_is_wanted_goes_into_the_address_and_stays_in_the_session(audit: Audit) -> None:
    app = opened()
    fine(app.number_input("want-escape").set_value(250.0).run())
    assert query(app, "escape") == "250"
    assert "recall" not in app.query_params
    del app.query_params["escape"]  # a link from another page does not carry it
    fine(app.run())
    assert app.number_input("want-escape").value == 250
    assert query(app, "escape") == "250"


@pytest.mark.parametrize("bad", ["", "x", "nan", "inf", "-3", "100"])
def test_what_means_nothing_in_the_address_is_passed_over(audit: Audit, bad: str) -> None:
    app = opened(recall=bad)
    assert app.number_input("want-recall").value == 95
    assert "takes 59 missed parts" in texts(app)


def test_costs_move_the_cheapest_threshold(audit: Audit) -> None:
    def cheapest(**wants: str) -> str:
        (label,) = (o for o in opened(**wants).radio("decide-which").options if "Cheapest" in o)
        return label

    assert cheapest(escape="300", rate="2") != cheapest(escape="9000", rate="9")
    app = opened(escape="1", again="50")
    assert "cheapest to look at nothing again" in texts(app)
    assert not any("Cheapest" in option for option in app.radio("decide-which").options)


def test_one_decides_with_a_reason_and_it_is_noted(audit: Audit) -> None:
    app = opened(eps="1")
    app.radio("decide-which").set_value("own")
    app.text_input("decide-why").set_value("<b>six</b> a shift")
    fine(button(app, "Decide on it").click().run())
    (entry,) = entries(audit)
    assert (entry["indicator"], entry["strength"], entry["threshold"], entry["why"]) == (
        "iou_difference", 1.0, 0.1, "<b>six</b> a shift",
    )  # fmt: skip
    bodies = " ".join(element.proto.body for element in opened().get("html"))
    assert "&lt;b&gt;six" in bodies
    assert "Operating point: IoU difference of τ 0.1 or more, at strength 1" in bodies


def test_without_a_reason_nothing_is_decided(audit: Audit) -> None:
    app = opened()
    fine(button(app, "Decide on it").click().run())
    assert "needs a reason" in texts(app)
    assert entries(audit) == []


def button(app: AppTest, label: str):
    return next(b for b in app.button if b.label == label)


def test_another_indicator_and_strength_go_into_the_address(audit: Audit) -> None:
    app = opened()
    fine(app.selectbox("indicator").set_value("log_odds").run())
    fine(app.select_slider("strength").set_value(4.0).run())
    assert (query(app, "ind"), query(app, "eps")) == ("log_odds", "4")
    judged = verdict(scored(audit, ["tune"], "log_odds", 4.0))
    assert f"a lead of {100 * judged.difference:+.1f}".replace("-", "−") in texts(app)


def test_the_rival_itself_is_no_indicator(audit: Audit) -> None:
    assert "what every indicator is measured against" in texts(opened(ind="p_defect"))


def test_an_indicator_that_the_audit_has_not_is_passed_over(audit: Audit) -> None:
    decide(audit, "knn", 0.5, 0.0, "it looked good")
    (audit.folder / "indicators.parquet").unlink(missing_ok=True)
    app = opened(ind="max_logit")
    assert app.selectbox("indicator").value == "iou_difference"
    assert "IoU difference" in texts(app)


@pytest.mark.parametrize("role", ["tune", "test"])
def test_every_choice_is_tried_on_demand(audit: Audit, role: str) -> None:
    if role == "test":
        open_seals(audit, ["test"], "the verdict")
    before = audit.key
    app = fine(button(opened(), "Try every choice").click().run())
    told = texts(app)
    assert re.search(r"\d+ of \d+ choices rank the photos for choosing better", told)
    assert "choices that differ in one thing share it" in told
    assert [e["why"] for e in entries(audit)] == ["the verdict"] * (role == "test")
    made = audit.key
    assert (made != before) == (role == "test")  # what was found on test becomes indicators, once
    fine(app.run())
    fine(opened().run())
    assert audit.key == made


def test_another_audit_beside_it(audit: Audit, tmp_path: Path) -> None:
    assert "This is the only finished audit" in texts(opened())
    parts = random_parts(500)
    better = [
        Part(p.defective, 0.9, p.deltas, p.role, p.kind, p.group)
        if i % 9 == 0 and p.defective
        else p
        for i, p in enumerate(parts)
    ]
    write_fake_audit(tmp_path / "other", better)
    app = opened(**{"with": "other"})
    told = texts(app)
    assert "Compared on" in told
    assert "of tune that both hold byte for byte" in told
    assert any("Caught there, missed here" in o for o in app.selectbox("changed-side").options)


@pytest.mark.parametrize(
    "parts",
    [
        passed_parts([math.nan], [math.nan, math.nan]),
        passed_parts([], [0.1, 0.2]),
        passed_parts([0.1, 0.2], []),
        passed_parts([0.5], [0.5]),
        [Part(True, 0.9, (0.5,)), Part(False, 0.7, (0.5,))],
        passed_parts([0.5], [0.5], role="test"),
        [*passed_parts([0.5] * 8, [0.2] * 8), *passed_parts([0.5] * 8, [0.2] * 8, role="certify")],
    ],
)
@pytest.mark.parametrize("sealed", [True, False])
def test_little_data_is_said_plainly(
    parts: list[Part], sealed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUST_CORE_WORKSPACE", str(tmp_path))
    audit = write_fake_audit(tmp_path / "mine", parts)
    if not sealed:
        open_seals(audit, ["certify", "test"], "a test")
    told = texts(opened())
    assert "too few" in told or "cannot tell" in told or "better" in told


def test_the_name_is_asked_once_and_signs_what_is_decided(audit: Audit) -> None:
    app = opened()
    assert "You sign as Ada" in texts(app)
    fine(app.button("person-other-decide").click().run())
    app.text_input("decide-why").set_value("six a shift")
    fine(button(app, "Decide on it").click().run())
    assert "Write your name first" in texts(app)
    assert entries(audit) == []
    fine(app.text_input("person-name-decide").set_value(" Grace  Hopper ").run())
    fine(button(app, "Decide on it").click().run())
    assert [entry["who"] for entry in entries(audit)] == ["Grace Hopper"]
    fine(app.checkbox("proof-sure").check().run())
    fine(app.button("proof-open").click().run())
    assert {entry["who"] for entry in entries(audit)} == {"Grace Hopper"}


def test_what_was_decided_stays_chosen_and_is_told_on_top(audit: Audit) -> None:
    open_seals(audit, ["certify", "test"], "a test")
    app = opened()
    app.radio("decide-which").set_value("cheapest")
    app.text_input("decide-why").set_value("cheapest for us")
    fine(button(app, "Decide on it").click().run())
    assert app.radio("decide-which").value == "cheapest"
    assert app.text_input("decide-why").value == ""
    decided = entries(audit)[-1]
    told = f"Decided: IoU difference, τ {decided['threshold']:.4g}, by Ada, on"
    assert told.replace("-", "−") in texts(app)
    later = open_page("decide", audit="mine")
    assert OPTION_NAMES[later.radio("decide-which").value].startswith(("Cheapest", "Your own"))


def test_few_indicators_are_shown_until_all_are_wanted(audit: Audit) -> None:
    point = OperatingPoint("iou_difference", 0.0, 0.1, "tune")
    proposed = propose_indicator(audit).indicator
    few, every = (chosen_verdicts(audit, "tune", point, every=flag) for flag in (False, True))
    names = {one.indicator for one in few}
    assert {"iou_difference", "p_defect", proposed} <= names
    lead = {one.indicator: (one.verdict.difference, one.verdict.interval) for one in every}
    shown_already = [lead[name] for name in ("iou_difference", "p_defect", proposed)]
    others = [one for one in every if lead[one.indicator] not in shown_already]
    best = max(others, key=lambda one: one.verdict.difference)
    assert names == {"iou_difference", "p_defect", proposed, best.indicator}
    app = opened()
    shown = texts(app)
    assert "Distance from the cloud of good parts" not in shown or best.indicator == "mahalanobis"
    fine(app.toggle("all-indicators").set_value(True).run())
    assert "Distance from the cloud of good parts" in texts(app)


def test_no_reason_names_an_option_of_the_command_line(audit: Audit, tmp_path: Path) -> None:
    (audit.folder / "indicators.parquet").unlink()
    told = " ".join(absent_sentences(audit, page_text))
    assert "it needs an audit that asks about flipped photos too" in told
    assert "“Try every choice” on Decide adds it" in told
    assert "--" not in told
    assert "python" not in told


def test_every_indicator_has_one_name_in_the_history_too(audit: Audit) -> None:
    open_seals(audit, ["certify", "test"], "certify p_defect at strength 0")
    assert "certify threshold shift at strength 0" in texts(opened())
