"""Brightness and sharpness by hand, and under what a camera does."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from trust_core.deploy.photometry import photometry


def test_by_hand() -> None:
    grey = np.array([[0, 10], [0, 10]], dtype=np.uint8)
    brightness, sharpness = photometry(np.stack([grey, grey, grey])[None])
    assert brightness.tolist() == [5]
    assert sharpness.tolist() == [5]  # 0 down the columns, 10 along the rows


def test_blur_takes_sharpness_and_light_brightness() -> None:
    draw = np.random.default_rng(0)
    image = Image.fromarray(draw.integers(60, 180, (40, 40)).astype(np.uint8))
    changed = [image, image.filter(ImageFilter.GaussianBlur(1)), image.point(lambda v: v * 0.8)]
    pixels = np.stack([np.asarray(one)[None] for one in changed])
    (was, blurred, darker), (sharp, soft, _) = photometry(pixels)
    assert blurred == pytest.approx(was, rel=0.02)
    assert soft < 0.5 * sharp
    assert darker == pytest.approx(0.8 * was, rel=0.01)
