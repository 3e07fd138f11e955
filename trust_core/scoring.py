"""The batch function: decoded images in, scores and maps of all strengths out.

Whoever runs batches (here, a worker process, a cluster) runs this one function.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from trust_core.explanation.doubt import DOUBT_COLUMNS, doubts, flip_spread
from trust_core.explanation.enhancement import pgd
from trust_core.explanation.heatmaps import heatmaps, rounded
from trust_core.explanation.overlap import NOT_FINITE, SCORED, overlap
from trust_core.model.detector import Detector, Response
from trust_core.settings import AuditSettings
from trust_core.shards import Half, Shard

UNREADABLE, NO_SCORE = "unreadable", "no score"
OVERLAP_COLUMNS = ["iou_defect", "iou_good", "iou_difference", "status"]
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


def score_batch(detector: Detector, settings: AuditSettings, batch: Batch) -> Shard:
    """One forward and one backward for the clean images, one forward for each further strength.

    Only images that the detector passes are scored at ε > 0.
    """
    pixels = torch.from_numpy(batch.pixels).to(detector.device).float() / 255
    clean = detector.respond(pixels, input_gradient=len(settings.strengths) > 1)
    defective = _decide(detector, settings, clean)
    readable = batch.reasons == ""
    blocks = [_score(detector, settings, pixels, clean, 0.0, batch.sample_ids).only(readable)]
    passed = readable & ~defective
    doubt = doubts(pixels, clean)
    if settings.tta:
        doubt["tta_spread"] = _where(passed, lambda x: flip_spread(detector, x), pixels)
    if passed.any() and clean.input_gradient is not None:
        chosen = torch.from_numpy(passed).to(detector.device)
        images, gradient = pixels[chosen], clean.input_gradient[chosen]
        for strength in settings.strengths[1:]:
            moved = pgd(
                images,
                gradient,
                strength,
                settings.direction,
                steps=settings.pgd_steps,
                gradient_at=lambda x: _input_gradient(detector, x),
            )
            response = detector.respond(moved)
            ids = batch.sample_ids[passed]
            blocks.append(_score(detector, settings, moved, response, strength, ids))
    scores = pd.concat([block.scores for block in blocks], ignore_index=True)
    order = np.lexsort((scores["strength"], scores["sample_id"].to_numpy(dtype=str)))
    return Shard(
        samples=_sample_table(batch, clean, doubt, defective, blocks[0].scores),
        scores=scores.iloc[order].reset_index(drop=True),
        maps={
            name: np.concatenate([block.maps[name] for block in blocks])[order]
            for name in blocks[0].maps
        },
        features=_features(clean, readable),
    )


def map_key(detector: Detector, layer: str, name: str) -> str:
    """Name of a kept map: plain at the first layer, `LAYER.NAME` at further ones."""
    return name if layer == detector.layers[0] else f"{layer}.{name}"


def overlap_columns(
    log_odds: npt.NDArray[np.float64], maps: dict[str, Half], agnostic: str, rule: str
) -> pd.DataFrame:
    """The score columns of `scores.parquet` from kept maps: when first scored, and ever after.

    Args:
        log_odds: `(rows,)`; a row whose log-odds is not finite has no score.
        maps: `defect`, `good` and the agnostic map, each `(rows, h, w)` as kept.
        agnostic: name of the agnostic map.
        rule: mask rule.
    """
    defect, good, where = (
        torch.from_numpy(np.array(maps[name])).float() for name in ("defect", "good", agnostic)
    )
    result = overlap(defect, good, where, rule)
    table = pd.DataFrame({column: getattr(result, column) for column in OVERLAP_COLUMNS})
    broken = ~np.isfinite(log_odds)
    table.loc[broken, OVERLAP_COLUMNS[:3]] = np.nan
    table.loc[broken, "status"] = NOT_FINITE
    return table


@dataclass(frozen=True)
class _Block:
    """Scores and maps at one strength, row for row."""

    scores: pd.DataFrame
    maps: dict[str, Half]

    def only(self, rows: npt.NDArray[np.bool_]) -> "_Block":
        maps = {name: values[rows] for name, values in self.maps.items()}
        return _Block(self.scores[rows].reset_index(drop=True), maps)


def _score(
    detector: Detector,
    settings: AuditSettings,
    pixels: Tensor,
    response: Response,
    strength: float,
    sample_ids: npt.NDArray[np.object_],
) -> _Block:
    """Maps of all layers, rounded as they are kept, and the scores computed from those."""
    kept: dict[str, Half] = {}
    scales: dict[str, npt.NDArray[np.float32]] = {}
    for layer in detector.layers:
        made = heatmaps(detector, pixels, response, layer, settings.specific, settings.agnostic)
        for name, values in made.items():
            key = map_key(detector, layer, name)
            half, scale = rounded(values)
            kept[key], scales[f"scale_{key}"] = half.cpu().numpy(), scale.cpu().numpy()
    log_odds = response.log_odds.double().cpu().numpy()
    head = pd.DataFrame({"sample_id": sample_ids, "strength": strength, "log_odds": log_odds})
    scores = overlap_columns(log_odds, kept, settings.agnostic[0], settings.mask)
    return _Block(pd.concat([head, scores, pd.DataFrame(scales)], axis=1), kept)


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


def _input_gradient(detector: Detector, pixels: Tensor) -> Tensor:
    gradient = detector.respond(pixels, input_gradient=True).input_gradient
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
        values[chosen] = measure(pixels[torch.from_numpy(chosen).to(pixels.device)])
    return values


def _sample_table(
    batch: Batch,
    clean: Response,
    doubt: dict[str, npt.NDArray[np.float64]],
    defective: npt.NDArray[np.bool_],
    scores: pd.DataFrame,
) -> pd.DataFrame:
    """What the model pass says of each image, with or without a score."""
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
    status = table["sample_id"].map(scores.set_index("sample_id")["status"])
    unscored = (status.notna() & (status != SCORED)).to_numpy()
    table.loc[unscored, "reason"] = status[unscored]
    table["status"] = np.select([unreadable, unscored], [UNREADABLE, NO_SCORE], SCORED)
    return table


def _features(clean: Response, readable: npt.NDArray[np.bool_]) -> Half | None:
    """Penultimate features as kept, `(N, F)`: half precision, NaN for an unreadable image."""
    if clean.features is None:
        return None
    half = clean.features.clamp(-LARGEST_HALF, LARGEST_HALF).half().cpu().numpy()
    half[~readable] = np.nan
    return half
