"""Other input sizes, tried on a few images: does the network fit them clearly better there?

Two measures. Without labels: at the size of the training the BatchNorm layers are given what they
were given then (`batchnorm`). With labels: which images are called right. Either is told only where
it is no chance of the few images, with all sizes that were tried counted in.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import binomtest
from torch import Tensor

from trust_core.data.samples import Dataset
from trust_core.errors import UnreadableImage
from trust_core.messages import Message, option
from trust_core.model.checks.batchnorm import NormInputs, mismatches, norm_inputs
from trust_core.model.checks.sample_images import image_pixels, sample_rows
from trust_core.model.detector import Detector
from trust_core.model.preprocessing import Preprocessing

USUAL = (64, 96, 112, 128, 160, 192, 224, 256, 288, 320, 384, 448, 512)
FURTHEST = 2.0  # times smaller or larger
FEW = 8  # images that rule a size out before it is tried on all of them
PERHAPS_BETTER = 0.95  # of the mismatch on these few
GIVEN_UP = 2  # sizes that are no better, after which none is tried that is further away
MOST = 3  # sizes that are tried on all images
DRAWS = 2000  # of the images anew, with replacement
CHANCE = 0.01  # of a sentence where no size is better than another
CLEARLY_BETTER = 0.85  # of the mismatch; a smaller step is not worth a sentence


@dataclass(frozen=True)
class SizeTrial:
    """What a network makes of N images at one size.

    Attributes:
        rule: how they were prepared.
        norms: what its BatchNorm layers were given; empty without any.
        right: (N,) whether each image is called what it is.
    """

    rule: Preprocessing
    norms: list[NormInputs]
    right: npt.NDArray[np.bool_]

    def mismatch(self, weights: Tensor | None = None) -> Tensor:
        """(D,) of weighted images, weights (D, N); of all alike when None."""
        images = len(self.right)
        alike = torch.full((1, images), 1 / images, dtype=torch.float64)
        return mismatches(self.norms, alike if weights is None else weights)


Trials = dict[tuple[Preprocessing, int], SizeTrial]
"""Of one network on the images of one data set: by rule and number of images."""


def better_size(
    detector: Detector, dataset: Dataset, *, images: int = 32, kept: Trials | None = None
) -> Message | None:
    """A sentence on the size at which the network fits the images clearly better.

    Args:
        detector: with its present size.
        dataset: one image of each group is looked at, none of a sealed role.
        images: how many in all, half of each label where there are enough.
        kept: trials of this network on these images that were made before, with another size of
            its own; those made now are added.

    Returns:
        None where no size is clearly better, or where that may be chance.
    """
    rules = [detector.preprocessing, *other_sizes(detector.preprocessing)]
    by_rule, labels = _pixels(dataset, rules, images)
    if not len(labels):
        return None
    kept = {} if kept is None else kept
    every, few = (slice(None, None, step) for step in (1, max(1, len(labels) // FEW)))

    def trial(index: int, some: slice) -> SizeTrial | None:
        pixels, true = by_rule[index][some], labels[some]
        key = rules[index], len(true)
        if key not in kept and (made := size_trial(detector, rules[index], pixels, true)):
            kept[key] = made
        return kept.get(key)

    sides = [min(rule.size) for rule in rules]
    promising = _promising_sizes(sides, lambda index: trial(index, few))
    own = trial(0, every) if promising else None
    if own is None:
        return None
    level = CHANCE / (len(rules) - 1)  # Bonferroni
    all_right = replace(own, norms=[], right=np.ones_like(own.right))
    only_norms = not is_right_more_often(own, all_right, level)  # no size can be right so much more
    others = []
    for index in [index for index, nearer in promising.items() if nearer or not only_norms]:
        if other := trial(index, every):
            others.append(other)
            if only_norms and not is_nearer(own, other, level):
                break  # the next ones are further away
    better = [other for other in others if is_nearer(own, other, level)]
    if better:
        return _nearer(own, nearest_trial(better))
    better = [other for other in others if is_right_more_often(own, other, level)]
    return _more_right(own, max(better, key=lambda other: other.right.sum())) if better else None


def other_sizes(rule: Preprocessing) -> Iterator[Preprocessing]:
    """The usual sizes not too far from the present one, of its aspect ratio.

    What is cut out of the image stays the same: with `crop:S` S changes as the size does.
    """
    height, width = rule.size
    name, _, short = rule.resize.partition(":")
    for side in USUAL:
        factor = side / min(height, width)
        if factor != 1 and 1 / FURTHEST <= factor <= FURTHEST:
            size = round(factor * height), round(factor * width)
            resize = f"{name}:{round(factor * int(short))}" if short else name
            yield replace(rule, size=size, resize=resize)


def size_trial(
    detector: Detector, rule: Preprocessing, pixels: Tensor, labels: npt.NDArray[np.int8]
) -> SizeTrial | None:
    """Run images at another size than the detector's own.

    Args:
        detector: the network.
        rule: how the images were prepared.
        pixels: (N, c, H, W) in [0, 1].
        labels: (N,) 0 good, 1 defective.

    Returns:
        None where the network does not run at that size.
    """
    there = detector.prepared(rule)
    try:
        norms, log_odds = norm_inputs(there, pixels)
    except (RuntimeError, AssertionError, ValueError, TypeError, IndexError):
        return None  # positions that are learnt, or a linear layer that reads the cells
    return SizeTrial(rule, norms, (log_odds >= 0).cpu().numpy() == (labels == 1))


def _promising_sizes(
    sides: Sequence[int], trial: Callable[[int], SizeTrial | None]
) -> dict[int, bool]:
    """The few sizes that a few images do not rule out, going away from the own one, `sides[0]`.

    By their index, whether the BatchNorm layers speak for them; else right answers alone do.
    """
    own = trial(0)
    if own is None:
        return {}
    order = sorted(range(1, len(sides)), key=sides.__getitem__)
    smaller = [index for index in order if sides[index] < sides[0]][::-1]
    larger = [index for index in order if sides[index] > sides[0]]
    found: list[tuple[float, int, int, bool]] = []
    for away in (smaller, larger):
        worse = 0
        for index in away:
            other = trial(index)
            ratio = float(other.mismatch() / own.mismatch()) if other and own.norms else 1.0
            nearer = ratio < PERHAPS_BETTER
            if other and (nearer or other.right.sum() > own.right.sum()):
                distance = float(other.mismatch()) if other.norms else 0.0
                found.append((distance, -int(other.right.sum()), index, nearer))
                worse = 0
            elif ratio >= 1 and (own.norms or other is None or other.right.sum() < own.right.sum()):
                worse += 1
            if worse == GIVEN_UP:
                break
    return {index: nearer for *_, index, nearer in sorted(found)[:MOST]}


def is_nearer(own: SizeTrial, other: SizeTrial, level: float) -> bool:
    """Whether the BatchNorm layers say so clearly, and whichever of the images are drawn."""
    if not own.norms or other.mismatch() >= CLEARLY_BETTER * own.mismatch():
        return False
    images = len(own.right)
    drawn = np.random.default_rng(0).multinomial(images, [1 / images] * images, DRAWS) / images
    weights = torch.from_numpy(drawn)
    further = float((other.mismatch(weights) >= own.mismatch(weights)).sum())
    return (further + 1) / (DRAWS + 1) < level


def nearest_trial(trials: Sequence[SizeTrial]) -> SizeTrial:
    """The nearest to the training; of those that are not clearly further, the one right most."""
    least = min(float(trial.mismatch()) for trial in trials)
    near = [trial for trial in trials if CLEARLY_BETTER * float(trial.mismatch()) < least]
    return max(near, key=lambda trial: (trial.right.sum(), -float(trial.mismatch())))


def is_right_more_often(own: SizeTrial, other: SizeTrial, level: float) -> bool:
    """Whether more images are called right than chance allows (McNemar's exact test)."""
    gained, lost = int((other.right & ~own.right).sum()), int((own.right & ~other.right).sum())
    if gained <= lost:
        return False
    return bool(binomtest(gained, gained + lost, alternative="greater").pvalue < level)


def _nearer(own: SizeTrial, best: SizeTrial) -> Message:
    return Message(
        "The network fits the images clearly better with {choice}: its BatchNorm layers are "
        "{mismatch:.2f} standard deviations from training instead of {own:.2f} ({images} images). "
        "{there} of {images} are called right there, {here} at {now}.",
        "The network fits the images clearly better with {choice}: inside it they are "
        "{mismatch:.2f} away from what it was trained on, instead of {own:.2f} ({images} images). "
        "{there} of {images} are called right there, {here} at {now}.",
        choice=_choice(own, best),
        mismatch=float(best.mismatch()),
        own=float(own.mismatch()),
        images=len(own.right),
        there=int(best.right.sum()),
        here=int(own.right.sum()),
        now=_by(own.rule),
    )


def _more_right(own: SizeTrial, best: SizeTrial) -> Message:
    return Message(
        "The network is right more often with {choice}: {there} of {images} images are called "
        "right there, {here} at {now}.",
        choice=_choice(own, best),
        images=len(own.right),
        there=int(best.right.sum()),
        here=int(own.right.sum()),
        now=_by(own.rule),
    )


def _choice(own: SizeTrial, best: SizeTrial) -> Message:
    size = option("size", _by(best.rule))
    if best.rule.resize == own.rule.resize:
        return size
    return Message("{size} and {resize}", size=size, resize=option("resize", best.rule.resize))


def _by(rule: Preprocessing) -> str:
    return "x".join(map(str, rule.size))


def _pixels(
    dataset: Dataset, rules: Sequence[Preprocessing], images: int
) -> tuple[list[Tensor], npt.NDArray[np.int8]]:
    """A few images, each read once: (N, c, H, W) in [0, 1] for each rule, and their labels (N,)."""
    arrays, labels = [], []
    rows = sample_rows(dataset, images, one_a_group=True)
    for path, label in zip(rows["path"], rows["label"], strict=True):
        try:
            arrays.append(image_pixels(dataset.root / path, rules))
            labels.append(label)
        except UnreadableImage:  # the audit lists it
            continue
    stacks = (np.stack(each) for each in zip(*arrays, strict=True))
    return [torch.from_numpy(stack).float() / 255 for stack in stacks], np.array(labels, np.int8)
