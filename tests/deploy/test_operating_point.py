"""The operating point that goes to the line, its tolerance, and what is proven of it."""

import math

import numpy as np
import pytest

from tests.fakes import Part, passed_parts, write_fake_audit
from trust_core.decision.certificate import Demand
from trust_core.decision.certify import certify, indicator_to_certify
from trust_core.decision.curves import scored
from trust_core.decision.journal import decide, seals
from trust_core.deploy.operating_point import (
    PROVEN,
    DeployedPoint,
    certificate_of,
    point_to_deploy,
    tolerance_of,
)
from trust_core.errors import NotMet, SettingsError

DEMAND = Demand(0.95, 0.95)


@pytest.fixture
def audit(tmp_path):
    """80 missed parts in `certify`, with Δ from 0.21 to 1; good parts below."""
    missed = [0.21 + index / 100 for index in range(80)]
    good = [index / 400 for index in range(60)]
    parts: list[Part] = []
    for role, some in (("tune", missed[:30]), ("certify", missed), ("test", missed[:20])):
        parts += passed_parts(some, good, role)
    return write_fake_audit(tmp_path / "audit", parts, strengths=(0.0, 1.0))


def test_what_is_said_goes_before_what_was_noted(audit):
    decide(audit, "iou_difference", 0.2, 1.0, "the cheapest")
    noted = point_to_deploy(audit)
    assert (noted.indicator, noted.strength, noted.threshold) == ("iou_difference", 1.0, 0.2)
    assert noted.why == "the cheapest"
    said = point_to_deploy(audit, threshold=0.3)
    assert (said.indicator, said.strength, said.threshold) == ("iou_difference", 1.0, 0.3)
    other = point_to_deploy(audit, indicator="p_defect", threshold=0.4)
    assert (other.indicator, other.strength) == ("p_defect", 0.0)
    assert not seals(audit)


def test_without_a_word_it_is_what_certify_proves(audit):
    point = point_to_deploy(audit, "iou_difference", 0.0, demand=DEMAND)
    assert point.chosen_by == PROVEN
    chosen = indicator_to_certify(audit, "iou_difference", 0.0)
    assert point.threshold == certify(audit, DEMAND, chosen).ours.proof.threshold
    assert [seal.role for seal in seals(audit)] == ["certify", "test"]


def test_nothing_proven_and_nothing_said_is_refused(tmp_path):
    few = write_fake_audit(tmp_path / "few", passed_parts([0.5], [0.1], "certify"))
    with pytest.raises(NotMet, match="no operating point to export"):
        point_to_deploy(few, "iou_difference", 0.0)
    with pytest.raises(SettingsError, match="finite"):
        point_to_deploy(few, threshold=math.nan)


def test_the_tolerance_reaches_no_other_part(audit):
    """Δ of `certify`: 0.21, 0.22, …: a cell is less than half of 0.01; a twin is nearer."""
    at = lambda threshold: DeployedPoint("iou_difference", 0.0, threshold, "")  # noqa: E731
    assert tolerance_of(audit, at(0.5)) == pytest.approx(1e-3)
    assert tolerance_of(audit, at(0.21 + 1e-5 + 0.29)) == pytest.approx(5e-6)
    values = scored(audit, ["tune", "certify", "test"], "iou_difference", 0.0)["indicator"]
    for threshold in (0.21, 0.3, 0.555, -1.0):
        tolerance = tolerance_of(audit, at(threshold))
        assert tolerance > 0
        np.testing.assert_array_equal(values >= threshold, values >= threshold - tolerance)


def test_a_sealed_role_proves_nothing(audit):
    told = certificate_of(audit, DeployedPoint("iou_difference", 0.0, 0.21, ""), DEMAND)
    assert (told["certified"], told.get("groups")) == (False, None)
    assert "sealed" in told["sentence"]
    assert not seals(audit)


def test_a_threshold_at_or_below_the_proven_one_is_certified(audit):
    chosen = indicator_to_certify(audit, "iou_difference", 0.0)
    proven = certify(audit, DEMAND, chosen).ours.proof
    for threshold, certified in ((proven.threshold, True), (0.0, True), (0.9, False)):
        told = certificate_of(audit, DeployedPoint("iou_difference", 0.0, threshold, ""), DEMAND)
        assert told["certified"] is certified
    told = certificate_of(audit, DeployedPoint("iou_difference", 0.0, proven.threshold, ""), DEMAND)
    assert told["sentence"].startswith("Certified: at least 95 %")
    assert told["recall_lower_bound"] == pytest.approx(proven.recall_lower_bound)
    assert told["groups"] == 80
    assert told["test"]["counts"]["flagged_fn"] == 20


def test_a_threshold_noted_before_the_seal_was_opened_is_proven_by_itself(audit):
    """40 of 80 caught prove 40.3 % (Clopper–Pearson, one side, 95 %)."""
    decide(audit, "iou_difference", 0.605, 0.0, "first")
    certify(audit, DEMAND, indicator_to_certify(audit))
    point = point_to_deploy(audit)
    told = certificate_of(audit, point, DEMAND)
    assert told["certified"] is True
    assert told["groups_caught"] == 40
    assert told["recall_lower_bound"] == pytest.approx(0.4032, abs=5e-4)
    assert told["sentence"].startswith("Proven of this threshold: at least 40.3 %")
