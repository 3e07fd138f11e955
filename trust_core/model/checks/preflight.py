"""A few images through the detector before the audit: what will happen, and what looks wrong.

Notation: E strengths other than 0.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trust_core.data.samples import Dataset
from trust_core.messages import Message, duration
from trust_core.model.checks.alternatives import clearly_better
from trust_core.model.checks.batchnorm import norm_mismatch
from trust_core.model.checks.sample_images import sample_images
from trust_core.model.detector import Detector

COARSE_GRID = 6  # cells a side: fewer can hardly carry an overlap
CLEARLY_BELOW = 0.4  # AUROC of a detector whose outputs are read the wrong way round
STRANGE_MISMATCH = 0.5


@dataclass(frozen=True)
class Preflight:
    """What a few images have shown.

    Attributes:
        counts: `tp, fn, tn, fp` at p ≥ 0.5 of the images that were read.
        mean_log_odds: of the good and of the defective images; NaN where there is none.
        auroc: of the log-odds at telling defective from good; NaN with one label.
        inverted: the outputs look as if read the wrong way round.
        grids: explanation layer -> (h, w).
        images_per_second: of the clean pass with both gradients, decoding included.
        seconds: estimated for the audit of the whole data set.
        mismatch: of the BatchNorm statistics (`norm_mismatch`); None without BatchNorm.
        unreadable: images that could not be read.
        findings: sentences that hold whatever they say.
        warnings: sentences to act on.
    """

    counts: dict[str, int]
    mean_log_odds: tuple[float, float]
    auroc: float
    inverted: bool
    grids: dict[str, tuple[int, int]]
    images_per_second: float
    seconds: float
    mismatch: float | None
    unreadable: int
    findings: tuple[str, ...]
    warnings: tuple[str, ...]


def preflight(
    detector: Detector, dataset: Dataset, *, images: int = 32, strengths: int = 7, batch: int = 16
) -> Preflight:
    """Run a few images of each label, from the roles that are not sealed.

    Args:
        detector: what is to be audited.
        dataset: what it is to be audited on.
        images: how many in all, half of each label where there are enough.
        strengths: E, for the estimate of time.
        batch: images at a time.

    Raises:
        DataError: none of the chosen images can be read.
    """
    start = time.perf_counter()
    seen = sample_images(dataset, detector.preprocessing, images)
    pixels, labels = seen.pixels, seen.labels
    decoding = (time.perf_counter() - start) / (len(labels) + seen.unreadable)
    batches = list(torch.split(pixels, batch))
    detector.forward_with_gradients(batches[0][:1], input_gradient=True)
    z, clean = _timed(
        lambda: [detector.forward_with_gradients(x, input_gradient=True).log_odds for x in batches]
    )
    _, again = _timed(lambda: [detector.forward_with_gradients(x).log_odds for x in batches])
    log_odds = torch.cat(z).cpu().numpy().astype(float)
    clean, again = clean / len(labels), again / len(labels)
    passed = float((log_odds < 0).mean())
    run = _Run(
        detector,
        pixels,
        labels,
        log_odds,
        unreadable=seen.unreadable,
        rate=1 / (decoding + clean),
        seconds=len(dataset.samples) * (decoding + clean + strengths * passed * again),
        strengths=strengths,
        batch=batch,
    )
    return Preflight(
        counts=run.counts,
        mean_log_odds=run.mean_log_odds,
        auroc=run.auroc,
        inverted=run.auroc < CLEARLY_BELOW,
        grids=detector.grids,
        images_per_second=run.rate,
        seconds=run.seconds,
        mismatch=run.mismatch,
        unreadable=run.unreadable,
        findings=tuple(run.findings()),
        warnings=tuple(run.warnings()),
    )


@dataclass(frozen=True)
class _Run:
    """The images of one preflight and what the detector said."""

    detector: Detector
    pixels: Tensor
    labels: npt.NDArray[np.int8]
    log_odds: npt.NDArray[np.float64]
    unreadable: int
    rate: float
    seconds: float
    strengths: int
    batch: int

    @property
    def counts(self) -> dict[str, int]:
        called, label = self.log_odds >= 0, self.labels == 1
        return {
            "tp": int((called & label).sum()),
            "fn": int((~called & label).sum()),
            "tn": int((~called & ~label).sum()),
            "fp": int((called & ~label).sum()),
        }

    @property
    def mean_log_odds(self) -> tuple[float, float]:
        good, defective = (self.log_odds[self.labels == label] for label in (0, 1))
        return (
            float(good.mean()) if len(good) else float("nan"),
            float(defective.mean()) if len(defective) else float("nan"),
        )

    @cached_property
    def auroc(self) -> float:
        good, defective = (self.log_odds[self.labels == label] for label in (0, 1))
        if not len(good) or not len(defective):
            return float("nan")
        above = np.sign(defective[:, None] - good[None, :])
        return float((above + 1).mean() / 2)

    @cached_property
    def mismatch(self) -> float | None:
        return norm_mismatch(self.detector, self.pixels, batch=self.batch)

    def findings(self) -> Iterator[str]:
        counts = self.counts
        yield (
            f"Of {counts['tp'] + counts['fn']} defective images {counts['tp']} are called "
            f"defective, of {counts['tn'] + counts['fp']} good ones {counts['fp']}."
        )
        for name, (rows, columns) in self.detector.grids.items():
            yield f"Explanations come from the layer {name}, a grid of {rows}x{columns} cells."
        yield (
            f"{self.rate:.0f} images a second; the audit at {self.strengths + 1} strengths takes "
            f"about {duration(self.seconds)}."
        )
        if self.mismatch is not None:
            yield Message(
                "The inputs of the BatchNorm layers are {mismatch:.2f} standard deviations from "
                "their training means (about 0.1 is usual).",
                "Inside the network these images are {mismatch:.2f} away from those it was trained "
                "on (about 0.1 is usual).",
                mismatch=self.mismatch,
            )

    @property
    def finer(self) -> str:
        """Depths of the network whose grid is not coarse, in brackets; "" without one."""
        some = [depth for depth in self.detector.depths if min(depth.grid) >= COARSE_GRID]
        told = ", ".join(f"{each.name} {each.grid[0]}x{each.grid[1]}" for each in some[::-1])
        return f" ({told})" if told else ""

    def warnings(self) -> Iterator[str]:
        counts = self.counts
        if self.auroc < CLEARLY_BELOW:
            right, wrong = counts["tp"] + counts["tn"], counts["fn"] + counts["fp"]
            yield Message(
                "The class convention looks inverted: {right} of {images} images are right as it "
                "is, {wrong} the other way round; try {option}.",
                "The outputs look swapped: {right} of {images} images are right as it is, {wrong} "
                "the other way round; change in step 1 what they mean.",
                right=right,
                images=right + wrong,
                wrong=wrong,
                option=self.detector.convention.inverted().option(),
            )
        elif len(set(self.log_odds >= 0)) == 1 and not np.isnan(self.auroc):
            yield Message(
                "All {images} images are called {label}; check {size}, {mean}, {std} and what the "
                "outputs mean.",
                images=len(self.labels),
                label="defective" if self.log_odds[0] >= 0 else "good",
            )
        if not np.isfinite(self.log_odds).all():
            yield Message("Some outputs are not finite; check the weights and {mean}, {std}.")
        for name, grid in self.detector.grids.items():
            if min(grid) < COARSE_GRID:
                yield Message(
                    "The grid {rows}x{columns} of {name} is coarse; a larger {size} or an earlier "
                    "{layer} shows where the network looks more finely{finer}.",
                    finer=self.finer,
                    rows=grid[0],
                    columns=grid[1],
                    name=name,
                )
        if self.unreadable:
            yield f"{self.unreadable} of the images looked at cannot be read."
        if self.mismatch is not None:
            yield from self._rivals(self.mismatch)

    def _rivals(self, own: float) -> Iterator[str]:
        """Another architecture or normalisation under which the BatchNorm statistics agree."""
        better = clearly_better(self.detector, self.pixels, own)
        if better is not None:
            choice, mismatch = better
            yield Message(
                "The BatchNorm statistics agree clearly better with {choice}: {mismatch:.2f} "
                "standard deviations from training instead of {own:.2f}.",
                "The images fit the network clearly better with {choice}: {mismatch:.2f} away from "
                "what it was trained on, instead of {own:.2f}.",
                choice=choice,
                mismatch=mismatch,
                own=own,
            )
        elif own > STRANGE_MISMATCH:
            differ = "the images or their preprocessing differ from what the network was trained on"
            yield Message(
                "The BatchNorm statistics are {own:.2f} standard deviations from training: "
                "{differ}.",
                "Inside the network these images are {own:.2f} away from those it was trained on: "
                "{differ}.",
                own=own,
                differ=differ,
            )


def _timed(job: Callable[[], list[Tensor]]) -> tuple[list[Tensor], float]:
    start = time.perf_counter()
    result = job()
    return result, time.perf_counter() - start
