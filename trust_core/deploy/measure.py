"""What a guard measures of the parts of one batch, by the audit's own functions.

Notation: n parts, of which m are passed; h, w the grid of a map.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from trust_core.audit.score import (
    MAP,
    as_arrays,
    called_defective,
    input_gradient_of,
    kept_answers,
    overlap_columns_of,
    score_response,
)
from trust_core.audit.settings import AuditSettings
from trust_core.deploy.inspection import Arrays
from trust_core.explanation.evidence.patch_gaussian import PatchGaussian
from trust_core.explanation.perturbation import perturb
from trust_core.explanation.uncertainty import flip_deviation, uncertainty_scores
from trust_core.model.detector import Detector, Response

# What an indicator may take of the network beyond z.
MAPS, FEATURES, ACTIVATIONS, MASKS = "maps", "features", "activations", "masks"
INPUT_GRADIENT, FLIPS = "input gradient", "flips"
NEEDS = (MAPS, FEATURES, ACTIVATIONS, MASKS, INPUT_GRADIENT, FLIPS)


@dataclass(frozen=True)
class Measurement:
    """What was measured of n parts.

    Attributes:
        defective: called so by the detector, `(n,)`.
        columns: by strength, 0 first: those of `scores.parquet`, `(n,)` each; NaN above ε = 0 for
            parts that are not passed. At 0 also `p_defect` and the uncertainty scores.
        maps: by strength and name, as audits keep them: `(n, h, w)` float16, and `scale_NAME`
            `(n,)`; above ε = 0 the rows of parts that are not passed are 0.
        answers: `features` `(n, F)`, `activations` `(n, D)` and `masks` `(n, H', W')`, float16,
            where they were needed.
    """

    defective: npt.NDArray[np.bool_]
    columns: dict[float, Arrays]
    maps: dict[float, Arrays]
    answers: Arrays

    @property
    def passed(self) -> npt.NDArray[np.int64]:
        """Places of the passed parts, `(m,)`."""
        return np.flatnonzero(~self.defective)


def measure(
    detector: Detector,
    settings: AuditSettings,
    pixels: npt.NDArray[np.uint8],
    needs: Collection[str] = (MAPS,),
    surroundings: PatchGaussian | None = None,
) -> Measurement:
    """Measure a batch: one forward, a backward where one is needed, a forward for each ε > 0.

    `settings` are the audit's, with the strengths that are needed, `needs` of `NEEDS`;
    `surroundings`, what evidence is measured against, are needed for the form `evidence` alone.
    `pixels` are `(n, c, H, W)`.
    """
    x = torch.as_tensor(pixels).to(detector.device).float().div_(255)
    further = settings.strengths[1:]
    clean = detector.forward_with_gradients(
        x,
        input_gradient=bool(further) or settings.evidence or INPUT_GRADIENT in needs,
        precision=settings.precision,
        masks=MASKS in needs,
        pooled=ACTIVATIONS in needs,
    )
    defective = called_defective(detector, settings, clean)
    passed = np.flatnonzero(~defective)

    def score(images: torch.Tensor, response: Response) -> dict[str, torch.Tensor]:
        if MAPS in needs:
            return score_response(detector, settings, images, response, surroundings)
        return {"log_odds": response.log_odds.double()}

    blocks = {0.0: score(x, clean)}
    if further and len(passed):
        assert clean.input_gradient is not None
        rows = torch.from_numpy(passed).to(detector.device)
        moved = perturb(
            x.index_select(0, rows),
            clean.input_gradient.index_select(0, rows),
            further,
            settings.direction,
            steps=settings.pgd_steps,
            gradient_at=lambda images: input_gradient_of(detector, images, settings.precision),
        )
        for strength, images in zip(further, moved, strict=True):
            response = detector.forward_with_gradients(
                images,
                input_gradient=settings.evidence,
                precision=settings.precision,
                masks=False,
            )
            blocks[strength] = score(images, response)
    found = dict(zip(blocks, as_arrays(list(blocks.values())), strict=True))
    every = np.arange(len(pixels))
    columns, maps = {}, {}
    for strength in settings.strengths:
        block = found.get(strength) or {n: v[:0] for n, v in found[0.0].items()}
        columns[strength], maps[strength] = _split(
            block, every if strength == 0 else passed, len(pixels)
        )
    columns[0.0]["p_defect"] = clean.log_odds.double().sigmoid().cpu().numpy()
    columns[0.0] |= uncertainty_scores(x, clean)
    if FLIPS in needs:
        spread = np.full(len(pixels), np.nan)
        if len(passed):
            spread[passed] = flip_deviation(detector, x[torch.from_numpy(passed)])
        columns[0.0]["tta_spread"] = spread
    answers = {n: v.cpu().numpy() for n, v in kept_answers(clean).items() if n in needs}
    return Measurement(defective, columns, maps, answers)


def _split(block: Arrays, rows: npt.NDArray[np.int64], count: int) -> tuple[Arrays, Arrays]:
    """Columns and maps of all parts from those of some."""
    block = dict(block)
    columns: Arrays = {"log_odds": block["log_odds"]}
    if "cells" in block:
        columns |= overlap_columns_of(block["log_odds"], block.pop("cells"))
    maps = {n.removeprefix(MAP): v for n, v in block.items() if n.startswith((MAP, "scale_"))}
    if len(rows) == count:
        return columns, maps
    return (
        {name: _spread(values, rows, count, missing="") for name, values in columns.items()},
        {name: _spread(values, rows, count) for name, values in maps.items()},
    )


def _spread(
    values: npt.NDArray[Any], rows: npt.NDArray[np.int64], count: int, missing: str | None = None
) -> npt.NDArray[Any]:
    shape = (count, *values.shape[1:])
    if missing is None:
        spread = np.zeros(shape, dtype=values.dtype)
    else:
        spread = np.full(shape, np.nan if values.dtype.kind == "f" else missing, values.dtype)
    spread[rows] = values
    return spread
