"""A head of several layers of one's own in the place of a known network's: what it is, building it.

Which one a state dict holds is read in `heads`.
"""

import re
from collections import OrderedDict
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trust_core.errors import ModelError

POOLS = ("avgpool", "global_pool")  # what averages the cells in torchvision and timm
FUNCTIONS: dict[str, type[nn.Module]] = {  # that stand between two linear layers, without weights
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "hardswish": nn.Hardswish,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "none": nn.Identity,
}
USUAL = "relu"
PRELU = "prelu"  # told of what has one weight a feature; it has weights, so it is no `FUNCTIONS`
PLACE = re.compile(r"\.function\d+$")  # as `put_head` names the functions
TOLD_BY = "+"  # resnet18+gelu: resnet18 with a head of one's own in which GELU stands


@dataclass(frozen=True)
class HeadLayer:
    """A layer of a head.

    Attributes:
        name: below the head, e.g. "4"; "" for a function, which has no weights.
        kind: "linear", "BatchNorm", "LayerNorm", "PReLU" or "function".
        inputs: features it reads; of a PReLU, its slopes: 1, or one a feature.
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
        function: which of `FUNCTIONS` its functions are, or `PRELU`, as the user has told; "" where
            nobody has: ReLU is taken.
        settled: the file tells that functions stand there, and where; otherwise only the user can.
    """

    root: str
    layers: tuple[HeadLayer, ...]
    both_pools: bool = False
    function: str = ""
    settled: bool = True

    @property
    def outputs(self) -> int:
        """Number of outputs K of its last linear layer."""
        return next(layer.outputs for layer in self.layers[::-1] if layer.kind == "linear")

    def has_function(self, function: str) -> bool:
        """Whether it has a place for the function that the user has told."""
        wide = any(layer.kind == "PReLU" and layer.inputs > 1 for layer in self.layers)
        return wide if function == PRELU else bool(self.functions)

    @property
    def functions(self) -> list[tuple[str, str]]:
        """The layers with weights before and behind each function."""
        names = [layer.name for layer in self.layers]
        return [(names[n - 1], names[n + 1]) for n, name in enumerate(names) if not name]


class MaxAndAverage(nn.Module):
    """Cells (N, C, h, w) to their largest, then their average, (N, 2C)."""

    def forward(self, x: Tensor) -> Tensor:
        """The two side by side."""
        return torch.cat([x.amax((2, 3)), x.mean((2, 3))], 1)


def split_function(name: str) -> tuple[str, str]:
    """An architecture's name, and the function of a head of one's own; "" where none is told.

    Raises:
        ModelError: there is no such function.

    Example:
        >>> split_function("resnet18+gelu"), split_function("resnet18")
        (('resnet18', 'gelu'), ('resnet18', ''))
    """
    base, told, function = name.partition(TOLD_BY)
    if told and function not in (*FUNCTIONS, PRELU):
        raise ModelError(
            f'"{function[:40]}" in {name[:80]} is no function that a head can have; they are '
            f"{', '.join(FUNCTIONS)}, {PRELU}."
        )
    return base, function


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
        parts[layer.name.replace(".", "_") or f"function{number}"] = _built(layer, head.function)
    module.set_submodule(head.root, nn.Sequential(OrderedDict(parts)))


def with_function(module: nn.Module, function: str) -> nn.Module:
    """A copy of a network with a head of one's own, with another of `FUNCTIONS` in that head."""
    other = deepcopy(module)
    for name, _ in module.named_modules():
        if PLACE.search(name):
            other.set_submodule(name, FUNCTIONS[function]())
    return other


def _built(layer: HeadLayer, function: str) -> nn.Module:
    if layer.kind == "function":
        return FUNCTIONS[function or USUAL]()
    if layer.kind == "BatchNorm":
        return nn.BatchNorm1d(layer.inputs, affine=layer.bias)
    if layer.kind == "LayerNorm":
        return nn.LayerNorm(layer.inputs)
    if layer.kind == "PReLU":
        return nn.PReLU(layer.inputs)
    return nn.Linear(layer.inputs, layer.outputs, bias=layer.bias)
