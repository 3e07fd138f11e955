"""Safe decoding of image files: an 8-bit picture, or the reason why there is none."""

import hashlib
import io
import os
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from trust_core.data.files import patiently
from trust_core.errors import UnreadableImage

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
SIXTEEN = 16  # bits
MAX_PIXELS = 80_000_000
"""Largest picture that is decoded; below Pillow's own limit, and checked from the header."""

MAX_BYTES = 1 << 30
"""Largest file that is read: more than the largest picture takes with no compression at all."""

_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
_READABLE = frozenset(
    ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", *_SIXTEEN_BIT)
)
_ANY_RANGE = ("I", "F")
_DEEP_COLOUR = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L"}  # as a PNG is, with its bytes swapped
_CAMERA_BITS = (8, 10, 12, 14, 16)
_PNG = b"\x89PNG\r\n\x1a\n"
_MOST_TEXT = 1 << 20  # bytes of texts in a PNG that are looked at
_TURNED = (5, 6, 7, 8)  # EXIF orientations that swap width and height
_MALFORMED = (
    OSError,
    SyntaxError,  # Pillow's word for a broken PNG
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    EOFError,
    NotImplementedError,
    struct.error,
    zlib.error,
)
_TOO_LARGE = (Image.DecompressionBombWarning, Image.DecompressionBombError)
_warnings_lock = threading.Lock()  # warning filters belong to the process, not to a thread


def read_image(
    path: Path, content: bytes | None = None, *, bits: int = SIXTEEN, upright: bool = True
) -> Image.Image:
    """Decode the first frame of an image file as mode "L" (grey) or "RGB".

    16-bit grey is scaled by its range (value / 257 for 16 bits), never clipped or stretched;
    16-bit colour likewise where fewer bits are used, else read by its upper 8 as Pillow does. A
    palette becomes its colours. Alpha is dropped, not composited, because that is what
    `convert("RGB")` and OpenCV do in nearly every training pipeline: the detector has to see here
    what it sees there.

    Args:
        path: of the file.
        content: its bytes, where they were read already; `path` is then only its name.
        bits: that a 16-bit picture uses: 12 are values up to 4095. A larger value has no place.
        upright: apply the EXIF orientation.

    Raises:
        UnreadableImage: with the file name and the reason.
    """
    image = decode(path, content, upright=upright)
    if bits < SIXTEEN and (low := low_bytes(path, content, upright=upright)):
        values = _whole_values(image, low)
        _check_bits(int(values.max(initial=0)), path, bits)
        return Image.fromarray(_scaled(values, bits))
    return _in_eight_bits(image, path, bits)


def read_picture(
    picture: Image.Image, name: str, *, bits: int = SIXTEEN, upright: bool = True
) -> Image.Image:
    """A picture that a program holds already, as `read_image` gives that of a file."""
    path = Path(name)
    with _told(path):
        image = _loaded(picture, path, upright=upright)
    return _in_eight_bits(image, path, bits)


def _in_eight_bits(image: Image.Image, path: Path, bits: int) -> Image.Image:
    if image.mode in _SIXTEEN_BIT:
        _check_bits(_largest(image), path, bits)
    return _as_eight_bit(image, bits)


def _check_bits(most: int, path: Path, bits: int) -> None:
    if most >> bits:
        raise UnreadableImage(
            f"{path.name}: it holds values up to {most:,}, more than {bits} bits; say how "
            "many the camera fills."
        )


