"""What a finished audit proves: choice, seals, certificate, threshold shift, test."""

import json
import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.fakes import Part, passed_parts, random_parts, write_fake_audit
from trust_core.decision.certificate import Budget, Demand
from trust_core.decision.certify import (
    ASKED_FOR,
    BEST_ON_TUNE,
    LAST_CHOSEN,
    PROPOSED,
    ChosenIndicator,
    certify,
    compute_certificate,
    indicator_to_certify,
    threshold_effect,
)
from trust_core.decision.indicators.registry import INDICATORS
from trust_core.decision.journal import append, decide, entries, open_seals
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.standing import standing
from trust_core.errors import SettingsError
from trust_core.storage.audit_files import Audit

DELTA = ChosenIndicator("iou_difference", 0.0, ASKED_FOR)
KEYS = {
    "certified",
    "threshold",
    "strength",
    "indicator",
    "recall_target",
    "confidence",
    "recall_lower_bound",
    "groups",
    "groups_caught",
    "needed",
    "tn_loss",
    "threshold_shift",
    "test",
}


def parts(missed_parts: int, per_part: int = 2, seed: int = 0) -> list[Part]:
    """Certify with so many missed parts of several photographs, and something in tune and test."""
    draw = np.random.default_rng(seed)
    found = []
    for role, count in (("tune", 12), ("certify", missed_parts), ("test", 8)):
        for part in range(2 * count):
            defective = part < count
            for _ in range(per_part):
                delta = float(np.clip(draw.normal(0.5 * defective, 0.2), -1, 1))
                p = float(np.clip(draw.normal(0.2 + 0.1 * defective, 0.05), 0.01, 0.49))
                group = f"{role} {defective} {part}"
                kind = ("pit", "")[part % 2] if defective else ""
                found.append(Part(defective, p, (delta, delta / 2), role, kind, group))
    return found


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return write_fake_audit(tmp_path / "audit", parts(30), strengths=(0.0, 1.0))


def assert_short(audit: Audit, threshold: float, column: str, exact: float) -> None:
    """It has few digits, hardly lies below the exact one, and flags the very same images."""
    passed = audit.passed(["tune", "certify", "test"])
    values = passed.loc[passed["strength"] == 0, column]
    assert not ((values >= threshold) & (values < exact)).any()
    assert exact - 1e-3 * abs(exact) <= threshold <= exact
    assert len(f"{abs(threshold)}".replace("0.", "", 1).lstrip("0")) <= 6 < len(f"{abs(exact)}")


def test_the_certificate_by_brute_force(audit: Audit):
    result = certify(audit, Demand(0.9), DELTA).as_json()
    assert result.keys() >= KEYS
    json.dumps(result, allow_nan=False)
    table = audit.passed(["certify"])
    table = table[table["strength"] == 0]
    minima = np.sort(table[table["outcome"] == "FN"].groupby("group")["iou_difference"].min())
    assert (result["certified"], result["needed"], result["groups"]) == (True, 29, 30)
    assert_short(audit, result["threshold"], "iou_difference", minima[0])
    assert result["groups_caught"] == 30
    assert result["recall_lower_bound"] == pytest.approx(0.05 ** (1 / 30))
    good = table[table["outcome"] == "TN"]["iou_difference"]
    assert result["tn_loss"] == pytest.approx((good >= minima[0]).mean())
    low, high = result["tn_loss_interval"]
    assert low < result["tn_loss"] < high
    shift = np.sort(table[table["outcome"] == "FN"].groupby("group")["p_defect"].min())[0]
    good = table[table["outcome"] == "TN"]["p_defect"]
    assert result["threshold_shift"]["certified"]
    assert_short(audit, result["threshold_shift"]["threshold"], "p_defect", shift)
    assert result["threshold_shift"]["tn_loss"] == pytest.approx((good >= shift).mean())


def test_what_the_threshold_does_on_test(audit: Audit):
    result = certify(audit, Demand(0.9), DELTA).as_json()
    table = audit.passed(["test"])
    table = table[table["strength"] == 0]
    flagged = table["iou_difference"] >= result["threshold"]
    missed, good = table["outcome"] == "FN", table["outcome"] == "TN"
    assert result["test"]["counts"] == {
        "fn": 16,
        "tn": 16,
        "flagged_fn": (flagged & missed).sum(),
        "flagged_tn": (flagged & good).sum(),
    }
    assert result["test"]["fn_recall"] == flagged[missed].mean()
    assert result["test"]["tn_loss"] == flagged[good].mean()
    kinds = result["test"]["by_kind"]
    assert {name: kind["fn"] for name, kind in kinds.items()} == {"pit": 8, "unknown": 8}
    assert sum(kind["flagged_fn"] for kind in kinds.values()) == (flagged & missed).sum()


def test_a_strength_is_certified_with_its_own_scores(audit: Audit):
    clean, enhanced = (
        certify(audit, Demand(0.9), replace(DELTA, strength=e)).as_json() for e in audit.strengths
    )
    assert enhanced["threshold"] == pytest.approx(clean["threshold"] / 2, rel=2e-3)
    assert enhanced["threshold_shift"] == clean["threshold_shift"]


