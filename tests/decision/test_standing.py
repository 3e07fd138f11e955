"""How an audit stands: its state, what would decide it, and the numbers beside it."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.fakes import passed_parts, random_parts, write_fake_audit
from trust_core.decision.curves import scored
from trust_core.decision.journal import JOURNAL, decide, open_seals
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.proposal import propose_indicator
from trust_core.decision.standing import (
    NOT_WORTH,
    UNKNOWN,
    WORTH,
    leading_point,
    parts_needed,
    standing,
    state_of,
)
from trust_core.decision.verdict import AMBER, GREEN, RED, Verdict, verdict
from trust_core.storage.audit_files import Audit

POINT = OperatingPoint("iou_difference", 0.0, 0.1, "tune")


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return write_fake_audit(tmp_path_factory.mktemp("standing") / "audit", random_parts(500))


def judged(audit: Audit, **changes: object) -> Verdict:
    found = verdict(scored(audit, ["tune"], "iou_difference", 0.0))
    return replace(found, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("colour", "role", "indicator", "shift_proposed", "state"),
    [
        (GREEN, "test", "probe", True, WORTH),
        (GREEN, "tune", "probe", True, UNKNOWN),  # the images that chose it do not judge it
        (AMBER, "test", "probe", True, UNKNOWN),
        (RED, "tune", "probe", True, NOT_WORTH),
        (AMBER, "tune", "p_defect", True, NOT_WORTH),
        (AMBER, "tune", "p_defect", False, UNKNOWN),  # too few, or another is proposed
    ],
)
def test_states(
    audit: Audit, colour: str, role: str, indicator: str, shift_proposed: bool, state: str
):
    found = judged(audit, colour=colour)
    assert state_of(found, role, indicator, shift_proposed=shift_proposed) == state


@pytest.mark.parametrize(
    ("groups", "lead", "interval", "needed"),
    [
        (20, 0.05, (-0.05, 0.15), 80),  # half the width takes four times the parts
        (20, -0.05, (-0.15, 0.05), 80),
        (20, 0.05, (0.01, 0.09), 20),
        (3, 0.05, (-0.5, 0.6), 6),
        (20, 0.01, (-0.2, 0.2), None),
        (20, 0.0, (-0.2, 0.2), None),
        (20, math.nan, (math.nan, math.nan), 6),
    ],
)
def test_parts_that_would_decide(
    audit: Audit, groups: int, lead: float, interval: tuple, needed: int | None
):
    found = judged(audit, groups=groups, difference=lead, interval=interval)
    assert parts_needed(found) == needed


def test_the_numbers_are_those_of_the_table(audit: Audit):
    stands = standing(audit, POINT)
    table = scored(audit, ["tune"], "iou_difference", 0.0)
    flagged = table["indicator"].isna() | (table["indicator"] >= 0.1)
    missed = table["outcome"] == "FN"
    counts = stands.counts
    assert (counts.fn, counts.tn) == (missed.sum(), (~missed).sum())
    assert (counts.flagged_fn, counts.flagged_tn) == (
        (flagged & missed).sum(),
        (flagged & ~missed).sum(),
    )
    assert counts.flagged == flagged.sum()
    # Threshold shift takes the same number of images, the likeliest first.
    likeliest = np.argsort(-table["p_defect"].to_numpy(), kind="stable")[: flagged.sum()]
    assert counts.shift_fn == missed.to_numpy()[likeliest].sum()
    assert counts.random_fn == pytest.approx(flagged.mean() * missed.sum())
    low, high = stands.catch
    assert low < counts.flagged_fn / counts.fn < high
    assert stands.judged == verdict(table)
    by_role = audit.query(
        "SELECT role, count(*) n FROM samples WHERE outcome = 'FN' AND role <> 'train' "
        "GROUP BY role"
    )
    assert stands.missed == dict(zip(by_role["role"], by_role["n"], strict=True))
    assert stands.open_missed == stands.missed["tune"]
    assert not (audit.folder / JOURNAL).exists()


def test_an_opened_seal_moves_it_to_test_and_a_choice_leads(tmp_path: Path):
    audit = write_fake_audit(tmp_path / "audit", random_parts(500))
    assert standing(audit, POINT).role == "tune"
    open_seals(audit, ["test"], "the verdict")
    decide(audit, "log_odds", 0.3, 1.0, "six a shift", who="Ada")
    point = leading_point(audit)
    assert (point.indicator, point.strength, point.threshold) == ("log_odds", 1.0, 0.3)
    stands = standing(audit, point)
    assert stands.role == "test"
    assert stands.closed == ("certify",)
    assert stands.judged == verdict(scored(audit, ["test"], "log_odds", 1.0))
    assert stands.chosen is not None
    assert stands.chosen["who"] == "Ada"


def test_without_a_choice_what_is_proposed_leads(audit: Audit):
    proposed = propose_indicator(audit)
    point = leading_point(audit)
    assert (point.indicator, point.strength) == (proposed.indicator, proposed.strength)


def test_with_few_misses_threshold_shift_leads_and_nothing_can_be_told(tmp_path: Path):
    audit = write_fake_audit(tmp_path / "audit", passed_parts([0.9], [0.1] * 30))
    point = leading_point(audit)
    stands = standing(audit, point)
    assert point.indicator == "p_defect"
    assert (stands.state, stands.more) == (UNKNOWN, 5)
