import hashlib
import io
import struct
import warnings
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from tests.data.pictures import encode, photo, png
from trust_core.data import images
from trust_core.data.images import (
    FORMATS,
    MAX_BYTES,
    audited_bytes,
    image_bytes,
    image_size,
    read_image,
    used_bits,
)
from trust_core.data.mask_decoding import read_mask
from trust_core.errors import UnreadableImage


@pytest.fixture
def file(tmp_path):
    def write(content: bytes, name: str = "x.png"):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write


def saved(image: Image.Image, form: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF"])
def test_grey_and_colour_come_back_as_they_were(file, form):
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    colour = np.stack([grey, grey[::-1], 255 - grey], axis=2)
    for array, mode in ((grey, "L"), (colour, "RGB")):
        image = read_image(file(encode(array, form)))
        assert image.mode == mode
        np.testing.assert_array_equal(np.asarray(image), array)


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_lossy_formats_are_read(file, form):
    assert read_image(file(photo(0, form))).size == (8, 6)


@pytest.mark.parametrize("form", ["GIF", "PPM", "ICO"])
def test_other_formats_are_refused_whatever_their_name(file, form):
    with pytest.raises(UnreadableImage, match=r"^x\.png: not an image of a known format"):
        read_image(file(encode(np.zeros((16, 16), np.uint8), form)))


def test_sixteen_bit_grey_is_scaled_by_its_range(file):
    array = np.array([[0, 128, 129, 257], [32896, 65278, 65407, 65535]], np.uint16)
    expected = [[0, 0, 1, 1], [128, 254, 255, 255]]  # value / 257, rounded
    for form in ("PNG", "TIFF"):
        image = read_image(file(encode(array, form)))
        assert image.mode == "L"
        np.testing.assert_array_equal(np.asarray(image), expected)


def test_sixteen_bit_is_neither_clipped_nor_stretched(file):
    dark = np.linspace(0, 4095, 48).astype(np.uint16).reshape(6, 8)
    assert np.asarray(read_image(file(encode(dark, "PNG")))).max() == 16


@pytest.mark.parametrize("array", [np.zeros((2, 2), np.int32), np.zeros((2, 2), np.float32)])
def test_types_without_an_agreed_range_are_refused(file, array):
    with pytest.raises(UnreadableImage, match="no agreed range"):
        read_image(file(encode(array, "TIFF"), "x.tif"))


def test_exif_orientation_is_applied(file):
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate 90 degrees clockwise to view
    image = read_image(file(saved(Image.fromarray(array), exif=exif.tobytes())))
    np.testing.assert_array_equal(np.asarray(image), np.rot90(array, -1))


@pytest.mark.parametrize("orientation", [None, *range(1, 9)])
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
def test_the_size_in_the_header_is_that_of_the_upright_picture(file, form, orientation):
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    path = file(saved(Image.new("L", (7, 4)), form, exif=exif))
    assert image_size(path) == read_image(path).size


def test_a_size_that_cannot_be_read_has_a_reason(file, tmp_path):
    with pytest.raises(UnreadableImage, match=r"x\.png: not an image"):
        image_size(file(b"nothing"))
    with pytest.raises(UnreadableImage, match="the file is not there"):
        image_size(tmp_path / "gone.png")


def test_exif_orientation_of_sixteen_bit(file):
    array = np.arange(12, dtype=np.uint16).reshape(3, 4) * 257
    exif = Image.Exif()
    exif[0x0112] = 3
    image = read_image(file(saved(Image.fromarray(array), exif=exif.tobytes())))
    np.testing.assert_array_equal(np.asarray(image), array[::-1, ::-1] // 257)


def test_only_the_first_frame_counts(file):
    first, second = Image.new("L", (4, 3), 10), Image.new("L", (4, 3), 200)
    content = saved(first, "TIFF", save_all=True, append_images=[second])
    assert np.asarray(read_image(file(content, "x.tif"))).max() == 10


def test_palette_becomes_its_colours(file):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 128, 0])
    image.putpixel((1, 0), 1)
    read = read_image(file(saved(image)))
    assert read.mode == "RGB"
    assert np.asarray(read).tolist() == [[[255, 0, 0], [0, 128, 0]]]


