import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from trust_core.data.samples import Dataset
from trust_core.errors import DataError
from trust_core.model.checks.findings import Preflight, Speed
from trust_core.model.checks.preflight import preflight
from trust_core.model.detector import Detector
from trust_core.model.outputs import choose_convention
from trust_core.model.preprocessing import Preprocessing

TILES = {"size": (192, 192), "mean": (0.5,), "std": (0.5,)}


class Brightness(nn.Module):
    """Defective when bright: z = 20 (mean - 0.5)."""

    def __init__(self, bias=0.0):
        super().__init__()
        self.read = nn.Conv2d(3, 1, 4, 4)
        self.head = nn.Linear(1, 2)
        with torch.no_grad():
            self.read.weight.fill_(1 / 48)
            self.read.bias.zero_()
            self.head.weight.copy_(torch.tensor([[-10.0], [10.0]]))
            self.head.bias.copy_(torch.tensor([5.0, -5.0 + bias]))

    def forward(self, x):
        return self.head(self.read(x).relu().mean((2, 3)))


@pytest.fixture
def dataset(tmp_path):
    """20 dark good and 20 bright defective images in each role."""
    rows = []
    for role in ("certify", "test", "train", "tune"):
        for index in range(40):
            path = f"{role}{index}.png"
            Image.fromarray(np.full((9, 7), 60 + 120 * (index % 2), np.uint8)).save(tmp_path / path)
            rows.append((f"{index:04}{role}", path, index % 2, role))
    samples = pd.DataFrame(rows, columns=["sample_id", "path", "label", "role"])
    return Dataset(tmp_path, samples.sort_values("sample_id"), "CSV", (), ())


def detector_of(module, **told):
    return Detector(module, Preprocessing((32, 32)), choose_convention(2, **told))


def test_all_is_well(dataset):
    found = preflight(detector_of(Brightness()), dataset, images=10)
    assert found.counts == {"tp": 5, "fn": 0, "tn": 5, "fp": 0}
    assert found.mean_log_odds == pytest.approx((-5.2941, 4.1176), abs=1e-4)  # 20 (60/255 - 0.5)
    assert found.auroc == 1
    assert not found.inverted
    assert found.warnings == ()
    assert found.mismatch is None
    assert found.grids == {"read": (8, 8)}
    assert min(found.speed.decoding, found.speed.clean, found.speed.again) > 0
    assert (found.images, found.passed) == (len(dataset.samples), 0.5)
    assert preflight(detector_of(Brightness()), dataset, speed=found.speed).speed is found.speed
    assert "Of 5 defective images 5" in found.findings[0]


def test_the_time_is_that_of_the_clean_pass_and_of_each_strength():
    """1,250 images: 100 s for the clean pass, then half of them at 0.032 s for each strength."""
    speed = Speed(decoding=0.05, clean=0.03, again=0.032)
    found = Preflight({}, (0.0, 0.0), 1.0, False, {}, speed, 1250, 0.5, None, 0)
    assert found.pace(7) == "12 images a second; the audit at 8 strengths takes about 4 min."
    assert found.pace(0) == "12 images a second; the audit at 1 strength takes about 2 min."


def test_an_inverted_convention_is_named(dataset):
    found = preflight(detector_of(Brightness(), defect_index=0), dataset)
    assert found.inverted
    assert "inverted: 0 of 32 images are right as it is, 32" in found.warnings[0]
    assert "try --defect-index 1" in found.warnings[0]


def test_a_few_wrong_images_are_no_finding(dataset):
    """3 of 3 pairs the wrong way round may be chance (1 in 20); 5 of 5 is not (1 in 252)."""
    swapped = detector_of(Brightness(), defect_index=0)
    assert not preflight(swapped, dataset, images=6).inverted
    assert preflight(swapped, dataset, images=10).inverted
    always = detector_of(Brightness(bias=40.0))
    assert not any("called" in text for text in preflight(always, dataset, images=6).warnings)


def test_all_of_one_class_and_a_coarse_grid(dataset):
    found = preflight(detector_of(Brightness(bias=40.0)), dataset)
    assert "All 32 images are called defective" in found.warnings[0]
    detector = Detector(Brightness(), Preprocessing((12, 12)), choose_convention(2))
    assert any("3x3" in warning for warning in preflight(detector, dataset).warnings)


def test_a_coarse_grid_names_the_layers_that_are_finer(dataset):
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, 4, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )
    detector = Detector(network, Preprocessing((32, 32)), choose_convention(2))
    (warning,) = (text for text in preflight(detector, dataset).warnings if "4x4 of 3" in text)
    assert "(1 16x16)" in warning


def test_sealed_roles_are_not_looked_at(dataset):
    for path in dataset.root.glob("[ct]e*.png"):
        path.unlink()
    assert preflight(detector_of(Brightness()), dataset, images=80).unreadable == 0


def test_unreadable_images(dataset):
    for index in range(4):
        (dataset.root / f"tune{index}.png").write_bytes(b"no image")
    found = preflight(detector_of(Brightness()), dataset, images=8)
    assert found.unreadable == 4
    assert sum(found.counts.values()) == 4
    for path in dataset.root.iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"Of 32 images .* none can be read; the first: .*png"):
        preflight(detector_of(Brightness()), dataset)
