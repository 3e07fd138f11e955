"""Line units: by hand, against simulation of a line, and where the data say nothing."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import passed_parts, random_parts, write_fake_audit
from trust_core.decision.certificate import Demand
from trust_core.decision.certify import ChosenIndicator, compute_certificate
from trust_core.decision.curves import tradeoff
from trust_core.decision.indicators.registry import THRESHOLD_SHIFT
from trust_core.decision.journal import open_seals
from trust_core.decision.line_costs import (
    CERTIFIED,
    CERTIFIED_SHIFT,
    CHEAPEST,
    OWN,
    Line,
    Rates,
    affordable_threshold,
    audit_on_the_line,
    cheapest,
    line_values,
    outcomes,
    threshold_options,
)
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.tradeoff import curve
from trust_core.errors import SettingsError
from trust_core.storage.audit_files import Audit

LINE = Line(defect_rate=0.001, parts_per_shift=8000, escape_cost=500.0, reinspection_cost=2.0)
COSTLY = Line(0.01, 1000, 100, 1)
INF, NAN = math.inf, math.nan
share = st.floats(0, 1)


def images(tp: int, fn: int, fp: int, tn: int) -> pd.DataFrame:
    outcome = ["TP"] * tp + ["FN"] * fn + ["FP"] * fp + ["TN"] * tn
    return pd.DataFrame({"outcome": outcome, "group": [str(i) for i in range(len(outcome))]})


def flags(data: pd.DataFrame, fn: int, tn: int) -> np.ndarray:
    """The first so many FN and TN."""
    flagged = np.zeros(len(data), dtype=bool)
    for name, count in (("FN", fn), ("TN", tn)):
        flagged[np.flatnonzero(data["outcome"] == name)[:count]] = True
    return flagged


def test_by_hand():
    """80 of 100 defects found, 10 of 1000 good parts rejected; 15 of 20 misses flagged, 99 TN."""
    data = images(80, 20, 10, 990)
    found = {k: e.value for k, e in line_values(data, flags(data, 15, 99), LINE).items()}
    assert found["escapes_before"] == pytest.approx(1e6 * 0.001 * 0.2)
    assert found["escapes_after"] == pytest.approx(1e6 * 0.001 * 0.2 * 0.25)
    flagged = 0.001 * 0.2 * 0.75 + 0.999 * 0.99 * 0.1
    assert found["reinspections"] == pytest.approx(8000 * flagged)
    assert found["cost_before"] == pytest.approx(0.0002 * 500)
    assert found["cost_after"] == pytest.approx(0.00005 * 500 + flagged * 2)
    assert found["break_even_cost"] == pytest.approx(2 * flagged / 0.00015)


def test_the_rate_of_the_data_set_does_not_matter():
    rich, poor = images(80, 20, 10, 990), images(8, 2, 100, 9900)
    one, other = (
        line_values(rich, flags(rich, 10, 99), LINE),
        line_values(poor, flags(poor, 1, 990), LINE),
    )
    for name, estimate in one.items():
        assert estimate.value == pytest.approx(other[name].value)


@given(share, share, share, share, st.floats(1e-4, 0.5), st.floats(0, 100), st.floats(0, 100))
def test_break_even_is_where_both_cost_the_same(missed, rejected, recall, loss, rate, high, low):
    found = outcomes(Rates(missed, rejected, recall, loss), Line(rate, 1, high, low))
    cost = found["break_even_cost"]
    if np.isfinite(cost):
        there = outcomes(Rates(missed, rejected, recall, loss), Line(rate, 1, float(cost), low))
        assert there["cost_after"] == pytest.approx(there["cost_before"], rel=1e-6, abs=1e-9)
    rate = found["break_even_rate"]
    if np.isfinite(rate):
        there = outcomes(Rates(missed, rejected, recall, loss), Line(float(rate), 1, high, low))
        assert there["cost_after"] == pytest.approx(there["cost_before"], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("rates", "line"),
    [
        (Rates(0.2, 0.01, 0.0, 0.1), LINE),  # flags no miss
        (Rates(0.0, 0.01, 0.9, 0.1), LINE),  # nothing is missed
        (Rates(0.2, 0.01, 0.9, 0.1), Line(0.001, 1, 2.0, 2.0)),  # an escape is as cheap
    ],
)
def test_where_flagging_never_pays(rates: Rates, line: Line):
    assert outcomes(rates, line)["break_even_rate"] == INF


def test_a_line_drawn_part_by_part_agrees():
    """A million parts, decided one by one."""
    draw, line = np.random.default_rng(0), Line(0.02, 1_000_000, 30.0, 1.0)
    rates = Rates(0.3, 0.05, 0.8, 0.1)
    defective = draw.random(1_000_000) < 0.02
    passed = draw.random(1_000_000) < np.where(defective, 0.3, 0.95)
    flagged = passed & (draw.random(1_000_000) < np.where(defective, 0.8, 0.1))
    escapes = defective & passed & ~flagged
    found = outcomes(rates, line)
    assert found["escapes_before"] == pytest.approx((defective & passed).sum(), rel=0.05)
    assert found["escapes_after"] == pytest.approx(escapes.sum(), rel=0.1)
    assert found["reinspections"] == pytest.approx(flagged.sum(), rel=0.02)
    cost = (30 * escapes.sum() + flagged.sum()) / 1_000_000
    assert found["cost_after"] == pytest.approx(cost, rel=0.02)


def test_twelve_of_twelve_is_no_certainty():
    data = images(40, 12, 5, 300)
    found = line_values(data, flags(data, 12, 0), LINE)
    low, high = found["escapes_after"].interval
    assert (found["escapes_after"].value, low) == (0, 0)
    assert high > 20
    assert found["reinspections"].interval[1] > found["reinspections"].value


def test_photographs_of_one_part_widen_the_interval():
    data = images(80, 20, 10, 990)
    clustered = data.assign(group=[str(i // 10) for i in range(len(data))])
    flagged = flags(data, 10, 100)
    one, other = (line_values(d, flagged, LINE)["escapes_after"] for d in (data, clustered))
    assert other.value == one.value
    assert np.ptp(other.interval) > 1.3 * np.ptp(one.interval)


@pytest.mark.slow
def test_intervals_cover():
    draw, held = np.random.default_rng(3), 0
    truth = outcomes(Rates(0.3, 0.05, 0.7, 0.15), LINE)
    wanted = ("escapes_after", "reinspections", "cost_after")
    for _ in range(300):
        fn, fp = draw.binomial(200, 0.3), draw.binomial(800, 0.05)
        data = images(200 - fn, fn, fp, 800 - fp)
        flagged = flags(data, draw.binomial(fn, 0.7), draw.binomial(800 - fp, 0.15))
        found = line_values(data, flagged, LINE)
        for name in wanted:
            low, high = found[name].interval
            held += low <= truth[name] <= high
    assert held >= 0.92 * 900


def test_what_the_data_do_not_tell_is_not_made_up():
    data = images(5, 0, 2, 30)
    found = line_values(data, flags(data, 0, 3), LINE)
    assert found["escapes_before"].value == 0
    assert math.isnan(found["escapes_after"].value)
    assert math.isnan(found["break_even_cost"].value)
    nothing = line_values(images(0, 0, 0, 0), np.array([], bool), LINE)
    assert all(math.isnan(estimate.value) for estimate in nothing.values())


@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, NAN]), st.booleans()), min_size=2).filter(
        lambda rows: len({missed for _, missed in rows}) == 2
    ),
    st.floats(0, 1e4),
)
def test_the_cheapest_threshold_costs_least(rows, escape_cost: float):
    scores, missed = (np.array(column) for column in zip(*rows, strict=True))
    line = Line(0.01, 1, escape_cost, 1.0)
    points = curve(scores, missed)

    def cost(threshold: float) -> float:
        flagged = np.isnan(scores) | (scores >= threshold)
        rates = Rates(0.2, 0.05, flagged[missed].mean(), flagged[~missed].mean())
        return float(outcomes(rates, line)["cost_after"])

    found = cheapest(points, 0.2, 0.05, line)
    assert cost(found) == pytest.approx(min(cost(t) for t in (INF, *scores[~np.isnan(scores)])))


def test_dear_escapes_flag_everything_and_cheap_ones_nothing():
    points = curve(np.array([0.1, 0.4, 0.2, 0.9]), np.array([True, True, False, False]))
    assert cheapest(points, 0.2, 0.05, Line(0.01, 1, 1e6, 1)) == 0.1
    assert cheapest(points, 0.2, 0.05, Line(0.01, 1, 0, 1)) == INF
    with pytest.raises(SettingsError, match="there are 0 and 2"):
        cheapest(curve(np.array([0.1, 0.4]), np.array([False, False])), 0.2, 0.05, LINE)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"defect_rate": 1.2}, "defect rate 1.2: write a share between 0 and 1"),
        ({"defect_rate": NAN}, "defect rate nan"),
        ({"parts_per_shift": -1}, "parts per shift -1: write a number that is not negative"),
        ({"escape_cost": INF}, "escape cost inf: write a number"),
        ({"reinspection_cost": NAN}, "reinspection cost nan: write a number"),
    ],
)
def test_a_line_that_means_nothing_is_refused(change, sentence: str):
    usual = {
        "defect_rate": 0.0,
        "parts_per_shift": 0,
        "escape_cost": 0,
        "reinspection_cost": 0,
    }
    Line(**usual)
    with pytest.raises(SettingsError, match=sentence):
        Line(**usual | change)


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return write_fake_audit(tmp_path / "mine", random_parts(400))


def test_the_thresholds_to_choose_from(audit: Audit) -> None:
    point = OperatingPoint("iou_difference", 0.0, 0.1, "tune")
    assert set(threshold_options(audit, point, COSTLY, None)) == {CHEAPEST, OWN}
    open_seals(audit, ["certify", "test"], "a test")
    made = compute_certificate(audit, Demand(0.5), ChosenIndicator("iou_difference", 0.0, ""))
    assert made.certified
    assert made.threshold_shift.proof.certified
    found = threshold_options(audit, point, COSTLY, made)
    assert list(found) == [CERTIFIED, CHEAPEST, OWN, CERTIFIED_SHIFT]
    assert (found[CERTIFIED_SHIFT].indicator, found[CERTIFIED_SHIFT].strength) == (
        THRESHOLD_SHIFT,
        0.0,
    )
    assert found[OWN] == point
    assert found[CERTIFIED].threshold == made.ours.proof.threshold


def test_the_line_counts_what_the_threshold_flags(audit: Audit) -> None:
    counts = audit.manifest.counts_by_role["tune"]
    everything = OperatingPoint("iou_difference", 0.0, -2.0, "tune")
    told = audit_on_the_line(audit, "tune", everything, COSTLY)
    missed = counts.fn / (counts.fn + counts.tp)
    passed = counts.tn / (counts.tn + counts.fp)
    assert told["escapes_before"].value == pytest.approx(1e4 * missed)
    assert told["escapes_after"].value == 0
    assert told["reinspections"].value == pytest.approx(1000 * (0.01 * missed + 0.99 * passed))


def test_the_threshold_that_flags_most_within_a_budget(tmp_path: Path) -> None:
    parts = passed_parts([0.9, 0.5], [0.8, 0.4, 0.3, 0.1])
    audit = write_fake_audit(tmp_path / "few", parts)
    points = tradeoff(audit).curves[0.0]
    # Half of 100 parts are defective and all of those missed: 25 a missed photo, 12.5 a good one.
    line = Line(0.5, 100, 1, 1)
    asked = {20: None, 25: 0.9, 40: 0.8, 62.4: 0.8, 62.5: 0.5, 70: 0.5, 99: 0.3, 100: 0.0}
    assert {most: affordable_threshold(audit, points, line, most) for most in asked} == asked


def test_within_a_budget_there_is_none_without_a_score(tmp_path: Path) -> None:
    audit = write_fake_audit(tmp_path / "none", passed_parts([NAN], [NAN]))
    assert affordable_threshold(audit, tradeoff(audit).curves[0.0], LINE, 1e9) is None
