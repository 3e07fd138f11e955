"""Heads of several layers of one's own behind a known network: linear, BatchNorm, ReLU, dropout.

A state dict tells the layers that have weights, their order where they are numbered as in a
`Sequential`, and by the gaps between the numbers where something without weights stands. Between
two linear layers that is an activation, with or without dropout; which one is not in the file: ReLU
is taken, the usual one, and a note says so. Where a BatchNorm layer follows, its statistics tell
whether that can be.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from trust_core.messages import Message
from trust_core.model.recognition.fingerprints import DERIVED, Shapes
from trust_core.model.recognition.own_head import HeadLayer, OwnHead

WHOLE = ("classifier", "heads")  # Sequentials of torchvision that are replaced as a whole too
FLATTENED = 2  # the first number of a layer that has weights behind pooling and flattening
NUMBERED = re.compile(r"\d+([._]\d+)*")
ROUNDING = 1e-4  # of a mean of values that are never negative


def read_head(expected: Shapes, shapes: Shapes, marked: int) -> tuple[OwnHead, str] | None:
    """The head of a state dict whose other keys are those of a known network.

    Args:
        expected: key -> shape of the known network.
        shapes: key -> shape of the state dict.
        marked: number of outputs by which the head of `expected` is known.

    Returns:
        The head and what its keys begin with in the state dict; None where there is none that is
        understood.
    """
    decides = {
        key.rpartition(".")[0]
        for key, shape in expected.items()
        if len(shape) == 2 and shape[0] == marked
    }
    if len(decides) != 1:
        return None
    (last,) = decides
    roots = [last, *(whole for whole in WHOLE if last.startswith(f"{whole}."))]
    for root in roots:
        body = {key for key in expected if not key.startswith(f"{root}.")}
        if not {key for key in body if not key.endswith(DERIVED)} <= shapes.keys():
            continue
        own = {key: shape for key, shape in shapes.items() if key not in body}
        features = next(
            shape[1]
            for key, shape in expected.items()
            if key.startswith(f"{root}.") and len(shape) == 2
        )
        prefix = _shared_prefix(own)
        layers = _layers({key.removeprefix(prefix): shape for key, shape in own.items()})
        for both in (False, True):
            if layers and layers[0].inputs == features * (1 + both):
                behind = _numbers(layers[0].name)[-1] >= FLATTENED
                if not both or (layers[0].kind == "norm" and behind):
                    return OwnHead(root, tuple(layers), both), prefix
    return None


def own_name(name: str) -> str:
    """The key of a head's layer in the network, below its root, for that in the file."""
    layer, _, weight = name.rpartition(".")
    return f"{layer.replace('.', '_')}.{weight}"


def contradiction(head: OwnHead, prefix: str, tensors: Mapping[str, Tensor]) -> str:
    """What in the statistics of BatchNorm contradicts a head as it was read; "" for nothing.

    Behind a ReLU no mean is negative; of the cells' largest and average the first is the larger.

    Args:
        head: as read from the shapes.
        prefix: of its keys in `tensors`.
        tensors: the state dict.
    """
    for before, after in head.relus:
        means = tensors.get(f"{prefix}{after}.running_mean")
        if means is not None and means.min() < -ROUNDING * (1 + means.abs().max()):
            return f"behind {prefix}{before} stands no ReLU, for values get below 0 there"
    if head.both_pools:
        first = f"{prefix}{head.layers[0].name}.running_mean"
        largest, average = tensors[first].chunk(2)
        if (largest - average).min() < -ROUNDING * (1 + average.abs().max()):
            return f"{first} is not of the cells' largest, then their average, as fastai has it"
    return ""


def head_notes(head: OwnHead, prefix: str) -> list[str]:
    """What was taken for a head that its file does not tell."""
    listed = ", ".join(
        f"{prefix}{layer.name} ({_words(layer)})" for layer in head.layers if layer.name
    )
    pool = " It reads the largest of the cells beside their average." if head.both_pools else ""
    notes = [f"The head is one of your own and was rebuilt from its weights: {listed}.{pool}"]
    if head.relus:
        between = " and ".join(f"between {prefix}{a} and {prefix}{b}" for a, b in head.relus)
        notes.append(
            Message(
                "The file does not say which function stands {between}; ReLU was taken, the usual "
                "one. If yours is another, hand your module to the library; {expect} with a few of "
                "your own predictions tells.",
                between=between,
            )
        )
    return notes


def _words(layer: HeadLayer) -> str:
    if layer.kind == "norm":
        return "BatchNorm"
    return f"linear, {layer.inputs} to {layer.outputs}"


def _shared_prefix(keys: Mapping[str, object]) -> str:
    """What all keys begin with, up to the numbers of their layers."""
    paths = [key.split(".")[:-1] for key in keys if not key.endswith(DERIVED)]
    common = []
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    if common and len(common) == min(map(len, paths)):
        common.pop()  # a single layer: its number is its name
    return "".join(f"{part}." for part in common)


def _layers(shapes: Shapes) -> list[HeadLayer]:
    """Linear and BatchNorm layers by their numbers, with a ReLU where there is a gap.

    Empty where anything else has weights, names are no numbers, or widths do not follow.
    """
    parts: dict[str, dict[str, tuple[int, ...]]] = {}
    for key, shape in shapes.items():
        name, _, weight = key.rpartition(".")
        parts.setdefault(name, {})[weight] = shape
    if not all(NUMBERED.fullmatch(name) for name in parts):
        return []
    found: list[HeadLayer] = []
    before = ""
    bare = False  # a linear layer has come, and no activation since
    for name in sorted(parts, key=_numbers):
        layer = _layer(name, parts[name])
        if layer is None or (found and layer.inputs != found[-1].outputs):
            return []
        if bare and not _next(before, name):
            found.append(HeadLayer("", "relu", layer.inputs, layer.inputs))
            bare = False
        bare = bare or layer.kind == "linear"
        found.append(layer)
        before = name
    return found if found and found[-1].kind == "linear" else []


def _layer(name: str, weights: Mapping[str, tuple[int, ...]]) -> HeadLayer | None:
    """One layer by the shapes of its weights; None where it is neither of the two kinds."""
    weight = weights.get("weight", ())
    if "running_mean" in weights and len(weights["running_mean"]) == 1:
        (width,) = weights["running_mean"]
        return HeadLayer(name, "norm", width, width, "weight" in weights)
    if len(weight) == 2 and weights.keys() <= {"weight", "bias"}:
        return HeadLayer(name, "linear", weight[1], weight[0], "bias" in weights)
    return None


def _numbers(name: str) -> list[int]:
    return [int(number) for number in re.split("[._]", name)]


def _next(before: str, name: str) -> bool:
    """Whether nothing stands between two layers of one Sequential."""
    *outer, last = _numbers(before)
    return _numbers(name) == [*outer, last + 1]
