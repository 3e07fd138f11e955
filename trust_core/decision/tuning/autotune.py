"""Autotune: the best of all overlaps, chosen on `tune`, judged once on `test`.

Every layer, pair, mask rule, ε and variant is re-scored from the kept maps. The best of thousands
on a few misses is mostly luck, so the choice itself is cross-validated over groups: the best of the
other folds is measured on the fold that had no say. Only where that beats the default is it taken.
"""

import time
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trust_core.decision.auroc import auroc_of, wins_by_fold
from trust_core.decision.bootstrap import Flags, group_codes, groups_of_rarer
from trust_core.decision.cross_validation import grouped_folds
from trust_core.decision.indicators.stored import add_indicators
from trust_core.decision.journal import open_seals
from trust_core.decision.json_object import json_object
from trust_core.decision.tradeoff import Counts, Floats
from trust_core.decision.tuning.candidates import OverlapCandidate, OverlapTable, overlap_table
from trust_core.decision.tuning.overlap_profile import OverlapProfile, overlap_profile
from trust_core.decision.tuning.sensitivity import Sensitivity, sensitivity
from trust_core.decision.verdict import LEAST_GROUPS, Verdict, verdict
from trust_core.messages import amount
from trust_core.storage.audit_files import Audit

SEARCH_PARTITIONS = 5  # into folds
LISTED_CANDIDATES = 10  # best candidates that are told


@dataclass(frozen=True)
class OverlapSearch:
    """What was chosen among all overlaps.

    `taken` is False when the default stands, `sentence` why. On `tune`, `auroc` is of every one of
    `OverlapTable.candidates`, `(C,)`; `held_out` are AUROCs on folds that had no say: of the
    `chosen`, the `default`, `threshold_shift`; empty when too few parts were missed.
    """

    candidate: OverlapCandidate
    taken: bool
    sentence: str
    auroc: Floats
    threshold_shift: float
    held_out: dict[str, float]

    @property
    def better(self) -> float:
        """Share of the candidates that rank `tune` better than threshold shift."""
        return float(np.mean(self.auroc > self.threshold_shift))


def search_overlaps(overlaps: OverlapTable) -> OverlapSearch:
    """Choose among all overlaps on `tune`."""
    inside = overlaps.role("tune")
    missed, codes = overlaps.missed[inside], group_codes(overlaps.table["group"][inside])
    candidates = overlaps.candidates()
    columns = [overlaps.scores(candidate)[inside] for candidate in candidates]
    scores = np.column_stack([*columns, overlaps.p_defect[inside]])
    auroc = auroc_of(scores, missed)
    parts = groups_of_rarer(codes, missed)
    few = parts < LEAST_GROUPS
    held_out = {} if few else _held_out(scores, missed, codes)
    taken = not few and held_out["chosen"] > held_out["default"]
    best = int(np.nanargmax(auroc[:-1])) if taken else 0
    if few:
        sentence = (
            f"The default stands: {amount(parts, 'part', 'parts')} with a miss (or without) in "
            f"tune {'is' if parts == 1 else 'are'} too few to choose by; {LEAST_GROUPS} of each "
            "are the least."
        )
    else:
        sentence = (
            f"{'Chosen' if taken else 'The default stands'}: of {len(candidates):,} choices, the "
            f"best of the other folds reaches AUROC {held_out['chosen']:.3f} on parts that had no "
            f"say, the default {held_out['default']:.3f}, threshold shift "
            f"{held_out['threshold_shift']:.3f}."
        )
    return OverlapSearch(candidates[best], taken, sentence, auroc[:-1], float(auroc[-1]), held_out)


def _held_out(scores: Floats, missed: Flags, codes: Counts) -> dict[str, float]:
    """AUROC inside held-out folds of the best of the other folds, of the default, and of p."""
    folds = np.stack([grouped_folds(codes, missed, seed=seed) for seed in range(SEARCH_PARTITIONS)])
    total, won = 0, np.zeros(3)
    for wins, pairs in zip(*wins_by_fold(scores, missed, folds), strict=True):
        for held in range(len(pairs)):
            others = np.arange(len(pairs)) != held
            best = int(wins[np.ix_(others, others)].sum((0, 1))[:-1].argmax())
            won += wins[held, held, [best, 0, -1]]
            total += pairs[held, held]
    names = ("chosen", "default", "threshold_shift")
    return dict(zip(names, (won / max(total, 1)).tolist(), strict=True))


