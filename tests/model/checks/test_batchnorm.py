import pytest
import torch
from torch import nn

from tests.model.networks import Tiny
from trust_core.model.checks.batchnorm import norm_mismatch
from trust_core.model.detector import Detector
from trust_core.model.outputs import choose_convention
from trust_core.model.preprocessing import Preprocessing


def test_norm_mismatch_by_hand():
    module = nn.Sequential(
        nn.BatchNorm2d(3),
        nn.Conv2d(3, 2, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2, 2),
    )
    module[0].running_mean.copy_(torch.tensor([0.0, 0.5, 0.5]))
    module[0].running_var.fill_(0.25 - 1e-5)
    detector = Detector(module, Preprocessing((8, 8)), choose_convention(2), ("1",))
    pixels = torch.stack([torch.full((3, 8, 8), 0.2), torch.full((3, 8, 8), 0.4)])
    # Means are 0.3: distances 0.3, 0.2, 0.2 in units of 0.5; the median is 0.4.
    assert norm_mismatch(detector, pixels, batch=1) == pytest.approx(0.4)
    assert (
        norm_mismatch(
            Detector(Tiny(), Preprocessing((32, 32)), choose_convention(2)),
            torch.rand(2, 3, 32, 32),
        )
        is None
    )
    assert not module[0]._forward_pre_hooks
