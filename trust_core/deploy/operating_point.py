"""The operating point that goes to the line, and what is proven of it."""

import math
from dataclasses import dataclass, replace
from typing import Any

from trust_core.data.roles import ROLES
from trust_core.decision.certificate import (
    Demand,
    Proof,
    group_minima,
    needed,
    percent_floor,
    proof_sentence,
    prove_at,
    prove_recall,
)
from trust_core.decision.certify import (
    ASKED_FOR,
    LAST_CHOSEN,
    certify,
    indicator_to_certify,
    threshold_effect,
)
from trust_core.decision.curves import scored, scores_and_misses
from trust_core.decision.journal import closed_seals, noted_blind, noted_points
from trust_core.decision.json_object import json_object
from trust_core.decision.operating_point import OperatingPoint, noted_point
from trust_core.errors import NotMet, SettingsError
from trust_core.messages import Message, amount
from trust_core.storage.audit_files import Audit

PROVEN = "proven by certify"
OVERLAP_STEP = 1e-3  # an overlap moves by that when one cell flips
ROUNDING = 1e-4  # of 1 + |value|: what z differs by between machines
OVERLAPS = ("iou_difference", "iou_defect", "good_disagreement", "iou_difference_shift")


@dataclass(frozen=True)
class DeployedPoint:
    """An operating point for the line.

    `threshold` τ is finite; `chosen_by` is what it comes from, `why` the reason that was noted.
    """

    indicator: str
    strength: float
    threshold: float
    chosen_by: str
    why: str = ""


def point_to_deploy(
    audit: Audit,
    indicator: str | None = None,
    strength: float | None = None,
    threshold: float | None = None,
    demand: Demand | None = None,
) -> DeployedPoint:
    """What is said; else the last point that `decide` noted; else what `certify` proves.

    Only the last opens the seals of the audit, which is logged.

    Args:
        audit: a finished audit.
        indicator: that of the noted point, or the default one, when None.
        strength: that of the noted point, or 0, when None.
        threshold: τ; None where it is to be looked up or proven.
        demand: what is to be proven when nothing is said or noted.

    Raises:
        SettingsError: an indicator or strength that the audit does not have, or no finite τ.
        NotMet: nothing is said, nothing noted, and nothing can be proven.
    """
    noted = noted_point(audit)
    if threshold is not None:
        if noted and indicator in (None, noted.indicator):
            indicator, strength = noted.indicator, noted.strength if strength is None else strength
        chosen = indicator_to_certify(audit, indicator, 0.0 if strength is None else strength)
        if not math.isfinite(threshold):
            raise SettingsError(f"Threshold {threshold:g}: write a finite number.")
        scored(audit, ["tune"], chosen.indicator, chosen.strength)  # or it does not have it
        return DeployedPoint(chosen.indicator, chosen.strength, threshold, ASKED_FOR)
    same = noted and indicator in (None, noted.indicator) and strength in (None, noted.strength)
    if noted and same:
        chosen_here = (e for e in noted_points(audit) if e.get("threshold") == noted.threshold)
        why = str(next(chosen_here).get("why", ""))
        return DeployedPoint(noted.indicator, noted.strength, noted.threshold, LAST_CHOSEN, why)
    chosen = indicator_to_certify(audit, indicator, strength)
    proof = certify(audit, demand or Demand(0.95), chosen)
    found = proof.ours.proof.threshold
    if found is None or not math.isfinite(found):
        raise NotMet(
            f"There is no operating point to export. {proof.sentence} Choose one on the page "
            f"Decide or by `python -m trust_core decide {audit.folder}`, or give a threshold."
        )
    return DeployedPoint(chosen.indicator, chosen.strength, found, PROVEN)


def promise(audit: Audit, point: OperatingPoint, demand: Demand) -> str:
    """What is proven of the very threshold of an operating point, in a sentence.

    A page says it in its own words, where it is a `Message`.
    """
    deployed = DeployedPoint(point.indicator, point.strength, point.threshold, ASKED_FOR)
    sentence: str = certificate_of(audit, deployed, demand)["sentence"]
    return sentence


def tolerance_of(audit: Audit, point: DeployedPoint) -> float:
    """How far below τ a score may lie and still be flagged, for the rounding of another machine.

    A τ is often the very score of a part. Nothing is flagged by it that the audit does not flag:
    it is at most half the way down to the next score. No label is looked at.
    """
    values = scored(audit, ROLES, point.indicator, point.strength)["indicator"].to_numpy()
    below = values[values < point.threshold]
    step = OVERLAP_STEP if point.indicator in OVERLAPS else ROUNDING * (1 + abs(point.threshold))
    room = (point.threshold - below.max()) / 2 if len(below) else math.inf
    return float(min(step, room))


def certificate_of(audit: Audit, point: DeployedPoint, demand: Demand) -> dict[str, Any]:
    """What is proven of τ from the groups of `certify`, as JSON; why nothing is, otherwise.

    A τ at or below the one that the demand proves keeps what that one promises: it flags no less.
    A τ that was noted before the seal was opened is proven by itself. Nothing else is.
    """
    asked = {"recall_target": demand.recall, "confidence": demand.confidence}
    if closed_seals(audit, ["certify"]):
        return {
            "certified": False,
            "sentence": Message(
                "Nothing is proven of this threshold: the parts that would prove it (certify) are "
                "sealed. Open them on Decide or with certify, then export again.",
                "Nothing is proven of this threshold: the parts that would prove it (certify) are "
                "sealed. They are opened on Decide.",
            ),
            **asked,
        }
    table = scored(audit, ["certify"], point.indicator, point.strength)
    minima = group_minima(*scores_and_misses(table), table["group"])
    found = _proof(audit, point, minima, demand)
    told = {
        "certified": found.certified,
        "sentence": _sentence(found, demand),
        "recall_lower_bound": found.recall_lower_bound if found.certified else None,
        "groups": found.groups,
        "groups_caught": int((minima >= point.threshold).sum()),
        **asked,
        "certify": threshold_effect(table, point.threshold).as_json(),
    }
    if not closed_seals(audit, ["test"]):
        test = scored(audit, ["test"], point.indicator, point.strength)
        told["test"] = threshold_effect(test, point.threshold).as_json()
    return json_object(told)


def _proof(audit: Audit, point: DeployedPoint, minima: Any, demand: Demand) -> Proof:  # noqa: ANN401
    proof = prove_recall(minima, demand)
    if proof.threshold is not None and point.threshold <= proof.threshold:
        return replace(proof, threshold=point.threshold)
    alone = prove_at(minima, point.threshold, demand.confidence)
    noted = {name: getattr(point, name) for name in ("indicator", "strength", "threshold")}
    return alone if noted_blind(audit, **noted) else replace(alone, certified=False)


def _sentence(found: Proof, demand: Demand) -> str:
    if found.certified and found.recall_lower_bound < demand.recall:
        return (
            f"Proven of this threshold: at least {percent_floor(found.recall_lower_bound)} of the "
            "parts with a missed defect have all their misses flagged, with "
            f"{percent_floor(demand.confidence)} confidence, from "
            f"{amount(found.groups, 'missed part', 'missed parts')}."
        )
    if found.certified:
        return proof_sentence(found, demand)
    if found.groups < needed(demand):
        return proof_sentence(replace(found, certified=False), demand)
    return (
        f"Nothing is proven of this threshold: it lies above the one that proves "
        f"{percent_floor(demand.recall)}, and was chosen after certify was looked at."
    )
