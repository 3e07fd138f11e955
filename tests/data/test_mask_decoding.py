import io

import numpy as np
import pytest
from PIL import Image

from tests.data.pictures import encode, mask, photo
from trust_core.data.mask_decoding import (
    CLASSES,
    COLOURED,
    IGNORED,
    INVERTED,
    PALE,
    UNIFORM,
    ground_of,
    looks_like_mask,
    mask_paths,
    mask_reading,
    read_mask,
    read_masks,
)
from trust_core.errors import UnreadableImage

MARKED = np.zeros((24, 32), bool)
MARKED[5:12, 8:20] = True
MARKED[16, 3:25] = True  # a scratch, one pixel wide


def palette(numbers: np.ndarray, colours: dict[int, tuple[int, int, int]]) -> Image.Image:
    image = Image.fromarray(numbers.astype(np.uint8), "P")
    table = np.zeros((256, 3), np.uint8)
    for number, colour in colours.items():
        table[number] = colour
    image.putpalette(table.ravel().tolist())
    return image


def colours(background: tuple[int, ...], mark: tuple[int, ...], marked=MARKED) -> Image.Image:
    table = np.array([background, mark], np.uint8)
    return Image.fromarray(table[marked.astype(int)])


def grey(value: int, kind: type = np.uint8):
    return lambda marked: Image.fromarray((marked * value).astype(kind))


VIRIDIS = ((68, 1, 84), (253, 231, 36))
WRITTEN = {
    "grey 255": grey(255),
    "grey 1": grey(1),
    "grey 40": grey(40),
    "grey 127": grey(127),
    "16 bits, 65535": grey(65535, np.uint16),
    "16 bits, 255": grey(255, np.uint16),
    "16 bits, 1": grey(1, np.uint16),
    "one bit": Image.fromarray,
    "VOC class 1, dark red": lambda m: palette(m * 1, {1: (128, 0, 0)}),
    "VOC class 8, darker red": lambda m: palette(m * 8, {8: (64, 0, 0)}),
    "palette without colours": lambda m: palette(m * 3, {}),
    "palette, dark on white": lambda m: palette(m * 1, {0: (255, 255, 255), 1: (0, 64, 0)}),
    "palette of a picture in black and white": lambda m: palette(~m, {0: (255, 255, 255)}),
    "red 128": lambda m: colours((0, 0, 0), (128, 0, 0), m),
    "class 1 in three channels": lambda m: colours((0, 0, 0), (1, 1, 1), m),
    "blue": lambda m: colours((0, 0, 0), (0, 0, 255), m),
    "opaque white on opaque black": lambda m: colours((0, 0, 0, 255), (255, 255, 255, 255), m),
    "white, alpha marks": lambda m: colours((255, 255, 255, 0), (255, 255, 255, 255), m),
    "black, alpha marks": lambda m: colours((0, 0, 0, 0), (0, 0, 0, 255), m),
    "half transparent red": lambda m: colours((0, 0, 0, 0), (255, 0, 0, 128), m),
    "grey with alpha": lambda m: colours((255, 0), (255, 255), m),
}


def saved(image: Image.Image, file, form: str = "PNG", **options):
    image.save(file, form, **options)
    return file


@pytest.mark.parametrize("name", WRITTEN)
def test_what_annotation_tools_write_marks_the_same_pixels(tmp_path, name):
    read = mask_reading(saved(WRITTEN[name](MARKED), tmp_path / "x.png"))
    np.testing.assert_array_equal(read.marked, MARKED)
    assert read.doubt == ""
    empty = saved(WRITTEN[name](np.zeros_like(MARKED)), tmp_path / "empty.png")
    if not name.startswith("palette"):  # nobody can tell an all-white picture from an empty one
        assert not read_mask(empty).any()


@pytest.mark.parametrize(("kind", "form"), [(np.int32, "TIFF"), (np.float32, "TIFF")])
@pytest.mark.parametrize("value", [1, 7])
def test_numbers_without_a_range(tmp_path, kind, form, value):
    file = saved(Image.fromarray((MARKED * value).astype(kind)), tmp_path / "x.tif", form)
    np.testing.assert_array_equal(read_mask(file), MARKED)


