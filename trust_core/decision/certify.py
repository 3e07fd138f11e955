"""What a finished audit proves: the verdict, the certificate, and threshold shift's own.

`certify` gives what `python -m trust_core certify` prints; page, gate and report show the same.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

from trust_core.decision.bootstrap import (
    Flags,
    Interval,
    group_codes,
    percentiles,
    resample,
    share_interval,
)
from trust_core.decision.certificate import (
    Budget,
    Demand,
    Proof,
    group_minima,
    needed,
    plan,
    prove,
    sentence,
)
from trust_core.decision.curves import curves_of, scored, with_indicator
from trust_core.decision.indicators.registry import DEFAULT_INDICATOR, INDICATORS, THRESHOLD_SHIFT
from trust_core.decision.journal import OPERATING_POINT, SEAL_OPENED, SEALED, entries, open_seals
from trust_core.decision.tradeoff import Counts, Floats, curve
from trust_core.decision.verdict import SAME_RANKING, same_ranking, verdict
from trust_core.errors import SettingsError
from trust_core.storage.audit_columns import PassedColumns
from trust_core.storage.audit_files import Audit

LAST_CHOSEN, BEST_ON_TUNE, ASKED_FOR = "last operating point", "best on tune", "asked for"
USUAL_RECALL = 0.95  # of the TN losses beside a verdict when no recall was asked for


@dataclass(frozen=True)
class Choice:
    """What is certified, chosen without looking at a sealed image.

    Attributes:
        indicator: a key of `INDICATORS`.
        strength: ε.
        chosen_by: what decided on the strength.
    """

    indicator: str
    strength: float
    chosen_by: str


def choose(audit: Audit, indicator: str | None = None, strength: float | None = None) -> Choice:
    """What to certify when nothing, or only a part, is said.

    With neither: the last operating point of the journal. Without one, and wherever the strength
    is left open: the strength with the highest AUROC on `tune`, the lowest of equal ones.

    Raises:
        SettingsError: an indicator or a strength that the audit does not have.
    """
    if indicator is None and strength is None:
        for entry in reversed(entries(audit)):
            known = (
                entry.get("indicator") in INDICATORS and entry.get("strength") in audit.strengths
            )
            if entry.get("what") == OPERATING_POINT and known:
                return Choice(entry["indicator"], entry["strength"], LAST_CHOSEN)
    indicator = DEFAULT_INDICATOR if indicator is None else indicator
    INDICATORS.find(indicator)
    if strength is None:
        return Choice(indicator, _best_strength(audit, indicator), BEST_ON_TUNE)
    if strength not in audit.strengths:
        listed = ", ".join(f"{e:g}" for e in audit.strengths)
        raise SettingsError(f"strength {strength:g} was not audited; choose from {listed}")
    return Choice(indicator, strength, ASKED_FOR)


def _best_strength(audit: Audit, indicator: str) -> float:
    areas = [
        points.auroc for points in curves_of(PassedColumns(audit, ["tune"]), indicator).values()
    ]
    return audit.strengths[int(np.argmax(np.nan_to_num(areas, nan=-1.0)))]


def certify(audit: Audit, wanted: Demand | Budget, choice: Choice) -> dict[str, Any]:
    """Certify a threshold. Opens the seals of `certify` and `test`; the first time is logged.

    Args:
        audit: a finished audit.
        wanted: a recall of missed parts, or a budget of good parts; either with a confidence.
        choice: of `choose`.

    Returns:
        A JSON object; `docs/statistics.md` says what its keys mean.

    Raises:
        SettingsError: an indicator that this audit does not have; no seal is opened for it.
        StoreError: the journal cannot be written.
    """
    demand = wanted if isinstance(wanted, Demand) else None
    scored(audit, ["tune"], choice.indicator, choice.strength)  # or no look at all
    open_seals(audit, SEALED, _why(choice))
    passed = {role: PassedColumns(audit, [role], [choice.strength]) for role in ("tune", *SEALED)}
    proof, at_threshold = _prove(passed, choice, wanted)
    shift, shift_at = _prove(passed, Choice(THRESHOLD_SHIFT, 0.0, ""), wanted)
    sealed = with_indicator(passed["test"], choice.indicator, choice.strength)
    judged = verdict(sealed, demand.recall if demand else USUAL_RECALL)
    result = {
        "audit": str(audit.folder),
        **asdict(choice),
        "verdict": asdict(judged),
        "same_ranking": _same_ranking(audit),
        "sentence": sentence(proof, wanted),
        "recall_target": demand.recall if demand else None,
        "max_tn_loss": wanted.max_tn_loss if isinstance(wanted, Budget) else None,
        "confidence": wanted.confidence,
        "needed": needed(demand) if demand else None,
        "plan": {str(k): n for k, n in plan(demand).items()} if demand else None,
        **_proof_json(proof, at_threshold),
        "threshold_shift": _proof_json(shift, shift_at),
        "chosen_blind": _chosen_blind(audit, choice),
        "seals": [
            {key: entry.get(key) for key in ("role", "when", "who", "why")}
            for entry in entries(audit)
            if entry.get("what") == SEAL_OPENED
        ],
    }
    return cast(dict[str, Any], plain(result))


def _why(choice: Choice) -> str:
    return f"certify {choice.indicator} at strength {choice.strength:g}"


def _chosen_blind(audit: Audit, choice: Choice) -> bool:
    """Whether the journal shows that the choice was made before `certify` was looked at."""
    if (choice.indicator, choice.chosen_by) == (DEFAULT_INDICATOR, BEST_ON_TUNE):
        return True
    for entry in entries(audit):
        if entry.get("what") == SEAL_OPENED and entry.get("role") == "certify":
            return bool(entry.get("why") == _why(choice))
        point = entry.get("indicator"), entry.get("strength")
        if entry.get("what") == OPERATING_POINT and point == (choice.indicator, choice.strength):
            return True
    return False


def _prove(
    passed: dict[str, PassedColumns], choice: Choice, wanted: Demand | Budget
) -> tuple[Proof, dict[str, dict[str, Any]]]:
    """The proof, and what its threshold does to `certify` and `test`."""
    tables = {
        role: with_indicator(columns, choice.indicator, choice.strength)
        for role, columns in passed.items()
    }
    tune = curve(*_scores(tables.pop("tune")))
    sealed = tables["certify"]
    scores, missed = _scores(sealed)
    proof = prove(group_minima(scores, missed, sealed["group"]), tune, wanted)
    return proof, {role: measured(table, proof.threshold) for role, table in tables.items()}


def _scores(table: pd.DataFrame) -> tuple[Floats, Flags]:
    """The indicator `(N,)` and which images are missed defects."""
    missed = (table["outcome"] == "FN").to_numpy(dtype=bool)
    return table["indicator"].to_numpy(dtype=np.float64), missed


def _proof_json(proof: Proof, at_threshold: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "certified": proof.certified,
        "threshold": proof.threshold,
        "recall_lower_bound": proof.recall_lower_bound,
        "groups": proof.groups,
        "groups_caught": proof.caught,
        "lowest_group_score": proof.lowest,
        **at_threshold["certify"],
        "test": at_threshold["test"],
    }


def measured(table: pd.DataFrame, threshold: float | None) -> dict[str, Any]:
    """What a threshold does to passed images: a description, with 95 % intervals.

    Args:
        table: of `indicator_scores`.
        threshold: τ; None measures nothing.

    Returns:
        `counts` of images (`fn, tn, flagged_fn, flagged_tn`), `fn_recall` with its interval by a
        bootstrap over groups, `tn_loss` with that of `share_interval`, and the misses `by_kind`.
    """
    missed, good = (table["outcome"] == name for name in ("FN", "TN"))
    scores = table["indicator"]
    flagged = scores.isna() | (scores >= (math.nan if threshold is None else threshold))
    counts = {"fn": int(missed.sum()), "tn": int(good.sum())}
    if threshold is None:
        unknown = ("fn_recall", "fn_recall_interval", "tn_loss", "tn_loss_interval", "by_kind")
        return {"counts": counts, **dict.fromkeys(unknown)}
    caught, lost = (flagged[part].to_numpy(dtype=bool) for part in (missed, good))
    caught_groups, lost_groups = (group_codes(table["group"][part]) for part in (missed, good))
    kinds = table["kind"][missed].astype("str").replace("", "unknown")
    return {
        "counts": counts | {"flagged_fn": int(caught.sum()), "flagged_tn": int(lost.sum())},
        "fn_recall": _mean(caught),
        "fn_recall_interval": recall_interval(caught, caught_groups),
        "tn_loss": _mean(lost),
        "tn_loss_interval": share_interval(lost, lost_groups),
        "by_kind": {
            str(kind): {"fn": len(part), "flagged_fn": int(part.sum())}
            for kind, part in flagged[missed].groupby(kinds)
        },
    }


def recall_interval(caught: Flags, codes: Counts, seed: int = 0) -> Interval:
    """95 % interval of a share of images, by a bootstrap over groups; NaN without an image.

    A description, not a proof: it is a point when all images are caught.
    """
    if not len(caught):
        return math.nan, math.nan
    batches = resample(codes, seed=seed)
    return percentiles(np.concatenate([(t @ caught) / t.sum(axis=1) for t in batches]))


def _mean(flags: Flags) -> float:
    return float(flags.mean()) if len(flags) else math.nan


def _same_ranking(audit: Audit) -> str | None:
    convention = audit.manifest["model"]["convention"]
    decision_threshold = audit.manifest["settings"]["decision_threshold"]
    same = same_ranking(convention["outputs"], decision_threshold)
    return SAME_RANKING if same else None


def plain(content: Any) -> Any:  # noqa: ANN401 - JSON is any of several types
    """JSON of dictionaries, sequences and numbers: what is not finite becomes null."""
    if isinstance(content, dict):
        return {key: plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [plain(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