@dataclass(frozen=True)
class TunedOverlaps:
    """What was chosen among all overlaps on `tune`; nothing of it has seen another role.

    Computing the overlaps took so many `seconds`.
    """

    overlaps: OverlapTable
    search: OverlapSearch
    seconds: float

    @cached_property
    def profile(self) -> OverlapProfile:
        """All overlaps together; fitted when it is asked for."""
        return overlap_profile(self.overlaps)

    @property
    def columns(self) -> pd.DataFrame:
        """What becomes indicators: `sample_id`, `best_overlap`, `overlap_profile`."""
        best = self.overlaps.scores(self.search.candidate)
        columns = {"best_overlap": best, "overlap_profile": self.profile.scores}
        return pd.DataFrame({"sample_id": self.overlaps.table["sample_id"], **columns})


@dataclass(frozen=True)
class Autotune:
    """What was chosen among all overlaps, judged on `test`.

    `test` is the verdict there on each of the two indicators, `sensitivity` that of the choice, by
    role.
    """

    folder: Path
    tuned: TunedOverlaps
    test: dict[str, Verdict]
    sensitivity: dict[str, Sensitivity]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """A JSON object, with the best `LISTED_CANDIDATES` candidates."""
        overlaps, search, profile = self.tuned.overlaps, self.tuned.search, self.tuned.profile
        candidates, missed = overlaps.candidates(), overlaps.missed[overlaps.role("tune")]
        order = np.argsort(-np.nan_to_num(search.auroc, nan=-1.0), kind="stable")[
            :LISTED_CANDIDATES
        ]
        return json_object(
            {
                "audit": str(self.folder),
                "chosen": search.candidate.as_json(),
                "default": overlaps.default.as_json(),
                "taken": search.taken,
                "sentence": search.sentence,
                "choices": len(candidates),
                "counts": {"fn": int(missed.sum()), "tn": int((~missed).sum())},
                "better_than_threshold_shift": search.better,
                "tune": {
                    "chosen": float(search.auroc[candidates.index(search.candidate)]),
                    "default": float(search.auroc[0]),
                    "threshold_shift": search.threshold_shift,
                    "held_out": search.held_out,
                    "best": [
                        candidates[i].as_json() | {"auroc": float(search.auroc[i])} for i in order
                    ],
                },
                "profile": {
                    "fitted": profile.fitted,
                    "penalty": profile.penalty,
                    "parts": profile.parts,
                    "auroc": {f"{penalty:g}": value for penalty, value in profile.auroc.items()},
                    "sentence": profile.sentence,
                },
                "test": {name: asdict(judged) for name, judged in self.test.items()},
                "sensitivity": {role: asdict(near) for role, near in self.sensitivity.items()},
                "seconds_rescoring": self.tuned.seconds,
                "seconds": self.seconds,
            }
        )


def autotune(audit: Audit) -> Autotune:
    """Choose on `tune`, fit the overlap profile, note both as indicators, and judge on `test`.

    Writes the columns `best_overlap` and `overlap_profile`. Opens the seal of `test`, logged.
    """
    began = time.monotonic()
    tuned = tune_overlaps(audit)
    add_indicators(audit, tuned.columns)
    open_seals(audit, ["test"], "autotune")
    overlaps, columns = tuned.overlaps, tuned.columns.drop(columns="sample_id")
    return Autotune(
        folder=audit.folder,
        tuned=tuned,
        test={
            str(name): verdict(overlaps.scored(scores.to_numpy(), "test"))
            for name, scores in columns.items()
        },
        sensitivity={
            role: sensitivity(overlaps, tuned.search.candidate, role) for role in ("tune", "test")
        },
        seconds=time.monotonic() - began,
    )


def tune_overlaps(audit: Audit) -> TunedOverlaps:
    """Choose on `tune`. Writes nothing."""
    began = time.monotonic()
    overlaps = overlap_table(audit)
    return TunedOverlaps(overlaps, search_overlaps(overlaps), time.monotonic() - began)