def test_grey_palette_becomes_grey(file):
    image = Image.new("P", (2, 1))
    image.putpalette([7, 7, 7, 200, 200, 200])
    image.putpixel((1, 0), 1)
    read = read_image(file(saved(image)))
    assert read.mode == "L"
    assert np.asarray(read).tolist() == [[7, 200]]


@pytest.mark.parametrize(("mode", "pixel", "expected"), [
    ("RGBA", (200, 100, 50, 0), (200, 100, 50)),
    ("LA", (90, 10), 90),
])  # fmt: skip
def test_alpha_is_dropped_not_composited(file, mode, pixel, expected):
    image = Image.new(mode, (1, 1), pixel)
    assert read_image(file(saved(image))).getpixel((0, 0)) == expected


def test_one_bit_and_cmyk(file):
    assert read_image(file(saved(Image.new("1", (2, 2), 1)))).getpixel((0, 0)) == 255
    assert read_image(file(saved(Image.new("CMYK", (2, 2)), "JPEG"))).mode == "RGB"


def huge_png(width: int, height: int) -> bytes:
    """A valid header of a huge picture, and hardly any data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [40_000, 10_000, 9_000])  # over Pillow's error, warning, and ours
def test_too_many_pixels_are_refused_before_decoding(file, side, monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("decoded"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UnreadableImage, match=r"^x\.png: .*million"):
            read_image(file(huge_png(side, side)))


def test_the_pixel_limit_itself_passes(file, monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 12)
    assert read_image(file(png(size=(4, 3)))).size == (4, 3)
    with pytest.raises(UnreadableImage, match="5 x 3 pixels"):
        read_image(file(png(size=(5, 3))))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "TIFF"])
def test_truncated_files_say_so(file, form):
    content = photo(1, form, size=(64, 64))
    with pytest.raises(UnreadableImage, match=r"x\.png: ") as caught:
        read_image(file(content[: len(content) * 2 // 3]))
    assert str(caught.value).count("x.png") == 1


def test_truncated_png_reason(file):
    content = photo(1, "PNG", size=(64, 64))
    with pytest.raises(UnreadableImage, match=r"^x\.png: the file is cut short\.$"):
        read_image(file(content[:2000]))


def test_what_is_no_file(tmp_path, file):
    with pytest.raises(UnreadableImage, match=r"^none\.png: the file is not there\.$"):
        read_image(tmp_path / "none.png")
    with pytest.raises(UnreadableImage, match=r"Is a directory"):
        read_image(tmp_path)
    with pytest.raises(UnreadableImage, match="not an image"):
        read_image(file(b""))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    form=st.sampled_from(FORMATS),
    at=st.integers(0, 2000),
    junk=st.binary(min_size=1, max_size=12),
    cut=st.integers(0, 3000),
)
def test_damaged_bytes_give_a_picture_or_a_reason(tmp_path, form, at, junk, cut):
    content = photo(3, form, size=(24, 20))
    at %= len(content)
    content = (content[:at] + junk + content[at + len(junk) :])[: max(1, len(content) - cut % 200)]
    path = tmp_path / "x.png"
    path.write_bytes(content)
    for read in (read_image, read_mask):
        with suppress(UnreadableImage):  # any other error fails the test
            assert np.asarray(read(path)).ndim in (2, 3)


@pytest.mark.parametrize("fault", [TypeError, AttributeError, ValueError])
def test_a_fault_of_the_program_is_no_damaged_file(file, monkeypatch, fault):
    deep = file(encode(np.zeros((2, 2), np.uint16), "PNG"))

    def broken(*_, **__):
        raise fault("of ours")

    monkeypatch.setattr(np, "asarray", broken)
    for read in (read_image, read_mask):
        with pytest.raises(fault, match="of ours"):
            read(deep)


@pytest.mark.parametrize(("most", "bits"), [(255, 8), (256, 10), (4095, 12), (4096, 14),
                                            (65535, 16)])  # fmt: skip
def test_bits_that_cameras_fill(tmp_path, most, bits):
    for name, value in (("a.png", 3), ("b.png", most)):
        (tmp_path / name).write_bytes(encode(np.full((2, 2), value, np.uint16), "PNG"))
    (tmp_path / "c.png").write_bytes(png(200))
    (tmp_path / "d.png").write_bytes(b"no picture")
    assert used_bits([tmp_path / name for name in ("a.png", "b.png", "c.png", "d.png")]) == bits
    assert used_bits([tmp_path / "c.png", tmp_path / "d.png"]) is None


@pytest.mark.parametrize("channels", [3, 4])
def test_colours_of_12_bits_in_16(tmp_path, channels):
    """A PNG by hand: Pillow writes no 16-bit colours."""
    values = np.random.default_rng(0).integers(0, 4096, (5, 7, channels), dtype=np.uint16)
    values[0, 0, 0] = 4095
    path = deep_png(tmp_path / "a.png", values)
    assert used_bits([path]) == 12
    wanted = np.round(values[..., :3] * (255 / 4095))
    assert np.array_equal(np.asarray(read_image(path, bits=12)), wanted)
    assert np.array_equal(np.asarray(read_image(path, path.read_bytes(), bits=12)), wanted)
    assert np.array_equal(np.asarray(read_image(path)), values[..., :3] >> 8)  # as Pillow does
    with pytest.raises(UnreadableImage, match=r"values up to 4,095, more than 10 bits"):
        read_image(path, bits=10)
    mask = deep_png(tmp_path / "m.png", (values > 2000).astype(np.uint16)[..., :3])
    assert np.array_equal(read_mask(mask), (values[..., :3] > 2000).any(2))


def deep_png(path, values):
    height, width, channels = values.shape
    kind = {3: 2, 4: 6}[channels]
    header = b"".join(n.to_bytes(4, "big") for n in (width, height)) + bytes([16, kind, 0, 0, 0])
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*each) for each in chunks))
    return path


def _chunk(kind: bytes, content: bytes) -> bytes:
    return (
        len(content).to_bytes(4, "big")
        + kind
        + content
        + zlib.crc32(kind + content).to_bytes(4, "big")
    )


@pytest.mark.parametrize("behind", [True, False])
def test_the_size_of_a_png_is_read_without_its_pixels(tmp_path: Path, behind: bool):
    """Pillow looks for EXIF data behind the pixels, and decodes them to get there."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    turned = _chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    whole = io.BytesIO()
    Image.new("L", (30, 20)).save(whole, "PNG")
    content = whole.getvalue()
    at = content.rindex(b"IEND") - 4 if behind else content.index(b"IDAT") - 4
    path = tmp_path / "a.png"
    path.write_bytes(content[:at] + turned + content[at:])
    assert image_size(path) == read_image(path).size == (20, 30)
    place = path.read_bytes().index(b"IDAT") + 6
    path.write_bytes(path.read_bytes()[:place] + b"\xff" + path.read_bytes()[place + 1 :])
    assert image_size(path) == (20, 30)
    with pytest.raises(UnreadableImage):
        read_image(path)


def test_only_the_picture_that_was_audited_is_given(tmp_path: Path):
    path = tmp_path / "a.png"
    Image.new("L", (3, 2)).save(path)
    listed = hashlib.sha256(path.read_bytes()).hexdigest()
    assert audited_bytes(path, listed) == audited_bytes(path, "") == path.read_bytes()
    Image.new("L", (3, 2), 9).save(path)
    with pytest.raises(UnreadableImage, match=r"a\.png is not the picture that was audited"):
        audited_bytes(path, listed)


def test_a_file_that_no_picture_needs_is_not_read(tmp_path: Path):
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(UnreadableImage, match="larger than 1 GB"):
        image_bytes(tmp_path / "a.png")
