"""Other input sizes: claimed by the BatchNorm layers or by right answers, never by chance."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from tests.model.networks import adapted
from trust_core.data.samples import Dataset
from trust_core.model.checks.batchnorm import NormInputs, mismatches, norm_inputs, norm_mismatch
from trust_core.model.checks.input_size import (
    SizeTrial,
    better_size,
    is_nearer,
    is_right_more_often,
    nearest_trial,
    other_sizes,
)
from trust_core.model.checks.sample_images import sample_images
from trust_core.model.detector import Detector
from trust_core.model.outputs import choose_convention
from trust_core.model.preprocessing import Preprocessing

RULE = Preprocessing((128, 128))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Noise of 128 x 128, faint on good images and strong on defective ones, 20 of each."""
    root, rng, rows = tmp_path_factory.mktemp("noise"), np.random.default_rng(0), []
    for index in range(40):
        pixels = 128 + (20 + 20 * (index % 2)) * rng.standard_normal((128, 128))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / f"{index}.png")
        rows.append((f"{index:04}", f"{index}.png", index % 2, "tune", f"part{index}"))
    columns = ["sample_id", "path", "label", "role", "group"]
    return Dataset(root, pd.DataFrame(rows, columns=columns), "CSV", (), ())


class Contrast(nn.Module):
    """Defective where neighbours differ by more than `limit` on average."""

    def __init__(self, norm, limit=0.0):
        super().__init__()
        self.edges = nn.Conv2d(3, 4, 3, bias=False)
        self.relu = nn.ReLU()
        self.norm = nn.BatchNorm2d(4) if norm else nn.Identity()
        self.head = nn.Linear(4, 2)
        with torch.no_grad():
            self.edges.weight.zero_()
            for channel, (y, x) in enumerate(((0, 1), (1, 0), (1, 2), (2, 1))):
                self.edges.weight[channel, :, 1, 1] = 1 / 3
                self.edges.weight[channel, :, y, x] = -1 / 3
            self.head.weight.copy_(torch.tensor([[0.0] * 4, [25.0] * 4]))
            self.head.bias.copy_(torch.tensor([0.0, -100 * limit]))

    def forward(self, x):
        return self.head(self.norm(self.relu(self.edges(x))).mean((2, 3)))


def detector_of(module, rule=RULE):
    return Detector(module, rule, choose_convention(2))


def limit_at(dataset, size):
    """Between the contrasts of good and defective images at a size."""
    read = sample_images(dataset, Preprocessing((size, size)), 40)
    with torch.no_grad():
        network = Contrast(norm=False)
        found = network.relu(network.edges(read.pixels.expand(-1, 3, -1, -1))).mean((1, 2, 3))
    good, defective = (found[torch.tensor(read.labels == label)] for label in (0, 1))
    assert good.max() < defective.min()
    return float(good.max() + defective.min()) / 2


def test_the_usual_sizes_within_twice_and_of_the_same_shape():
    sizes = [rule.size for rule in other_sizes(RULE)]
    assert sizes == [(s, s) for s in (64, 96, 112, 160, 192, 224, 256)]
    others = list(other_sizes(Preprocessing((224, 112), resize="crop:128")))
    assert [(rule.size, rule.resize) for rule in others][:3] == [
        ((128, 64), "crop:73"),  # 128 * 64 / 112
        ((192, 96), "crop:110"),
        ((256, 128), "crop:146"),
    ]


def test_the_size_of_the_training_is_seen_in_the_batchnorm_layers(dataset):
    trained = sample_images(dataset, Preprocessing((64, 64)), 40).pixels.expand(-1, 3, -1, -1)
    module = adapted(Contrast(norm=True), trained)
    said = better_size(detector_of(module), dataset)
    assert said is not None
    assert "clearly better with --size 64x64: its BatchNorm layers are 0.0" in said
    assert "(32 images)" in said
    assert better_size(detector_of(module, Preprocessing((64, 64))), dataset) is None


