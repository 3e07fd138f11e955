"""Every indicator of an audit as a guard computes it: what it takes, what is fitted, how it scores.

What an audit fits (probes, references of features, weights of a combination) is fitted here once,
at export, on the same parts, and kept as arrays. A part of the line is like one of `certify` or
`test`: nothing was fitted to it, so it gets what such a part gets in the audit. Parts of `tune`,
which the audit scores out of fold, may get another value here.

Notation: m passed parts, F features, D pooled activations.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from trust_core.data.samples import sample_id
from trust_core.decision.cross_validation import LinearScore, weighted_sum
from trust_core.decision.indicators.feature_distance import (
    FeatureCloud,
    FeatureRows,
    fit_cloud,
    knn_distance,
)
from trust_core.decision.indicators.probes import WEIGHT, Probes, read_probes
from trust_core.decision.indicators.registry import ABSENT, INDICATORS
from trust_core.decision.indicators.stored import (
    RIVALS,
    Material,
    combination_fit,
    consensus_fit,
    consensus_views,
    feature_rows,
)
from trust_core.decision.tradeoff import Floats
from trust_core.decision.tuning.candidates import overlap_table
from trust_core.decision.tuning.mask_grid import overlaps, recipes_of
from trust_core.decision.tuning.overlap_profile import overlap_profile, profile_features
from trust_core.deploy.inspection import Arrays
from trust_core.deploy.measure import (
    ACTIVATIONS,
    FEATURES,
    FLIPS,
    INPUT_GRADIENT,
    MAPS,
    MASKS,
    Measurement,
)
from trust_core.storage.audit_files import Audit
from trust_core.storage.manifest import Manifest

# Of the indicators that are no column of `indicators.parquet`: those without a heatmap, and those
# that are the same at every ε.
_WITHOUT_MAPS = ("p_defect", "log_odds", "log_odds_shift")
_CLEAN = ("p_defect", "iou_difference_clean")
CORRECTION = "correction"  # of the overlap profile


@dataclass(frozen=True)
class _BatchMaps(Audit):
    """The maps and masks of a batch in the place of those of an audit."""

    kept: Mapping[str, npt.NDArray[np.float16]]
    predicted: npt.NDArray[np.float16] | None

    def maps(self, name: str) -> npt.NDArray[np.float16]:
        return self.kept[name]

    def masks(self) -> npt.NDArray[np.float16] | None:
        return self.predicted


@dataclass(frozen=True)
class PassedParts(Material):
    """The passed parts of a batch as the indicators of an audit read them."""

    measured: Measurement

    @cached_property
    def table(self) -> pd.DataFrame:
        """The passed parts, `(m,)`."""
        return self.samples

    @property
    def features(self) -> npt.NDArray[np.float16]:
        """Penultimate features, `(m, F)`."""
        return self.measured.answers[FEATURES][self.measured.passed]

    @property
    def activations(self) -> Floats:
        """Pooled activations of all depths, `(m, D)`."""
        kept = self.measured.answers[ACTIVATIONS][self.measured.passed]
        return np.nan_to_num(kept.astype(np.float64))


def passed_parts(measured: Measurement, manifest: Manifest, names: list[str]) -> PassedParts:
    """The passed parts of a batch.

    `manifest` is what an audit would say of mask rule and forms; the random map of a part is drawn
    from its name, the path of its image.
    """
    rows = measured.passed
    columns = {name: values[rows] for name, values in measured.columns[0.0].items()}
    ids = [sample_id(names[row]) for row in rows]
    table = pd.DataFrame({"sample_id": ids, "outcome": "TN", **columns})
    masks = measured.answers.get(MASKS)
    predicted = None if masks is None else masks[rows]
    kept = _BatchMaps(Path(), manifest, measured.maps[0.0], predicted)
    return PassedParts(kept, table.assign(row=rows), measured)


@dataclass(frozen=True)
class FittedIndicator:
    """A column of `indicators.parquet` on the line.

    It takes what `needs` names, of `measure.NEEDS`; `fit` gives what it keeps of an audit, as
    arrays by name, `score` its values for passed parts, `(m,)`, from those.
    """

    needs: tuple[str, ...]
    fit: Callable[[Material], Arrays]
    score: Callable[[PassedParts, Arrays], Floats]


def _rival(name: str, *needs: str) -> FittedIndicator:
    """An indicator that is made of the part alone."""

    def score(parts: PassedParts, _: Arrays) -> Floats:
        found = RIVALS[name](parts)
        return np.full(len(parts.table), np.nan) if found is None else found

    return FittedIndicator(needs, lambda _: {}, score)


def _fit_knn(material: Material) -> Arrays:
    rows = feature_rows(material)
    assert rows is not None
    return {"references": rows[1].values[rows[1].rows]}


def _score_knn(parts: PassedParts, fitted: Arrays) -> Floats:
    others = np.zeros(len(parts.table), dtype=np.int64)
    references = np.ones(len(fitted["references"]), dtype=np.int64)
    return knn_distance(
        FeatureRows(parts.features, others), FeatureRows(fitted["references"], references)
    )


def _fit_cloud(material: Material) -> Arrays:
    rows = feature_rows(material)
    assert rows is not None
    cloud = fit_cloud(rows[1].take(slice(None)))
    floor = np.array(cloud.floor)
    return {"centre": cloud.centre, "axes": cloud.axes, "inside": cloud.inside, "floor": floor}


def _score_cloud(parts: PassedParts, fitted: Arrays) -> Floats:
    cloud = FeatureCloud(fitted["centre"], fitted["axes"], fitted["inside"], float(fitted["floor"]))
    return cloud.distance(parts.features.astype(np.float32))


def _linear_arrays(score: LinearScore, name: str = "linear") -> Arrays:
    return {f"{name}.weights": score.weights, f"{name}.intercept": np.array(score.intercept)}


def _linear(fitted: Arrays, name: str = "linear") -> LinearScore:
    return LinearScore(fitted[f"{name}.weights"], float(fitted[f"{name}.intercept"]))


def _views(parts: PassedParts, *names: str) -> Floats:
    return np.column_stack([parts.column(name) for name in names])


def _consensus(*names: str) -> FittedIndicator:
    """A consensus of these columns and the distance of features."""
    heatmaps = "iou_difference" in names

    def fit(material: Material) -> Arrays:
        views = consensus_views(material, heatmaps=heatmaps)
        assert views is not None
        return _fit_cloud(material) | _linear_arrays(consensus_fit(material, views))

    def score(parts: PassedParts, fitted: Arrays) -> Floats:
        views = np.column_stack([_views(parts, *names), _score_cloud(parts, fitted)])
        return _linear(fitted)(views)

    return FittedIndicator((FEATURES, *([MAPS] if heatmaps else [])), fit, score)


def _fit_probe(material: Material) -> Arrays:
    """One weight for each pooled number: the mean over the depths, in its scale."""
    probes = _probes(material)
    mean = probes.depth_scores.mean(1)[:, None]
    scale = weighted_sum(mean, material.good_of_tune, [1.0])
    slope = float(scale.weights[0]) / len(probes.offsets)
    intercept = slope * float(probes.offsets.sum()) + scale.intercept
    return _linear_arrays(LinearScore(slope * probes.weights, intercept), "probe")


def _probes(material: Material) -> Probes:
    """The probes that the audit's own scores come from."""
    probes = read_probes(material.audit)
    assert probes is not None
    return probes


