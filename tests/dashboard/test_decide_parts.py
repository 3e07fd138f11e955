"""What the Decide page is put together from: words, thresholds, comparison, figures."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dashboard.decide.proof import plan_sentence, price_sentence
from dashboard.decide.words import about, again_at, brief, foretold, headline, money
from tests.fakes import Part, passed_parts, random_parts, write_fake_audit
from trust_core.decision.certificate import Demand, Proof
from trust_core.decision.certify import (
    Certificate,
    ChosenIndicator,
    IndicatorProof,
    ThresholdEffect,
)
from trust_core.decision.compare_audits import beside
from trust_core.decision.line_costs import Line
from trust_core.decision.tradeoff import curve
from trust_core.decision.verdict import AMBER, GREEN, RED, Verdict, verdict
from trust_core.figures import decide
from trust_core.storage.audit_files import Audit

LINE = Line(0.01, 1000, 100, 1)


def judged(**changes: object) -> Verdict:
    table = pd.DataFrame(
        {
            "indicator": np.arange(40.0),
            "p_defect": np.arange(40.0) % 7,
            "outcome": ["TN"] * 30 + ["FN"] * 10,
            "group": [str(i) for i in range(40)],
        }
    )
    return replace(verdict(table), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"colour": GREEN}, "IoU difference is better than just lowering the decision threshold."),
        ({"colour": RED}, "IoU difference is worse than just lowering the decision threshold."),
        ({"colour": AMBER, "groups": 44}, "44 missed parts cannot tell IoU difference from just "),
        ({"colour": AMBER, "groups": 1}, "1 missed part and 30 good parts are too few"),
        ({"colour": AMBER, "groups": 0}, "No missed parts and 30 good parts are too few"),
    ],
)
def test_the_verdict_in_words(changes: dict, says: str) -> None:
    assert headline(judged(**changes), "iou_difference").startswith(says)


@pytest.mark.parametrize(
    ("have", "says"),
    [
        (59, "59 missed parts lie sealed: enough to prove 95 %, for which 59 are needed."),
        (58, "58 missed parts lie sealed, and 59 are needed to prove 95 % even with none"),
        (1, "1 missed part lies sealed, and 59 are needed"),
    ],
)
def test_what_the_sealed_parts_allow(have: int, says: str) -> None:
    assert foretold(have, 59, 0.95).startswith(says)


def test_the_plan_in_words() -> None:
    told = plan_sentence(Demand(0.95), 10)
    assert told.startswith("95 %, 95 % sure, takes 59 missed parts if none is overlooked, 93 if 1")
    assert "10 missed parts for it: all of them caught would prove 74.1 %." in told
    assert "You have none yet." in plan_sentence(Demand(0.95), 0)


def test_numbers_carry_no_more_digits_than_they_have() -> None:
    assert [about(n) for n in (2765.4, 12.3, 0.44, math.nan)] == ["2,765", "12", "0.44", "–"]
    assert [money(n) for n in (12300.0, 1.254, 0.01234, math.inf)] == [
        "12,300",
        "1.25",
        "0.0123",
        "–",
    ]
    assert [brief(t) for t in (-0.0236094, math.inf)] == ["τ −0.02361", "nothing"]


def test_good_parts_for_a_recall_are_counts() -> None:
    points = curve(np.array([0.9, 0.5, 0.7, 0.1]), np.array([True, True, False, False]))
    assert again_at(points, 0.5) == "0 of 2"
    assert again_at(points, 1.0) == "1 of 2"
    assert again_at(curve(np.array([0.5]), np.array([True])), 1.0) == "–"


def certificate(loss: int, shift_loss: int) -> Certificate:
    def proof(lost: int) -> IndicatorProof:
        effect = ThresholdEffect(0, 100, 0, lost, math.nan, (math.nan, math.nan), lost / 100)
        return IndicatorProof(Proof(True, 0.5, 0.9, 0.95, 30, 30, 0.5), effect, effect)

    chosen = ChosenIndicator("iou_difference", 0.0, "asked for")
    proofs = proof(loss), proof(shift_loss)
    return Certificate(Path(), chosen, Demand(0.9), judged(), None, *proofs, True, ())


def test_a_proof_that_flags_nearly_all_is_told_to_be_worth_little() -> None:
    dear, fair = price_sentence(certificate(97, 90)), price_sentence(certificate(30, 45))
    assert "97 of 100 good parts of test; just lowering the decision threshold proves" in dear
    assert "with 90 of 100 good parts." in dear
    assert "worth little" in dear
    assert "worth little" not in fair


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return write_fake_audit(tmp_path / "mine", random_parts(400))


def test_the_chart_of_indicators_tells_by_shape_and_colour_and_escapes() -> None:
    rows = [
        decide.Contender("Heading"),
        decide.Contender("<b>x</b>", GREEN, 0.1, 0.05, 0.2, "3 of 9", chosen=True),
        decide.Contender("y", RED, -0.1, -0.2, -0.05, "9 of 9"),
        decide.Contender("rival", difference=0.0, cost="5 of 9"),
    ]
    figure = decide.contenders(rows, "cost")
    marks = next(t for t in figure.data if t.customdata is not None)
    assert list(marks.marker.symbol) == ["triangle-up", "triangle-down"]
    assert len(set(marks.marker.color)) == 2
    assert [note.text for note in figure.layout.annotations[1:]] == [
        "<b>3 of 9</b>",
        "9 of 9",
        "5 of 9",
    ]
    assert "<b>x" not in json.dumps(figure.to_plotly_json()["layout"]["yaxis"]["ticktext"])


def test_the_chart_of_the_plan_marks_what_is_needed() -> None:
    figure = decide.collected(Demand(0.95), 68)
    assert list(figure.data[-1].x) == [59, 93, 124]
    assert "<b>68</b> you have" in [note.text for note in figure.layout.annotations]
    first = figure.data[1]
    at = list(first.x).index(max(n for n in first.x if n <= 59))
    assert first.y[at] <= 0.9505


@pytest.mark.parametrize("have", [0, 1, 5000])
def test_the_chart_of_the_plan_stands_for_any_number(have: int) -> None:
    for demand in (Demand(0.5, 0.5), Demand(0.999, 0.999)):
        figure = decide.collected(demand, have)
        assert figure.layout.xaxis.range[1] >= have


def test_the_chart_of_costs_names_the_thresholds() -> None:
    line = (np.array([0.0, 50.0, 100.0]), np.array([0.4, 0.3, 0.9]))
    marks = [decide.Priced("Cheapest", 50, 0.3), decide.Priced("Own", 100, 0.9)]
    figure = decide.costs(line, line, marks)
    assert [note.text for note in figure.layout.annotations] == ["Cheapest", "Own"]
    assert figure.data[0].line.dash == "6px,5px"


def test_two_audits_are_compared_image_by_image(tmp_path: Path) -> None:
    parts = [Part(True, 0.1, (0.5,)), Part(True, 0.9, (0.5,)), Part(False, 0.1, (0.2,))]
    after = [replace(parts[0], p=0.8), replace(parts[1], p=0.2), parts[2]]
    before, now = (
        write_fake_audit(tmp_path / name, some)
        for name, some in (("before", [*parts, Part(True, 0.1, (0.1,), "test")]), ("now", after))
    )
    found = beside(now, before, ["tune"])
    assert (found.shared, found.here) == (3, 3)
    assert found.counts == {"FN": (1, 1), "TP": (1, 1), "TN": (1, 1), "FP": (0, 0)}
    assert found.changed["change"].tolist() == [
        "missed there, caught here",
        "caught there, missed here",
    ]
    assert beside(now, before, []).shared == 0


def test_another_image_under_the_same_name_is_another_image(tmp_path: Path) -> None:
    here = write_fake_audit(tmp_path / "here", passed_parts([0.5], [0.2]), seed=1)
    there = write_fake_audit(tmp_path / "there", passed_parts([0.5], [0.2]), seed=2)
    assert beside(here, there, ["tune"]).shared == 0
