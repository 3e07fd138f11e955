"""Linear probes: good against defective, read off the activations at several depths.

Alain and Bengio, Understanding intermediate layers using linear classifier probes, 2016 (arXiv
1610.01644). The detector stays as it is; at each depth one regularised linear classifier is fitted
to the pooled activations of all labelled images of `tune`. `docs/probes.md` tells the formula.

Notation: S images of the audit, N of them passed, K depths, D pooled numbers of all depths.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from trust_core.decision.auroc import differences_of_resamples
from trust_core.decision.bootstrap import Flags, count_groups, group_codes
from trust_core.decision.cross_validation import FOLDS, grouped_folds, standardised
from trust_core.decision.indicators.linear_discriminant import TINY, linear_discriminants
from trust_core.decision.tradeoff import Counts, Floats, curve
from trust_core.model.depths import STATISTICS
from trust_core.storage.atomic import replacing
from trust_core.storage.audit_files import Audit, release_pages

PROBES = "probes.npz"
WEIGHT = 0.5  # of the probes beside z, in standard deviations
LEAST_GROUPS = 5  # with a defect, and with a good part, in `tune`
LEAST_MISSED = 6  # groups of `tune` with a miss: fewer cannot tell whether `train` helps
RESAMPLES = 500
LEAST_GOOD = 20  # passed good images of `tune`: they set the scale
MOST_IMAGES = 1500  # of a role that are fitted to, defective ones first
CHUNK = 2048

Half = npt.NDArray[np.float16]
ROLES = (("tune",), ("train", "tune"))  # what may be fitted to; the simpler first


@dataclass(frozen=True)
class Probes:
    """Fitted probes of one audit.

    Attributes:
        roles: of the images they were fitted to.
        layers: name of each depth, K.
        widths: channels of each depth, K.
        weights: `(D,)`; the score at depth k is the product of its part of these with its pooled
            activations, plus `offsets[k]`.
        offsets: `(K,)`; with them a score has mean 0 and deviation 1 among passed good images of
            `tune`, out of fold.
        depth_scores: scores of the passed images at each depth, `(N, K)`; those of `tune` come from
            probes that saw neither the image nor its group.
        scores: s, their mean, in standard deviations among passed good images of `tune`, `(N,)`.
        groups: groups of `tune` with a defective image.
    """

    roles: tuple[str, ...]
    layers: tuple[str, ...]
    widths: tuple[int, ...]
    weights: Floats
    offsets: Floats
    depth_scores: Floats
    scores: Floats
    groups: int

    @property
    def slices(self) -> list[slice]:
        """Where the pooled activations of each depth stand among all of them."""
        return _slices(tuple(len(STATISTICS) * width for width in self.widths))

    def save(self, folder: Path) -> None:
        """Write what a part's explanation needs into the audit."""
        with replacing(folder / PROBES) as unfinished, unfinished.open("wb") as file:
            np.savez(
                file,
                roles=self.roles,
                layers=self.layers,
                widths=self.widths,
                weights=self.weights,
                offsets=self.offsets,
                depth_scores=self.depth_scores.astype(np.float32),
                scores=self.scores,
                groups=self.groups,
            )


def read_probes(audit: Audit) -> Probes | None:
    """The probes of an audit; None where it has none."""
    if not (audit.folder / PROBES).exists():
        return None
    with np.load(audit.folder / PROBES, allow_pickle=False) as kept:
        texts = {name: tuple(map(str, kept[name])) for name in ("roles", "layers")}
        numbers = {n: kept[n] for n in ("weights", "offsets", "depth_scores", "scores")}
        widths, groups = tuple(map(int, kept["widths"])), int(kept["groups"])
    return Probes(widths=widths, groups=groups, **cast(dict[str, Any], texts | numbers))


def fit_probes(audit: Audit, samples: pd.DataFrame) -> Probes | None:
    """Fit the probes of a finished model pass, and score its passed images; no model runs.

    The audit has its kept activations; `samples` is `samples.parquet`.

    Returns:
        None where activations were not kept, or `tune` has too few groups to fit to.
    """
    activations, depths = audit.activations(), audit.manifest.depths
    if activations is None or not depths:
        return None
    widths = tuple(len(STATISTICS) * depth.channels for depth in depths)
    return fit_activations(activations, samples, tuple(depth.layer for depth in depths), widths)


