from pathlib import Path

import pytest
import torch

from trust_core.data.layouts import read_dataset
from trust_core.model.checks.alternatives import choose_architecture
from trust_core.model.checks.fit import fit_warnings
from trust_core.model.checks.preflight import preflight
from trust_core.model.checks.sample_images import sample_images
from trust_core.model.open import ModelOptions, open_detector

TILES = {"size": (192, 192), "mean": (0.5,), "std": (0.5,)}


@pytest.fixture(scope="module")
def tiles(shared):
    root = shared / "data/magnetic_tile"
    return read_dataset(root, samples=root / "splits.csv")


def test_statistics_point_to_the_right_padding(shared, tiles):
    """Wrongly taken as its twin, the shared network is put right by the images alone."""
    path: Path = shared / "models/magnetic_tile_lite0.pth"
    right = open_detector(path, ModelOptions(**TILES))
    assert choose_architecture(right, tiles, images=8) is right
    wrong = open_detector(path, ModelOptions(arch="efficientnet_lite0", **TILES))
    assert choose_architecture(wrong, tiles, images=8) is wrong  # the user has said so
    wrong.alternatives = ("timm/tf_efficientnet_lite0",)
    settled = choose_architecture(wrong, tiles, images=8)
    assert settled.architecture == "timm/tf_efficientnet_lite0"
    assert "was taken after all" in settled.notes[-1]
    pixels = sample_images(tiles, right.preprocessing, 4).pixels
    assert torch.allclose(settled.log_odds(pixels), right.log_odds(pixels), atol=1e-5)


def test_statistics_point_to_the_right_normalisation(shared, tiles):
    options = ModelOptions(size=(192, 192), mean=(0.0,), std=(1.0,))
    detector = open_detector(shared / "models/magnetic_tile_lite0.pth", options)
    warnings = fit_warnings(detector, tiles, preflight(detector, tiles, images=8), images=8)
    assert any("--mean 0.5 --std 0.5" in warning for warning in warnings)
