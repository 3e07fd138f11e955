"""Alternative readings of the same weights, judged by their BatchNorm statistics on the images.

Architectures with the same keys and shapes can compute differently (symmetric or TensorFlow
padding), and nothing in a state dict tells them apart. The images do, without any label: with the
right one the inputs of the BatchNorm layers have the means they had in training.
"""

from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass

from torch import Tensor

from trust_core.data.samples import Dataset
from trust_core.messages import Message
from trust_core.model.checks.batchnorm import norm_mismatch
from trust_core.model.checks.sample_images import sample_images
from trust_core.model.detector import Detector
from trust_core.model.recognition.architectures import IMAGENET_MEAN, IMAGENET_STD
from trust_core.model.recognition.match import Miss, fit_architecture
from trust_core.model.recognition.recognise import fill

CLEARLY_BETTER = 0.7  # of the mismatch; the right settings gave 0.55 or less where it was tried
PERHAPS_BETTER = 0.85  # of it on the first few images: only then are the others looked at
FEW = 8
NORMALISATIONS = ((IMAGENET_MEAN, IMAGENET_STD), ((0.5,), (0.5,)), ((0.0,), (1.0,)))


@dataclass(frozen=True)
class Alternative:
    """The same weights, read otherwise.

    `choice` is the option that reads them so; `detector` gives the outputs they then have, its
    layers are those of the first reading; `mismatch` is `norm_mismatch`, in standard deviations.
    """

    choice: Message
    detector: Detector
    mismatch: float


def choose_architecture(detector: Detector, dataset: Dataset, *, images: int = 32) -> Detector:
    """The detector in the architecture that its weights were trained in, as far as images tell.

    It is returned as it is when it has no alternatives, or none is clearly better. So many `images`
    are looked at where the first few do not decide; labels are not used.

    Returns:
        The detector itself, or another one with the same weights and a note that says so.

    Raises:
        DataError: there are alternatives, and none of the images can be read.
    """
    if not detector.alternatives:
        return detector
    few = sample_images(dataset, detector.preprocessing, min(images, FEW)).pixels
    others = list(_perhaps_better(detector, _other_architectures(detector), few))
    if not others:
        return detector
    pixels = sample_images(dataset, detector.preprocessing, images).pixels
    own = norm_mismatch(detector, pixels)
    best = None if own is None else _clearly_better(others, pixels, own)
    if own is None or best is None:
        return detector
    chosen = Detector(
        best.detector.module,
        detector.preprocessing,
        detector.convention,
        detector.layers,
        architecture=best.detector.architecture,
        sha256=detector.sha256,
        device=str(detector.device),
    )
    chosen.alternatives = best.detector.alternatives
    chosen.assumed = detector.assumed
    chosen.other_heads = tuple(
        name.replace(detector.architecture, chosen.architecture) for name in detector.other_heads
    )
    chosen.notes = (
        *detector.notes,
        Message(
            "{best} was taken after all: on the images its BatchNorm layers are {mismatch:.2f} "
            "standard deviations from training, those of {first} {own:.2f}.",
            "{best} was taken after all: with it, the images are {mismatch:.2f} away from those it "
            "was trained on, with {first} {own:.2f}.",
            best=chosen.architecture,
            first=detector.architecture,
            mismatch=best.mismatch,
            own=own,
        ),
    )
    return chosen


def better_normalisation(detector: Detector, pixels: Tensor, own: float) -> Alternative | None:
    """The normalisation under which BatchNorm statistics agree clearly better.

    `own` is its mismatch with its present settings; `pixels` are (N, c, H, W) in [0, 1].
    """
    few = pixels[:: max(1, len(pixels) // FEW)]
    others = _perhaps_better(detector, _other_normalisations(detector), few)
    return _clearly_better(others, pixels, own)


def _perhaps_better(
    detector: Detector, others: Iterable[tuple[Message, Detector]], few: Tensor
) -> Iterator[tuple[Message, Detector]]:
    """Those that a few images do not rule out."""
    own = norm_mismatch(detector, few)
    if own is None:
        return
    for choice, other in others:
        mismatch = norm_mismatch(other, few)
        if mismatch is not None and mismatch < PERHAPS_BETTER * own:
            yield choice, other


def _clearly_better(
    others: Iterable[tuple[Message, Detector]], pixels: Tensor, own: float
) -> Alternative | None:
    found = [
        Alternative(choice, other, mismatch)
        for choice, other in others
        if (mismatch := norm_mismatch(other, pixels)) is not None
        and mismatch < CLEARLY_BETTER * own
    ]
    return min(found, key=lambda each: each.mismatch, default=None)


def _other_architectures(detector: Detector) -> Iterator[tuple[Message, Detector]]:
    """The same weights in each of the detector's alternatives."""
    names = {detector.architecture, *detector.alternatives}
    state = detector.module.state_dict()
    shapes = {key: tuple(tensor.shape) for key, tensor in state.items()}
    for name in detector.alternatives:
        other = copy(detector)
        found = fit_architecture(name, shapes, detector.preprocessing.size)
        if isinstance(found, Miss):
            continue  # it can be built for another input size only
        other.module = fill(found, state)
        other.architecture = name
        other.alternatives = tuple(sorted(names - {name}))
        yield Message("{arch} {name}", "the architecture {name}", name=name), other


def _other_normalisations(detector: Detector) -> Iterator[tuple[Message, Detector]]:
    """The same network with each of the usual normalisations."""
    now = detector.preprocessing
    for mean, std in NORMALISATIONS:
        if (mean, std) != (now.mean, now.std) and len(mean) <= detector.channels:
            choice = Message(
                "{mean} {means} {std} {stds}",
                "{mean} {means} and {std} {stds}",
                means=_listed(mean),
                stds=_listed(std),
            )
            yield choice, detector.normalised(mean, std)


def _listed(values: tuple[float, ...]) -> str:
    return ",".join(f"{value:g}" for value in values)
