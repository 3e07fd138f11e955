import numpy as np
import pytest
import torchvision.transforms.functional as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from trust_core.errors import SettingsError
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
        ({"interpolation": "lanczos"}, "--interpolation"),
        ({"channels": "cmyk"}, "--channels"),
        ({"mean": (0.5, 0.5)}, "--mean"),
        ({"std": (0.0,)}, "--std must be greater"),
        ({"std": (float("nan"),)}, "--std"),
    ],
)
def test_settings_that_mean_nothing(wrong, sentence):
    with pytest.raises(SettingsError, match=sentence):
        Preprocessing(**({"size": (8, 8)} | wrong))
