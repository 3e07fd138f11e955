"""Whether the images fit what a network was trained on, and what would make them fit better."""

from trust_core.data.samples import Dataset
from trust_core.messages import Message, amount
from trust_core.model.checks.alternatives import better_normalisation
from trust_core.model.checks.findings import Preflight
from trust_core.model.checks.input_size import better_size
from trust_core.model.checks.sample_images import sample_images
from trust_core.model.detector import Detector

FEW = 10  # images: what they show is a hint
STRANGE_MISMATCH = 0.5


def fit_warnings(
    detector: Detector, dataset: Dataset, found: Preflight, *, images: int = 32
) -> list[str]:
    """Sentences on normalisations and sizes that fit the images clearly better.

    Args:
        detector: what is to be audited.
        dataset: what it is to be audited on.
        found: what `preflight` has shown of the two.
        images: how many to look at.

    Raises:
        DataError: none of the chosen images can be read.
    """
    said = norm_warnings(detector, dataset, found, images=images)
    size = better_size(detector, dataset, images=images)
    return [*said, size] if size else said


def norm_warnings(
    detector: Detector, dataset: Dataset, found: Preflight, *, images: int = 32
) -> list[str]:
    """Of these the sentences on normalisations, which need BatchNorm layers."""
    own = found.mismatch
    if own is None:
        return []
    pixels = sample_images(dataset, detector.preprocessing, images).pixels
    hint = f" Only {amount(len(pixels), 'image', 'images')} could be looked at: take it as a hint."
    few = len(pixels) < FEW
    better = better_normalisation(detector, pixels, own)
    if better is not None:
        return [
            Message(
                "The BatchNorm statistics agree clearly better with {choice}: {mismatch:.2f} "
                "standard deviations from training instead of {own:.2f}.{hint}",
                "The images fit the network clearly better with {choice}: {mismatch:.2f} away from "
                "what it was trained on, instead of {own:.2f}.{hint}",
                hint=hint * few,
                choice=better.choice,
                mismatch=better.mismatch,
                own=own,
            )
        ]
    if own <= STRANGE_MISMATCH:
        return []
    differ = "the images or their preprocessing differ from what the network was trained on"
    return [
        Message(
            "The BatchNorm statistics are {own:.2f} standard deviations from training: {differ}."
            "{hint}",
            "Inside the network these images are {own:.2f} away from those it was trained on: "
            "{differ}.{hint}",
            hint=hint * few,
            own=own,
            differ=differ,
        )
    ]
