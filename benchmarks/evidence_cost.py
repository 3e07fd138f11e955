"""What a view of first-order evidence costs: part of `benchmarks.evidence`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torchvision

from benchmarks.machine import alternate, ratio
from trust_core.explanation.evidence.forms import evidence
from trust_core.explanation.evidence.patch_gaussian import PatchGaussian
from trust_core.model.detector import Detector
from trust_core.model.outputs import choose_convention
from trust_core.model.preprocessing import Preprocessing

WINDOW = 10
VIEWS = {"224x224": (224, 224), "500x1250": (500, 1250)}


def views(rounds: int) -> dict[str, Any]:
    """The first-order form on a ResNet-18 against one forward and backward of it."""
    told, conditional = {}, flat(3)
    for name, size in VIEWS.items():
        detector = Detector(
            torchvision.models.resnet18(num_classes=1),
            Preprocessing(size, mean=(0.5,), std=(0.25,)),
            choose_convention(1, one_logit="defect"),
        )
        draw = torch.Generator().manual_seed(0)
        colour = torch.rand(3, *size, generator=draw)
        grey = colour[:1].expand(3, -1, -1)
        jobs: dict[str, Callable[[], Any]] = {
            "bare": lambda d=detector, x=colour: d.forward_with_gradients(
                x[None], input_gradient=True
            ),
            "colour": lambda d=detector, x=colour: evidence(d, x, conditional, check=False),
            "grey": lambda d=detector, x=grey: evidence(d, x, conditional, check=False),
            "checked": lambda d=detector, x=grey: evidence(d, x, conditional),
        }
        alternate(jobs, 1)
        taken, _ = alternate(jobs, rounds)
        told[name] = {
            job: ratio(taken[job], taken["bare"])
            | {"milliseconds": round(1000 * float(np.median(taken[job])))}
            for job in jobs
        }
    return told


def flat(channels: int) -> PatchGaussian:
    """Surroundings for timing only: any Gaussian costs the same."""
    side = (WINDOW + 4) ** 2
    one = np.ones(channels)
    covariance = np.tile(np.eye(side) + 0.5, (channels, 1, 1))
    return PatchGaussian(WINDOW, 2, np.zeros((channels, side)), covariance, 0 * one, one)
