"""A few images of a data set: the same ones every time, of both labels, none from a sealed role."""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from trust_core.data.images import read_image
from trust_core.data.label_examples import spread
from trust_core.data.samples import Dataset
from trust_core.errors import DataError, UnreadableImage
from trust_core.model.detector import Detector
from trust_core.model.preprocessing import Preprocessing

OPEN_ROLES = ("tune", "train", "")  # certify and test stay sealed


@dataclass(frozen=True)
class Glance:
    """A few images as a network sees them.

    Attributes:
        pixels: (N, c, H, W) float32 in [0, 1].
        labels: (N,) 0 good, 1 defective.
        unreadable: chosen images that could not be read.
    """

    pixels: Tensor
    labels: npt.NDArray[np.int8]
    unreadable: int


def glance(dataset: Dataset, preprocessing: Preprocessing, images: int = 32) -> Glance:
    """Read a few images, half of each label where there are enough; `tune` before `train`.

    Args:
        dataset: where they come from.
        preprocessing: how they are brought to pixels.
        images: how many in all.

    Raises:
        DataError: none of them can be read.
    """
    chosen = _choose(dataset.samples, images)
    pixels, labels = [], []
    for path, label in zip(chosen["path"], chosen["label"], strict=True):
        try:
            image = read_image(dataset.root / path)
        except UnreadableImage:
            continue
        pixels.append(torch.from_numpy(preprocessing.pixels(image)))
        labels.append(label)
    if not pixels:
        raise DataError(
            f"None of the {len(chosen)} images looked at in {dataset.root} can be read."
        )
    return Glance(
        torch.stack(pixels).float() / 255,
        np.array(labels, dtype=np.int8),
        len(chosen) - len(labels),
    )


def _choose(samples: pd.DataFrame, images: int) -> pd.DataFrame:
    kept = samples[samples["role"].isin(OPEN_ROLES)]
    kept = samples if kept.empty else kept
    rank = {role: place for place, role in enumerate(OPEN_ROLES)}
    kept = kept.assign(place=kept["role"].map(rank).fillna(len(rank)))
    kept = kept.sort_values(["place", "sample_id"])
    parts = [part for _, part in kept.groupby("label")]
    share = -(-images // max(len(parts), 1))
    return pd.concat([part.head(share) for part in parts]).head(images) if parts else kept


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
