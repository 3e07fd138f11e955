"""The batch function: decoded images in, scores and maps of all strengths out.

Whoever runs batches (here, a worker process, a cluster) runs this one function.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from trust_core.audit.decode import Batch
from trust_core.audit.settings import AuditSettings
from trust_core.explanation.evidence.evidence_maps import evidence_maps
from trust_core.explanation.evidence.patch_gaussian import PatchGaussian
from trust_core.explanation.heatmaps import heatmaps, round_maps
from trust_core.explanation.overlap import NOT_FINITE, SCORED, mask_cells, overlap_of
from trust_core.explanation.perturbation import perturb
from trust_core.explanation.uncertainty import (
    UNCERTAINTY_COLUMNS,
    flip_deviation,
    uncertainty_scores,
)
from trust_core.model.detector import Detector, Response
from trust_core.storage.shards import RETRY, Half, Shard

UNREADABLE, NO_SCORE = "unreadable", "no score"
OVERLAP_COLUMNS = ["iou_defect", "iou_good", "iou_difference", "status"]
Floats = npt.NDArray[np.float64]
LARGEST_HALF = float(np.finfo(np.float16).max)
MAP = "map:"


def score_batch(
    detector: Detector,
    settings: AuditSettings,
    batch: Batch,
    surroundings: PatchGaussian | None = None,
) -> Shard:
    """One forward and one backward for the clean images, one forward for each further strength.

    Only images that the detector passes are scored at ε > 0. A GPU is waited for twice: for which
    they are, and for all results in the end. `surroundings`, what evidence is measured against, are
    needed for the form `evidence` alone.
    """
    pixels = torch.as_tensor(batch.pixels).to(detector.device, non_blocking=True).float().div_(255)
    clean = detector.forward_with_gradients(
        pixels,
        input_gradient=len(settings.strengths) > 1 or settings.evidence,
        precision=settings.precision,
        pooled=True,
    )
    defective = called_defective(detector, settings, clean)
    readable = (batch.reasons == "").astype(bool)
    passed = readable & ~defective
    uncertainty = uncertainty_scores(pixels, clean)
    if settings.tta:
        uncertainty["tta_spread"] = _where(passed, lambda x: flip_deviation(detector, x), pixels)
    blocks = [score_response(detector, settings, pixels, clean, surroundings)]
    rows, strengths = [np.arange(len(readable))], [np.zeros(len(readable))]
    if passed.any() and clean.input_gradient is not None:
        images, gradient = _chosen(passed, pixels, clean.input_gradient)
        moved = perturb(
            images,
            gradient,
            settings.strengths[1:],
            settings.direction,
            steps=settings.pgd_steps,
            gradient_at=lambda x: input_gradient_of(detector, x, settings.precision),
        )
        room = len(batch.sample_ids) if pixels.is_cuda else 0
        for part, x in grouped(settings.strengths[1:], moved, room):
            # Evidence is the slope at x_ε itself, so each strength costs it a whole backward; the
            # other maps need a graph above their layer alone.
            response = detector.forward_with_gradients(
                x, input_gradient=settings.evidence, precision=settings.precision, masks=False
            )
            blocks.append(score_response(detector, settings, x, response, surroundings))
            rows.append(np.tile(np.flatnonzero(passed), len(part)))
            strengths.append(np.repeat(part, passed.sum()))
    head, *found = as_arrays([kept_answers(clean), *blocks])
    columns = {name: np.concatenate([block[name] for block in found]) for name in found[0]}
    maps = {name: columns.pop(f"{MAP}{name}") for name in _map_names(detector, settings)}
    scores = {"log_odds": columns.pop("log_odds")}
    scores |= overlap_columns_of(scores["log_odds"], columns.pop("cells")) | columns
    places = np.concatenate(rows)
    order = np.lexsort((np.concatenate(strengths), _ranks(batch.sample_ids)[places]))
    order = order[readable[places[order]]]
    table = {"sample_id": batch.sample_ids[places], "strength": np.concatenate(strengths), **scores}
    for name in head.keys() - {"p_defect"}:
        head[name][~readable] = np.nan
    clean_scores = {name: scores[name][: len(readable)] for name in ("log_odds", "status")}
    return Shard(
        samples=_sample_table(
            batch, clean_scores | {"p_defect": head["p_defect"]}, uncertainty, defective
        ),
        scores=pd.DataFrame({name: values[order] for name, values in table.items()}),
        maps={name: values[order] for name, values in maps.items()},
        features=head.get("features"),
        masks=head.get("masks"),
        activations=head.get("activations"),
    )


def as_arrays(groups: Sequence[Mapping[str, Tensor]]) -> list[dict[str, npt.NDArray[Any]]]:
    """Tensors as arrays, in groups by name; from a GPU in one copy, because each waits for all."""
    every = [tensor for group in groups for tensor in group.values()]
    here = iter(every if every[0].device.type == "cpu" else in_one_copy(every))
    return [{name: next(here).numpy() for name in group} for group in groups]


def in_one_copy(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Tensors of one device, of any types and shapes, on the CPU."""
    # Wide numbers first, so that each tensor begins at a multiple of its width.
    order = sorted(range(len(tensors)), key=lambda i: -tensors[i].itemsize)
    raw = [tensors[i].contiguous().flatten().view(torch.uint8) for i in order]
    parts = torch.split(torch.cat(raw).cpu(), [len(part) for part in raw])
    here = dict(zip(order, parts, strict=True))
    return [here[i].view(t.dtype).view(t.shape) for i, t in enumerate(tensors)]


