"""BatchNorm statistics of the images against those of training: a check without labels.

A BatchNorm layer remembers the mean and variance of its inputs in training. When the architecture,
the size and the normalisation are right, the audit's own images have about the same means there.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

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


@dataclass(frozen=True)
class NormInputs:
    """What one BatchNorm layer was given of N images, and in training.

    Attributes:
        means: (N, C) of each image.
        mean: (C,) in training.
        deviation: (C,) in training.
    """

    means: Tensor
    mean: Tensor
    deviation: Tensor


def norm_inputs(
    detector: Detector, pixels: Tensor, *, batch: int = 16
) -> tuple[list[NormInputs], Tensor]:
    """What every BatchNorm layer is given of each image, and the evidence for *defective*.

    Args:
        detector: its module's BatchNorm layers are read.
        pixels: (N, c, H, W) in [0, 1].
        batch: images at a time.

    Returns:
        By layer, in the order of the pass; and (N,) log-odds z.
    """
    layers = _norm_layers(detector.module)
    found: dict[str, list[Tensor]] = {}
    seen: dict[str, list[Tensor]] = {}
    log_odds = []

    def watch(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen.setdefault(name, []).append(_image_means(inputs[0]))

        return hook

    with ExitStack() as hooks:
        for name, part in layers.items():
            hooks.callback(part.register_forward_pre_hook(watch(name)).remove)
        for chunk in torch.split(pixels, batch):
            log_odds.append(detector.log_odds(chunk))
            for name, means in seen.items():  # a layer may be used more than once in a pass
                found.setdefault(name, []).append(torch.stack(means).mean(0))
            seen.clear()
    inputs = [
        NormInputs(torch.cat(means), *_of_training(layers[name])) for name, means in found.items()
    ]
    return inputs, torch.cat(log_odds)


def mismatches(layers: Sequence[NormInputs], weights: Tensor) -> Tensor:
    """The mismatch (`norm_mismatch`) of weighted images, for many weightings at once.

    Args:
        layers: at least one.
        weights: (D, N), each row adds up to 1.

    Returns:
        (D,).
    """
    distances = [
        ((weights @ layer.means - layer.mean).abs() / layer.deviation).median(1).values
        for layer in layers
    ]
    return torch.stack(distances).mean(0)


def _norm_layers(module: nn.Module) -> dict[str, nn.Module]:
    """The BatchNorm layers that keep statistics."""
    return {
        name: part
        for name, part in module.named_modules()
        if isinstance(part, NORMS) and part.running_mean is not None
    }


def _image_means(x: Tensor) -> Tensor:
    """(N, C) means over the cells."""
    x = x.detach()
    return (x.mean(tuple(range(2, x.ndim))) if x.ndim > 2 else x).double()


def _of_training(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Means and standard deviations (C,) that a BatchNorm layer was given in training."""
    assert isinstance(layer, NORMS)
    assert layer.running_mean is not None
    assert layer.running_var is not None
    return layer.running_mean.double(), (layer.running_var + layer.eps).sqrt().double()


@contextmanager
def watched_norms(module: nn.Module) -> Iterator[Callable[[], float | None]]:
    """Note what the BatchNorm layers are given while it is open.

    The module is to be run in the meantime, as often as wanted.

    Yields:
        A function that gives the mismatch (`norm_mismatch`) of all images that have run.
    """
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    layers = _norm_layers(module)

    def add(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            means = _image_means(inputs[0])
            sums[name] = sums.get(name, torch.zeros_like(means[0])) + means.sum(0)
            counts[name] = counts.get(name, 0) + len(means)

        return hook

    def mismatch() -> float | None:
        distances = []
        for name, total in sums.items():
            mean, deviation = _of_training(layers[name])
            distance = (total / counts[name] - mean).abs() / deviation
            distances.append(distance.median().item())
        return sum(distances) / len(distances) if distances else None

    with ExitStack() as hooks:
        for name, part in layers.items():
            hooks.callback(part.register_forward_pre_hook(add(name)).remove)
        yield mismatch
