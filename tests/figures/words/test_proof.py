"""What is proven, in words."""

import math
from pathlib import Path

import pytest

from tests.figures.words.test_verdict import judged
from trust_core.decision.certificate import Demand, Proof
from trust_core.decision.certify import (
    Certificate,
    ChosenIndicator,
    IndicatorProof,
    ThresholdEffect,
)
from trust_core.figures.words.proof import forecast_sentence, plan_sentence, price_sentence


@pytest.mark.parametrize(
    ("have", "says"),
    [
        (59, "59 missed parts lie sealed: enough to prove 95 %, for which 59 are needed."),
        (58, "58 missed parts lie sealed, and 59 are needed to prove 95 % even with none"),
        (1, "1 missed part lies sealed, and 59 are needed"),
    ],
)
def test_what_the_sealed_parts_allow(have: int, says: str) -> None:
    assert forecast_sentence(have, 59, 0.95).startswith(says)


def test_the_plan_in_words() -> None:
    told = plan_sentence(Demand(0.95), 10)
    assert told.startswith(
        "To prove 95 %, being 95 % sure, takes 59 missed parts if none is overlooked, 93 if 1"
    )
    assert "10 missed parts for it: all of them caught would prove 74.1 %." in told
    assert "You have none yet." in plan_sentence(Demand(0.95), 0)


def certificate(loss: int, shift_loss: int) -> Certificate:
    def proof(lost: int) -> IndicatorProof:
        effect = ThresholdEffect(0, 100, 0, lost, math.nan, (math.nan, math.nan), lost / 100)
        return IndicatorProof(Proof(True, 0.5, 0.9, 0.95, 30, 30, 0.5), effect, effect)

    chosen = ChosenIndicator("iou_difference", 0.0, "asked for")
    proofs = proof(loss), proof(shift_loss)
    return Certificate(Path(), chosen, Demand(0.9), judged(), None, *proofs, True, ())


def test_a_proof_that_flags_nearly_all_is_told_to_be_worth_little() -> None:
    dear, fair = price_sentence(certificate(97, 90)), price_sentence(certificate(30, 45))
    assert "97 of 100 good photos of test; threshold shift proves" in dear
    assert "with 90 of 100 good photos." in dear
    assert "worth little" in dear
    assert "worth little" not in fair
