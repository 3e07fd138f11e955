"""Autotune: the best of all overlaps, chosen on `tune`, judged once on `test`.

Every layer, pair, mask rule, ε and variant is re-scored from the kept maps. The best of thousands
on a few misses is mostly luck, so the choice itself is cross-validated over groups: the best of the
other folds is measured on the fold that had no say. Only where that beats the default is it taken.
"""

import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from trust_core.decision.bootstrap import Flags, group_codes
from trust_core.decision.certify import plain
from trust_core.decision.cross_validation import grouped_folds, parts_of_both, wins_by_fold
from trust_core.decision.indicators.stored import add_indicators
from trust_core.decision.journal import open_seals
from trust_core.decision.tradeoff import Counts, Floats
from trust_core.decision.tuning.candidates import Choice, Rescored, rescore_all
from trust_core.decision.tuning.overlap_profile import Profile, overlap_profile
from trust_core.decision.tuning.sensitivity import sensitivity
from trust_core.decision.verdict import LEAST_GROUPS, verdict
from trust_core.storage.audit_files import Audit

REPEATS = 5
SHOWN = 10  # best choices that are told
BLOCK = 512  # candidates at a time


@dataclass(frozen=True)
class Tuned:
    """What autotune chose.

    Attributes:
        choice: the chosen layer, pair, mask, variant and ε.
        taken: False when the default stands.
        sentence: why.
        auroc: on `tune`, of every choice of `Rescored.choices`, `(C,)`.
        threshold_shift: AUROC of p on `tune`.
        honest: AUROC on folds that had no say: of the `chosen`, the `default`, `threshold_shift`;
            empty when too few parts were missed.
    """

    choice: Choice
    taken: bool
    sentence: str
    auroc: Floats
    threshold_shift: float
    honest: dict[str, float]


def tune(rescored: Rescored) -> Tuned:
    """Choose among all overlaps on `tune`."""
    inside = rescored.role("tune")
    missed, codes = rescored.missed[inside], group_codes(rescored.table["group"][inside])
    choices = rescored.choices()
    columns = [rescored.scores(choice)[inside] for choice in choices]
    scores = np.column_stack([*columns, rescored.p_defect[inside]])
    auroc = auroc_of(scores, missed)
    parts = parts_of_both(codes, missed)
    few = parts < LEAST_GROUPS
    honest = {} if few else _honest(scores, missed, codes)
    taken = not few and honest["chosen"] > honest["default"]
    best = int(np.nanargmax(auroc[:-1])) if taken else 0
    if few:
        sentence = (
            f"The default stands: {parts} parts with a miss (or without) in tune are too few to "
            f"choose by; {LEAST_GROUPS} of each are the least."
        )
    else:
        sentence = (
            f"{'Chosen' if taken else 'The default stands'}: of {len(choices):,} choices, the best "
            f"of the other folds reaches AUROC {honest['chosen']:.3f} on parts that had no say, "
            f"the default {honest['default']:.3f}, threshold shift {honest['threshold_shift']:.3f}."
        )
    return Tuned(choices[best], taken, sentence, auroc[:-1], float(auroc[-1]), honest)


def auroc_of(scores: Floats, missed: Flags) -> Floats:
    """AUROC of candidates `(N, C)`, `(C,)`; NaN without a miss or a good part."""
    if missed.all() or not missed.any():
        return np.full(scores.shape[1], np.nan)
    wins, pairs = _blocks(scores, missed, np.zeros((1, len(missed)), dtype=np.int64))
    result: Floats = wins[0, 0, 0] / pairs[0, 0, 0]
    return result


def _blocks(scores: Floats, missed: Flags, folds: Counts) -> tuple[Floats, Counts]:
    starts = range(0, scores.shape[1], BLOCK)
    found = [wins_by_fold(scores[:, s : s + BLOCK], missed, folds) for s in starts]
    return np.concatenate([wins for wins, _ in found], axis=3), found[0][1]


def _honest(scores: Floats, missed: Flags, codes: Counts) -> dict[str, float]:
    """AUROC inside held-out folds of the best of the other folds, of the default, and of p."""
    folds = np.stack([grouped_folds(codes, missed, seed=seed) for seed in range(REPEATS)])
    total, won = 0, np.zeros(3)
    for wins, pairs in zip(*_blocks(scores, missed, folds), strict=True):
        for held in range(len(pairs)):
            others = np.arange(len(pairs)) != held
            best = int(wins[np.ix_(others, others)].sum((0, 1))[:-1].argmax())
            won += wins[held, held, [best, 0, -1]]
            total += pairs[held, held]
    names = ("chosen", "default", "threshold_shift")
    return dict(zip(names, (won / max(total, 1)).tolist(), strict=True))


def autotune(audit: Audit) -> dict[str, Any]:
    """Choose on `tune`, fit the overlap profile, note both as indicators, and judge on `test`.

    Writes the columns `best_overlap` and `overlap_profile`. Opens the seal of `test`, logged.

    Returns:
        A JSON object.
    """
    began = time.monotonic()
    rescored = rescore_all(audit)
    seconds = time.monotonic() - began
    tuned, profile = tune(rescored), overlap_profile(rescored)
    best = rescored.scores(tuned.choice)
    columns = {"best_overlap": best, "overlap_profile": profile.scores}
    ids = rescored.table["sample_id"]
    add_indicators(audit, pd.DataFrame({"sample_id": ids, **columns}))
    open_seals(audit, ["test"], "autotune")
    judged = {name: verdict(rescored.judged(s, "test")) for name, s in columns.items()}
    result = {
        "audit": str(audit.folder),
        "chosen": described(tuned.choice),
        "default": described(rescored.default),
        "taken": tuned.taken,
        "sentence": tuned.sentence,
        **_on_tune(rescored, tuned),
        "profile": _profile_json(profile),
        "test": {name: asdict(v) for name, v in judged.items()},
        "sensitivity": {
            role: asdict(sensitivity(rescored, tuned.choice, role)) for role in ("tune", "test")
        },
        "seconds_rescoring": seconds,
        "seconds": time.monotonic() - began,
    }
    json_object: dict[str, Any] = plain(result)
    return json_object


def described(choice: Choice) -> dict[str, Any]:
    """A choice as a flat JSON object."""
    return asdict(choice.recipe) | {"variant": choice.variant, "strength": choice.strength}


def _on_tune(rescored: Rescored, tuned: Tuned) -> dict[str, Any]:
    choices, inside = rescored.choices(), rescored.role("tune")
    order = np.argsort(-np.nan_to_num(tuned.auroc, nan=-1.0), kind="stable")[:SHOWN]
    missed = rescored.missed[inside]
    return {
        "choices": len(choices),
        "counts": {"fn": int(missed.sum()), "tn": int((~missed).sum())},
        "better_than_threshold_shift": float(np.mean(tuned.auroc > tuned.threshold_shift)),
        "tune": {
            "chosen": float(tuned.auroc[choices.index(tuned.choice)]),
            "default": float(tuned.auroc[0]),
            "threshold_shift": tuned.threshold_shift,
            "held_out": tuned.honest,
            "best": [described(choices[i]) | {"auroc": float(tuned.auroc[i])} for i in order],
        },
    }


def _profile_json(profile: Profile) -> dict[str, Any]:
    return {
        "fitted": profile.fitted,
        "penalty": profile.penalty,
        "parts": profile.parts,
        "auroc": {f"{penalty:g}": value for penalty, value in profile.auroc.items()},
        "sentence": profile.sentence,
    }