def _scaled(values: npt.NDArray[np.uint32], bits: int) -> npt.NDArray[np.uint8]:
    top = (1 << bits) - 1
    return ((values * 255 + top // 2) // top).astype(np.uint8)


def low_bytes(
    path: Path, content: bytes | None = None, *, upright: bool = True
) -> Image.Image | None:
    """The lower 8 bits of a 16-bit colour PNG, of which Pillow gives the upper; None for others.

    Pillow decodes them where the file is said to begin with the other byte. The arguments are those
    of `read_image`.

    Raises:
        UnreadableImage: with the file name and the reason.
    """
    with _told(path), _open(path if content is None else io.BytesIO(content)) as image:
        if not isinstance(image, PngImagePlugin.PngImageFile) or len(image.tile) != 1:
            return None
        (tile,) = image.tile
        swapped = _DEEP_COLOUR.get(str(tile.args))
        if swapped is None:
            return None
        image.tile = [tile._replace(args=swapped)]
        return _loaded(image, path, upright=upright).convert("RGB")


def _whole_values(high: Image.Image, low: Image.Image) -> npt.NDArray[np.uint32]:
    """(H, W, 3) of up to 16 bits."""
    colours = np.asarray(high.convert("RGB")).astype(np.uint32)
    return colours * 256 + np.asarray(low)


def used_bits(paths: Sequence[Path]) -> int | None:
    """How many bits some 16-bit pictures use together; None where none has 16 bits.

    Cameras fill 8, 10, 12, 14 or 16 of them. Unreadable ones count for nothing.
    """
    most = None
    for path in paths:
        try:
            with _open(path) as image:
                deep = image.mode in _SIXTEEN_BIT
            if deep:
                most = max(most or 0, _largest(decode(path)))
            elif low := low_bytes(path):
                most = max(most or 0, int(_whole_values(decode(path), low).max(initial=0)))
        except (UnreadableImage, *_TOO_LARGE, *_MALFORMED):
            continue  # the audit says which, and why
    return None if most is None else next(bits for bits in _CAMERA_BITS if not most >> bits)


def image_bytes(path: Path) -> bytes:
    """The bytes of an image file, to be hashed and decoded: both speak of the very same picture.

    Raises:
        UnreadableImage: with the file name and the reason; `passing`.
    """

    def read() -> bytes:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > MAX_BYTES:
                raise UnreadableImage(
                    f"{path.name}: the file is larger than {MAX_BYTES >> 30} GB; save the picture "
                    "alone."
                )
            return file.read()

    try:
        return patiently(read)
    except OSError as error:
        raise UnreadableImage(f"{path.name}: {_reason(error)}.", passing=True) from error


def audited_bytes(path: Path, sha256: str) -> bytes:
    """The bytes of an image that was audited; no others.

    `sha256` is that of the file when it was audited, "" where that is not known.

    Raises:
        UnreadableImage: it cannot be read, or has changed since.
    """
    content = image_bytes(path)
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise UnreadableImage(
            f"{path.name} is not the picture that was audited: its file has changed since."
        )
    return content


def is_turned(path: Path) -> bool:
    """Whether the EXIF orientation of a file changes its picture; from the header alone."""
    try:
        with _open(path) as image:
            return _orientation(image, path) in range(2, 9)
    except (*_TOO_LARGE, *_MALFORMED):
        return False  # the audit says why it cannot be read


def image_size(path: Path, *, upright: bool = True) -> tuple[int, int]:
    """(width, height) of the picture that `read_image` gives, from the header alone.

    Raises:
        UnreadableImage: with the file name and the reason.
    """
    try:
        with _open(path) as image:
            turned = upright and _orientation(image, path) in _TURNED
            return image.size[::-1] if turned else image.size
    except MemoryError as error:
        raise no_memory(path) from error
    except (*_TOO_LARGE, *_MALFORMED) as error:
        raise UnreadableImage(f"{path.name}: {_reason(error)}.") from error


def _orientation(image: Image.Image, path: Path) -> int:
    """EXIF orientation. For a PNG Pillow would decode all pixels to see what stands behind them."""
    if image.format == "PNG":
        with Image.open(io.BytesIO(_png_texts(path)), formats=("PNG",)) as small:
            return int(small.getexif().get(ExifTags.Base.Orientation, 1))
    return int(image.getexif().get(ExifTags.Base.Orientation, 1))


def _png_texts(path: Path) -> bytes:
    """A PNG of one pixel with the EXIF data and texts of another; its pixels are skipped over."""
    buffer = io.BytesIO()
    Image.new("L", (1, 1)).save(buffer, "PNG")
    one = buffer.getvalue()
    end = one.rindex(b"IEND") - 4
    texts = b""
    with path.open("rb") as file:
        file.seek(len(_PNG))
        while len(head := file.read(8)) == 8 and len(texts) < _MOST_TEXT:
            length = int.from_bytes(head[:4], "big")
            if head[4:] in (b"eXIf", b"tEXt", b"zTXt", b"iTXt") and length < _MOST_TEXT:
                texts += head + file.read(length + 4)
            else:
                file.seek(length + 4, io.SEEK_CUR)
    return one[:end] + texts + one[end:]


def decode(
    path: Path, content: bytes | None = None, *, any_range: bool = False, upright: bool = True
) -> Image.Image:
    """The first frame, loaded and turned as EXIF says, in a mode of `_READABLE`.

    With `any_range` also numbers without an agreed range (32 bits, floating point), as a mask may
    hold them.

    Whatever Pillow raises of a damaged file it raises in here, and nothing of our own work is done
    in here: so a fault of ours is not taken for one of the file.
    """
    with _told(path), _open(path if content is None else io.BytesIO(content)) as image:
        return _loaded(image, path, any_range=any_range, upright=upright)


def _loaded(
    image: Image.Image, path: Path, *, any_range: bool = False, upright: bool = True
) -> Image.Image:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise UnreadableImage(
            f"{path.name}: {width} x {height} pixels is more than the limit of "
            f"{MAX_PIXELS // 1_000_000} million; scale or crop it."
        )
    if not width * height:
        raise UnreadableImage(f"{path.name}: the picture is empty.")
    image.load()
    if image.mode not in _READABLE and not (any_range and image.mode in _ANY_RANGE):
        raise UnreadableImage(
            f"{path.name}: pixels of type {image.mode} have no agreed range; "
            "save it with 8 or 16 bits."
        )
    found = ImageOps.exif_transpose(image) if upright else image.copy()
    found.format = image.format
    return found


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What Pillow raises of a file, as the reason that there is no picture."""
    try:
        yield
    except _TOO_LARGE as error:
        raise UnreadableImage(
            f"{path.name}: more than {MAX_PIXELS // 1_000_000} million pixels; scale or crop it."
        ) from error
    except MemoryError as error:
        raise no_memory(path) from error
    except _MALFORMED as error:
        raise UnreadableImage(f"{path.name}: {_reason(error)}.") from error


def no_memory(path: Path) -> UnreadableImage:
    """The reason of an image that needs more memory than there is just now."""
    return UnreadableImage(f"{path.name}: there is not enough memory to decode it.", passing=True)


def _open(file: Path | io.BytesIO) -> Image.Image:
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Pillow's remarks on odd metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(file, formats=FORMATS)


def _largest(image: Image.Image) -> int:
    return int(np.asarray(image).max(initial=0))


def _as_eight_bit(image: Image.Image, bits: int) -> Image.Image:
    image.info.pop("transparency", None)  # dropped with alpha; `convert` would read it
    if image.mode in _SIXTEEN_BIT:
        return Image.fromarray(_scaled(np.asarray(image).astype(np.uint32), bits))
    if image.mode in ("1", "L", "LA", "La"):
        return image.getchannel(0) if image.mode == "La" else image.convert("L")
    if image.mode == "P":
        colours = np.asarray(image.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
        if (colours == colours[:, :1]).all():
            return image.convert("RGB").getchannel(0)
    return image.convert("RGB")


def _reason(error: BaseException) -> str:
    """The cause in words; Pillow names the file in some of its messages, which we already do."""
    if isinstance(error, FileNotFoundError):
        return "the file is not there"
    if isinstance(error, PermissionError):
        return "the file may not be read"
    if isinstance(error, UnidentifiedImageError):
        return f"not an image of a known format ({', '.join(FORMATS)})"
    text = str(error).rstrip(".") or type(error).__name__
    if "truncated" in text or isinstance(error, EOFError):
        return "the file is cut short"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"damaged file ({text[:120]})"