def test_too_few_parts_certify_nothing(tmp_path: Path):
    audit = write_fake_audit(tmp_path / "audit", parts(11), strengths=(0.0, 1.0))
    result = certify(audit, Demand(0.95), DELTA).as_json()
    assert (result["certified"], result["threshold"], result["tn_loss"]) == (False, None, None)
    assert (result["groups"], result["needed"]) == (11, 59)
    assert result["recall_lower_bound"] == pytest.approx(0.05 ** (1 / 11))
    assert result["plan"]["0"] == 59
    assert "11 missed parts; 59 are needed" in result["sentence"]
    assert result["test"]["counts"] == {"fn": 16, "tn": 16}
    assert result["test"]["fn_recall"] is None
    assert not result["threshold_shift"]["certified"]


@pytest.mark.parametrize("which", [[], [0.5], [math.nan, 0.3]])
def test_empty_roles_are_said_and_not_guessed(tmp_path: Path, which):
    audit = write_fake_audit(tmp_path / "audit", passed_parts(which, [0.1], role="certify"))
    result = certify(audit, Demand(0.9), indicator_to_certify(audit)).as_json()
    assert (result["certified"], result["groups"]) == (False, len(which))
    assert result["verdict"]["colour"] == "amber"
    json.dumps(result, allow_nan=False)


def test_parts_without_a_score_are_caught_and_good_ones_lost(tmp_path: Path):
    unscored = passed_parts([math.nan] * 40, [math.nan, 0.1], role="certify")
    audit = write_fake_audit(tmp_path / "audit", unscored)
    result = certify(audit, Demand(0.9), DELTA).as_json()
    assert (result["certified"], result["groups_caught"]) == (True, 40)
    assert result["threshold"] is None  # +∞: only what has no score is flagged
    assert result["tn_loss"] == 0.5


def test_the_best_recall_within_a_budget(audit: Audit):
    result = certify(audit, Budget(0.25), DELTA).as_json()
    assert (result["recall_target"], result["max_tn_loss"], result["needed"]) == (None, 0.25, None)
    tune = audit.passed(["tune"])
    tune = tune[tune["strength"] == 0]
    good = tune[tune["outcome"] == "TN"]["iou_difference"]
    allowed = [t for t in tune["iou_difference"] if (good >= t).mean() <= 0.25]
    assert_short(audit, result["threshold"], "iou_difference", min(allowed))
    assert 0 < result["recall_lower_bound"] < result["groups_caught"] / result["groups"]


def test_both_seals_are_opened_and_logged_once(audit: Audit):
    first, second = (certify(audit, Demand(0.9), DELTA) for _ in range(2))
    assert [seal.role for seal in first.seals] == ["certify", "test"]
    assert first.seals == second.seals
    assert len(entries(audit)) == 2
    assert first.seals[0].why == "certify iou_difference at strength 0"


def test_computing_a_certificate_opens_no_seal(audit: Audit):
    for opened in ([], ["certify"]):
        open_seals(audit, opened, "curiosity")
        before = entries(audit)
        with pytest.raises(SettingsError, match="test are sealed; open their seals first"):
            compute_certificate(audit, Demand(0.9), DELTA)
        assert entries(audit) == before
    certified = certify(audit, Demand(0.9), DELTA)
    files = {path: path.stat().st_mtime_ns for path in audit.folder.rglob("*")}
    computed = compute_certificate(audit, Demand(0.9), DELTA)
    assert computed.as_json() == certified.as_json()
    assert {path: path.stat().st_mtime_ns for path in audit.folder.rglob("*")} == files


def test_nothing_is_chosen_on_a_sealed_image(tmp_path: Path):
    """Strength 1 is best on tune, strength 0 on certify and test: tune decides."""
    rows = []
    for role in ("tune", "certify", "test"):
        for i in range(20):
            clear, noise = i % 2 * 1.0, i / 100
            deltas = (noise, clear) if role == "tune" else (clear, noise)
            rows.append(Part(i % 2 == 1, 0.1 + i / 100, deltas, role, group=f"{role}{i}"))
    audit = write_fake_audit(tmp_path / "audit", rows, strengths=(0.0, 1.0))
    assert indicator_to_certify(audit) == ChosenIndicator("iou_difference", 1.0, PROPOSED)
    lowest = ChosenIndicator("log_odds", 0.0, BEST_ON_TUNE)  # of equal strengths
    assert indicator_to_certify(audit, "log_odds") == lowest
    assert indicator_to_certify(audit, strength=0.0) == ChosenIndicator(
        "iou_difference", 0.0, ASKED_FOR
    )
    assert entries(audit) == []


