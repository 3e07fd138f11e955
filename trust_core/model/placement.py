"""Where a network's cells lie on the photograph: its preprocessing undone.

Notation: the picture has `H, W` pixels; a map or mask has `h, w` cells. Cells are laid over what
the network saw of the photograph, which with a crop is less than the photograph and with a
letterbox more. What it did not see holds nothing.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from trust_core.data.images import audited_bytes, read_image
from trust_core.model.preprocessing import resized_window
from trust_core.storage.audit_files import Audit

Values = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Box = tuple[float, float, float, float]

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


def seen_box(image: tuple[int, int], network: tuple[int, int], resize: str) -> Box:
    """What the network saw, as left, top, right, bottom in shares of the picture.

    `image` is (width, height) of the photograph, `network` (H, W) of the input; `resize` is as in
    `Preprocessing`.
    """
    (width, height), (left, top) = resized_window(image, network, resize)
    right, bottom = left + network[1], top + network[0]
    return left / width, top / height, right / width, bottom / height


def audit_box(audit: Audit, image: tuple[int, int]) -> Box:
    """What the network of an audit saw of a photograph of this (width, height)."""
    rule = audit.manifest.model.preprocessing
    return seen_box(image, rule.size, rule.resize)


def audit_picture(audit: Audit, path: str, *, check: bool = True) -> Image.Image:
    """A photograph of an audit, decoded as for its network.

    With `check` a file that has changed since it was audited is refused.

    Raises:
        UnreadableImage: with the file name and the reason.
    """
    rule, file = audit.manifest.model.preprocessing, audit.data_file(path)
    content = audited_bytes(file, audit.listed_sha256(path) if check else "")
    return read_image(file, content, bits=rule.bits, upright=rule.exif == "upright")


def spread(cells: npt.NDArray[np.floating], box: Box, size: tuple[int, int]) -> Values:
    """Cells laid over the picture, bilinear between their centres as on the comparison grid.

    `cells` are `(h, w)` and lie in `box`, from `seen_box`; `size` is (H, W) of the picture.

    Returns:
        `(H, W)`; 0 outside the box.
    """
    cells = cells.astype(np.float32)
    spans = (box[1], box[3]), (box[0], box[2])
    for axis, (start, end) in enumerate(spans):
        low, high, weight, outside = _places(cells.shape[axis], start, end, size[axis])
        shape = (-1, 1) if axis == 0 else (1, -1)
        weight = weight.reshape(shape)
        cells = cells.take(low, axis) * (1 - weight) + cells.take(high, axis) * weight
        cells *= ~outside.reshape(shape)
    return cells


def _places(
    cells: int, start: float, end: float, pixels: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Values, Mask]:
    """Between which cells the pixels of one axis lie; each `(pixels,)`.

    Returns:
        The cells on either side, the weight of the second, and True for a pixel outside all cells.
    """
    place = ((np.arange(pixels) + 0.5) / pixels - start) / (end - start)
    centre = (place * cells - 0.5).clip(0, cells - 1)
    low = np.floor(centre).astype(np.int64)
    high = np.minimum(low + 1, cells - 1)
    return low, high, (centre - low).astype(np.float32), (place < 0) | (place > 1)
