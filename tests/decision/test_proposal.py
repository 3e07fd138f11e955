"""What is proposed: the simplest indicator that is as good as the best, or threshold shift."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.proposals import null_proposals, shuffled
from benchmarks.statistics import NULL_PROPOSALS
from tests.fakes import random_parts, write_fake_audit
from trust_core.decision.indicators.stored import add_indicators
from trust_core.decision.proposal import CANDIDATES, compare, propose_indicator


def with_probe(folder, lead):
    """An audit whose probe combination knows `lead` more deviations of a miss than p does."""
    audit = write_fake_audit(folder, random_parts(400))
    table = audit.query("SELECT sample_id, outcome, p_defect FROM samples ORDER BY sample_id")
    table = table[table["outcome"].isin(["FN", "TN"])]
    draw = np.random.default_rng(0)
    ranks = table["p_defect"].rank() / len(table)
    column = ranks + lead * (table["outcome"] == "FN") + 0.05 * draw.normal(size=len(table))
    columns = {"sample_id": table["sample_id"], "probe_combination": column}
    nothing = {name: draw.normal(size=len(table)) for name in ("consensus",)}
    add_indicators(audit, pd.DataFrame(columns | nothing))
    return audit


def test_a_clear_lead_is_proposed(tmp_path):
    found = propose_indicator(with_probe(tmp_path / "audit", 2.0))
    assert (found.indicator, found.strength) == ("probe_combination", 0.0)
    leads = {each.indicator: each.lead for each in found.candidates}
    assert leads["probe_combination"] > 0.1
    assert [each.indicator for each in found.candidates] == list(CANDIDATES)


def test_without_a_lead_it_is_threshold_shift():
    draw = np.random.default_rng(1)
    missed = np.arange(200) % 5 == 0
    scores = {name: draw.normal(size=200) for name in ("p_defect", "probe_combination")}
    scores["p_defect"][missed] += 1.0
    scores["probe_combination"][missed] += 1.05
    found = compare(scores, missed, np.arange(200), dict.fromkeys(scores, 0.0))
    simplest = next(each for each in found if each.behind <= each.error)
    assert simplest.indicator == "p_defect"


def test_the_simplest_within_one_standard_error_goes_before_the_best():
    draw = np.random.default_rng(2)
    missed = np.arange(400) % 5 == 0
    known = draw.normal(size=400) + 2.0 * missed
    scores = {
        "p_defect": draw.normal(size=400),
        "consensus": known + 0.3 * draw.normal(size=400),
        "probe_combination": known,
    }
    found = compare(scores, missed, np.arange(400), dict.fromkeys(scores, 0.0))
    assert found[0].behind > found[0].error
    best = max(found, key=lambda each: each.lead)
    assert best.behind == 0
    assert best.error == pytest.approx(0)


def test_too_few_missed_parts_choose_nothing(tmp_path):
    audit = write_fake_audit(tmp_path / "audit", random_parts(24))
    found = propose_indicator(audit)
    assert (found.indicator, found.candidates) == ("p_defect", ())
    assert "too few" in found.sentence


def test_a_choice_among_useless_indicators_is_seldom_green():
    assert null_proposals(10, trials=40)["green"] <= 4


@pytest.mark.slow
@pytest.mark.parametrize(("groups", "photos", "area"), NULL_PROPOSALS)
def test_a_useless_proposal_is_green_in_at_most_29_of_400(groups: int, photos: int, area: float):
    """Fit and choice on tune included: labels of passed parts say nothing beyond p."""
    found = null_proposals(groups, photos, area)
    assert found["others"] > 40  # else nothing was tried
    assert found["green"] <= 29
    assert found["red"] <= 29


def test_shuffled_labels_leave_the_counts_and_what_is_not_passed():
    outcome = np.array(["FN"] * 5 + ["TN"] * 20 + ["TP"] * 7 + ["FP"] * 3)
    table = pd.DataFrame({"outcome": outcome, "label": np.isin(outcome, ["FN", "TP"]).astype(int)})
    dealt = shuffled(table, np.random.default_rng(0))
    pd.testing.assert_frame_equal(dealt[25:], table[25:])
    assert (dealt["outcome"].value_counts() == table["outcome"].value_counts()).all()
    assert ((dealt["outcome"] == "FN") == (dealt["label"] == 1))[:25].all()
    assert (dealt["outcome"] != table["outcome"]).any()