def fit_activations(
    activations: Half, samples: pd.DataFrame, layers: tuple[str, ...], widths: tuple[int, ...]
) -> Probes | None:
    """Fit probes to pooled activations, and score the passed images.

    `activations` are `(S, D)`, row for row as `samples`, of which it takes `outcome`, `label`,
    `role`, `log_odds` and `group`; `widths` are the pooled numbers of each depth.

    Returns:
        None where `tune` has too few groups to fit to.
    """
    passed = np.flatnonzero(samples["outcome"].isin(["FN", "TN"]))
    defective = (samples["label"] == 1).to_numpy(dtype=bool)
    tuned = (samples["role"] == "tune").to_numpy(dtype=bool)
    log_odds = samples["log_odds"].to_numpy(dtype=np.float64)
    codes = group_codes(samples["group"])
    tune, train = (_rows(samples, role) for role in ("tune", "train"))
    groups, good_groups = (
        count_groups(codes[tune], chosen) for chosen in (defective[tune], ~defective[tune])
    )
    own = passed[tuned[passed]]
    scale, missed = ~defective[own], defective[own]  # passed good images set the unit
    if min(groups, good_groups) < LEAST_GROUPS or scale.sum() < LEAST_GOOD:
        return None
    values = _values(activations, tune)
    few = count_groups(codes[own], missed) < LEAST_MISSED or not len(train)
    found, before = None, None
    for roles in ROLES[:1] if few else ROLES:
        beside = (_values(activations, train), defective[train]) if "train" in roles else None
        fits, fold = cross_fit(values, defective[tune], codes[tune], widths, beside)
        fit_of = np.full(int(codes.max()) + 1, len(fits) - 1)  # of each group
        fit_of[codes[tune]] = fold
        held = _all_scores(activations, own, fits, fit_of[codes[own]])
        score = standardised(held, scale).mean(1)
        total = combined(log_odds[own], score, scale)
        if before is None or _clearly_higher(total, before, missed, codes[own]):
            found, before = (roles, fits, fit_of, held), total
    assert found is not None
    roles, fits, fit_of, held = found
    fit_of = np.where(tuned, fit_of[codes], len(fits) - 1)  # of each image
    mean, deviation = held[scale].mean(0), held[scale].std(0)
    deviation[deviation < TINY] = 1.0
    depth_scores = (_all_scores(activations, passed, fits, fit_of[passed]) - mean) / deviation
    scores = standardised(depth_scores.mean(1)[:, None], np.isin(passed, own[scale]))[:, 0]
    return Probes(
        roles=roles,
        layers=layers,
        widths=tuple(width // len(STATISTICS) for width in widths),
        weights=fits[-1].weights / np.repeat(deviation, widths),
        offsets=(fits[-1].offsets - mean) / deviation,
        depth_scores=depth_scores,
        scores=scores,
        groups=groups,
    )


def combined(log_odds: Floats, scores: Floats, usual: Flags, weight: float = WEIGHT) -> Floats:
    """The sum z + w·s, `(N,)`, both in deviations over the images `usual`; NaN where unknown."""
    both = np.column_stack([log_odds, scores])
    total = standardised(both, usual) @ np.array([1.0, weight])
    return np.where(np.isfinite(both).all(1), total, np.nan)


@dataclass(frozen=True)
class Fit:
    """One linear discriminant a depth.

    `weights` are `(D,)`, one depth after the other, `offsets` `(K,)`; `widths` are the pooled
    numbers of each depth.
    """

    weights: Floats
    offsets: Floats
    widths: tuple[int, ...]

    def scores(self, values: Floats) -> Floats:
        """Scores `(n, K)` of pooled activations `(n, D)`: log-odds of *defective*."""
        parts = [values[:, part] @ self.weights[part] for part in _slices(self.widths)]
        return np.column_stack(parts) + self.offsets


def cross_fit(
    values: Floats,
    defective: Flags,
    codes: Counts,
    widths: tuple[int, ...],
    beside: tuple[Floats, Flags] | None = None,
) -> tuple[list[Fit], Counts]:
    """Fits that have not seen the groups of a fold, and last the one that has seen all.

    Args:
        values: pooled activations of `tune`, `(n, D)`.
        defective: `(n,)`.
        codes: groups as numbers, `(n,)`.
        widths: pooled numbers of each depth.
        beside: values and labels of further images, `train`, that every fit sees.

    Returns:
        The fits, and the fold of each image, `(n,)`: the place of the fit that has not seen it.
    """
    fewest = min(count_groups(codes, chosen) for chosen in (defective, ~defective))
    fold = grouped_folds(codes, defective, min(FOLDS, fewest))
    more, labels_of_more = beside or (values[:0], defective[:0])
    everything = np.concatenate([values, more])
    labels = np.concatenate([defective, labels_of_more])
    folds = np.concatenate([fold, np.full(len(more), -1)])  # -1: never left out
    by_depth = [linear_discriminants(everything[:, s], labels, folds) for s in _slices(widths)]
    fits = []
    for parts in zip(*by_depth, strict=True):
        weights, offsets = zip(*parts, strict=True)
        fits.append(Fit(np.concatenate(weights), np.array(offsets), widths))
    return fits, fold


def _slices(widths: tuple[int, ...]) -> list[slice]:
    ends = np.cumsum(widths).tolist()
    return [slice(end - width, end) for end, width in zip(ends, widths, strict=True)]


def _clearly_higher(scores: Floats, others: Floats, missed: Flags, codes: Counts) -> bool:
    """Whether the AUROC of scores is the higher one, by more than one standard error."""
    drawn = differences_of_resamples(
        scores, others, missed, group_codes(codes), resamples=RESAMPLES
    )
    lead = curve(scores, missed).auroc - curve(others, missed).auroc
    return bool(lead > np.nanstd(drawn))


def _rows(samples: pd.DataFrame, role: str) -> Counts:
    """Readable images of a role that are fitted to; many are cut, good ones first."""
    rows = np.flatnonzero((samples["role"] == role) & samples["log_odds"].notna())
    if len(rows) > MOST_IMAGES:  # ids are hashes: the first are any
        good = (samples["label"] == 0).to_numpy()[rows]
        some = rows[~good][: MOST_IMAGES // 2]
        rows = np.sort(np.concatenate([some, rows[good][: MOST_IMAGES - len(some)]]))
    return rows


def _values(activations: Half, rows: Counts) -> Floats:
    values = np.nan_to_num(activations[rows].astype(np.float64))
    release_pages(activations)
    return values


def _all_scores(activations: Half, rows: Counts, fits: list[Fit], fit_of: Counts) -> Floats:
    """Scores of images by the fit of each, `(n, K)`, some at a time."""
    found = np.empty((len(rows), len(fits[0].widths)))
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        values = _values(activations, rows[part])
        for index in np.unique(fit_of[part]):
            own = fit_of[part] == index
            found[part][own] = fits[index].scores(values[own])
    return found
