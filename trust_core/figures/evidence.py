"""Signed evidence drawn over a photograph, and the same numbers for the cursor.

Notation: evidence `(H, W)` in bits on the network's input; above 0 speaks for *defective*.
"""

import base64
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from trust_core.figures import overlays
from trust_core.figures.overlays import LINES, PANEL_LINE, RAMPS, Outline, Pixels
from trust_core.model.placement import Box, Mask, spread

Bits = npt.NDArray[np.float32]

BOTH, DEFECT, GOOD = "both", "defect", "good"
SIDES = (BOTH, DEFECT, GOOD)
SIGNS = {DEFECT: 1.0, GOOD: -1.0}
QUANTILE = 0.995  # 1 in 200 pixels lies above the end of the colours, as with the heatmaps
LARGEST = 640  # cells along the longer side: more than a panel has pixels on most screens
OPACITY = 0.85
LINE = 2  # width of the outline
STRONG = 0.5  # share of the scale from which evidence is outlined, so that colour is not all


@dataclass(frozen=True)
class Cells:
    """Evidence as the page carries it.

    `step` is bits of one unit, `values` base64 of little-endian int16, row by row.
    """

    rows: int
    columns: int
    step: float
    values: str


def scale_end(bits: Bits) -> float:
    """Bits at the end of the colours, for evidence of any shape: a quantile of its magnitude."""
    return float(np.quantile(np.abs(bits), QUANTILE))


def evidence_panel(
    photo: Image.Image,
    box: Box,
    bits: Bits,
    scale: float,
    side: str,
    truth: Mask | None = None,
) -> tuple[bytes, Cells]:
    """The picture of one panel as JPEG, and the numbers below it.

    Everything is at panel size; `box` is what the network saw of the photo, `bits` are `(H, W)`.
    The side that is not `side` is left out of both; `truth` is outlined too, if it is given.
    """
    bits = one_side(block_means(bits), side)
    return overlays.as_jpeg(evidence_pixels(photo, box, bits, scale, truth)), cells(bits)


def evidence_pixels(
    photo: Image.Image, box: Box, bits: Bits, scale: float, truth: Mask | None = None
) -> Pixels:
    """Evidence over the grey photograph: none is clear, orange for *defective*, blue for *good*.

    Both sides share one scale. What speaks for *defective* by half of it or more is outlined.

    `bits` are `(H, W)`; their `scale` is 0 when there is no evidence at all. `truth`, the true mask
    at the size of the picture, is outlined too, if it is given.

    Returns:
        `(height, width, 3)` of the photograph.
    """
    shares = bits / scale if scale else np.zeros_like(bits)
    share = spread(shares, box, (photo.height, photo.width))
    pixels = overlays.grey(photo, box)
    for side, sign in SIGNS.items():
        pixels = overlays.add_heat(pixels, sign * share, RAMPS[side], OPACITY)
    pixels = overlays.add_outlines(pixels, [Outline(share >= STRONG, LINES[DEFECT])], LINE)
    if truth is None:
        return pixels
    return overlays.add_outlines(pixels, [overlays.true_outline(truth)], PANEL_LINE)


def block_means(bits: Bits, largest: int = LARGEST) -> Bits:
    """The means of square blocks, as small as it takes for no side to exceed `largest`."""
    block = -(-max(bits.shape) // largest)
    if block == 1:
        return bits
    counts = np.ones_like(bits)
    sums = [
        np.add.reduceat(
            np.add.reduceat(values, np.arange(0, bits.shape[0], block), axis=0),
            np.arange(0, bits.shape[1], block),
            axis=1,
        )
        for values in (bits, counts)
    ]
    return np.asarray(sums[0] / sums[1], dtype=np.float32)


def one_side(bits: Bits, side: str) -> Bits:
    """The evidence of one of `SIDES`, the rest 0."""
    if side == BOTH:
        return bits
    return np.where(bits * SIGNS[side] > 0, bits, np.float32(0))


def cells(bits: Bits) -> Cells:
    """Evidence in 16 bits a cell: exact to 1/32767 of the largest."""
    step = float(np.abs(bits).max(initial=0)) / 32767 or 1.0
    values = np.rint(bits / step).astype("<i2")
    rows, columns = bits.shape
    return Cells(rows, columns, step, base64.b64encode(values.tobytes()).decode())


def css_signed() -> str:
    """The colours from the end of *good* over nothing to the end of *defective*, for a legend."""
    good = overlays.css_gradient(RAMPS[GOOD]).replace("90deg", "270deg")
    half = "/ 50% 100% no-repeat"
    return f"{good} left {half},{overlays.css_gradient(RAMPS[DEFECT])} right {half}"