def test_without_such_layers_right_answers_tell(dataset):
    module = Contrast(norm=False, limit=limit_at(dataset, 64))
    said = better_size(detector_of(module), dataset)
    assert said == (
        "The network is right more often with --size 64x64: 32 of 32 images are called right "
        "there, 16 at 128x128."
    )
    assert better_size(detector_of(module, Preprocessing((64, 64))), dataset) is None


def test_few_images_and_photos_of_few_parts_tell_nothing(dataset):
    module = Contrast(norm=False, limit=limit_at(dataset, 64))
    assert better_size(detector_of(module), dataset, images=8) is None
    lots = dataset.samples.assign(group=dataset.samples["label"].map(str))
    torn = Dataset(dataset.root, lots, "CSV", (), ())
    assert better_size(detector_of(module), torn) is None


def test_a_network_of_one_size_is_left_alone(dataset):
    module = nn.Sequential(
        nn.Conv2d(3, 2, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 63 * 63, 2)
    )
    assert better_size(detector_of(module), dataset) is None


def trial_of(right, means=()):
    norms = [NormInputs(torch.tensor(m).double(), torch.zeros(1), torch.ones(1)) for m in means]
    return SizeTrial(RULE, norms, np.array(right, dtype=bool))


@pytest.mark.parametrize(("gained", "lost", "sure"), [(10, 0, True), (9, 0, False), (14, 2, False)])
def test_right_answers_are_weighed_by_mcnemar(gained, lost, sure):
    """One-sided: 1 / 1024 of 10 to 0, 1 / 512 of 9 to 0, 137 / 65536 of 14 to 2; at 1 in 1000."""
    own = trial_of([0] * gained + [1] * (lost + 4))
    other = trial_of([1] * gained + [0] * lost + [1] * 4)
    assert is_right_more_often(own, other, 0.001) is sure
    assert not is_right_more_often(other, own, 0.001)


def test_a_mean_that_one_image_makes_is_chance():
    """Without it the other size is no nearer, and a third of the draws are without it."""
    own = trial_of([0] * 20, [[[1.0]] * 20])
    other = trial_of([0] * 20, [[[1.0]] * 19 + [[-9.0]]])
    assert float(other.mismatch()) == pytest.approx(0.5)
    assert not is_nearer(own, other, 0.01)
    assert is_nearer(own, trial_of([0] * 20, [[[0.5]] * 20]), 0.01)
    assert not is_nearer(own, trial_of([0] * 20, [[[0.9]] * 20]), 0.01)  # no clear step


def test_of_sizes_about_as_near_the_one_that_is_right_more_often_is_named():
    """0.097 and 20 right, 0.106 and 24, 0.212 and 30: as measured on solar cells at 112 to 160."""
    trials = [
        trial_of([1] * right + [0] * (32 - right), [[[mismatch]] * 32])
        for mismatch, right in ((0.097, 20), (0.106, 24), (0.212, 30))
    ]
    assert nearest_trial(trials) is trials[1]


def test_weighted_mismatches_are_those_of_the_images_drawn(dataset):
    trained = sample_images(dataset, RULE, 8).pixels.expand(-1, 3, -1, -1)
    detector = detector_of(adapted(Contrast(norm=True), trained / 2))
    pixels = sample_images(dataset, RULE, 6).pixels
    layers, log_odds = norm_inputs(detector, pixels, batch=4)
    torch.testing.assert_close(log_odds, detector.log_odds(pixels))
    weights = torch.tensor([[1 / 6] * 6, [0.5, 0, 0, 0.5, 0, 0]]).double()
    found = mismatches(layers, weights)
    assert float(found[0]) == pytest.approx(norm_mismatch(detector, pixels))
    assert float(found[1]) == pytest.approx(norm_mismatch(detector, pixels[[0, 3]]))