def _map_names(detector: Detector, settings: AuditSettings) -> list[str]:
    return [map_key(detector, layer, n) for layer in detector.layers for n in settings.map_names]


def map_key(detector: Detector, layer: str, name: str) -> str:
    """Name of a kept map: plain at the first layer, `LAYER.NAME` at further ones."""
    return name if layer == detector.layers[0] else f"{layer}.{name}"


def overlap_columns(
    log_odds: Floats, maps: Mapping[str, Half | Tensor], agnostic: str, rule: str
) -> dict[str, npt.NDArray[Any]]:
    """The score columns of `scores.parquet` from kept maps: when first scored, and ever after.

    `maps` are `defect`, `good` and the `agnostic` one, each `(rows, h, w)` as kept; a row whose
    `log_odds`, `(rows,)`, are not finite has no score.

    Returns:
        `OVERLAP_COLUMNS`, each `(rows,)`.
    """
    return overlap_columns_of(log_odds, _cells(maps, agnostic, rule).cpu().numpy())


def _cells(maps: Mapping[str, Half | Tensor], agnostic: str, rule: str) -> Tensor:
    defect, good, where = (torch.as_tensor(maps[name]) for name in ("defect", "good", agnostic))
    return mask_cells(defect, good, where, rule)


def overlap_columns_of(
    log_odds: Floats, cells: npt.NDArray[np.int64]
) -> dict[str, npt.NDArray[Any]]:
    """The score columns from the cells of the masks, `(rows, 6)`, as `mask_cells` counts them."""
    result = overlap_of(cells)
    columns = {column: getattr(result, column) for column in OVERLAP_COLUMNS}
    broken = ~np.isfinite(log_odds)
    for column, values in columns.items():
        values[broken] = NOT_FINITE if column == "status" else np.nan
    return columns


def score_response(
    detector: Detector,
    settings: AuditSettings,
    pixels: Tensor,
    response: Response,
    surroundings: PatchGaussian | None,
) -> dict[str, Tensor]:
    """Maps of all layers, rounded as they are kept, and the scores computed from those.

    Returns:
        `log_odds`, `cells` of the masks, of each kept map its scale and, with `MAP` before it,
        itself.
    """
    kept: dict[str, Tensor] = {}
    scales: dict[str, Tensor] = {}
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
            kept[key], scales[f"scale_{key}"] = round_maps(values)
    cells = _cells(kept, settings.agnostic[0], settings.mask)
    maps = {f"{MAP}{key}": values for key, values in kept.items()}
    return {"log_odds": response.log_odds.double(), "cells": cells} | scales | maps


