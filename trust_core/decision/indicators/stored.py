"""The indicators of `indicators.parquet`, made once from what a finished audit holds.

`indicators.parquet` keeps them, a row a passed image, sorted by `sample_id`. A rival that an audit
cannot have (energy of a network with one output) has no column there; `ABSENT` of
`decision.indicators.registry` says why. All are oriented so that higher is more suspicious.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch.nn.functional import avg_pool2d

from trust_core.decision.bootstrap import Flags, group_codes, groups_of_rarer
from trust_core.decision.cross_validation import (
    BASE_WEIGHTS,
    LinearScore,
    base_fit,
    grouped_folds,
    out_of_fold,
    ridge_logistic,
    standardised,
    weighted_sum,
)
from trust_core.decision.indicators.feature_distance import (
    LEAST_REFERENCES,
    MOST_REFERENCES,
    FeatureRows,
    knn_distance,
    mahalanobis_distance,
)
from trust_core.decision.indicators.probes import PROBES, Probes, combined, fit_probes
from trust_core.decision.tradeoff import Counts, Floats
from trust_core.decision.verdict import LEAST_GROUPS
from trust_core.explanation.evidence.evidence_maps import concentration
from trust_core.explanation.map_forms import EVIDENCE_FORM
from trust_core.explanation.overlap import iou, mask_of
from trust_core.registry import Registry
from trust_core.storage.audit_files import FEATURES, INDICATORS, SAMPLES, SCORES, Audit
from trust_core.storage.integrity import rewriting
from trust_core.storage.shards import write_table

MAPS_AT_ONCE = 1024
MASKS_AT_ONCE = 256
ALARM_WINDOWS = 32  # to a side of a mask: one covers 0.1 % of the picture
COMBINATION_PENALTY = 10.0  # ridge of the two weights of `combination`
DISTANCE_WEIGHT = 0.5  # of the Mahalanobis distance in `consensus`, in standard deviations

Rival = Callable[["Material"], Floats | None]
RIVALS: Registry[Rival] = Registry("rival indicator")


@dataclass(frozen=True)
class Material:
    """What a rival is made from."""

    audit: Audit
    samples: pd.DataFrame

    @cached_property
    def passed(self) -> Flags:
        """Which of `samples` the detector calls good, `(all,)`."""
        return self.samples["outcome"].isin(["FN", "TN"]).to_numpy(dtype=bool)

    @cached_property
    def table(self) -> pd.DataFrame:
        """The passed images, `(N,)`, with their columns of `scores.parquet` at ε = 0."""
        scores = pd.read_parquet(self.audit.folder / SCORES, filters=[("strength", "==", 0.0)])
        clean = scores.drop(columns=["log_odds", "status", "strength"])
        chosen = self.samples[self.passed]
        return chosen.merge(clean, on="sample_id", how="left", validate="one_to_one")

    @cached_property
    def tune(self) -> Flags:
        """Which passed images may be fitted on, `(N,)`: role `tune`, with a score."""
        table = self.table
        return ((table["role"] == "tune") & table["iou_difference"].notna()).to_numpy()

    @cached_property
    def missed(self) -> Flags:
        """Missed defects among the passed images, `(N,)`."""
        return (self.table["outcome"] == "FN").to_numpy(dtype=bool)

    @property
    def good_of_tune(self) -> Flags:
        """Passed good images of `tune`, `(N,)`, which set the scale of the probes."""
        return (self.table["role"] == "tune").to_numpy() & ~self.missed

    @cached_property
    def usual(self) -> Flags:
        """The images that set the scale of a score, `(N,)`: `tune`; all when there is none."""
        return self.tune if self.tune.any() else np.ones(len(self.table), dtype=np.bool_)

    @cached_property
    def mahalanobis(self) -> Floats | None:
        """Distance of the passed images from the good references, `(N,)`; None without features."""
        features = feature_rows(self)
        return None if features is None else mahalanobis_distance(*features)

    @cached_property
    def probes(self) -> Probes | None:
        """Linear probes of the kept activations; None where there are none."""
        return fit_probes(self.audit, self.samples)

    def column(self, name: str) -> Floats:
        """A column over the passed images, `(N,)`."""
        return self.table[name].to_numpy(dtype=np.float64)

    def sample_column(self, name: str, sign: float = 1.0) -> Floats | None:
        """A column of `samples.parquet` over the passed images, None where it holds nothing."""
        if name not in self.table or self.table[name].isna().all():
            return None
        return sign * self.column(name)

    def each_map(self, measure: Callable[[torch.Tensor, slice], Floats], name: str) -> Floats:
        """A measure of a kept map at ε = 0 over the passed images, `(N,)`, some at a time."""
        rows = self.table["row"].to_numpy()
        maps = self.audit.maps(name)
        found = [np.empty(0)]
        for start in range(0, len(rows), MAPS_AT_ONCE):
            part = slice(start, start + MAPS_AT_ONCE)
            kept = torch.from_numpy(np.asarray(maps[rows[part]])).float()
            values = measure(kept.nan_to_num(0.0), part)
            found.append(np.where(kept.isfinite().all(2).all(1).numpy(), values, np.nan))
        return np.concatenate(found)


def write_indicators(audit: Audit) -> None:
    """Make every rival and write `indicators.parquet`; no model runs."""
    material = Material(audit, pd.read_parquet(audit.folder / SAMPLES))
    found = {name: rival(material) for name, rival in RIVALS.items()}
    if material.probes is None:
        (audit.folder / PROBES).unlink(missing_ok=True)  # of other labels or roles
    else:
        material.probes.save(audit.folder)
    columns = {name: values for name, values in found.items() if values is not None}
    ids = material.samples.loc[material.passed, "sample_id"].reset_index(drop=True)
    write_table(audit.folder / INDICATORS, pd.DataFrame({"sample_id": ids, **columns}))


def add_indicators(audit: Audit, columns: pd.DataFrame) -> None:
    """Put further columns, with a `sample_id`, into `indicators.parquet`; the same names go."""
    path = audit.folder / INDICATORS
    with rewriting(audit.folder, INDICATORS):
        if not path.exists():
            write_indicators(audit)
        known = pd.read_parquet(path)
        kept = known.drop(columns=[n for n in columns if n in known and n != "sample_id"])
        write_table(path, kept.merge(columns, on="sample_id", how="left", validate="one_to_one"))


@RIVALS.register("max_logit")
def max_logit(material: Material) -> Floats | None:
    """−max logit: Hendrycks et al., ICML 2022."""
    return material.sample_column("max_logit", -1.0)


@RIVALS.register("energy")
def energy(material: Material) -> Floats | None:
    """−log Σ exp(logits): Liu et al., NeurIPS 2020."""
    return material.sample_column("energy")


@RIVALS.register("gradient_norm")
def gradient_norm(material: Material) -> Floats | None:
    """‖∂z/∂x‖₂: how fast the answer turns."""
    return material.sample_column("gradient_norm")


@RIVALS.register("tta_spread")
def tta_spread(material: Material) -> Floats | None:
    """Standard deviation of z over the image and its flips."""
    return material.sample_column("tta_spread")


@RIVALS.register("knn")
def knn(material: Material) -> Floats | None:
    """Distance to the tenth nearest good reference image, in penultimate features."""
    features = feature_rows(material)
    return None if features is None else knn_distance(*features)


@RIVALS.register("mahalanobis")
def mahalanobis(material: Material) -> Floats | None:
    """Mahalanobis distance from the good reference images, in penultimate features."""
    return material.mahalanobis


def feature_rows(material: Material) -> tuple[FeatureRows, FeatureRows] | None:
    """Passed images and references: good ones of `train`, of `tune` when there are too few."""
    path = material.audit.folder / FEATURES
    if not path.exists():
        return None
    values = np.load(path, mmap_mode="r")
    codes, samples = group_codes(material.samples["group"]), material.samples

    def some(rows: Counts) -> FeatureRows:
        return FeatureRows(values, codes[rows], rows)

    for role in ("train", "tune"):
        fit = (samples["role"] == role) & (samples["label"] == 0) & samples["log_odds"].notna()
        rows = np.flatnonzero(fit)[:MOST_REFERENCES]  # ids are hashes: the first are any
        if len(rows) >= LEAST_REFERENCES:
            return some(np.flatnonzero(material.passed)), some(rows)
    return None


@RIVALS.register("defect_area")
def defect_area(material: Material) -> Floats:
    """Share of the image inside M_defect."""
    rule = material.audit.manifest.mask
    return material.each_map(
        lambda maps, _: mask_of(maps, rule, specific=True).double().mean((1, 2)).numpy(), "defect"
    )


@RIVALS.register("defect_entropy")
def defect_entropy(material: Material) -> Floats:
    """Entropy of H_defect over its cells, in nats; 0 for a map without any evidence."""

    def entropy(maps: torch.Tensor, _: slice) -> Floats:
        flat = maps.flatten(1).double().clamp(min=0)
        share = flat / flat.sum(1, keepdim=True).clamp(min=1e-12)
        return torch.special.entr(share).sum(1).numpy()

    return material.each_map(entropy, "defect")


@RIVALS.register("evidence_mass")
def evidence_mass(material: Material) -> Floats | None:
    """Share of the pixel evidence for a defect that lies in its strongest twentieth."""
    specific = material.audit.manifest.settings.specific
    if EVIDENCE_FORM not in specific:
        return None
    name = "defect" if specific[0] == EVIDENCE_FORM else f"{EVIDENCE_FORM}_defect"
    return material.each_map(lambda maps, _: concentration(maps).numpy(), name)


@RIVALS.register("mask_alarm")
def mask_alarm(material: Material) -> Floats | None:
    """The largest mean probability of the mask head over any small window."""
    masks = material.audit.masks()
    return None if masks is None else strongest_window(masks, np.flatnonzero(material.passed))


def strongest_window(masks: npt.NDArray[np.float16], rows: Counts) -> Floats:
    """The largest mean probability over any small window of each mask, `(n,)`.

    A window is a 1/32 of the height by a 1/32 of the width, at least one cell, at every cell: wide
    enough that one noisy pixel is no alarm, small enough that a small defect is one. `masks` are
    probabilities of *defective*, `(N, H', W')`, of which `rows` are read, some at a time.

    Returns:
        NaN for a mask that holds one.
    """
    window = alarm_window(masks.shape[1:])
    found = [np.empty(0)]
    for start in range(0, len(rows), MASKS_AT_ONCE):
        part = np.asarray(masks[rows[start : start + MASKS_AT_ONCE]], dtype=np.float32)
        means = avg_pool2d(torch.from_numpy(part)[:, None], window, stride=1)
        found.append(means.flatten(1).amax(1).double().numpy())  # a NaN is the largest
    return np.concatenate(found)


def alarm_window(grid: Sequence[int]) -> list[int]:
    """Height and width of the windows on masks of a grid (H', W')."""
    return [max(1, round(side / ALARM_WINDOWS)) for side in grid]


@RIVALS.register("iou_random")
def iou_random(material: Material) -> Floats:
    """Δ with a random map in the place of the agnostic one: what the overlap itself adds.

    The noise is drawn from the image's `sample_id`, on the layer's grid.
    """
    rule, maps = material.audit.manifest.mask, material.audit.maps
    grid = maps("defect").shape[1:]
    ids = material.table["sample_id"].tolist()

    def noise(part: slice) -> torch.Tensor:
        drawn = [np.random.default_rng(list(i.encode())).random(grid) for i in ids[part]]
        return mask_of(torch.from_numpy(np.stack(drawn)).float(), rule, specific=False)

    def overlap(values: torch.Tensor, part: slice) -> Floats:
        return iou(mask_of(values, rule, specific=True), noise(part))

    return material.each_map(overlap, "defect") - material.each_map(overlap, "good")


@RIVALS.register("combination")
def combination(material: Material) -> Floats:
    """Logistic combination of z and Δ at ε = 0, fitted on `tune`, shrunk towards z + ½·Δ.

    Images of `tune` are scored by fits without their own fold of groups. With few missed parts it
    is z + ½·Δ itself.
    """
    views, tune = overlap_views(material), material.tune
    score = combination_fit(material)(views)
    codes, missed = _tuned(material)
    if groups_of_rarer(codes, missed) < LEAST_GROUPS:
        return score
    start = base_fit(views, material.usual)(views)[tune]
    inside, fold = standardised(views, tune)[tune], grouped_folds(codes, missed)
    score[tune] = out_of_fold(inside, missed, start, COMBINATION_PENALTY, fold)
    return score


def combination_fit(material: Material) -> LinearScore:
    """The combination as a score of z and Δ, for images that are not of `tune`."""
    views, tune = overlap_views(material), material.tune
    base = base_fit(views, material.usual)
    codes, missed = _tuned(material)
    if groups_of_rarer(codes, missed) < LEAST_GROUPS:
        return base
    inside, start = standardised(views, tune)[tune], base(views)[tune]
    weights = ridge_logistic(inside, missed, start, COMBINATION_PENALTY)
    return base.plus(weighted_sum(views, tune, weights))


def overlap_views(material: Material) -> Floats:
    """Z and Δ of the passed images at ε = 0, `(N, 2)`."""
    return np.column_stack([material.column("log_odds"), material.column("iou_difference")])


def _tuned(material: Material) -> tuple[Counts, Flags]:
    """Groups of the images of `tune`, and which of them are missed."""
    tune = material.tune
    return group_codes(material.table["group"][tune]), material.missed[tune]


@RIVALS.register("consensus")
def consensus(material: Material) -> Floats | None:
    """Evidence, overlap and features together: z + ½·Δ + ½·Mahalanobis distance at ε = 0.

    Each in standard deviations over `tune`, at fixed weights: nothing is fitted to misses.
    """
    return _opinions(material, heatmaps=True)


@RIVALS.register("consensus_blind")
def consensus_blind(material: Material) -> Floats | None:
    """The consensus without any heatmap: z + ½·Mahalanobis distance."""
    return _opinions(material, heatmaps=False)


def _opinions(material: Material, *, heatmaps: bool) -> Floats | None:
    views = consensus_views(material, heatmaps=heatmaps)
    return None if views is None else consensus_fit(material, views)(views)


def consensus_views(material: Material, *, heatmaps: bool) -> Floats | None:
    """z, Δ (with heatmaps) and Mahalanobis distance of the passed images; None without features."""
    distance = material.mahalanobis
    if distance is None:
        return None
    views = overlap_views(material)[:, : 2 if heatmaps else 1]
    return np.column_stack([views, distance])


def consensus_fit(material: Material, views: Floats) -> LinearScore:
    """The consensus as a score of its views."""
    weights = (*BASE_WEIGHTS[: views.shape[1] - 1], DISTANCE_WEIGHT)
    return weighted_sum(views, material.usual, weights)


@RIVALS.register("probe")
def probe(material: Material) -> Floats | None:
    """s: linear probes at several depths, fitted on `tune`: Alain and Bengio, 2016."""
    return None if material.probes is None else material.probes.scores


@RIVALS.register("probe_combination")
def probe_combination(material: Material) -> Floats | None:
    """The sum z + ½·s, each in standard deviations over the passed good images of `tune`."""
    if material.probes is None:
        return None
    usual = material.good_of_tune
    return combined(material.column("log_odds"), material.probes.scores, usual)
