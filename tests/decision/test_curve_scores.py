"""The arrays behind the sliders: the numbers of the report, and stops that each do something."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fakes import Part, passed_parts, random_parts, write_fake_audit
from trust_core.decision.curves import (
    by_kind,
    changed,
    heat_counts,
    heat_thresholds,
    load,
    report,
    roundest,
    stops,
)
from trust_core.decision.indicators.registry import INDICATORS
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.tradeoff import curve
from trust_core.errors import SettingsError
from trust_core.storage.audit_files import Audit


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return write_fake_audit(tmp_path_factory.mktemp("scores") / "random", random_parts(400))


@pytest.mark.parametrize("indicator", list(INDICATORS))
@pytest.mark.parametrize("role", ["tune", "test", "all"])
def test_curves_are_those_of_the_report(audit: Audit, indicator: str, role: str) -> None:
    scores, told = load(audit, role, indicator), report(audit, indicator, role)
    shift = told["threshold_shift"]
    for line, points in [
        (shift, scores.shift),
        *zip(told["curves"], scores.curves.values(), strict=True),
    ]:
        assert [p["threshold"] for p in line["points"][1:]] == points.thresholds[1:].tolist()
        assert [p["flagged_fn"] for p in line["points"]] == points.flagged_fn.tolist()
        assert [p["flagged_tn"] for p in line["points"]] == points.flagged_tn.tolist()
    assert list(scores.curves) == list(audit.strengths)


def test_arrays_are_shared_not_copied(audit: Audit) -> None:
    assert load(audit, "tune", "log_odds") is load(audit, "tune", "log_odds")


def test_images_the_detector_was_trained_on_enter_no_curve(audit: Audit) -> None:
    with pytest.raises(SettingsError, match="trained on"):
        load(audit, "train", "log_odds")


@given(
    st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=60),
    st.floats(-25, 25),
    st.integers(0, 3),
)
@example([0.0, -0.0], 0.0, 0)
@example([0.1, 0.1 + 1e-17, 0.1 + 2e-17, math.nextafter(0.1, 1)], 0.1, 0)
def test_each_stop_flags_other_parts_and_the_chosen_one_the_same(
    values: list[float], threshold: float, unscored: int
) -> None:
    scores = np.array([*values, *[np.nan] * unscored])
    points = curve(scores, np.arange(len(scores)) % 3 == 0)
    positions, here = stops(points, threshold)
    flagged = [points.at(stop) for stop in positions]
    assert flagged == list(range(1, len(points.thresholds)))  # few points: all of them
    assert points.at(here) == max(1, points.at(threshold))
    assert here in positions
    assert len({repr(stop) for stop in positions}) == len(positions)


def test_of_many_points_the_chosen_one_is_always_a_stop() -> None:
    points = curve(np.linspace(-1, 1, 5001), np.arange(5001) % 7 == 0)
    for threshold in (-0.123456, 0.0004, 0.999):
        positions, here = stops(points, threshold)
        assert len(positions) <= 601
        assert points.at(here) == points.at(threshold)
        assert positions == sorted(positions, reverse=True)


def test_a_readable_threshold_stays_as_it_is_written() -> None:
    points = curve(np.array([0.123, 0.789]), np.array([True, False]))
    assert stops(points, 0.3001)[1] == 0.3001
    assert stops(points, 0.30012345)[1] == 0.7  # flags the same as any number from 0.123 to 0.789
    assert stops(points, 5.0)[1] == 0.7  # nothing is flagged there: the nearest that flags any


def test_without_a_score_there_is_no_stop() -> None:
    positions, here = stops(curve(np.array([np.nan]), np.array([True])), 0.0)
    assert positions == []
    assert math.isnan(here)


@pytest.mark.parametrize(
    ("below", "upto", "number"),
    [(0.31, 0.3249, 0.32), (0.1, 0.95, 0.9), (-0.9, 0.5, 0), (-np.inf, -0.35, -1), (2, 17.9, 17)],
)
def test_the_roundest_number_in_an_interval(below: float, upto: float, number: float) -> None:
    assert roundest(np.array([below]), np.array([upto])).tolist() == [number]


def kinds_audit(folder: Path) -> Audit:
    parts = passed_parts([], [0.5, 0.1])
    missed = {"pit": (0.9, 0.2, 0.8), "crack": (0.4, 0.1), "": (0.3,), "rust": (0.7,)}
    for kind, scores in missed.items():
        parts += [Part(True, 0.2, (score,), kind=kind) for score in scores]
    return write_fake_audit(folder / "kinds", parts)


def test_caught_by_kind(tmp_path: Path) -> None:
    scores = load(kinds_audit(tmp_path), "tune", "iou_difference")
    rows = [("pit", 2, 3), ("crack", 1, 2), ("no kind named", 0, 1), ("rust", 1, 1)]
    assert by_kind(scores, 1.0, 0.4, most=4) == rows
    assert by_kind(scores, 1.0, 0.4, most=3) == [*rows[:2], ("2 other kinds", 1, 2)]


def test_no_rows_when_the_data_names_no_kind(tmp_path: Path) -> None:
    audit = write_fake_audit(
        tmp_path / "plain", [Part(True, 0.2, (0.5,)), Part(False, 0.2, (0.1,))]
    )
    assert by_kind(load(audit, "tune", "iou_difference"), 0.0, 0.4, most=4) == []


def test_parts_that_change_side(tmp_path: Path) -> None:
    audit = write_fake_audit(tmp_path / "few", passed_parts([0.9, 0.5, math.nan], [0.6, 0.2]))
    scores = load(audit, "tune", "iou_difference")

    def at(threshold: float) -> OperatingPoint:
        return OperatingPoint("iou_difference", 0.0, threshold, "tune")

    assert changed(scores, scores, at(0.5), at(0.8)) == ((1, 1), (0, 0))
    assert changed(scores, scores, at(0.8), at(0.5)) == ((0, 0), (1, 1))
    assert changed(scores, scores, at(0.5), at(0.5)) == ((0, 0), (0, 0))
    p = load(audit, "tune", "p_defect")  # falls from part to part: 0.45, 0.37, 0.29, 0.21, 0.13
    point = OperatingPoint("p_defect", 0.0, 0.2, "tune")
    assert changed(p, scores, point, at(0.8)) == ((1, 1), (0, 0))


def test_heat_tables_count_what_the_curves_count(audit: Audit) -> None:
    scores = load(audit, "tune", "iou_difference")
    thresholds = heat_thresholds(scores)
    assert (np.diff(thresholds) < 0).all()
    fn, tn = heat_counts(scores, thresholds)
    assert fn.shape == tn.shape == (len(audit.strengths), len(thresholds))
    for row, strength in enumerate(audit.strengths):
        values = scores.values[strength]
        for column, threshold in enumerate(thresholds):
            assert fn[row, column] == ((values >= threshold) & scores.missed).sum()
            assert tn[row, column] == ((values >= threshold) & ~scores.missed).sum()


def test_heat_columns_without_a_score_or_a_good_part(tmp_path: Path) -> None:
    none = write_fake_audit(tmp_path / "none", passed_parts([math.nan], [math.nan]))
    assert not len(heat_thresholds(load(none, "tune", "iou_difference")))
    missed = write_fake_audit(tmp_path / "missed", passed_parts([0.5, 0.25], []))
    assert len(heat_thresholds(load(missed, "tune", "iou_difference")))