def test_colour_keys_of_a_palette_are_transparent(tmp_path):
    image = palette(MARKED * 1, {0: (255, 255, 255), 1: (255, 255, 255)})
    np.testing.assert_array_equal(
        read_mask(saved(image, tmp_path / "x.png", transparency=0)), MARKED
    )


def test_all_kinds_of_defect_are_marked(tmp_path):
    numbers = MARKED * 1
    numbers[5:8, 8:20] = 2
    numbers[20:, 28:] = 250
    wanted = MARKED | (numbers == 250)
    np.testing.assert_array_equal(read_mask(saved(grey(1)(numbers), tmp_path / "x.png")), wanted)
    instances = np.kron(np.arange(30).reshape(5, 6), np.pad(np.ones((4, 5), int), 1))
    found = read_mask(saved(grey(1)(instances), tmp_path / "y.png"))
    np.testing.assert_array_equal(found, instances > 0)


def test_soft_edges_are_cut_at_half(tmp_path):
    large = Image.fromarray((MARKED * 255).astype(np.uint8))
    soft = large.resize((128, 96), Image.Resampling.BICUBIC)
    found = read_mask(saved(soft, tmp_path / "x.png"))
    np.testing.assert_array_equal(found, np.asarray(soft) > 127)
    dim = Image.fromarray(np.asarray(soft) // 4)  # the same from a tool that marks with 63
    different = read_mask(saved(dim, tmp_path / "y.png")) != found
    assert different.mean() < 0.01


@pytest.mark.parametrize("value", [64, 255])
@pytest.mark.parametrize("quality", [75, 95])
def test_a_mask_that_was_a_jpeg_once(tmp_path, value, quality):
    square = np.zeros((96, 128), bool)
    square[20:60, 30:90] = True
    saved(grey(value)(square), tmp_path / "x.jpg", "JPEG", quality=quality)
    np.testing.assert_array_equal(read_mask(tmp_path / "x.jpg"), square)
    Image.open(tmp_path / "x.jpg").save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "x.png"), square)


@pytest.mark.parametrize("lossless", [True, False])
def test_webp(tmp_path, lossless):
    square = np.zeros((96, 128), bool)
    square[20:60, 30:90] = True
    file = tmp_path / "x.webp"
    saved(grey(255)(square), file, "WEBP", lossless=lossless, quality=90)
    assert (read_mask(file) != square).mean() < 0.005


@pytest.mark.parametrize("pair", [VIRIDIS, ((255, 255, 255), (255, 0, 0))])
def test_without_black_the_most_frequent_colour_is_the_background_and_doubtful(tmp_path, pair):
    read = mask_reading(saved(colours(*pair), tmp_path / "x.png"))
    np.testing.assert_array_equal(read.marked, MARKED)
    assert read.doubt == COLOURED
    assert read.background == ", ".join(map(str, pair[0]))


def test_doubts(tmp_path):
    full = saved(grey(255)(np.ones((4, 4))), tmp_path / "full.png")
    assert mask_reading(full).doubt == UNIFORM
    assert read_mask(full).all()
    assert mask_reading(saved(grey(255)(~MARKED), tmp_path / "inv.png")).doubt == INVERTED
    pale = saved(grey(6)(MARKED), tmp_path / "pale.jpg", "JPEG", quality=95)
    assert mask_reading(pale).doubt == PALE
    assert not read_mask(pale).any()
    assert mask_reading(saved(grey(0)(MARKED), tmp_path / "none.png")).doubt == ""


def test_half_of_the_range_where_values_rise(tmp_path):
    for values in ([0, 127, 128, 255], np.array([0, 32000, 33000, 65535], np.uint16)):
        image = Image.fromarray(np.array([values], getattr(values, "dtype", np.uint8)))
        assert read_mask(saved(image, tmp_path / "x.png")).tolist() == [[False, False, True, True]]