def grouped(
    strengths: Sequence[float], images: Iterator[Tensor], room: int
) -> Iterator[tuple[Sequence[float], Tensor]]:
    """Strengths with their images, as many in one forward as there is room for.

    Where few images of a batch are passed, a GPU would be idle for the most part of each strength.
    A CPU is not, and keeps one strength in its caches.

    Args:
        strengths: ascending.
        images: of the passed images, `(n, c, H, W)` for each strength.
        room: images that a forward may hold; one strength is always taken.

    Yields:
        Some strengths, and their images one strength after the other.
    """
    done = 0
    for first in images:
        count = max(1, room // len(first))
        part = strengths[done : done + count]
        further = [*islice(images, len(part) - 1)]
        yield part, torch.cat([first, *further]) if further else first
        done += len(part)


def called_defective(
    detector: Detector, settings: AuditSettings, response: Response
) -> npt.NDArray[np.bool_]:
    """What the detector calls defective, `(N,)`. An answer that is not a number is no alarm."""
    if settings.decision_threshold is None:
        defective = detector.convention.argmax_defective(response.logits)
    else:
        defective = response.log_odds.double().sigmoid() >= settings.decision_threshold
    return defective.cpu().numpy()


def _chosen(chosen: npt.NDArray[np.bool_], *tensors: Tensor) -> tuple[Tensor, ...]:
    """Some images of tensors `(N, …)`; the tensors themselves when all are chosen."""
    if chosen.all():
        return tensors
    rows = torch.from_numpy(np.flatnonzero(chosen))  # a mask a GPU would have to count first
    return tuple(x.index_select(0, rows.to(x.device)) for x in tensors)


def input_gradient_of(detector: Detector, pixels: Tensor, precision: str) -> Tensor:
    """∂z/∂x at any images of the network's size, `(N, c, H, W)`."""
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
    clean: Mapping[str, npt.NDArray[Any]],
    uncertainty: dict[str, npt.NDArray[np.float64]],
    defective: npt.NDArray[np.bool_],
) -> pd.DataFrame:
    """What the model pass says of each image.

    `clean` holds `log_odds`, `p_defect` and the `status` of the score at ε = 0, `uncertainty` the
    columns of `UNCERTAINTY_COLUMNS`.
    """
    table = pd.DataFrame(
        {
            "sample_id": batch.sample_ids,
            "log_odds": clean["log_odds"],
            "p_defect": clean["p_defect"],
            "predicted": pd.array(defective.astype(np.int8), dtype="Int8"),
            "reason": batch.reasons,
            RETRY: batch.passing,
            **uncertainty,
        }
    )
    unreadable = (batch.reasons != "").astype(bool)
    table.loc[unreadable, ["log_odds", "p_defect", *UNCERTAINTY_COLUMNS]] = np.nan
    table.loc[unreadable, "predicted"] = pd.NA
    unscored = ~unreadable & (clean["status"] != SCORED)
    table.loc[unscored, "reason"] = clean["status"][unscored]
    table["status"] = np.select([unreadable, unscored], [UNREADABLE, NO_SCORE], SCORED)
    return table


def kept_answers(clean: Response) -> dict[str, Tensor]:
    """What the clean pass says of each image, as it is kept.

    Returns:
        `p_defect`; in half precision penultimate `features` `(N, F)` and pooled `activations`
        `(N, D)`, and the mask head's probabilities `masks` `(N, H', W')`, where there are such.
    """
    found = {"p_defect": clean.log_odds.double().sigmoid()}
    for name, values in (("features", clean.features), ("activations", clean.pooled)):
        if values is not None:
            found[name] = values.clamp(-LARGEST_HALF, LARGEST_HALF).half()
    if clean.mask_logits is not None:
        found["masks"] = clean.mask_logits[:, 0].sigmoid().half()
    return found


def _ranks(sample_ids: npt.NDArray[np.object_]) -> npt.NDArray[np.int_]:
    """Place of each in the order of text."""
    return np.unique(sample_ids.astype(str), return_inverse=True)[1]
