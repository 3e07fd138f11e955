import cv2
import numpy as np
import pytest
import torchvision.transforms.functional as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from trust_core.errors import SettingsError, UnreadableImage
from trust_core.model.preprocessing import Preprocessing


def picture(width, height, mode="RGB"):
    shape = (height, width) if mode == "L" else (height, width, 3)
    values = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return Image.fromarray(values, mode)


def test_stretch_is_pil_bilinear():
    image = picture(37, 61)
    wanted = np.asarray(image.resize((24, 32), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert np.array_equal(Preprocessing((32, 24)).pixels(image), wanted)
    assert np.array_equal(Preprocessing((32, 24), channels="bgr").pixels(image), wanted[::-1])


def test_grey_becomes_three_equal_channels_or_stays_one():
    image = picture(30, 20, "L")
    three = Preprocessing((16, 16)).pixels(image)
    one = Preprocessing((16, 16), channels="grey").pixels(image)
    assert one.shape == (1, 16, 16)
    assert all(np.array_equal(channel, one[0]) for channel in three)


@given(st.integers(20, 90), st.integers(20, 90), st.integers(18, 60))
@settings(max_examples=40)
def test_crop_is_torchvisions_resize_and_centre_crop(width, height, short):
    image = picture(width, height)
    resized = reference.resize(image, [short])
    wanted = np.asarray(reference.center_crop(resized, [24, 16])).transpose(2, 0, 1)
    assert np.array_equal(Preprocessing((24, 16), resize=f"crop:{short}").pixels(image), wanted)


def test_letterbox_keeps_the_aspect_and_fills_with_the_mean():
    image = Image.new("RGB", (40, 20), (255, 0, 255))
    box = Preprocessing((20, 20), resize="letterbox", mean=(0.2, 0.4, 0.6)).pixels(image)
    assert (box[:, 5:15] == np.array([255, 0, 255])[:, None, None]).all()
    assert (box[:, :5] == np.array([51, 102, 153])[:, None, None]).all()
    bgr = Preprocessing((20, 20), resize="letterbox", mean=(0.2, 0.4, 0.6), channels="bgr")
    assert bgr.pixels(image)[:, 0, 0].tolist() == [51, 102, 153]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"size": (0, 8)}, "--size"),
        ({"size": (8, 40_000)}, "--size"),
        ({"resize": "squash"}, "--resize is stretch"),
        ({"resize": "crop:x"}, "crop:256"),
        ({"resize": "crop:4"}, "at least crop:8"),
        ({"interpolation": "sinc"}, "--interpolation"),
        ({"channels": "cmyk"}, "--channels"),
        ({"mean": (0.5, 0.5)}, "--mean"),
        ({"std": (0.0,)}, "--std must be greater"),
        ({"std": (float("nan"),)}, "--std"),
    ],
)
def test_settings_that_mean_nothing(wrong, sentence):
    with pytest.raises(SettingsError, match=sentence):
        Preprocessing(**({"size": (8, 8)} | wrong))


def test_opencvs_pipeline_without_antialiasing():
    image = picture(640, 512)
    wanted = cv2.resize(np.asarray(image), (64, 48), interpolation=cv2.INTER_LINEAR)
    found = Preprocessing((48, 64), antialias="no").pixels(image).transpose(1, 2, 0)
    assert np.abs(found.astype(int) - wanted).max() <= 1
    assert np.abs(Preprocessing((48, 64)).pixels(image).transpose(1, 2, 0) - wanted).mean() > 20


def test_torchvisions_crop_of_a_tensor_without_antialiasing():
    image = picture(90, 70)
    tensor = reference.pil_to_tensor(image)
    resized = reference.resize(tensor, [40], antialias=False)
    wanted = reference.center_crop(resized, [24, 16]).numpy()
    found = Preprocessing((24, 16), resize="crop:40", antialias="no").pixels(image)
    assert np.abs(found.astype(int) - wanted).max() <= 1


@pytest.mark.parametrize(("values", "sentence"), [
    ({"antialias": "maybe"}, "--antialias is one of yes, no"),
    ({"exif": "turn"}, "--exif is one of upright, ignore"),
    ({"bits": 7}, "--bits is a number from 8 to 16"),
    ({"antialias": "no", "interpolation": "lanczos"}, "--interpolation lanczos is PIL's alone"),
])  # fmt: skip
def test_settings_of_decoding_that_mean_nothing(values, sentence):
    with pytest.raises(SettingsError, match=sentence):
        Preprocessing((8, 8), **values)


def test_bits_and_exif_are_applied_when_a_file_is_read(tmp_path):
    values = np.array([[0, 2048, 4095]], np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(values).save(tmp_path / "x.png", exif=exif)
    upright = Preprocessing((8, 8), bits=12).read(tmp_path / "x.png")
    assert np.asarray(upright).ravel().tolist() == [0, 128, 255]
    assert upright.size == (1, 3)
    assert Preprocessing((8, 8), bits=12, exif="ignore").read(tmp_path / "x.png").size == (3, 1)
    with pytest.raises(UnreadableImage, match=r"up to 4,095, more than 10 bits; say how many"):
        Preprocessing((8, 8), bits=10).read(tmp_path / "x.png")


def test_a_thin_picture_is_not_resized_to_billions_of_pixels(tmp_path):
    Image.new("RGB", (16_000, 1)).save(tmp_path / "thin.webp", lossless=True)
    assert (tmp_path / "thin.webp").stat().st_size < 100
    rule = Preprocessing((224, 224), resize="crop:256")
    with pytest.raises(UnreadableImage, match=r"^thin\.webp: .* 4,096,000x256 once resized"):
        rule.read(tmp_path / "thin.webp")
    with pytest.raises(UnreadableImage, match="the picture"):
        rule.pixels(Image.new("L", (16_000, 1)))
    assert Preprocessing((224, 224)).pixels(Image.new("L", (16_000, 1))).shape == (3, 224, 224)
