"""Small files for the tests of this room."""

import io
from pathlib import Path

import numpy as np
from PIL import Image


def png(value: int = 100, size: tuple[int, int] = (4, 3)) -> bytes:
    """A grey PNG of one value; every value is another file."""
    return encode(np.full(size[::-1], value, np.uint8), "PNG")


def encode(array: np.ndarray, form: str, **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, form, **options)
    return stream.getvalue()


def write_all(root: Path, files) -> Path:
    """Write files by path; a list of paths gets a different small picture for each."""
    if not isinstance(files, dict):
        files = {path: f"not decoded: {path}".encode() for path in files}
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def mask(
    marked: bool, size: tuple[int, int] = (8, 6), form: str = "PNG", value: int = 255
) -> bytes:
    """A black mask, with one marked pixel when `marked`."""
    array = np.zeros(size[::-1], np.uint8)
    array[1, 2] = value * marked
    return encode(array, form)


def photo(seed: int, form: str = "JPEG", size: tuple[int, int] = (8, 6)) -> bytes:
    """Grey values between 60 and 200, unlike any mask."""
    array = np.random.default_rng(seed).integers(60, 200, size[::-1], dtype=np.uint8)
    return encode(array, form)
