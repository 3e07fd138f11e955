"""Heat, outlines and hatching drawn over a photograph.

Notation: the picture has `H, W` pixels (8-bit RGB). What the network did not see of the photograph
carries no colour.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from trust_core.figures.thumbnails import jpeg
from trust_core.model.placement import Box, Mask, Values, spread

Pixels = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

# One hue a map, dark to light, so that a map is known by its colour wherever it appears: orange and
# blue stay apart for every kind of colour blindness, and the lines differ in style as well.
RAMPS: dict[str, tuple[Colour, ...]] = {
    "defect": ((122, 42, 0), (213, 94, 0), (255, 196, 84)),
    "good": ((0, 52, 104), (0, 114, 178), (120, 206, 255)),
    "agnostic": ((92, 24, 84), (178, 74, 148), (255, 186, 232)),
    "probe": ((84, 76, 0), (190, 175, 0), (255, 246, 130)),
}
SIDES_OWN = "sides"  # each map in the ramp of its own
# Matplotlib's (van der Walt and Smith, 2015), at even steps.
COLOUR_MAPS: dict[str, tuple[Colour, ...]] = {
    "viridis": ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)),
    "inferno": ((0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)),
}
LINES: dict[str, Colour] = {
    "defect": (255, 176, 64),
    "good": (86, 190, 255),
    "agnostic": (255, 255, 255),
    "probe": (240, 228, 66),
    "truth": (80, 255, 150),
}
CASING: Colour = (16, 16, 20)  # a dark rim keeps a line visible on any photograph
UNSEEN = 0.45  # brightness left to what the network never saw
HATCH = 9  # pixels from line to line
DASH = 4  # length of a dash, in widths of the line
PANEL_LINE = 3  # width of an outline on a large picture


@dataclass(frozen=True)
class Outline:
    """A line along the edge of a mask.

    It is drawn `around` the mask where that is small, so as not to cover it. The mask is `(H, W)`.
    """

    mask: Mask
    colour: Colour
    dashed: bool = False
    around: bool = False


def ramp(side: str, colours: str = SIDES_OWN) -> tuple[Colour, ...]:
    """The colours of a map from 0 to its end: its own, or those of a key of `COLOUR_MAPS`."""
    return COLOUR_MAPS.get(colours, RAMPS[side])


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


def add_heat(pixels: Pixels, share: Values, ramp: Sequence[Colour], opacity: float) -> Pixels:
    """A heatmap over a picture; what is 0 stays clear.

    `pixels` are `(H, W, 3)`, `share` is `(H, W)`, the map divided by its display scale: 1 and above
    is the end of the ramp, whose opacity in 0..1 is given.
    """
    level = (share.clip(0.0, 1.0) * 255).round()
    colours = Image.fromarray(level.astype(np.uint8), "P")
    colours.putpalette(_table(ramp).tobytes())
    alpha = Image.fromarray((level * opacity).round().astype(np.uint8))
    return np.asarray(Image.composite(colours.convert("RGB"), Image.fromarray(pixels), alpha))


def add_hatching(pixels: Pixels, mask: Mask) -> Pixels:
    """Diagonal white lines with a dark side over a mask."""
    step = _diagonals(*mask.shape) % HATCH
    result = pixels.copy()
    result[mask & (step == 0)] = 255
    result[mask & (step == 1)] = CASING
    return result


def add_outlines(pixels: Pixels, outlines: Sequence[Outline], width: int) -> Pixels:
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


def true_outline(mask: Mask) -> Outline:
    """The outline of a true defect."""
    return Outline(mask, LINES["truth"], around=True)


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


def _diagonals(height: int, width: int) -> npt.NDArray[np.int16]:
    """The number of the diagonal that each pixel lies on, `(H, W)`."""
    rows, columns = np.arange(height, dtype=np.int16), np.arange(width, dtype=np.int16)
    return rows[:, None] + columns


def _inside(start: float, end: float, pixels: int) -> Mask:
    place = (np.arange(pixels) + 0.5) / pixels
    return np.asarray((place >= start) & (place <= end))
