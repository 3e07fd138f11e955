"""Which layers are pooled for probes, and what the pooled numbers are."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.model.networks import build
from tests.small import small_detector
from trust_core.model.depths import choose_depths, pooled
from trust_core.model.detector import Detector
from trust_core.model.outputs import choose_convention
from trust_core.model.preprocessing import Preprocessing


@pytest.mark.parametrize(
    ("name", "options", "depths"),
    [
        ("timm/resnet18", {}, ["maxpool", "layer1", "layer2", "layer3", "layer4.0", "layer4"]),
        (
            "timm/tf_efficientnet_lite0",
            {},
            ["blocks.1", "blocks.2", "blocks.3", "blocks.4", "blocks", "bn2"],
        ),
        (
            "timm/vit_tiny_patch16_224",
            {"img_size": 64},
            ["blocks.0", "blocks.2", "blocks.5", "blocks.7", "blocks.10", "norm"],
        ),
    ],
)
def test_depths_are_the_ends_of_stages(name, options, depths):
    detector = Detector(build(name, **options), Preprocessing((64, 64)), choose_convention(2))
    assert [depth.name for depth in detector.depths] == depths


def test_nothing_goes_round_a_depth():
    """Noise in place of a depth's activations must leave nothing of the image in the answer."""
    detector = Detector(build("timm/resnet18"), Preprocessing((64, 64)), choose_convention(2))
    images = torch.rand(2, 3, 64, 64)
    for depth in detector.depths:
        part = detector.module.get_submodule(depth.name)
        noise = torch.rand(1, depth.channels, *depth.grid)
        handle = part.register_forward_hook(lambda *_, noise=noise: noise.repeat(2, 1, 1, 1))
        first, second = detector.log_odds(images)
        handle.remove()
        assert first == second
    assert len(set(detector.log_odds(images).tolist())) == 2


def test_few_resolutions_give_several_depths_each():
    layers = [(f"blocks.{i}", (14, 14)) for i in range(12)]
    assert choose_depths(layers) == tuple(f"blocks.{i}" for i in (1, 3, 5, 7, 9, 11))
    assert choose_depths(layers[:2]) == ("blocks.0", "blocks.1")
    assert choose_depths([]) == ()


def test_the_first_of_many_resolutions_are_left_out():
    layers = [(f"stage{i}", (2 ** (9 - i),) * 2) for i in range(8)]
    assert choose_depths(layers) == ("stage4", "stage5", "stage6", "stage7")


def test_pooled_numbers_are_mean_deviation_and_mean_of_the_top():
    maps = np.random.default_rng(0).normal(size=(2, 3, 10, 10)).astype(np.float32)
    cells = maps.reshape(2, 3, 100)
    wanted = [cells.mean(2), cells.std(2), np.sort(cells, 2)[..., -2:].mean(2)]
    np.testing.assert_allclose(
        pooled(torch.from_numpy(maps)), np.concatenate(wanted, 1), rtol=1e-5, atol=1e-6
    )


def test_a_response_pools_every_depth_in_the_same_pass():
    detector, images = small_detector(), torch.rand(3, 3, 32, 32)
    plain, asked = (detector.forward_with_gradients(images, pooled=flag) for flag in (False, True))
    assert plain.pooled is None
    assert torch.equal(plain.log_odds, asked.log_odds)
    first, second = detector.module[1], detector.module[3]
    with torch.no_grad():
        x = (images - 0.5) / 0.25
        shallow = first(detector.module[0](x).clone())
        deep = second(detector.module[2](shallow.clone()))
    assert [depth.name for depth in detector.depths] == ["1", "3"]
    wanted = torch.cat([pooled(shallow), pooled(deep)], 1)
    torch.testing.assert_close(asked.pooled, wanted, rtol=1e-4, atol=1e-5)


def test_a_relu_that_is_no_module_is_pooled_after_it():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm2d(3)
            self.head = nn.Linear(3, 2)

        def forward(self, x):
            return self.head(torch.relu(self.norm(x)).mean((2, 3)))

    detector = Detector(Functional(), Preprocessing((16, 16)), choose_convention(2))
    response = detector.forward_with_gradients(torch.rand(2, 3, 16, 16) - 0.5, pooled=True)
    assert (response.pooled >= 0).all()