def _score_probe(parts: PassedParts, fitted: Arrays) -> Floats:
    return _linear(fitted, "probe")(parts.activations)


def _fit_probe_combination(material: Material) -> Arrays:
    views = np.column_stack([material.column("log_odds"), _probes(material).scores])
    total = weighted_sum(views, material.good_of_tune, [1.0, WEIGHT])
    return _fit_probe(material) | _linear_arrays(total)


def _score_probe_combination(parts: PassedParts, fitted: Arrays) -> Floats:
    views = np.column_stack([parts.column("log_odds"), _score_probe(parts, fitted)])
    return _linear(fitted)(views)


def _fit_profile(material: Material) -> Arrays:
    profile = overlap_profile(overlap_table(material.audit))
    fitted = _linear_arrays(profile.base)
    if profile.correction is not None and profile.usual is not None:
        fitted |= _linear_arrays(profile.correction, CORRECTION) | {"usual": profile.usual}
    return fitted


def _score_profile(parts: PassedParts, fitted: Arrays) -> Floats:
    base = _linear(fitted)(_views(parts, "log_odds", "iou_difference"))
    if not takes_all_strengths(fitted):
        return base
    measured, manifest = parts.measured, parts.audit.manifest
    rows, recipes = measured.passed, recipes_of(manifest)
    log_odds = np.stack([columns["log_odds"][rows] for columns in measured.columns.values()])
    ious = [
        overlaps(_BatchMaps(Path(), manifest, measured.maps[strength], None), rows, z, recipes)
        for strength, z in zip(measured.columns, log_odds, strict=True)
    ]
    defect, good = np.stack(ious, axis=1)
    features = profile_features(defect, good, log_odds)
    features = np.where(np.isfinite(features), features, fitted["usual"])
    return base + _linear(fitted, CORRECTION)(features)


