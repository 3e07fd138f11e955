"""How well masks find defects, judged sample by sample (arXiv 2510.13226).

A predicted mask P is what a map gives at least a threshold; a true mask G is what the data marks;
both at the size of the true mask. What is judged is P, whether it comes from a mask head or from a
heatmap.

Notation: `N` images, `K` thresholds, `y` = labelled defective, `d` = P is not empty.

    Seg_mIoU        mean of |P∩G| / |P∪G| over S = {|P∪G| > 0}: a miss and a false alarm count 0,
                    a good part without a mark is left out (Sample_mIoU of the work)
    Seg_Recall      #{y, d} / #{y}; strict: #{y, |P∩G| > 0} / #{y}
    Seg_Accuracy    #{d = y} / N
    pooled mIoU     Σ|P∩G| / Σ|P∪G|: the rival that the work criticises; large defects decide it
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from trust_core.decision.bootstrap import (
    Estimate,
    Flags,
    Terms,
    count_groups,
    divide,
    ratio_difference,
    ratios,
    share_interval,
)
from trust_core.decision.tradeoff import Counts, Floats

THRESHOLDS: Floats = np.arange(1, 100) / 100
"""Where counts are kept: a threshold is one of these, so that a slider needs no picture again."""

# Size of a defect as share of the picture: its name, and where the class ends.
SIZES = (
    ("tiny, under 0.1 % of the photo", 0.001),
    ("small, 0.1 to 1 %", 0.01),
    ("medium, 1 to 10 %", 0.1),
    ("large, 10 % or more", float("inf")),
)


@dataclass(frozen=True)
class Masks:
    """Predicted against true masks at one threshold, in pixels of the true mask; each `(N,)`.

    `predicted` is |P|, `overlap` |P∩G|, `true` |G|; `area` are the pixels of the picture, `codes`
    groups as numbers, of `bootstrap.group_codes`.
    """

    predicted: Counts
    overlap: Counts
    true: Counts
    area: Counts
    defective: Flags
    codes: Counts

    @property
    def known(self) -> Flags:
        """Images whose label and true mask agree, `(N,)`.

        A defective part whose mask is empty has a defect at an unknown place, and a good part with
        a marked one contradicts itself: neither can be judged.
        """
        return np.asarray(self.defective == (self.true > 0))

    @property
    def found(self) -> Flags:
        """d: whether there is a predicted mask, `(N,)`."""
        return np.asarray(self.predicted > 0)

    @property
    def union(self) -> Counts:
        """|P∪G|, `(N,)`."""
        return self.predicted + self.true - self.overlap

    @property
    def iou(self) -> Floats:
        """|P∩G| / |P∪G| of each image, `(N,)`; NaN where both masks are empty."""
        return divide(self.overlap, self.union)

    def at(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> "Masks":
        """Some of the images, in the order of `rows`."""
        return Masks(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def without_small(self, least: float) -> "Masks":
        """These masks, a predicted one of less than this share of the picture taken as empty."""
        if not least:
            return self
        # Compared in counts: 0.07 · 100 must be 7, whatever the floating point says.
        enough = self.predicted >= np.ceil(least * self.area - 1e-9)
        return replace(self, predicted=self.predicted * enough, overlap=self.overlap * enough)


@dataclass(frozen=True)
class SizeClass:
    """Defects of one size.

    `seg_recall` is of those with a predicted mask, `seg_recall_strict` of those whose predicted
    mask touches the defect.
    """

    name: str
    seg_recall: Estimate
    seg_recall_strict: Estimate
    iou: Estimate


@dataclass(frozen=True)
class Localization:
    """All metrics at one threshold and minimum area.

    Attributes:
        seg_miou: mean IoU over the images with a predicted or a true mask.
        seg_recall: defective images with a predicted mask.
        seg_recall_strict: defective images whose predicted mask touches the true one.
        seg_accuracy: images whose predicted mask says what the label says.
        pooled_miou: over the pixels of all images together.
        false_alarms: good images with a predicted mask.
        by_size: the defective images by the size of the defect, smallest first.
        images: judged.
        groups: that they belong to.
        no_location: defective images left out, because their mask marks nothing.
        marked_good: good images left out, because their mask marks something.
    """

    seg_miou: Estimate
    seg_recall: Estimate
    seg_recall_strict: Estimate
    seg_accuracy: Estimate
    pooled_miou: Estimate
    false_alarms: Estimate
    by_size: tuple[SizeClass, ...]
    images: int
    groups: int
    no_location: int
    marked_good: int


METRICS: dict[
    str, Callable[[Masks], tuple[npt.ArrayLike, npt.ArrayLike]]
] = {  # numerator and denominator of each image, `(N,)` both
    "seg_miou": lambda m: (np.nan_to_num(m.iou), m.union > 0),
    "seg_recall": lambda m: (m.defective & m.found, m.defective),
    "seg_recall_strict": lambda m: (m.defective & (m.overlap > 0), m.defective),
    "seg_accuracy": lambda m: (m.defective == m.found, np.ones(len(m.codes))),
    "pooled_miou": lambda m: (m.overlap, m.union),
    "false_alarms": lambda m: (~m.defective & m.found, ~m.defective),
}
MEANS = ("seg_miou", "pooled_miou")  # the others are shares of images


def count_pixels(values: npt.NDArray[np.float32], truth: Flags) -> npt.NDArray[np.int32]:
    """|P| and |P∩G| of one image at each of `THRESHOLDS`, `(2, K)`; P = `values` ≥ threshold.

    `values`, a map at the size of the true mask, and `truth` are `(H, W)`.
    """
    reached = np.searchsorted(THRESHOLDS.astype(np.float32), values.ravel(), side="right")
    counts = [
        np.bincount(levels, minlength=len(THRESHOLDS) + 1)[::-1].cumsum()[::-1][1:]
        for levels in (reached, reached[truth.ravel()])
    ]
    return np.stack(counts).astype(np.int32)


def localize(masks: Masks, min_area: float = 0.0, *, seed: int = 0) -> Localization:
    """Judge predicted masks; images that cannot be judged are left out and counted.

    Shares of images get the interval of `bootstrap.share_interval`, which never collapses to a
    point; the two mIoU a bootstrap over groups. A predicted mask below `min_area`, a share of the
    picture, counts as empty.
    """
    known = masks.known
    judged = (masks if known.all() else masks.at(known)).without_small(min_area)
    defects = judged.at(judged.defective)
    sizes = size_class(defects)
    by_size = [defects.at(sizes == index) for index in range(len(SIZES))]
    whole = _terms(judged, "seg_miou")
    parts = [_where(whole, judged.defective, sizes == index) for index in range(len(SIZES))]
    terms = [whole, _terms(judged, "pooled_miou"), *parts]
    agreement, pooled, *of_sizes = ratios(terms, judged.codes, seed)
    return Localization(
        seg_miou=agreement,
        pooled_miou=pooled,
        **{name: _share(judged, name) for name in METRICS if name not in MEANS},
        by_size=tuple(
            SizeClass(name, _share(some, "seg_recall"), _share(some, "seg_recall_strict"), iou)
            for (name, _), some, iou in zip(SIZES, by_size, of_sizes, strict=True)
        ),
        images=len(judged.codes),
        groups=count_groups(judged.codes, np.ones(len(judged.codes), dtype=np.bool_)),
        no_location=int((~known & masks.defective).sum()),
        marked_good=int((~known & ~masks.defective).sum()),
    )


def metric_difference(
    first: Masks, second: Masks, metric: str, min_area: float = 0.0, *, seed: int = 0
) -> Estimate:
    """A metric of `second` minus that of `first` on the same images, row for row.

    `second` stands beside its own true masks, its groups play no part; `metric` is one of
    `METRICS`. The bootstrap is paired: both are drawn the same groups.
    """
    known = first.known & second.known
    pair = [masks.at(known).without_small(min_area) for masks in (first, second)]
    first_terms, second_terms = (_terms(masks, metric) for masks in pair)
    return ratio_difference(first_terms, second_terms, pair[0].codes, seed)


def metric_value(masks: Masks, metric: str) -> float:
    """A metric without its interval, on images that can be judged; NaN where it is not defined."""
    hits, total = _terms(masks, metric)
    return float(divide(hits.sum(), total.sum()))


def size_class(masks: Masks) -> Counts:
    """Index into `SIZES` of each image's defect, by its true mask, `(N,)`."""
    ends = [end for _, end in SIZES[:-1]]
    return np.searchsorted(ends, masks.true / masks.area, side="right").astype(np.int64)


def _terms(masks: Masks, metric: str) -> Terms:
    hits, total = METRICS[metric](masks)
    return np.asarray(hits, dtype=np.float64), np.asarray(total, dtype=np.float64)


def _where(terms: Terms, among: Flags, inside: Flags) -> Terms:
    """Terms of some images of a subset, 0 for all others: what a resample draws stays the same."""
    chosen = np.zeros(len(among))
    chosen[np.flatnonzero(among)[inside]] = 1
    return terms[0] * chosen, terms[1] * chosen


def _share(masks: Masks, metric: str) -> Estimate:
    hits, total = _terms(masks, metric)
    among = total > 0
    interval = share_interval(hits[among] > 0, masks.codes[among])
    share = float(divide(hits.sum(), total.sum()))
    return Estimate(share, interval, float(hits.sum()), int(total.sum()))
