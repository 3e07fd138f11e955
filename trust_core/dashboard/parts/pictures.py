"""Heatmaps and masks drawn over a photograph.

Notation: the picture has `H, W` pixels (8-bit RGB); a map or mask has `h, w` cells. Cells are laid
over what the network saw of the photograph, which with a crop is less than the photograph and with
a letterbox more. What it did not see carries no colour.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from trust_core.dashboard.parts.thumbnails import jpeg

Pixels = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Box = tuple[float, float, float, float]
Colour = tuple[int, int, int]

# One hue a map, dark to light, so that a map is known by its colour wherever it appears: orange and
# blue stay apart for every kind of colour blindness, and the lines differ in style as well.
RAMPS: dict[str, tuple[Colour, ...]] = {
    "defect": ((122, 42, 0), (213, 94, 0), (255, 196, 84)),
    "good": ((0, 52, 104), (0, 114, 178), (120, 206, 255)),
    "agnostic": ((92, 24, 84), (178, 74, 148), (255, 186, 232)),
}
LINES: dict[str, Colour] = {
    "defect": (255, 176, 64),
    "good": (86, 190, 255),
    "agnostic": (255, 255, 255),
    "truth": (80, 255, 150),
}
CASING: Colour = (16, 16, 20)  # a dark rim keeps a line visible on any photograph
UNSEEN = 0.45  # brightness left to what the network never saw
HATCH = 9  # pixels from line to line
DASH = 4  # length of a dash, in widths of the line


@dataclass(frozen=True)
class Outline:
    """A line along the edge of a mask.

    Attributes:
        mask: `(H, W)`.
        colour: of the line.
        dashed: a broken line.
        around: the line runs outside the mask, so that a small one is not covered by it.
    """

    mask: Mask
    colour: Colour
    dashed: bool = False
    around: bool = False


def seen_box(image: tuple[int, int], network: tuple[int, int], resize: str) -> Box:
    """What the network saw, as left, top, right, bottom in shares of the picture.

    Args:
        image: (width, height) of the photograph.
        network: (H, W) of the network's input.
        resize: "stretch", "crop:S" or "letterbox", as `Preprocessing.resize`.
    """
    if resize == "stretch":
        return 0.0, 0.0, 1.0, 1.0
    if resize == "letterbox":
        factor = min(network[0] / image[1], network[1] / image[0])
        lengths = [max(1, round(length * factor)) for length in image]
    else:
        short = int(resize.partition(":")[2])
        lengths = [int(short * length / min(image)) for length in image]
    starts = [_offset(*pair) for pair in zip(lengths, network[::-1], strict=True)]
    (left, right), (top, bottom) = (
        (start / length, (start + seen) / length)
        for start, length, seen in zip(starts, lengths, network[::-1], strict=True)
    )
    return left, top, right, bottom


def spread(cells: npt.NDArray[np.floating], box: Box, size: tuple[int, int]) -> Values:
    """Cells laid over the picture, bilinear between their centres as on the comparison grid.

    Args:
        cells: `(h, w)`.
        box: where they lie, from `seen_box`.
        size: (H, W) of the picture.

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


def spread_mask(mask: Mask, box: Box, size: tuple[int, int]) -> Mask:
    """A mask laid over the picture: `(h, w)` to `(H, W)`, its cells' centres unchanged."""
    return np.asarray(spread(mask.astype(np.float32), box, size) > 0.5)


def edge(mask: Mask, width: int) -> Mask:
    """The pixels of a mask within `width` steps of its outside; the picture's border is outside."""
    return mask & grown(np.pad(~mask, 1, constant_values=True), width)[1:-1, 1:-1]


def grown(mask: Mask, steps: int) -> Mask:
    """A mask with the pixels up to `steps` steps beside it (up, down, left, right)."""
    result = mask.copy()
    for _ in range(steps):
        before = result.copy()
        result[1:] |= before[:-1]
        result[:-1] |= before[1:]
        result[:, 1:] |= before[:, :-1]
        result[:, :-1] |= before[:, 1:]
    return result


def grey(photo: Image.Image, box: Box) -> Pixels:
    """The photograph without its colours, which are left to the maps, `(H, W, 3)`.

    What the network never saw is darkened.
    """
    values = np.array(photo.convert("L"))
    rows, columns = _inside(box[1], box[3], photo.height), _inside(box[0], box[2], photo.width)
    unseen = ~(rows[:, None] & columns[None, :])
    values[unseen] = (values[unseen] * UNSEEN).astype(np.uint8)
    return np.repeat(values[:, :, None], 3, axis=2)


def heat(pixels: Pixels, share: Values, ramp: Sequence[Colour], opacity: float) -> Pixels:
    """A heatmap over a picture; what is 0 stays clear.

    Args:
        pixels: `(H, W, 3)`.
        share: `(H, W)`, the map divided by its display scale; 1 and above is the ramp's end.
        ramp: colours from 0 to 1.
        opacity: of the ramp's end, 0..1.
    """
    level = (share.clip(0.0, 1.0) * 255).round()
    colours = Image.fromarray(level.astype(np.uint8), "P")
    colours.putpalette(_table(ramp).tobytes())
    alpha = Image.fromarray((level * opacity).round().astype(np.uint8))
    return np.asarray(Image.composite(colours.convert("RGB"), Image.fromarray(pixels), alpha))


def hatch(pixels: Pixels, mask: Mask) -> Pixels:
    """Diagonal white lines with a dark side over a mask."""
    step = _diagonals(*mask.shape) % HATCH
    result = pixels.copy()
    result[mask & (step == 0)] = 255
    result[mask & (step == 1)] = CASING
    return result


def outlined(pixels: Pixels, outlines: Sequence[Outline], width: int) -> Pixels:
    """Mask outlines over a picture, each with a dark rim; later ones lie on top."""
    result = pixels.copy()
    for outline in outlines:
        mask = grown(outline.mask, width + 2) if outline.around else outline.mask
        line = edge(mask, width)
        result[grown(line, 1)] = CASING
        if outline.dashed:
            line = line & (_diagonals(*line.shape) // (DASH * width) % 2 == 0)
        result[line] = outline.colour
    return result


def as_jpeg(pixels: Pixels) -> bytes:
    """A picture `(H, W, 3)` as JPEG."""
    return jpeg(Image.fromarray(pixels))


def css_gradient(ramp: Sequence[Colour]) -> str:
    """The ramp from clear to full, for a legend."""
    steps = [
        f"rgba({red},{green},{blue},{share:.2f})"
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
        for red, green, blue in [_table(ramp)[int(share * 255)]]
    ]
    return f"linear-gradient(90deg,{','.join(steps)})"


def _table(ramp: Sequence[Colour]) -> Pixels:
    """The ramp as 256 colours."""
    points = np.linspace(0, 255, len(ramp))
    channels = [np.interp(np.arange(256), points, channel) for channel in zip(*ramp, strict=True)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


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


def _diagonals(height: int, width: int) -> npt.NDArray[np.int16]:
    """The number of the diagonal that each pixel lies on, `(H, W)`."""
    rows, columns = np.arange(height, dtype=np.int16), np.arange(width, dtype=np.int16)
    return rows[:, None] + columns


def _offset(have: int, want: int) -> int:
    """Where the network's window begins, rounded as `Preprocessing` rounds it."""
    return round((have - want) / 2) if have >= want else -((want - have) // 2)


def _inside(start: float, end: float, pixels: int) -> Mask:
    place = (np.arange(pixels) + 0.5) / pixels
    return np.asarray((place >= start) & (place <= end))
