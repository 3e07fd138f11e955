"""The batch function: decoded images in, scores and maps of all strengths out.

Whoever runs batches (here, a worker process, a cluster) runs this one function.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from trust_core.audit.settings import AuditSettings
from trust_core.data.images import read_image
from trust_core.data.samples import Dataset
from trust_core.errors import UnreadableImage
from trust_core.explanation.evidence.heatmaps import evidence_maps
from trust_core.explanation.evidence.patch_gaussian import Conditional
from trust_core.explanation.heatmaps import heatmaps, rounded
from trust_core.explanation.overlap import NOT_FINITE, SCORED, overlap
from trust_core.explanation.perturbation import enhanced
from trust_core.explanation.uncertainty import DOUBT_COLUMNS, doubts, flip_spread
from trust_core.model.detector import Detector, Response
from trust_core.model.preprocessing import Preprocessing
from trust_core.storage.shards import Half, Shard

UNREADABLE, NO_SCORE = "unreadable", "no score"
OVERLAP_COLUMNS = ["iou_defect", "iou_good", "iou_difference", "status"]
Floats = npt.NDArray[np.float64]
LARGEST_HALF = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Batch:
    """Decoded images, `n` of them.

    Attributes:
        sample_ids: `(n,)` text.
        reasons: why an image cannot be read, "" where it can, `(n,)` text.
        pixels: `(n, c, H, W)` uint8; black where an image cannot be read: rows stay aligned.
    """

    sample_ids: npt.NDArray[np.object_]
    reasons: npt.NDArray[np.object_]
    pixels: npt.NDArray[np.uint8]


def score_batch(
    detector: Detector,
    settings: AuditSettings,
    batch: Batch,
    surroundings: Conditional | None = None,
) -> Shard:
    """One forward and one backward for the clean images, one forward for each further strength.

    Only images that the detector passes are scored at ε > 0.

    Args:
        detector: the network under audit.
        settings: what to compute.
        batch: the images.
        surroundings: what evidence is measured against; needed for the form `evidence` alone.
    """
    pixels = torch.from_numpy(batch.pixels).to(detector.device).float().div_(255)
    clean = detector.forward_with_gradients(
        pixels,
        input_gradient=len(settings.strengths) > 1 or settings.evidence,
        precision=settings.precision,
        pooled=True,
    )
    defective = _decide(detector, settings, clean)
    readable = (batch.reasons == "").astype(bool)
    passed = readable & ~defective
    doubt = doubts(pixels, clean)
    if settings.tta:
        doubt["tta_spread"] = _where(passed, lambda x: flip_spread(detector, x), pixels)
    rows = np.arange(len(readable))
    blocks = [_score(detector, settings, pixels, clean, 0.0, rows, surroundings)]
    if passed.any() and clean.input_gradient is not None:
        images, gradient = _chosen(passed, pixels, clean.input_gradient)
        moved = enhanced(
            images,
            gradient,
            settings.strengths[1:],
            settings.direction,
            steps=settings.pgd_steps,
            gradient_at=lambda x: _input_gradient(detector, x, settings.precision),
        )
        for strength, x in zip(settings.strengths[1:], moved, strict=True):
            # Evidence is the slope at x_ε itself, so each strength costs it a whole backward; the
            # other maps need a graph above their layer alone.
            response = detector.forward_with_gradients(
                x, input_gradient=settings.evidence, precision=settings.precision, masks=False
            )
            block = _score(detector, settings, x, response, strength, rows[passed], surroundings)
            blocks.append(block)
    rows = np.concatenate([block.rows for block in blocks])
    columns, maps = (
        {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        for parts in ([block.columns for block in blocks], [block.maps for block in blocks])
    )
    order = np.lexsort((columns["strength"], batch.sample_ids.astype(str)[rows]))
    order = order[readable[rows[order]]]
    scores = {"sample_id": batch.sample_ids[rows], **columns}
    return Shard(
        samples=_sample_table(batch, clean, doubt, defective, blocks[0].columns["status"]),
        scores=pd.DataFrame({name: values[order] for name, values in scores.items()}),
        maps={name: values[order] for name, values in maps.items()},
        features=_half(clean.features, readable),
        masks=_masks(clean, readable),
        activations=_half(clean.pooled, readable),
    )


def map_key(detector: Detector, layer: str, name: str) -> str:
    """Name of a kept map: plain at the first layer, `LAYER.NAME` at further ones."""
    return name if layer == detector.layers[0] else f"{layer}.{name}"


def overlap_columns(
    log_odds: Floats, maps: Mapping[str, Half | Tensor], agnostic: str, rule: str
) -> dict[str, npt.NDArray[Any]]:
    """The score columns of `scores.parquet` from kept maps: when first scored, and ever after.

    Args:
        log_odds: `(rows,)`; a row whose log-odds is not finite has no score.
        maps: `defect`, `good` and the agnostic map, each `(rows, h, w)` as kept.
        agnostic: name of the agnostic map.
        rule: mask rule.

    Returns:
        `OVERLAP_COLUMNS`, each `(rows,)`.
    """
    defect, good, where = (torch.as_tensor(maps[name]) for name in ("defect", "good", agnostic))
    result = overlap(defect, good, where, rule)
    columns = {column: getattr(result, column) for column in OVERLAP_COLUMNS}
    broken = ~np.isfinite(log_odds)
    for column, values in columns.items():
        values[broken] = NOT_FINITE if column == "status" else np.nan
    return columns


@dataclass(frozen=True)
class _Block:
    """Scores and maps at one strength, row for row; `rows` says of which images of the batch."""

    rows: npt.NDArray[np.int_]
    columns: dict[str, npt.NDArray[Any]]
    maps: dict[str, Half]


def _score(
    detector: Detector,
    settings: AuditSettings,
    pixels: Tensor,
    response: Response,
    strength: float,
    rows: npt.NDArray[np.int_],
    surroundings: Conditional | None,
) -> _Block:
    """Maps of all layers, rounded as they are kept, and the scores computed from those."""
    kept: dict[str, Tensor] = {}
    scales: dict[str, npt.NDArray[np.float32]] = {}
    evidence = None
    if settings.evidence:
        assert surroundings is not None
        assert response.input_gradient is not None
        evidence = evidence_maps(pixels, response.input_gradient, surroundings)
    for layer in detector.layers:
        made = heatmaps(
            detector, pixels, response, layer, settings.specific, settings.agnostic, evidence
        )
        for name, values in made.items():
            key = map_key(detector, layer, name)
            kept[key], scale = rounded(values)
            scales[f"scale_{key}"] = scale.cpu().numpy()
    log_odds = response.log_odds.double().cpu().numpy()
    scores = overlap_columns(log_odds, kept, settings.agnostic[0], settings.mask)
    head = {"strength": np.full(len(rows), strength), "log_odds": log_odds}
    maps = {name: values.cpu().numpy() for name, values in kept.items()}
    return _Block(rows, head | scores | scales, maps)


def _decide(
    detector: Detector, settings: AuditSettings, response: Response
) -> npt.NDArray[np.bool_]:
    """What the detector calls defective, `(N,)`. An answer that is not a number is no alarm."""
    if settings.decision_threshold is None:
        defective = detector.convention.argmax_defective(response.logits)
    else:
        defective = response.log_odds.double().sigmoid() >= settings.decision_threshold
    result: npt.NDArray[np.bool_] = defective.cpu().numpy()
    return result


def _chosen(chosen: npt.NDArray[np.bool_], *tensors: Tensor) -> tuple[Tensor, ...]:
    """Some images of tensors `(N, …)`; the tensors themselves when all are chosen."""
    if chosen.all():
        return tensors
    return tuple(x[torch.from_numpy(chosen).to(x.device)] for x in tensors)


def _input_gradient(detector: Detector, pixels: Tensor, precision: str) -> Tensor:
    response = detector.forward_with_gradients(
        pixels, input_gradient=True, precision=precision, masks=False
    )
    gradient = response.input_gradient
    assert gradient is not None
    return gradient


def _where(
    chosen: npt.NDArray[np.bool_],
    measure: Callable[[Tensor], npt.NDArray[np.float64]],
    pixels: Tensor,
) -> npt.NDArray[np.float64]:
    """A measure of the chosen images, `(N,)`; NaN for the others, which cost nothing."""
    values = np.full(len(chosen), np.nan)
    if chosen.any():
        values[chosen] = measure(*_chosen(chosen, pixels))
    return values


def _sample_table(
    batch: Batch,
    clean: Response,
    doubt: dict[str, npt.NDArray[np.float64]],
    defective: npt.NDArray[np.bool_],
    status: npt.NDArray[np.object_],
) -> pd.DataFrame:
    """What the model pass says of each image, with or without a score at ε = 0 (`status`)."""
    table = pd.DataFrame(
        {
            "sample_id": batch.sample_ids,
            "log_odds": clean.log_odds.double().cpu().numpy(),
            "p_defect": clean.log_odds.double().sigmoid().cpu().numpy(),
            "predicted": pd.array(defective.astype(np.int8), dtype="Int8"),
            "reason": batch.reasons,
            **doubt,
        }
    )
    unreadable = (batch.reasons != "").astype(bool)
    table.loc[unreadable, ["log_odds", "p_defect", *DOUBT_COLUMNS]] = np.nan
    table.loc[unreadable, "predicted"] = pd.NA
    unscored = ~unreadable & (status != SCORED)
    table.loc[unscored, "reason"] = status[unscored]
    table["status"] = np.select([unreadable, unscored], [UNREADABLE, NO_SCORE], SCORED)
    return table


def _half(values: Tensor | None, readable: npt.NDArray[np.bool_]) -> Half | None:
    """Features as kept, `(N, F)`: half precision, NaN for an unreadable image."""
    if values is None:
        return None
    half: Half = values.clamp(-LARGEST_HALF, LARGEST_HALF).half().cpu().numpy()
    half[~readable] = np.nan
    return half


def _masks(clean: Response, readable: npt.NDArray[np.bool_]) -> Half | None:
    """The mask head's probabilities as kept, `(N, H', W')`; NaN for an unreadable image."""
    if clean.mask_logits is None:
        return None
    half: Half = clean.mask_logits[:, 0].sigmoid().half().cpu().numpy()
    half[~readable] = np.nan
    return half


def read_batch(dataset: Dataset, preprocessing: Preprocessing, rows: slice) -> Batch:
    """Decode and resize some images of the sample table; what cannot be read gets its reason."""
    samples = dataset.samples.iloc[rows]
    ids, paths = (samples[name].tolist() for name in ("sample_id", "path"))
    return read_images(dataset.root, ids, paths, preprocessing)


def read_images(
    root: Path,
    sample_ids: Sequence[str],
    paths: Sequence[str],
    preprocessing: Preprocessing,
    contents: Sequence[bytes] | None = None,
) -> Batch:
    """The same from ids and paths, where there is no sample table; or from the files' bytes."""
    reasons = np.full(len(paths), "", dtype=object)
    channels = 1 if preprocessing.channels == "grey" else 3
    pixels = np.zeros((len(paths), channels, *preprocessing.size), dtype=np.uint8)
    for index, path in enumerate(paths):
        try:
            pixels[index] = preprocessing.pixels(
                read_image(root / path, contents[index] if contents else None)
            )
        except UnreadableImage as error:
            reasons[index] = str(error)
    return Batch(np.array(sample_ids, dtype=object), reasons, pixels)
