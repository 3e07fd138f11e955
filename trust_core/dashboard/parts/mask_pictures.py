"""Predicted beside true masks over a photograph, as outlines."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from trust_core.dashboard.parts import pictures
from trust_core.dashboard.parts.pictures import LINES, RAMPS, Box, Mask, Outline

MASK_LINE, TRUE_LINE = LINES["defect"], LINES["truth"]
RAMP = RAMPS["defect"]


@dataclass(frozen=True)
class Seen:
    """What a picture of masks is drawn from.

    Attributes:
        photo: the photograph, at the size of the picture.
        box: what the network saw of it.
        cells: what the predicted mask is cut from, `(h, w)`; None without an answer.
        truth: the true mask at the size of the picture; None when nothing is marked or known.
    """

    photo: Image.Image
    box: Box
    cells: npt.NDArray[np.float32] | None
    truth: Mask | None


def masks_picture(seen: Seen, threshold: float, line: int, opacity: float = 0.0) -> bytes:
    """The grey photograph with the predicted mask (solid) and the true one (dashed) outlined.

    Args:
        seen: what it is drawn from.
        threshold: from which a pixel belongs to the predicted mask.
        line: width of the outlines in pixels.
        opacity: of the values themselves, drawn as heat up to 1; 0 leaves them out.
    """
    size = seen.photo.height, seen.photo.width
    pixels = pictures.grey(seen.photo, seen.box)
    outlines = []
    if seen.cells is not None:
        values = pictures.spread(seen.cells, seen.box, size)
        if opacity:
            pixels = pictures.heat(pixels, values, RAMP, opacity)
        outlines.append(Outline(values >= np.float32(threshold), MASK_LINE))
    if seen.truth is not None:
        outlines.append(Outline(seen.truth, TRUE_LINE, dashed=True, around=True))
    return pictures.as_jpeg(pictures.outlined(pixels, outlines, line))
