"""Rival readings of the same weights, and the one whose BatchNorm statistics agree.

Architectures with the same keys and shapes can compute differently (symmetric or TensorFlow
padding), and nothing in a state dict tells them apart. The images do, without any label: with the
right one the inputs of the BatchNorm layers have the means they had in training.
"""

from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor, nn

from trust_core.data.samples import Dataset
from trust_core.errors import ModelError
from trust_core.messages import Message
from trust_core.model.checks.batchnorm import norm_mismatch
from trust_core.model.checks.sample_images import sample_images
from trust_core.model.detector import Detector
from trust_core.model.recognition.architectures import IMAGENET_MEAN, IMAGENET_STD, Blueprint
from trust_core.model.recognition.match import Fit
from trust_core.model.recognition.recognise import fill

CLEARLY_BETTER = 0.7  # of the mismatch; the right settings gave 0.55 or less where it was tried
NORMALISATIONS = ((IMAGENET_MEAN, IMAGENET_STD), ((0.5,), (0.5,)), ((0.0,), (1.0,)))


def choose_architecture(detector: Detector, dataset: Dataset, *, images: int = 32) -> Detector:
    """The detector in the architecture that its weights were trained in, as far as images tell.

    Args:
        detector: as opened; returned as it is when it has no alternatives, or none is clearly
            better than it.
        dataset: its images; labels are not used.
        images: how many to look at.

    Returns:
        The detector itself, or another one with the same weights and a note that says so.
    """
    if not detector.alternatives:
        return detector
    pixels = sample_images(dataset, detector.preprocessing, images).pixels
    own = norm_mismatch(detector, pixels)
    if own is None:
        return detector
    others = [(norm_mismatch(rival, pixels) or own, rival) for rival in other_builds(detector)]
    mismatch, best = min(others, key=lambda each: each[0], default=(own, detector))
    if mismatch >= CLEARLY_BETTER * own:
        return detector
    best.notes = (
        *detector.notes,
        Message(
            "{best} was taken after all: on the images its BatchNorm layers are {mismatch:.2f} "
            "standard deviations from training, those of {first} {own:.2f}.",
            "{best} was taken after all: with it, the images are {mismatch:.2f} away from those it "
            "was trained on, with {first} {own:.2f}.",
            best=best.architecture,
            first=detector.architecture,
            mismatch=mismatch,
            own=own,
        ),
    )
    return best


def other_builds(detector: Detector) -> Iterator[Detector]:
    """The same weights in each of the detector's alternatives."""
    names = {detector.architecture, *detector.alternatives}
    for name in detector.alternatives:
        try:
            fit = Fit(Blueprint(name, detector.convention.outputs, detector.channels))
            other = _like(detector, fill(fit, detector.module.state_dict()), name)
        except (ModelError, KeyError, RuntimeError):
            continue  # it can be built for another input size only
        other.alternatives = tuple(sorted(names - {name}))
        yield other


def other_normalisations(detector: Detector) -> Iterator[tuple[Message, Detector]]:
    """The same network with the usual normalisations, and the options that choose them."""
    now = detector.preprocessing
    for mean, std in NORMALISATIONS:
        if (mean, std) == (now.mean, now.std) or len(mean) > detector.channels:
            continue
        choice = Message(
            "{mean} {means} {std} {stds}",
            "{mean} {means} and {std} {stds}",
            means=_listed(mean),
            stds=_listed(std),
        )
        changed = replace(now, mean=mean, std=std)
        yield (
            choice,
            Detector(
                detector.module,
                changed,
                detector.convention,
                detector.layers,
                device=str(detector.device),
            ),
        )


def clearly_better(detector: Detector, pixels: Tensor, own: float) -> tuple[Message, float] | None:
    """The option under which the BatchNorm statistics agree clearly better, and its mismatch.

    Args:
        detector: with its present settings.
        pixels: (N, c, H, W) in [0, 1].
        own: its mismatch.
    """
    rivals = [
        (Message("{arch} {name}", "the architecture {name}", name=rival.architecture), rival)
        for rival in other_builds(detector)
    ]
    rivals += other_normalisations(detector)
    found = [(norm_mismatch(rival, pixels) or own, choice) for choice, rival in rivals]
    mismatch, choice = min(found, default=(own, Message("")))
    return (choice, mismatch) if mismatch < CLEARLY_BETTER * own else None


def _like(detector: Detector, module: nn.Module, name: str) -> Detector:
    return Detector(
        module,
        detector.preprocessing,
        detector.convention,
        detector.layers,
        architecture=name,
        sha256=detector.sha256,
        device=str(detector.device),
    )


def _listed(values: tuple[float, ...]) -> str:
    return ",".join(f"{value:g}" for value in values)
