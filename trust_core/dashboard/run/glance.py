"""A few images as the network sees them, with what it says: a wrong crop or swap shows here."""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
import torch
from PIL import Image

from trust_core.data.images import read_image
from trust_core.data.label_examples import spread
from trust_core.data.samples import Dataset
from trust_core.errors import UnreadableImage
from trust_core.model.detector import Detector

PREVIEW_ROLES = ("tune", "train")  # certify and test stay sealed
EACH = 5  # images of each label


@dataclass(frozen=True)
class Preview:
    """One image.

    Attributes:
        picture: PNG of the network's input, cropped and resized as it will be.
        label: 0 good, 1 defective.
        probability: of a defect, as the detector says.
    """

    picture: bytes
    label: int
    probability: float


def previews(detector: Detector, dataset: Dataset, each: int = EACH) -> list[Preview]:
    """A few images of both labels from the roles that are not sealed, good ones first."""
    samples = dataset.samples[dataset.samples["role"].isin(PREVIEW_ROLES)]
    found: list[tuple[int, np.ndarray]] = []
    for label in (0, 1):
        for path in spread(samples.loc[samples["label"] == label, "path"].tolist(), each):
            try:
                image = read_image(dataset.root / path)
            except UnreadableImage:
                continue
            found.append((label, detector.preprocessing.pixels(image)))
    if not found:
        return []
    pixels = torch.from_numpy(np.stack([pixels for _, pixels in found])).float() / 255
    answers = detector.log_odds(pixels).double().sigmoid().tolist()
    bgr = detector.preprocessing.channels == "bgr"
    return [
        Preview(_png(pixels[::-1] if bgr else pixels), label, answer)
        for (label, pixels), answer in zip(found, answers, strict=True)
    ]


def _png(pixels: np.ndarray) -> bytes:
    array = pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0))
    file = BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()
