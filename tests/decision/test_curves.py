"""What `tradeoff` prints, from an audit on disk."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.fakes import Part, passed_parts, random_parts, write_fake_audit
from trust_core.decision.curves import as_json, curve_at, indicator_scores, report, roles_of
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
    result = strict(report(write_fake_audit(tmp_path / "audit", parts, strengths=(0.0, 2.0))))
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
    result = strict(report(audit, indicator, role))
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
    shift = report(audit)["threshold_shift"]
    clean = passed[passed["strength"] == 0]
    missed = clean["outcome"] == "FN"
    assert shift["auroc"] == pytest.approx(roc_auc_score(missed, clean["p_defect"]))
    for points in report(audit, "p_defect")["curves"]:
        assert points["points"] == shift["points"]


def test_unscored_images_are_flagged_at_every_threshold(tmp_path: Path):
    parts = passed_parts(missed=[math.nan, 0.3], good=[math.nan, math.nan, 0.1])
    result = strict(report(write_fake_audit(tmp_path / "audit", parts)))
    first = result["curves"][0]["points"][0]
    assert first == dict(zip(POINT_KEYS, (None, 0.5, 2 / 3, 1, 2), strict=True))
    shift = result["threshold_shift"]["points"][0]
    assert (shift["flagged_fn"], shift["flagged_tn"]) == (0, 0)  # p is known all the same


def test_without_a_missed_defect_rates_are_null(tmp_path: Path):
    audit = write_fake_audit(tmp_path / "audit", passed_parts(missed=[], good=[0.1, 0.2]))
    result = strict(report(audit))
    assert result["counts"] == {"fn": 0, "tn": 2}
    points = result["curves"][0]
    assert points["auroc"] is None
    assert set(points["tn_loss_at"].values()) == {None}
    assert {point["fn_recall"] for point in points["points"]} == {None}
    assert points["points"][-1]["tn_loss"] == 1


def test_shift_compares_each_image_with_itself(tmp_path: Path):
    """Strengths hold the images in one order, whatever order they were written in."""
    parts = [Part(index % 2 == 0, 0.1, (index / 10, index / 5)) for index in range(8)]
    passed = write_fake_audit(tmp_path / "audit", parts, strengths=(0.0, 3.0)).passed(["tune"])
    table = indicator_scores(passed, "iou_difference_shift", 3.0)
    clean = passed[passed["strength"] == 0].set_index("sample_id")["iou_difference"]
    np.testing.assert_allclose(table["indicator"], clean[table["sample_id"]])
    points = curve_at(passed, "iou_difference_shift", 0.0)
    assert points.thresholds.tolist() == [math.inf, 0.0]


def test_as_json_has_no_infinity_and_no_nan():
    points = curve(
        np.array([-math.inf, math.inf, math.nan, 0.0]), np.array([True, False, True, True])
    )
    assert [point["threshold"] for point in strict(as_json(points, 1.0))["points"]] == [
        None,
        0,
        None,
    ]
    strict(as_json(curve(np.array([]), np.array([], bool)), 0.0))


def test_roles():
    assert roles_of("all") == ("tune", "certify", "test")
    assert roles_of("test") == ("test",)
    for role in ("train", "validation", ""):
        with pytest.raises(SettingsError, match="choose from tune, certify, test, all"):
            roles_of(role)


def test_what_the_audit_does_not_have_is_refused(audit: Audit, tmp_path: Path):
    with pytest.raises(SettingsError, match="no indicator 'entropy'"):
        report(audit, "entropy")
    with pytest.raises(SettingsError, match="role 'train'"):
        report(audit, role="train")
    other = write_fake_audit(tmp_path / "audit", [p for p in random_parts(60) if p.role != "test"])
    with pytest.raises(SettingsError, match="no image of role 'test' was called good"):
        report(other, role="test")
    assert report(other, role="all")["counts"]["tn"]
