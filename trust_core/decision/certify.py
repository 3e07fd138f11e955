"""What a finished audit proves: certificate and verdict of an indicator, beside threshold shift's.

Looking at `certify` and `test` opens their seals. `certify` does, and logs it; what only computes,
`compute_certificate`, refuses while one is closed. Command, gate, page and report show the same.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trust_core.decision.bootstrap import (
    Flags,
    Interval,
    count_groups,
    group_codes,
    share_interval,
)
from trust_core.decision.certificate import (
    Budget,
    Demand,
    Proof,
    group_minima,
    needed,
    plan,
    proof_sentence,
    prove,
)
from trust_core.decision.curves import scored, scores_and_misses, with_indicator
from trust_core.decision.indicators.registry import (
    DEFAULT_INDICATOR,
    INDICATORS,
    THRESHOLD_SHIFT,
    check_strength,
)
from trust_core.decision.journal import (
    SEALED,
    Seal,
    noted_blind,
    noted_points,
    open_seals,
    require_open,
    seals,
)
from trust_core.decision.json_object import json_object
from trust_core.decision.operating_point import OperatingPoint, default_strength, fewest_digits
from trust_core.decision.proposal import propose_indicator
from trust_core.decision.tradeoff import Floats, curve
from trust_core.decision.verdict import SAME_RANKING, Verdict, same_ranking, verdict
from trust_core.storage.audit_columns import PassedColumns, text_column
from trust_core.storage.audit_files import Audit

LAST_CHOSEN, BEST_ON_TUNE, ASKED_FOR = "last operating point", "best on tune", "asked for"
PROPOSED = "proposed on tune"
USUAL_RECALL = 0.95  # of the TN losses beside a verdict when no recall was asked for


@dataclass(frozen=True)
class ChosenIndicator:
    """What is certified, chosen without looking at a sealed image.

    `chosen_by` is what decided on the strength.
    """

    indicator: str
    strength: float
    chosen_by: str


@dataclass(frozen=True)
class ThresholdEffect:
    """What a threshold does to the passed images of a role: a description, with 95 % intervals.

    Attributes:
        fn: missed defects.
        tn: good parts that passed.
        flagged_fn: missed defects at or above τ, the unscored among them; None without a τ, as
            everything below.
        flagged_tn: the same of the good parts.
        fn_recall: share of the missed defects that is flagged; NaN without one.
        fn_recall_interval: as `share_interval`; what Home says of the same point.
        tn_loss: share of the good parts that is flagged; NaN without one.
        tn_loss_interval: as `share_interval`.
        by_kind: missed defects and flagged ones, by kind of defect.
    """

    fn: int
    tn: int
    flagged_fn: int | None = None
    flagged_tn: int | None = None
    fn_recall: float | None = None
    fn_recall_interval: Interval | None = None
    tn_loss: float | None = None
    tn_loss_interval: Interval | None = None
    by_kind: Mapping[str, tuple[int, int]] | None = None

    def as_json(self) -> dict[str, Any]:
        """A JSON object; the counts of what is flagged are missing without a τ."""
        told = asdict(self)
        counts = {name: told.pop(name) for name in ("fn", "tn", "flagged_fn", "flagged_tn")}
        if self.by_kind is not None:
            told["by_kind"] = {
                kind: {"fn": fn, "flagged_fn": flagged}
                for kind, (fn, flagged) in self.by_kind.items()
            }
        known = {name: count for name, count in counts.items() if count is not None}
        return json_object({"counts": known, **told})


@dataclass(frozen=True)
class IndicatorProof:
    """What `certify` proves of one indicator, and what the proven threshold does."""

    proof: Proof
    certify: ThresholdEffect
    test: ThresholdEffect

    def as_json(self) -> dict[str, Any]:
        """A JSON object: the proof, with the effect on `certify`, and `test`."""
        proof = self.proof
        told = {
            "certified": proof.certified,
            "threshold": proof.threshold,
            "recall_lower_bound": proof.recall_lower_bound,
            "groups": proof.groups,
            "groups_caught": proof.caught,
            "lowest_group_score": proof.lowest,
        }
        return json_object({**told, **self.certify.as_json(), "test": self.test.as_json()})


@dataclass(frozen=True)
class Certificate:
    """What a finished audit proves of an indicator.

    The verdict is on `test`, the proofs are of the indicator (`ours`) and of `p`. `chosen_blind` is
    whether the journal shows that the choice came before a look at `certify`; `seals` are those
    that were opened; `same_ranking` is `SAME_RANKING` where that is true.
    """

    folder: Path
    chosen: ChosenIndicator
    wanted: Demand | Budget
    verdict: Verdict
    same_ranking: str | None
    ours: IndicatorProof
    threshold_shift: IndicatorProof
    chosen_blind: bool
    seals: tuple[Seal, ...]

    @property
    def certified(self) -> bool:
        """Whether what was asked for is proven."""
        return self.ours.proof.certified

    @property
    def sentence(self) -> str:
        """The statement in words, or what is missing for it."""
        return proof_sentence(self.ours.proof, self.wanted)

    def as_json(self) -> dict[str, Any]:
        """A JSON object; `docs/statistics.md` says what its keys mean."""
        demand = self.wanted if isinstance(self.wanted, Demand) else None
        budget = self.wanted if isinstance(self.wanted, Budget) else None
        return json_object(
            {
                "audit": str(self.folder),
                **asdict(self.chosen),
                "verdict": asdict(self.verdict),
                "same_ranking": self.same_ranking,
                "sentence": self.sentence,
                "recall_target": demand and demand.recall,
                "max_tn_loss": budget and budget.max_tn_loss,
                "confidence": self.wanted.confidence,
                "needed": demand and needed(demand),
                "plan": demand and {str(k): n for k, n in plan(demand).items()},
                **self.ours.as_json(),
                "threshold_shift": self.threshold_shift.as_json(),
                "chosen_blind": self.chosen_blind,
                "seals": [asdict(seal) for seal in self.seals],
            }
        )


def indicator_to_certify(
    audit: Audit, indicator: str | None = None, strength: float | None = None
) -> ChosenIndicator:
    """What to certify when nothing, or only a part, is said.

    With neither: the last operating point of the journal; without one what `propose_indicator`
    proposes. Where the strength alone is left open: the one with the highest AUROC on `tune`, the
    lowest of equal ones.

    Raises:
        SettingsError: an indicator or a strength that the audit does not have.
    """
    if indicator is None and strength is None:
        for entry in noted_points(audit):
            if entry.get("indicator") in INDICATORS and entry.get("strength") in audit.strengths:
                return ChosenIndicator(entry["indicator"], entry["strength"], LAST_CHOSEN)
        proposed = propose_indicator(audit)
        return ChosenIndicator(proposed.indicator, proposed.strength, PROPOSED)
    indicator = DEFAULT_INDICATOR if indicator is None else indicator
    INDICATORS.find(indicator)
    if strength is None:
        return ChosenIndicator(indicator, default_strength(audit, indicator), BEST_ON_TUNE)
    check_strength(audit, strength)
    return ChosenIndicator(indicator, strength, ASKED_FOR)


def point_to_certify(audit: Audit, point: OperatingPoint | None) -> ChosenIndicator:
    """The indicator and strength of a point as what is certified, with the reason they have.

    Without a point it is what `indicator_to_certify` takes.
    """
    usual = indicator_to_certify(audit)
    if point is None or (usual.indicator, usual.strength) == (point.indicator, point.strength):
        return usual
    return indicator_to_certify(audit, point.indicator, point.strength)


def certify(
    audit: Audit,
    wanted: Demand | Budget,
    chosen: ChosenIndicator | None = None,
    who: str = "",
) -> Certificate:
    """Certify a threshold. Opens the seals of `certify` and `test`; the first time is logged.

    Args:
        audit: a finished audit.
        wanted: a recall of missed parts, or a budget of good parts; either with a confidence.
        chosen: of `indicator_to_certify`; as it chooses without a word when None.
        who: opens the seals, as the journal is to say.

    Raises:
        SettingsError: an indicator that this audit does not have; no seal is opened for it.
        StoreError: the journal cannot be written.
    """
    chosen = chosen or indicator_to_certify(audit)
    scored(audit, ["tune"], chosen.indicator, chosen.strength)  # or no look at all
    open_seals(audit, SEALED, _why(chosen), who)
    return compute_certificate(audit, wanted, chosen)


def compute_certificate(
    audit: Audit, wanted: Demand | Budget, chosen: ChosenIndicator
) -> Certificate:
    """The certificate of an audit whose seals are open. Writes nothing.

    The arguments are those of `certify`.

    Raises:
        SettingsError: a closed seal, or an indicator that this audit does not have.
    """
    require_open(audit, SEALED)
    passed = {role: PassedColumns(audit, [role], [chosen.strength]) for role in ("tune", *SEALED)}
    ours = _prove(passed, chosen.indicator, chosen.strength, wanted)
    sealed = with_indicator(passed["test"], chosen.indicator, chosen.strength)
    return Certificate(
        folder=audit.folder,
        chosen=chosen,
        wanted=wanted,
        verdict=verdict(sealed, wanted.recall if isinstance(wanted, Demand) else USUAL_RECALL),
        same_ranking=SAME_RANKING if has_same_ranking(audit) else None,
        ours=ours,
        threshold_shift=_prove(passed, THRESHOLD_SHIFT, 0.0, wanted),
        chosen_blind=_chosen_blind(audit, chosen),
        seals=seals(audit),
    )


def has_same_ranking(audit: Audit) -> bool:
    """Whether `SAME_RANKING` is true of an audit."""
    outputs = audit.manifest.model.convention.outputs
    return same_ranking(outputs, audit.manifest.settings.decision_threshold)


def missed_groups(audit: Audit, role: str) -> int:
    """Groups of a role that hold a missed defect; no score of theirs is looked at."""
    missed = text_column(audit, "outcome").equal("FN") & text_column(audit, "role").equal(role)
    return count_groups(text_column(audit, "group").codes, missed)


def _why(chosen: ChosenIndicator) -> str:
    return f"certify {chosen.indicator} at strength {chosen.strength:g}"


def _chosen_blind(audit: Audit, chosen: ChosenIndicator) -> bool:
    """Whether the journal shows that the choice was made before `certify` was looked at."""
    by_rule = (DEFAULT_INDICATOR, BEST_ON_TUNE)
    if chosen.chosen_by == PROPOSED or (chosen.indicator, chosen.chosen_by) == by_rule:
        return True
    if noted_blind(audit, indicator=chosen.indicator, strength=chosen.strength):
        return True
    first = next((seal for seal in seals(audit) if seal.role == "certify"), None)
    return first is not None and first.why == _why(chosen)


def _prove(
    passed: Mapping[str, PassedColumns], indicator: str, strength: float, wanted: Demand | Budget
) -> IndicatorProof:
    """The proof on `certify`, and what its threshold does there and on `test`."""
    tune, sealed, test = (
        with_indicator(passed[role], indicator, strength) for role in ("tune", *SEALED)
    )
    minima = group_minima(*scores_and_misses(sealed), sealed["group"])
    proof = prove(minima, curve(*scores_and_misses(tune)), wanted)
    if proof.threshold is not None and math.isfinite(proof.threshold):
        known = np.concatenate([scores_and_misses(table)[0] for table in (tune, sealed, test)])
        proof = replace(proof, threshold=_short(proof.threshold, known))
    effects = (threshold_effect(table, proof.threshold) for table in (sealed, test))
    return IndicatorProof(proof, *effects)


def _short(threshold: float, known: Floats) -> float:
    """A threshold that people can read, and that flags the very same images.

    It lies below the proven one by less than a thousandth, so what was proven holds of it too.
    """
    below = float(known[known < threshold].max(initial=-math.inf))
    return fewest_digits(below, threshold)


def threshold_effect(table: pd.DataFrame, threshold: float | None) -> ThresholdEffect:
    """What a threshold does to passed images.

    `table` is of `scored`; without a `threshold` τ nothing is measured.
    """
    missed, good = (table["outcome"] == name for name in ("FN", "TN"))
    fn, tn = int(missed.sum()), int(good.sum())
    if threshold is None:
        return ThresholdEffect(fn, tn)
    flagged = table["indicator"].isna() | (table["indicator"] >= threshold)
    caught, lost = (flagged[part].to_numpy(dtype=bool) for part in (missed, good))
    caught_groups, lost_groups = (group_codes(table["group"][part]) for part in (missed, good))
    kinds = table["kind"][missed].astype("str").replace("", "unknown")
    return ThresholdEffect(
        fn,
        tn,
        flagged_fn=int(caught.sum()),
        flagged_tn=int(lost.sum()),
        fn_recall=_mean(caught),
        fn_recall_interval=share_interval(caught, caught_groups),
        tn_loss=_mean(lost),
        tn_loss_interval=share_interval(lost, lost_groups),
        by_kind={
            str(kind): (len(part), int(part.sum())) for kind, part in flagged[missed].groupby(kinds)
        },
    )


def _mean(flags: Flags) -> float:
    return float(flags.mean()) if len(flags) else math.nan
