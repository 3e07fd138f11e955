"""Trade-offs from an audit on disk: what `tradeoff` prints, and the arrays behind the sliders."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.fakes import Part, passed_parts, random_parts, write_fake_audit
from trust_core.decision.curves import (
    caught_by_kind,
    heat_counts,
    heat_thresholds,
    roles_of,
    scored,
    tradeoff,
)
from trust_core.decision.indicators.registry import INDICATORS
from trust_core.decision.tradeoff import curve
from trust_core.errors import SettingsError
from trust_core.storage.audit_files import Audit

CURVE_KEYS = ["strength", "auroc", "tn_loss_at", "points"]
POINT_KEYS = ["threshold", "fn_recall", "tn_loss", "flagged_fn", "flagged_tn"]


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return write_fake_audit(tmp_path_factory.mktemp("report") / "audit")


def strict(content: object) -> object:
    """Through JSON and back, where NaN and infinities are an error."""
    return json.loads(json.dumps(content, allow_nan=False))


def test_by_hand(tmp_path: Path):
    parts = [
        *passed_parts(missed=[0.9, 0.2], good=[0.5, 0.1, 0.0, -0.3]),
        Part(defective=True, p=0.9, deltas=(1.0,)),  # caught by the detector: no business here
        Part(defective=False, p=0.8, deltas=(1.0,)),
        *passed_parts(missed=[-1.0], good=[1.0], role="test"),
        *passed_parts(missed=[-1.0], good=[1.0], role="train"),
    ]
    made = write_fake_audit(tmp_path / "audit", parts, strengths=(0.0, 2.0))
    result = strict(tradeoff(made).as_json())
    assert list(result) == ["audit", "role", "indicator", "counts", "curves", "threshold_shift"]
    assert (result["role"], result["indicator"]) == ("tune", "iou_difference")
    assert result["counts"] == {"fn": 2, "tn": 4}
    assert [points["strength"] for points in result["curves"]] == [0.0, 2.0]
    for points in (*result["curves"], result["threshold_shift"]):
        assert list(points) == CURVE_KEYS
        assert list(points["tn_loss_at"]) == ["0.8", "0.9", "0.95", "1.0"]
        assert all(list(point) == POINT_KEYS for point in points["points"])
    clean = result["curves"][0]
    assert clean["auroc"] == pytest.approx(7 / 8)
    assert set(clean["tn_loss_at"].values()) == {0.25}
    assert clean["points"][:2] == [
        dict(zip(POINT_KEYS, (None, 0, 0, 0, 0), strict=True)),
        dict(zip(POINT_KEYS, (0.9, 0.5, 0, 1, 0), strict=True)),
    ]
    assert [point["threshold"] for point in clean["points"]] == [
        None,
        0.9,
        0.5,
        0.2,
        0.1,
        0.0,
        -0.3,
    ]
    assert result["threshold_shift"]["auroc"] == 1.0  # p falls from part to part, misses first


@pytest.mark.parametrize("role", ["tune", "certify", "test", "all"])
@pytest.mark.parametrize("indicator", INDICATORS)
def test_every_indicator_in_every_role(audit: Audit, indicator: str, role: str):
    result = strict(tradeoff(audit, indicator, role).as_json())
    samples = audit.query("SELECT * FROM samples")
    mine = samples[samples["role"].isin(roles_of(role))]
    wanted = {name: int((mine["outcome"] == name.upper()).sum()) for name in ("fn", "tn")}
    assert result["counts"] == wanted
    for points in (*result["curves"], result["threshold_shift"]):
        last = points["points"][-1]
        assert (last["fn_recall"], last["tn_loss"]) == (1, 1)
        assert (last["flagged_fn"], last["flagged_tn"]) == tuple(wanted.values())


def test_threshold_shift_is_p_of_the_clean_image_at_every_strength(audit: Audit):
    passed = audit.passed(["tune"])
    shift = tradeoff(audit).as_json()["threshold_shift"]
    clean = passed[passed["strength"] == 0]
    missed = clean["outcome"] == "FN"
    assert shift["auroc"] == pytest.approx(roc_auc_score(missed, clean["p_defect"]))
    for points in tradeoff(audit, "p_defect").as_json()["curves"]:
        assert points["points"] == shift["points"]


def test_unscored_images_are_flagged_at_every_threshold(tmp_path: Path):
    parts = passed_parts(missed=[math.nan, 0.3], good=[math.nan, math.nan, 0.1])
    result = strict(tradeoff(write_fake_audit(tmp_path / "audit", parts)).as_json())
    first = result["curves"][0]["points"][0]
    assert first == dict(zip(POINT_KEYS, (None, 0.5, 2 / 3, 1, 2), strict=True))
    shift = result["threshold_shift"]["points"][0]
    assert (shift["flagged_fn"], shift["flagged_tn"]) == (0, 0)  # p is known all the same


def test_without_a_missed_defect_rates_are_null(tmp_path: Path):
    audit = write_fake_audit(tmp_path / "audit", passed_parts(missed=[], good=[0.1, 0.2]))
    result = strict(tradeoff(audit).as_json())
    assert result["counts"] == {"fn": 0, "tn": 2}
    points = result["curves"][0]
    assert points["auroc"] is None
    assert set(points["tn_loss_at"].values()) == {None}
    assert {point["fn_recall"] for point in points["points"]} == {None}
    assert points["points"][-1]["tn_loss"] == 1


def test_shift_compares_each_image_with_itself(tmp_path: Path):
    """Strengths hold the images in one order, whatever order they were written in."""
    parts = [Part(index % 2 == 0, 0.1, (index / 10, index / 5)) for index in range(8)]
    audit = write_fake_audit(tmp_path / "audit", parts, strengths=(0.0, 3.0))
    clean = audit.passed(["tune"]).query("strength == 0")["iou_difference"]
    table = scored(audit, ["tune"], "iou_difference_shift", 3.0)
    np.testing.assert_allclose(table["indicator"], clean)
    points = tradeoff(audit, "iou_difference_shift").curves[0.0]
    assert points.thresholds.tolist() == [math.inf, 0.0]


def test_as_json_has_no_infinity_and_no_nan():
    points = curve(
        np.array([-math.inf, math.inf, math.nan, 0.0]), np.array([True, False, True, True])
    )
    assert [point["threshold"] for point in strict(points.as_json())["points"]] == [
        None,
        0,
        None,
    ]
    strict(curve(np.array([]), np.array([], bool)).as_json())


def test_roles():
    assert roles_of("all") == ("tune", "certify", "test")
    assert roles_of("test") == ("test",)
    for role in ("train", "validation", ""):
        with pytest.raises(SettingsError, match="choose from tune, certify, test, all"):
            roles_of(role)


def test_what_the_audit_does_not_have_is_refused(audit: Audit, tmp_path: Path):
    with pytest.raises(SettingsError, match="no indicator 'entropy'"):
        tradeoff(audit, "entropy")
    with pytest.raises(SettingsError, match="Role 'train'"):
        tradeoff(audit, role="train")
    other = write_fake_audit(tmp_path / "audit", [p for p in random_parts(60) if p.role != "test"])
    nothing = tradeoff(other, role="test").as_json()
    assert nothing["counts"] == {"fn": 0, "tn": 0}
    assert nothing["curves"][0]["auroc"] is None
    assert tradeoff(other, role="all").shift.tn


@pytest.mark.parametrize("indicator", list(INDICATORS))
@pytest.mark.parametrize("role", ["tune", "test", "all"])
def test_the_curves_are_what_is_printed(audit: Audit, indicator: str, role: str) -> None:
    scores, told = tradeoff(audit, indicator, role), tradeoff(audit, indicator, role).as_json()
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
    assert tradeoff(audit, "log_odds") is tradeoff(audit, "log_odds")


def test_what_an_indicator_returns_is_not_written_to(
    audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = np.full(len(scored(audit, ["tune"], "log_odds", 0.0)), np.nan)
    monkeypatch.setitem(INDICATORS, "own", lambda at, clean: own)
    scores = tradeoff(audit, "own")
    assert np.isnan(own).all()
    assert all(np.isposinf(values).all() for values in scores.values.values())
    assert scores.values[0.0] is scores.values[audit.strengths[-1]]  # ε changes nothing: one array


def test_images_the_detector_was_trained_on_enter_no_curve(audit: Audit) -> None:
    with pytest.raises(SettingsError, match="trained on"):
        tradeoff(audit, "log_odds", "train")


def kinds_audit(folder: Path) -> Audit:
    parts = passed_parts([], [0.5, 0.1])
    missed = {"pit": (0.9, 0.2, 0.8), "crack": (0.4, 0.1), "": (0.3,), "rust": (0.7,)}
    for kind, scores in missed.items():
        parts += [Part(True, 0.2, (score,), kind=kind) for score in scores]
    return write_fake_audit(folder / "kinds", parts)


def test_misses_by_kind(tmp_path: Path) -> None:
    scores = tradeoff(kinds_audit(tmp_path), "iou_difference")
    rows = [("pit", 2, 3), ("crack", 1, 2), ("no kind named", 0, 1), ("rust", 1, 1)]
    assert caught_by_kind(scores, 1.0, 0.4, most=4) == rows
    assert caught_by_kind(scores, 1.0, 0.4, most=3) == [*rows[:2], ("2 other kinds", 1, 2)]


def test_no_rows_when_the_data_names_no_kind(tmp_path: Path) -> None:
    audit = write_fake_audit(
        tmp_path / "plain", [Part(True, 0.2, (0.5,)), Part(False, 0.2, (0.1,))]
    )
    assert caught_by_kind(tradeoff(audit, "iou_difference"), 0.0, 0.4, most=4) == []


def test_heat_tables_count_what_the_curves_count(audit: Audit) -> None:
    scores = tradeoff(audit, "iou_difference")
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
    assert not len(heat_thresholds(tradeoff(none, "iou_difference")))
    missed = write_fake_audit(tmp_path / "missed", passed_parts([0.5, 0.25], []))
    assert len(heat_thresholds(tradeoff(missed, "iou_difference")))
