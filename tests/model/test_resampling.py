import cv2
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trust_core.model.resampling import resampled

SIZES = ((64, 64), (37, 50), (224, 224), (300, 410), (60, 322))
CV2 = {
    "bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC, "nearest": cv2.INTER_NEAREST,
    "area": cv2.INTER_AREA,
}  # fmt: skip


def pixels(height, width, channels=3):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(height).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", CV2)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_numbers_of_opencv(name, size, channels):
    picture = pixels(120, 161, channels)
    wanted = cv2.resize(picture, size[::-1], interpolation=CV2[name]).astype(int)
    found = resampled(picture, size, name).astype(int)
    assert found.shape == wanted.shape
    difference = np.abs(found - wanted)
    assert difference.max() <= (0 if name == "nearest" else 1)
    assert difference.mean() < 0.3  # OpenCV computes with a few bits


@given(st.integers(5, 90), st.integers(5, 90), st.sampled_from(SIZES),
       st.sampled_from(["bilinear", "bicubic"]))  # fmt: skip
@example(25, 82, (300, 410), "bilinear")  # half a value off, and float32 adds its own error
@settings(max_examples=25)
def test_the_numbers_of_torch_without_antialiasing(height, width, size, name):
    picture = pixels(height, width)
    tensor = torch.from_numpy(picture).permute(2, 0, 1)[None].double()
    wanted = torch.nn.functional.interpolate(tensor, size, mode=name, align_corners=False)
    found = torch.from_numpy(resampled(picture, size, name)).permute(2, 0, 1)[None]
    assert (found.double() - wanted.clamp(0, 255)).abs().max() <= 0.5 + 1e-3


def test_areas_by_hand():
    picture = np.array([[0, 30, 60, 90, 120]], np.uint8)  # 5 -> 2: 2.5 pixels each
    assert resampled(picture, (1, 2), "area").tolist() == [[24, 96]]
