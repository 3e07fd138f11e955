"""BatchNorm statistics of the images against those of training: a check without labels.

A BatchNorm layer remembers the mean and variance of its inputs in training. When the architecture,
the size and the normalisation are right, the audit's own images have about the same means there.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from trust_core.model.detector import Detector

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def norm_mismatch(detector: Detector, pixels: Tensor, *, batch: int = 16) -> float | None:
    """How far the inputs of the BatchNorm layers are from what they were in training.

    For each layer the median over its channels of `|mean - running_mean| / running_std`; of these
    the average over the layers. On the networks this was tried with it is about 0.1 when all is
    right, and twice that with another padding or normalisation. `pixels` are (N, c, H, W) in [0,
    1], run `batch` at a time.

    Returns:
        The mismatch in standard deviations; None when no BatchNorm layer keeps statistics.
    """
    with watched_norms(detector.module) as mismatch:
        for chunk in torch.split(pixels, batch):
            detector.logits(chunk)
    return mismatch()


@contextmanager
def watched_norms(module: nn.Module) -> Iterator[Callable[[], float | None]]:
    """Note what the BatchNorm layers are given while it is open.

    The module is to be run in the meantime, as often as wanted.

    Yields:
        A function that gives the mismatch (`norm_mismatch`) of all images that have run.
    """
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    layers = {
        name: part
        for name, part in module.named_modules()
        if isinstance(part, NORMS) and part.running_mean is not None
    }

    def add(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x = inputs[0].detach()
            means = (x.mean(tuple(range(2, x.ndim))) if x.ndim > 2 else x).double()
            sums[name] = sums.get(name, torch.zeros_like(means[0])) + means.sum(0)
            counts[name] = counts.get(name, 0) + len(x)

        return hook

    def mismatch() -> float | None:
        distances = []
        for name, total in sums.items():
            mean, variance = layers[name].running_mean, layers[name].running_var
            assert mean is not None
            assert variance is not None
            distance = (total / counts[name] - mean).abs() / (variance + layers[name].eps).sqrt()
            distances.append(distance.median().item())
        return sum(distances) / len(distances) if distances else None

    with ExitStack() as hooks:
        for name, part in layers.items():
            hooks.callback(part.register_forward_pre_hook(add(name)).remove)
        yield mismatch
