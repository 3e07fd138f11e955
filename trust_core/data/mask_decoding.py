"""What a mask file marks: anything but its background, however an annotation tool wrote it."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import label, maximum_filter, minimum_filter

from trust_core.data.images import decode, low_bytes
from trust_core.errors import UnreadableImage

RULE = 3  # what is kept of masks is made anew when the rule changes
SEPARATOR = "|"  # between the masks of one image in `mask_path`
FEW = 16  # levels of a file that holds classes; a photograph has more
FAINT = 16  # what is darker in a lossy file may be its compression
NEARLY_BLACK, NEARLY_WHITE = 26, 0.9  # a value of 255; a share of the brightest
VOID = 255  # the number of what is to be ignored, in class masks
_VOC = {1: (128, 0, 0), VOID: (224, 224, 192)}  # colours that tell the palette of Pascal VOC
_MOST_CLASSES = 20  # as in VOC
_GROUND = "background="

Values = npt.NDArray[np.int64]
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa", "RGBX")

Colour = tuple[int, ...]
"""A value of grey, or values of red, green and blue."""

INVERTED, UNIFORM, COLOURED, PALE = "inverted", "uniform", "coloured", "pale"
"""Doubts: more marked than not; one colour all over; no black; a lossy file that is nearly black"""
CLASSES, IGNORED = "classes", "ignored"
"""Doubts: 255 beside class numbers; nothing but 255, which a VOC palette calls void"""


@dataclass(frozen=True)
class MaskReading:
    """What a mask marks, and what makes that doubtful.

    `marked` is `(H, W)`; `doubt` is one of the words above, or ""; `background` is what was taken
    as it; `uniform` is the colour of a mask that has only one, visible one.
    """

    marked: npt.NDArray[np.bool_]
    doubt: str = ""
    background: str = "black"
    uniform: Colour | None = None


def read_mask(path: Path, ground: Colour | None = None) -> npt.NDArray[np.bool_]:
    """Decode a mask as `(H, W)` booleans; the rule stands at `mask_reading`.

    Raises:
        UnreadableImage: with the file name and the reason.
    """
    return mask_reading(path, ground).marked


def read_masks(root: Path, mask_path: str) -> npt.NDArray[np.bool_]:
    """The union of the masks of one image.

    `mask_path` is one path below `root` or several, separated by `SEPARATOR`, and where the
    background is not black, that (`with_ground`).

    Raises:
        UnreadableImage: one of them cannot be read, or they differ in size.
    """
    ground = ground_of(mask_path)
    first, *others = (read_mask(root / path, ground) for path in mask_paths(mask_path))
    for other in others:
        if other.shape != first.shape:
            raise UnreadableImage(
                f"{Path(mask_path.split(SEPARATOR)[0]).name}: the masks of this image differ in "
                "size; save all at the size of their image."
            )
        first |= other
    return first


def mask_paths(mask_path: str) -> list[str]:
    """The paths that a `mask_path` of the sample table names."""
    return [path for path in mask_path.split(SEPARATOR) if path and not is_ground(path)]


def with_ground(mask_path: str, ground: Colour) -> str:
    """A `mask_path` that says which colour the background of its masks has.

    >>> with_ground("a.png|b.png", (255, 255, 255)), ground_of("a.png|background=68 1 84")
    ('a.png|b.png|background=255', (68, 1, 84))
    """
    said = ground[:1] if len(set(ground)) == 1 else ground
    return SEPARATOR.join((mask_path, _GROUND + " ".join(map(str, said))))


def ground_of(mask_path: str) -> Colour | None:
    """The background that a `mask_path` of the sample table names; None where it is as usual."""
    said = next((part for part in mask_path.split(SEPARATOR) if is_ground(part)), "")
    return tuple(map(int, said.removeprefix(_GROUND).split())) or None


def is_ground(part: str) -> bool:
    """Whether a part of a `mask_path` says the background, and is no path."""
    return re.fullmatch(_GROUND + r"\d{1,5}( \d{1,5} \d{1,5})?", part) is not None


def mask_reading(path: Path, ground: Colour | None = None) -> MaskReading:
    """Decode a mask, whatever its mode.

    1. Where transparency differs from pixel to pixel, what is transparent is background; of what is
       not, all is marked, unless it is black and another colour.
    2. Otherwise the background is black: value 0, or number 0 of a palette whose colours do not
       show it. Where nothing is black, it is the most frequent colour; one colour all over marks
       the whole picture.
    3. Anything else is marked, be it as dark as 1 of 255, but the void (255) of Pascal VOC's
       palette beside classes. Only soft edges are cut, at half of the brightest value: those of
       what is or was a JPEG, and values most of which have a brighter neighbour as well as a
       darker one.

    `ground` is the colour of the background, where the masks of a data set tell it together.

    Raises:
        UnreadableImage: with the file name and the reason.
    """
    image = _decoded(path)
    lossy = image.format == "JPEG"
    visible = _visible(image)
    if visible is None:
        values, background = _from_background(image, ground)
        marked = _without_edges(values, lossy=lossy)
    else:
        values, background = _channels(image).max(axis=2), "black"
        marked = _without_edges(values, lossy=lossy) & visible
        marked = marked if marked.any() else visible
    doubt = _void_doubt(image)
    if lossy and not marked.any() and 0 < values.max(initial=0) < FAINT:
        doubt = PALE
    elif doubt:
        pass
    elif background != "black" and ground is None:
        doubt = COLOURED
    elif marked.all():
        doubt = UNIFORM
    elif marked.mean() > 0.5:
        doubt = INVERTED
    uniform = _only(image) if visible is None and marked.all() else None
    return MaskReading(marked, doubt, background, uniform)


def _decoded(path: Path) -> Image.Image:
    """The mask as a picture; a 16-bit colour PNG whose numbers fill the lower 8 bits by these."""
    image = decode(path, any_range=True)
    if image.mode in ("RGB", "RGBA") and not np.asarray(image.convert("RGB")).any():
        low = low_bytes(path)
        if low and np.asarray(low).any():
            return low
    return image


def looks_like_mask(path: Path) -> bool | None:
    """Whether a file has few colours, or at least nine of ten pixels nearly black or brightest.

    None when it cannot be read.
    """
    try:
        image = decode(path, any_range=True)
    except UnreadableImage:
        return None
    if _few_colours(image):
        return True
    pixels = np.asarray(image.convert("L"))
    bright = pixels > NEARLY_WHITE * pixels.max(initial=0)
    return bool(((pixels < NEARLY_BLACK) | bright).mean() >= 0.9)


def few_colours(path: Path) -> int:
    """How many colours a file has, where they are few, as those of a mask; otherwise 0."""
    try:
        return _few_colours(decode(path, any_range=True))
    except UnreadableImage:
        return 0


def _few_colours(image: Image.Image) -> int:
    if image.mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        return len(image.getcolors(FEW) or ())
    count = len(np.unique(np.asarray(image)[::4, ::4]))
    return count if count <= FEW else 0


def _visible(image: Image.Image) -> npt.NDArray[np.bool_] | None:
    """Where the picture is not transparent; None where transparency says nothing.

    It says nothing where it is the same everywhere, unless there is nothing to see below it either:
    then the mask is empty.
    """
    if image.mode in _WITH_ALPHA:
        alpha = np.asarray(image.getchannel(len(image.getbands()) - 1))
    elif "transparency" in image.info:
        alpha = np.asarray(image.convert("RGBA").getchannel("A"))
    else:
        return None
    if alpha.min(initial=255) < alpha.max(initial=0):
        return _without_edges(alpha.astype(np.int64), lossy=False)
    colours = _channels(image).reshape(-1, _channels(image).shape[2])
    empty = not alpha.any() and bool((colours == colours[:1]).all())
    return np.zeros(alpha.shape, np.bool_) if empty else None


def _channels(image: Image.Image) -> Values:
    """The values of a picture without its transparency, `(H, W, c)`."""
    if image.mode in ("P", "PA"):
        image = image.convert("RGB")
    elif image.mode in ("1", "CMYK", "YCbCr"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    values = np.asarray(image)
    if values.dtype.kind == "f":  # a probability has its range; any other number is a class
        values = np.nan_to_num(values) * (255 if np.nanmax(np.abs(values), initial=0) <= 1 else 1)
    values = np.abs(values.astype(np.int64))
    if values.ndim == 2:
        return values[:, :, None]
    return values[:, :, :-1] if image.mode in _WITH_ALPHA else values


def _only(image: Image.Image) -> Colour | None:
    """The colour of a picture that has only one."""
    values = _channels(image)
    pixels = values.reshape(-1, values.shape[2])
    if not len(pixels) or (pixels != pixels[0]).any():
        return None
    colour = tuple(pixels[0].tolist())
    return colour[:1] if len(set(colour)) == 1 else colour


def _void_doubt(image: Image.Image) -> str:
    """What makes the number 255 of a mask doubtful."""
    if image.mode not in ("L", "P") or image.format in ("JPEG", "WEBP"):
        return ""
    used = [number for number, count in enumerate(image.histogram()[: VOID + 1]) if count]
    classes = [number for number in used if 0 < number < VOID]
    if VOID not in used:
        return ""
    if image.mode == "P" and _is_voc(image):
        return "" if classes else IGNORED
    return CLASSES if classes and classes[0] == 1 and classes[-1] <= _MOST_CLASSES else ""


def _from_background(image: Image.Image, ground: Colour | None) -> tuple[Values, str]:
    """How far each pixel is from the background, `(H, W)`; and the background in words."""
    if ground is not None:
        far = np.abs(_channels(image) - np.asarray(ground)).max(axis=2)
        return far, ", ".join(map(str, ground))
    if image.mode in ("P", "PA"):
        return _from_palette(image), "black"
    values = _channels(image)
    grey = values.max(axis=2)
    black = FAINT if image.format in ("JPEG", "WEBP") else 1
    if not grey.size or grey.min() < black:
        return grey, "black"
    packed = (values << (np.arange(values.shape[2]) * 16)).sum(axis=2)
    codes, counts = np.unique(packed, return_counts=True)
    if len(codes) == 1:
        return grey, "black"
    background = values[packed == codes[counts.argmax()]][0]
    return np.abs(values - background).max(axis=2), ", ".join(map(str, background.tolist()))


def _from_palette(image: Image.Image) -> Values:
    """The same for numbers that stand for colours: number 0, or else black, is the background."""
    numbers = np.asarray(image.getchannel(0))
    table = np.zeros((256, 3), np.int64)
    given = np.asarray(image.getpalette("RGB") or [], np.int64).reshape(-1, 3)
    table[: len(given)] = given
    used = np.unique(numbers)
    black = used[table[used].max(axis=1) == 0]
    background = int(black[0]) if black.size and 0 not in black else 0
    shades = np.maximum(np.abs(table - table[background]).max(axis=1), 1)
    shades[background] = 0
    if _is_voc(image) and np.any((used != background) & (used != VOID)):
        shades[VOID] = 0
    return np.asarray(shades[numbers], np.int64)


def _is_voc(image: Image.Image) -> bool:
    colours = image.getpalette("RGB") or []
    return all(tuple(colours[3 * k : 3 * k + 3]) == colour for k, colour in _VOC.items())


def _without_edges(values: Values, *, lossy: bool) -> npt.NDArray[np.bool_]:
    """What is no background, without the soft edges of what is marked."""
    most = int(values.max(initial=0))
    if lossy:
        return np.asarray(values > max(most, FAINT) / 2)
    between = (values > 0) & (values < most)
    if not between.any():
        return np.asarray(values > 0)
    slope = (maximum_filter(values, 3) > values) & (minimum_filter(values, 3) < values)
    soft = (slope & between).sum() > between.sum() / 2 or _compressed(values, most)
    return np.asarray(values > (most / 2 if soft else 0))


def _compressed(values: Values, most: int) -> bool:
    """Whether this was a JPEG once: one area holds several levels next to the highest.

    Classes and instances fill an area with one level each.
    """
    areas, _ = label(values > 0, np.ones((3, 3)))
    largest = np.bincount(areas[values > NEARLY_WHITE * most]).argmax()
    levels = np.unique(values[areas == largest])
    return most > FAINT and int((levels > NEARLY_WHITE * most).sum()) >= 3
