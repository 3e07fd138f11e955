"""Rows of the results table: an indicator on the images of `test`, with intervals."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from trust_core.decision.auroc import auroc_of_resamples
from trust_core.decision.bootstrap import group_codes, percentiles, resample
from trust_core.decision.curves import scored, tradeoff
from trust_core.decision.indicators.registry import ABSENT, THRESHOLD_SHIFT, available
from trust_core.decision.tradeoff import RECALLS, curve
from trust_core.decision.verdict import verdict
from trust_core.storage.audit_files import Audit

RESAMPLES = 1000
AT_ONE_STRENGTH = (THRESHOLD_SHIFT, "iou_difference_clean", *ABSENT)

Floats = npt.NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Row:
    """One indicator on one data set.

    Attributes:
        indicator: a key of `INDICATORS`.
        strength: ε, chosen on `tune`.
        tune_auroc: on `tune`.
        auroc: on `test`, as everything below.
        auroc_interval: 95 %, by a bootstrap over groups.
        difference: AUROC − that of threshold shift.
        difference_interval: as a verdict tells it.
        colour: of the verdict.
        tn_loss: by FN recall.
        tn_loss_interval: the same.
    """

    indicator: str
    strength: float
    tune_auroc: float
    auroc: float
    auroc_interval: Interval
    difference: float
    difference_interval: Interval
    colour: str
    tn_loss: dict[str, float]
    tn_loss_interval: dict[str, Interval]


def rows_of(audit: Audit) -> list[Row]:
    """Every indicator the audit has."""
    found = []
    for name in available(audit):
        strengths = (0.0,) if name in AT_ONE_STRENGTH else audit.strengths
        curves = tradeoff(audit, name).curves
        areas = [curves[strength].auroc for strength in strengths]
        best = int(np.argmax(areas))
        table = scored(audit, ["test"], name, strengths[best])
        found.append(_row(name, strengths[best], areas[best], table))
    return found


def _row(name: str, strength: float, tune_auroc: float, table: pd.DataFrame) -> Row:
    scores = table["indicator"].to_numpy(dtype=np.float64)
    missed = (table["outcome"] == "FN").to_numpy(dtype=bool)
    codes = group_codes(table["group"])
    points, judged = curve(scores, missed), verdict(table)
    area, losses = auroc_of_resamples(scores, missed), losses_of_resamples(scores, missed)
    areas, lost = [], []
    for times in resample(codes, RESAMPLES):
        areas.append(area(times))
        lost.append(losses(times))
    all_lost = np.concatenate(lost)
    return Row(
        indicator=name,
        strength=strength,
        tune_auroc=tune_auroc,
        auroc=points.auroc,
        auroc_interval=percentiles(np.concatenate(areas)),
        difference=judged.difference,
        difference_interval=judged.interval,
        colour=judged.colour,
        tn_loss={str(recall): points.tn_loss_at(recall) for recall in RECALLS},
        tn_loss_interval={
            str(recall): percentiles(all_lost[:, index]) for index, recall in enumerate(RECALLS)
        },
    )


def losses_of_resamples(
    scores: Floats, missed: npt.NDArray[np.bool_]
) -> Callable[[npt.NDArray[np.int32]], Floats]:
    """From how often each image is drawn `(b, N)` to the TN loss at each of `RECALLS`, `(b, 4)`."""
    values = np.where(np.isnan(scores), np.inf, scores)
    order = np.argsort(-values)
    values, hits = values[order], missed[order]
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True))

    def losses(times: npt.NDArray[np.int32]) -> Floats:
        drawn = times[:, order]
        caught = np.cumsum(drawn * hits, axis=1)[:, ends]
        lost = np.cumsum(drawn * ~hits, axis=1)[:, ends]
        found = np.full((len(times), len(RECALLS)), np.nan)
        there = (caught[:, -1] > 0) & (lost[:, -1] > 0)
        for index, recall in enumerate(RECALLS):
            enough = caught >= np.ceil(recall * caught[:, -1:] - 1e-9)
            at = np.argmax(enough, axis=1)
            share = lost[np.arange(len(times)), at] / np.maximum(lost[:, -1], 1)
            found[there, index] = share[there]
        return found

    return losses


def winner(found: dict[str, list[Row]]) -> str:
    """The indicator with the largest smaller lead over threshold shift, on `tune` of both."""
    leads: dict[str, list[float]] = {}
    for rows in found.values():
        shift = next(row.tune_auroc for row in rows if row.indicator == THRESHOLD_SHIFT)
        for row in rows:
            leads.setdefault(row.indicator, []).append(row.tune_auroc - shift)
    shared = {name: min(lead) for name, lead in leads.items() if len(lead) == len(found)}
    del shared[THRESHOLD_SHIFT]
    return max(shared, key=lambda name: shared[name])