def test_several_masks_of_one_image_are_united(tmp_path):
    (tmp_path / "a.png").write_bytes(mask(True))
    other = np.zeros((6, 8), np.uint8)
    other[4, 4] = 1
    (tmp_path / "b.png").write_bytes(encode(other, "PNG"))
    assert np.argwhere(read_masks(tmp_path, "a.png|b.png")).tolist() == [[1, 2], [4, 4]]
    assert np.argwhere(read_masks(tmp_path, "b.png")).tolist() == [[4, 4]]
    (tmp_path / "c.png").write_bytes(mask(True, size=(3, 3)))
    with pytest.raises(UnreadableImage, match="differ in size"):
        read_masks(tmp_path, "a.png|c.png")


@pytest.mark.parametrize(
    ("ground", "write"),
    [
        ((255,), lambda m: Image.fromarray(np.where(m, 0, 255).astype(np.uint8))),
        ((255,), lambda m: Image.fromarray(~m)),
        ((255,), lambda m: colours((255, 255, 255), (255, 0, 0), m)),
        ((255,), lambda m: colours((255, 255, 255, 255), (0, 0, 0, 255), m)),
        ((255,), lambda m: palette(m * 7, {0: (255, 255, 255), 7: (9, 9, 9)})),
        ((128,), lambda m: Image.fromarray(np.where(m, 255, 128).astype(np.uint8))),
        ((128,), lambda m: Image.fromarray(np.where(m, 0, 128).astype(np.uint8))),
        ((1,), lambda m: Image.fromarray((~m).astype(np.uint8))),
        ((65535,), lambda m: Image.fromarray(np.where(m, 9, 65535).astype(np.uint16))),
        ((68, 1, 84), lambda m: colours(*VIRIDIS, m)),
    ],
)
def test_a_background_that_is_told_is_none_of_the_marks(tmp_path, ground, write):
    large = ~MARKED  # more than half: the file alone tells the opposite
    for marked in (MARKED, large, np.zeros_like(MARKED)):
        read = mask_reading(saved(write(marked), tmp_path / "x.png"), ground)
        np.testing.assert_array_equal(read.marked, marked)
    said = "x.png|background=" + " ".join(map(str, ground))
    assert (ground_of(said), mask_paths(said)) == (ground, ["x.png"])
    assert not read_masks(tmp_path, said).any()


def test_void_of_a_voc_palette_and_255_beside_classes(tmp_path):
    numbers = MARKED * 1
    numbers[4, 8:20] = 255
    voc = {1: (128, 0, 0), 255: (224, 224, 192)}
    read = mask_reading(saved(palette(numbers, voc), tmp_path / "x.png"))
    np.testing.assert_array_equal(read.marked, MARKED)
    assert read.doubt == ""
    alone = mask_reading(saved(palette(MARKED * 255, voc), tmp_path / "y.png"))
    np.testing.assert_array_equal(alone.marked, MARKED)
    assert alone.doubt == IGNORED
    grey_classes = mask_reading(saved(grey(1)(numbers), tmp_path / "z.png"))
    np.testing.assert_array_equal(grey_classes.marked, numbers > 0)
    assert grey_classes.doubt == CLASSES


def test_masks_and_photographs_are_told_apart(tmp_path):
    for name, image in ((name, write(MARKED)) for name, write in WRITTEN.items()):
        assert looks_like_mask(saved(image, tmp_path / "x.png")), name
    assert looks_like_mask(saved(grey(255)(MARKED), tmp_path / "x.jpg", "JPEG"))
    for form in ("PNG", "JPEG", "TIFF"):
        Image.open(io.BytesIO(photo(3, form, size=(64, 48)))).save(tmp_path / "p.png")
        assert not looks_like_mask(tmp_path / "p.png")
    assert looks_like_mask(tmp_path / "gone.png") is None


def test_mask_has_the_shape_of_the_file(tmp_path):
    (tmp_path / "x.png").write_bytes(mask(True, size=(8, 6)))
    assert read_mask(tmp_path / "x.png").shape == (6, 8)