def takes_all_strengths(fitted: Arrays) -> bool:
    """Whether an overlap profile was fitted: then it takes every strength, layer and form."""
    return f"{CORRECTION}.weights" in fitted


# The columns of `indicators.parquet`. `best_overlap` is an overlap of other forms: `export` makes a
# policy of these.
FITTED_INDICATORS: dict[str, FittedIndicator] = {
    "max_logit": _rival("max_logit"),
    "energy": _rival("energy"),
    "gradient_norm": _rival("gradient_norm", INPUT_GRADIENT),
    "tta_spread": _rival("tta_spread", FLIPS),
    "knn": FittedIndicator((FEATURES,), _fit_knn, _score_knn),
    "mahalanobis": FittedIndicator((FEATURES,), _fit_cloud, _score_cloud),
    "defect_area": _rival("defect_area", MAPS),
    "defect_entropy": _rival("defect_entropy", MAPS),
    "evidence_mass": _rival("evidence_mass", MAPS),
    "mask_alarm": _rival("mask_alarm", MASKS),
    "iou_random": _rival("iou_random", MAPS),
    "combination": FittedIndicator(
        (MAPS,),
        lambda material: _linear_arrays(combination_fit(material)),
        lambda parts, fitted: _linear(fitted)(_views(parts, "log_odds", "iou_difference")),
    ),
    "consensus": _consensus("log_odds", "iou_difference"),
    "consensus_blind": _consensus("log_odds"),
    "overlap_profile": FittedIndicator((MAPS,), _fit_profile, _score_profile),
    "probe": FittedIndicator((ACTIVATIONS,), _fit_probe, _score_probe),
    "probe_combination": FittedIndicator(
        (ACTIVATIONS,), _fit_probe_combination, _score_probe_combination
    ),
}


def needs_of(indicator: str) -> tuple[str, ...]:
    """What an indicator takes of the network beyond z, of `measure.NEEDS`.

    Raises:
        SettingsError: there is no such indicator.
    """
    INDICATORS.find(indicator)
    if indicator in FITTED_INDICATORS:
        return FITTED_INDICATORS[indicator].needs
    return () if indicator in _WITHOUT_MAPS else (MAPS,)


def strengths_of(indicator: str, strength: float) -> tuple[float, ...]:
    """The ε above 0 that an indicator takes at an operating point."""
    same = indicator in ABSENT or indicator in _CLEAN
    return () if same or strength == 0 else (strength,)


def score_parts(
    indicator: str,
    variant: str,
    measured: Measurement,
    manifest: Manifest,
    names: list[str],
    fitted: Arrays,
) -> Floats:
    """The indicator of the passed parts of a batch, `(m,)`; NaN = no score.

    `variant` is that of `best_overlap`, "" for others; `fitted` is what was fitted at export; the
    rest is as in `passed_parts`.
    """
    name, rows = variant or indicator, measured.passed
    if name in FITTED_INDICATORS:
        if not len(rows):
            return np.empty(0)
        return FITTED_INDICATORS[name].score(passed_parts(measured, manifest, names), fitted)
    at, clean = (
        {column: values[rows] for column, values in measured.columns[strength].items()}
        for strength in (max(measured.columns), 0.0)
    )
    return INDICATORS.find(name)(at, clean)
