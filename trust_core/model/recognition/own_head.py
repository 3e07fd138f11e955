"""A head of several layers of one's own in the place of a known network's: what it is, building it.

Which one a state dict holds is read in `heads`.
"""

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

POOLS = ("avgpool", "global_pool")  # what averages the cells in torchvision and timm


@dataclass(frozen=True)
class HeadLayer:
    """A layer of a head.

    Attributes:
        name: below the head, e.g. "4"; "" for a ReLU, which has no weights.
        kind: "linear", "norm" or "relu".
        inputs: features it reads.
        outputs: features it gives.
        bias: of a linear layer; of a norm, whether it scales and shifts.
    """

    name: str
    kind: str
    inputs: int = 0
    outputs: int = 0
    bias: bool = True


@dataclass(frozen=True)
class OwnHead:
    """A head and where it stands.

    Attributes:
        root: the part of the known network in whose place it stands, e.g. "fc".
        layers: in order.
        both_pools: it reads the largest of the cells beside their average, as fastai's does.
    """

    root: str
    layers: tuple[HeadLayer, ...]
    both_pools: bool = False

    @property
    def outputs(self) -> int:
        """Number of outputs K of its last linear layer."""
        return next(layer.outputs for layer in self.layers[::-1] if layer.kind == "linear")

    @property
    def relus(self) -> list[tuple[str, str]]:
        """The layers with weights before and behind each ReLU."""
        names = [layer.name for layer in self.layers]
        return [(names[n - 1], names[n + 1]) for n, name in enumerate(names) if not name]


class MaxAndAverage(nn.Module):
    """Cells (N, C, h, w) to their largest, then their average, (N, 2C)."""

    def forward(self, x: Tensor) -> Tensor:
        """The two side by side."""
        return torch.cat([x.amax((2, 3)), x.mean((2, 3))], 1)


def put_head(module: nn.Module, head: OwnHead) -> None:
    """Put a head in the place of a network's own.

    Raises:
        ValueError: the network averages its cells in a way that is not known here.
    """
    if head.both_pools:
        pools = [name for name in POOLS if hasattr(module, name)]
        if len(pools) != 1:
            raise ValueError("its pooling cannot be replaced")
        setattr(module, pools[0], MaxAndAverage())
    parts: dict[str, nn.Module] = {"flatten": nn.Flatten()}
    for number, layer in enumerate(head.layers):
        parts[layer.name.replace(".", "_") or f"relu{number}"] = _built(layer)
    module.set_submodule(head.root, nn.Sequential(OrderedDict(parts)))


def _built(layer: HeadLayer) -> nn.Module:
    if layer.kind == "relu":
        return nn.ReLU()
    if layer.kind == "norm":
        return nn.BatchNorm1d(layer.inputs, affine=layer.bias)
    return nn.Linear(layer.inputs, layer.outputs, bias=layer.bias)
