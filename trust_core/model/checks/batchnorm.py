"""BatchNorm statistics of the images against those of training: a check without labels.

A BatchNorm layer remembers the mean and variance of its inputs in training. When the architecture,
the size and the normalisation are right, the audit's own images have about the same means there.
"""

from collections.abc import Callable
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from trust_core.model.detector import Detector

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def norm_mismatch(detector: Detector, pixels: Tensor, *, batch: int = 16) -> float | None:
    """How far the inputs of the BatchNorm layers are from what they were in training.

    For each layer the median over its channels of `|mean - running_mean| / running_std`; of these
    the average over the layers. On the networks this was tried with it is about 0.1 when all is
    right, and twice that with another padding or normalisation.

    Args:
        detector: its module's BatchNorm layers are read.
        pixels: (N, c, H, W) in [0, 1].
        batch: images at a time.

    Returns:
        The mismatch in standard deviations; None when no BatchNorm layer keeps statistics.
    """
    sums: dict[str, Tensor] = {}
    layers = {
        name: part
        for name, part in detector.module.named_modules()
        if isinstance(part, NORMS) and part.running_mean is not None
    }

    def add(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x = inputs[0].double()
            means = x.flatten(2).mean(2) if x.ndim > 2 else x
            sums[name] = sums.get(name, torch.zeros_like(means[0])) + means.sum(0)

        return hook

    with ExitStack() as hooks:
        for name, part in layers.items():
            hooks.callback(part.register_forward_pre_hook(add(name)).remove)
        for chunk in torch.split(pixels, batch):
            detector.logits(chunk)
    distances = []
    for name, total in sums.items():
        mean, variance = layers[name].running_mean, layers[name].running_var
        assert mean is not None
        assert variance is not None
        distance = (total / len(pixels) - mean).abs() / (variance + layers[name].eps).sqrt()
        distances.append(distance.median().item())
    return sum(distances) / len(distances) if distances else None