def test_the_last_operating_point_is_taken(audit: Audit):
    decide(audit, "log_odds", 0.2, 1.0, "first")
    decide(audit, "iou_defect", 0.2, 0.0, "second")
    append(audit, "label_disputed", sample_id="x", why="no")
    append(audit, "operating_point", indicator="gone", strength=0.0, threshold=1.0, why="old")
    append(audit, "operating_point", indicator="log_odds", strength=7.0, threshold=1.0, why="old")
    assert indicator_to_certify(audit) == ChosenIndicator("iou_defect", 0.0, LAST_CHOSEN)
    assert indicator_to_certify(audit, "log_odds_shift").indicator == "log_odds_shift"


def test_without_a_missed_defect_on_tune_threshold_shift_is_taken(tmp_path: Path):
    audit = write_fake_audit(tmp_path / "audit", passed_parts([], [0.1, 0.2]))
    assert indicator_to_certify(audit) == ChosenIndicator("p_defect", 0.0, PROPOSED)


def test_what_the_audit_does_not_have_is_refused(audit: Audit):
    with pytest.raises(SettingsError, match="There is no indicator 'entropy'; choose from"):
        indicator_to_certify(audit, "entropy")
    with pytest.raises(SettingsError, match="Strength 3 was not audited; choose from 0, 1"):
        indicator_to_certify(audit, None, 3)


def test_an_indicator_that_was_not_made_opens_no_seal(audit: Audit, monkeypatch):
    def absent(at, clean):
        raise SettingsError("run something first")

    monkeypatch.setitem(INDICATORS, "absent", absent)
    with pytest.raises(SettingsError, match="run something first"):
        certify(audit, Demand(0.9), indicator_to_certify(audit, "absent", 0.0))
    assert entries(audit) == []


def test_a_choice_after_a_look_is_told(audit: Audit):
    decide(audit, "log_odds", 0.2, 1.0, "before")
    assert certify(audit, Demand(0.9), indicator_to_certify(audit)).chosen_blind
    assert certify(audit, Demand(0.9), indicator_to_certify(audit)).chosen_blind
    decide(audit, "iou_defect", 0.2, 0.0, "after")
    assert not certify(audit, Demand(0.9), indicator_to_certify(audit)).chosen_blind
    assert not certify(audit, Demand(0.9), indicator_to_certify(audit, "iou_defect")).chosen_blind
    assert certify(audit, Demand(0.9), indicator_to_certify(audit, "log_odds", 1.0)).chosen_blind


def test_the_first_certificate_is_blind_whatever_is_asked(audit: Audit):
    for _ in range(2):
        assert certify(audit, Demand(0.9), DELTA).chosen_blind
    assert not certify(audit, Demand(0.9), replace(DELTA, strength=1.0)).chosen_blind
    assert certify(audit, Demand(0.9), indicator_to_certify(audit, "iou_difference")).chosen_blind


def test_a_look_at_certify_before_is_told(audit: Audit):
    open_seals(audit, ["certify"], "tradeoff --role certify")
    assert not certify(audit, Demand(0.9), DELTA).chosen_blind


def test_the_same_for_a_realistic_audit(tmp_path: Path):
    audit = write_fake_audit(tmp_path / "audit", random_parts(400, seed=2))
    result = certify(audit, Demand(0.8, 0.9), indicator_to_certify(audit)).as_json()
    assert result["verdict"]["groups"] <= result["verdict"]["fn"]
    assert result["groups"] <= result["counts"]["fn"]
    assert result["same_ranking"].startswith("Max softmax")
    json.dumps(result, allow_nan=False)


def test_recall_is_described_with_an_interval_over_parts(audit: Audit):
    table = audit.passed(["certify"])
    table = table[table["strength"] == 0].assign(indicator=lambda t: t["iou_difference"])
    found = threshold_effect(table, 0.5)
    low, high = found.fn_recall_interval
    assert low < found.fn_recall < high
    alone = threshold_effect(table.assign(group=[str(i) for i in range(len(table))]), 0.5)
    assert alone.fn_recall == found.fn_recall
    together = threshold_effect(table.assign(group=(table["group"].str[-1])), 0.5)
    assert np.ptp(together.fn_recall_interval) > 0
    audited = standing(audit, OperatingPoint("iou_difference", 0.0, 0.5, "tune"))
    tune = audit.passed(["tune"])
    tune = tune[tune["strength"] == 0].assign(indicator=lambda t: t["iou_difference"])
    assert threshold_effect(tune, 0.5).fn_recall_interval == audited.catch


def test_ten_thousand_images_within_two_seconds(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("tests.fakes.save_picture", lambda path, pixels: _touch(path))
    draw = np.random.default_rng(0)
    rows = [
        Part(bool(d), float(p), (float(s),) * 8, r)
        for d, p, s, r in zip(
            draw.random(10_000) < 0.05,
            draw.uniform(0.01, 0.49, 10_000),
            draw.normal(size=10_000).clip(-1, 1),
            draw.choice(["tune", "certify", "test"], 10_000),
            strict=True,
        )
    ]
    audit = write_fake_audit(tmp_path / "audit", rows, strengths=(0, 0.1, 0.25, 0.5, 1, 2, 4, 8))
    start = time.process_time()
    certify(audit, Demand(0.9), indicator_to_certify(audit))
    assert time.process_time() - start < 2


def _touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
