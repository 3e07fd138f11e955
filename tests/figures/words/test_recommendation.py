"""The recommendation: each way it can go, from the verdict, the proof and the point."""

from dataclasses import replace

import pytest

from tests.decision.test_certify import parts
from tests.fakes import write_fake_audit
from trust_core.decision.certificate import Demand
from trust_core.decision.certify import ASKED_FOR, Certificate, ChosenIndicator, certify
from trust_core.decision.operating_point import OperatingPoint
from trust_core.figures.words.recommendation import GO, STOP, WAIT, recommend


@pytest.fixture(scope="module")
def proven(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    folder = tmp_path_factory.mktemp("audits") / "audit"
    audit = write_fake_audit(folder, parts(70), strengths=(0.0, 1.0))
    found = certify(audit, Demand(0.9), ChosenIndicator("iou_difference", 0.0, ASKED_FOR))
    assert found.certified
    return found


def point(threshold: float, indicator: str = "iou_difference") -> OperatingPoint:
    return OperatingPoint(indicator, 0.0, threshold, "test")


def changed(proven: Certificate, mine: int, rival: int) -> Certificate:
    """The same with other numbers of good parts re-inspected on `test`."""
    ours, shift = proven.ours, proven.threshold_shift
    total = ours.test.tn
    effects = [
        replace(part.test, flagged_tn=lost, tn_loss=lost / total)
        for part, lost in ((ours, mine), (shift, rival))
    ]
    return replace(
        proven,
        ours=replace(ours, test=effects[0]),
        threshold_shift=replace(shift, test=effects[1]),
    )


def test_sealed_it_waits(proven: Certificate) -> None:
    assert recommend(point(0.1), proven.verdict, None).way == WAIT


def test_worse_than_the_rival_it_stops(proven: Certificate) -> None:
    found = recommend(point(-1.0), replace(proven.verdict, colour="red"), proven)
    assert found.way == STOP
    assert "threshold shift does better" in found.sentence


def test_green_and_proven_it_goes(proven: Certificate) -> None:
    tau = proven.ours.proof.threshold
    assert tau is not None
    green = replace(proven.verdict, colour="green")
    cheap = changed(proven, 1, 5)
    assert recommend(point(tau), green, cheap).way == GO
    above = recommend(point(tau + 0.1), green, cheap)
    assert above.way == WAIT
    assert "not covered" in above.reason


def test_not_decided_the_cheaper_of_both(proven: Certificate) -> None:
    tau, amber = proven.ours.proof.threshold or 0.0, replace(proven.verdict, colour="amber")
    assert recommend(point(tau), amber, changed(proven, 1, 5)).way == GO
    dearer = recommend(point(tau), amber, changed(proven, 5, 5))
    assert dearer.way == WAIT
    assert "Take threshold shift instead" in dearer.sentence


def test_what_flags_everything_proves_nothing(proven: Certificate) -> None:
    tau, green = proven.ours.proof.threshold or 0.0, replace(proven.verdict, colour="green")
    all_lost = changed(proven, proven.ours.test.tn, 1)
    assert recommend(point(tau), green, all_lost).way == STOP


def test_what_is_not_proven_stops(proven: Certificate) -> None:
    proof = replace(proven.ours.proof, certified=False, threshold=None)
    none = replace(proven, ours=replace(proven.ours, proof=proof))
    found = recommend(point(0.1), proven.verdict, none)
    assert (found.way, found.reason) == (STOP, none.sentence)
