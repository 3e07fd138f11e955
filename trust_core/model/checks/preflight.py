"""A trial on a few images before the audit: how long it will take, and what looks wrong."""

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import mannwhitneyu
from torch import Tensor

from trust_core.data.samples import Dataset
from trust_core.messages import Message, amount
from trust_core.model.checks.batchnorm import watched_norms
from trust_core.model.checks.findings import Preflight as Preflight
from trust_core.model.checks.findings import Speed
from trust_core.model.checks.sample_images import sample_images
from trust_core.model.detector import Detector

COARSE_GRID = 6  # cells a side: fewer can hardly carry an overlap
CHANCE = 0.01  # of seeing as much with outputs that mean what they should
SURELY_WRONG = 5  # images of one label called the other, from which that is no accident
TIMED = 4  # images that go through with gradients, for the estimate of time
CLEARLY_BELOW = 0.4  # AUROC of a detector whose outputs are read the wrong way round
NAN = float("nan")


def preflight(
    detector: Detector,
    dataset: Dataset,
    *,
    images: int = 32,
    batch: int = 16,
    speed: Speed | None = None,
) -> Preflight:
    """Run a few images of each label, from the roles that are not sealed.

    Args:
        detector: what is to be audited.
        dataset: what it is to be audited on.
        images: how many in all, half of each label where there are enough.
        batch: images at a time.
        speed: of the same network at the same size, when it is known; else it is measured.

    Raises:
        DataError: none of the chosen images can be read.
    """
    start = time.perf_counter()
    read = sample_images(dataset, detector.preprocessing, images)
    count = len(read.labels)
    decoding = (time.perf_counter() - start) / (count + read.unreadable)
    speed = speed or _speed(detector, read.pixels[:TIMED], decoding)
    with watched_norms(detector.module) as mismatch:
        z = [detector.log_odds(x) for x in torch.split(read.pixels, batch)]
    log_odds = torch.cat(z).cpu().numpy().astype(float)
    good, defective = (log_odds[read.labels == label] for label in (0, 1))
    both = len(good) and len(defective)
    ranks = mannwhitneyu(defective, good, alternative="less") if both else None
    auroc = ranks.statistic / len(good) / len(defective) if ranks else NAN
    found = Preflight(
        counts={
            "tp": int((defective >= 0).sum()),
            "fn": int((~(defective >= 0)).sum()),
            "tn": int((~(good >= 0)).sum()),
            "fp": int((good >= 0).sum()),
        },
        mean_log_odds=(_mean(good), _mean(defective)),
        auroc=float(auroc),
        inverted=bool(ranks and auroc < CLEARLY_BELOW and ranks.pvalue < CHANCE),
        grids=detector.grids,
        speed=speed,
        images=len(dataset.samples),
        passed=float((log_odds < 0).mean()),
        mismatch=mismatch(),
        unreadable=read.unreadable,
    )
    return replace(
        found,
        findings=tuple(_findings(found)),
        warnings=tuple(_warnings(found, detector, log_odds)),
    )


def _findings(found: Preflight) -> Iterator[str]:
    counts = found.counts
    yield (
        f"Of {counts['tp'] + counts['fn']} defective images {counts['tp']} are called "
        f"defective, of {counts['tn'] + counts['fp']} good ones {counts['fp']}."
    )
    for name, (rows, columns) in found.grids.items():
        yield f"Explanations come from the layer {name}, a grid of {rows}x{columns} cells."
    if found.mismatch is not None:
        yield Message(
            "The inputs of the BatchNorm layers are {mismatch:.2f} standard deviations from their "
            "training means (about 0.1 is usual).",
            "Inside the network these images are {mismatch:.2f} away from those it was trained on "
            "(about 0.1 is usual).",
            mismatch=found.mismatch,
        )


def _warnings(
    found: Preflight, detector: Detector, log_odds: npt.NDArray[np.float64]
) -> Iterator[str]:
    right, wrong = (found.counts[a] + found.counts[b] for a, b in (("tp", "tn"), ("fn", "fp")))
    if found.inverted:
        yield Message(
            "The class convention looks inverted: {right} of {images} images are right as it is, "
            "{wrong} the other way round; try {option}.",
            "The outputs look swapped: {right} of {images} images are right as it is, {wrong} the "
            "other way round; change in step 1 what they mean.",
            right=right,
            images=right + wrong,
            wrong=wrong,
            option=detector.convention.inverted().option(),
        )
    elif len(set(log_odds >= 0)) == 1 and not np.isnan(found.auroc) and wrong >= SURELY_WRONG:
        yield Message(
            "All {images} images are called {label}; check {size}, {mean}, {std} and what the "
            "outputs mean.",
            images=right + wrong,
            label="defective" if log_odds[0] >= 0 else "good",
        )
    if not np.isfinite(log_odds).all():
        yield Message("Some outputs are not finite; check the weights and {mean}, {std}.")
    fine = [layer for layer in detector.depths if min(layer.grid) >= COARSE_GRID]
    finer = ", ".join(f"{layer.name} {layer.grid[0]}x{layer.grid[1]}" for layer in fine[::-1])
    for name, grid in found.grids.items():
        if min(grid) < COARSE_GRID:
            yield Message(
                "The grid {rows}x{columns} of {name} is coarse; a larger {size} or an earlier "
                "{layer} shows where the network looks more finely{finer}.",
                finer=f" ({finer})" if finer else "",
                rows=grid[0],
                columns=grid[1],
                name=name,
            )
    if found.unreadable:
        yield f"{amount(found.unreadable, 'image', 'images')} looked at cannot be read."


def _mean(values: npt.NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else NAN


def _speed(detector: Detector, pixels: Tensor, decoding: float) -> Speed:
    """How long the passes of an audit take, after one to get warm."""

    def seconds(pixels: Tensor, *, input_gradient: bool) -> float:
        start = time.perf_counter()
        detector.forward_with_gradients(pixels, input_gradient=input_gradient).log_odds.cpu()
        return (time.perf_counter() - start) / len(pixels)

    seconds(pixels[:1], input_gradient=True)
    return Speed(
        decoding,
        seconds(pixels, input_gradient=True),
        seconds(pixels, input_gradient=False),
    )
