"""From rows of the sample table to pixels: the part of a batch that needs no network."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trust_core.data.images import read_image
from trust_core.data.samples import Dataset
from trust_core.errors import UnreadableImage
from trust_core.model.preprocessing import Preprocessing
from trust_core.scoring import Batch


def read_batch(dataset: Dataset, preprocessing: Preprocessing, rows: slice) -> Batch:
    """Decode and resize some images of the sample table; what cannot be read gets its reason."""
    samples = dataset.samples.iloc[rows]
    ids, paths = (samples[name].tolist() for name in ("sample_id", "path"))
    return read_images(dataset.root, ids, paths, preprocessing)


def read_images(
    root: Path,
    sample_ids: Sequence[str],
    paths: Sequence[str],
    preprocessing: Preprocessing,
    contents: Sequence[bytes] | None = None,
) -> Batch:
    """The same from ids and paths, where there is no sample table; or from the files' bytes."""
    reasons = np.full(len(paths), "", dtype=object)
    channels = 1 if preprocessing.channels == "grey" else 3
    pixels = np.zeros((len(paths), channels, *preprocessing.size), dtype=np.uint8)
    for index, path in enumerate(paths):
        try:
            pixels[index] = preprocessing.pixels(
                read_image(root / path, contents[index] if contents else None)
            )
        except UnreadableImage as error:
            reasons[index] = str(error)
    return Batch(np.array(sample_ids, dtype=object), reasons, pixels)
