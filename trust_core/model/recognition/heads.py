"""Heads of several layers of one's own behind a known network, as far as their weights tell.

A state dict tells the layers that have weights: linear, BatchNorm, LayerNorm, PReLU. Numbers, as a
`Sequential` gives them, tell their order, and by their gaps where something without weights stands:
between two linear layers that is a function, with or without dropout. Which one is not in the file;
ReLU is taken, the usual one, and a note says so. Names, as a class of one's own gives them, tell
the order only by the layers' widths, and not even whether a function stands between two of them:
there the user is asked, and the answer is part of the architecture's name (`resnet18+relu`). What
neither tells is refused with the reason.
"""

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from trust_core.messages import Message
from trust_core.model.recognition.fingerprints import DERIVED, Shapes
from trust_core.model.recognition.own_head import (
    FUNCTIONS,
    PRELU,
    TOLD_BY,
    USUAL,
    HeadLayer,
    OwnHead,
)

WHOLE = ("classifier", "heads")  # Sequentials of torchvision that are replaced as a whole too
FLATTENED = 2  # the first number of a layer that has weights behind pooling and flattening
NUMBERED = re.compile(r"\d+([._]\d+)*")
ROUNDING = 1e-4  # of a mean of values that are never negative
MOST_LINEAR = 5  # layers with names, whose orders are tried
# Networks whose own head has another function than ReLU behind its first linear layer: where only
# the width was changed, it still has.
OTHER_FUNCTION = {"torchvision/mobilenet_v3_small": "0", "torchvision/mobilenet_v3_large": "0"}

Parts = dict[str, HeadLayer]


@dataclass(frozen=True)
class UnclearHead:
    """A head that is not rebuilt, behind a network that is known.

    Attributes:
        reason: what it is, why it is not rebuilt, and what to do.
        choices: names of the architecture that answer the question, where the user can.
    """

    reason: str
    choices: tuple[str, ...] = ()


class _UnclearError(Exception):
    """What in a head cannot be told: words that follow "but", with {} for each name of a layer.

    `answer` is what the user may tell of it, "" where nothing would help.
    """

    def __init__(self, *args: str, answer: str = "") -> None:
        super().__init__(*args)
        self.answer = answer

    def words(self, prefix: str) -> str:
        """The reason, with names as they stand in the file."""
        text, *names = self.args
        return str(text).format(*(f"{prefix}{name}" for name in names))


def read_head(
    name: str, expected: Shapes, shapes: Shapes, marked: int, function: str = ""
) -> tuple[OwnHead, str] | UnclearHead | None:
    """The head of a state dict whose other keys are those of a known network.

    Args:
        name: of the known network.
        expected: key -> shape of it.
        shapes: key -> shape of the state dict.
        marked: number of outputs by which the head of `expected` is known.
        function: between its linear layers, as the user has told; "" where nobody has.

    Returns:
        The head and what its keys begin with in the state dict; or why it is not rebuilt, where
        all else is that network; None where there is no such head.
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
    unclear = None
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
        bare = {key.removeprefix(prefix): shape for key, shape in own.items()}
        known = all(_alike(shapes.get(key, expected[key]), expected[key]) for key in body)
        try:
            found = _head(root, bare, features, function)
        except _UnclearError as error:
            if known:
                unclear = unclear or _unclear(
                    name, f"{_listed(bare, prefix)}, but {error.words(prefix)}", error.answer
                )
            continue
        if found and not function and (question := _question(name, found, prefix)):
            reason = Message(
                "{head}, but {question}", head=_listed(bare, prefix), question=question
            )
            choices = (f"{name}{TOLD_BY}{USUAL}", *other_functions(name, found))
            return UnclearHead(reason, choices) if known else None
        if found:
            return found, prefix
    return unclear


def _unclear(name: str, why: str, answer: str) -> UnclearHead:
    if not answer:
        return UnclearHead(f"{why}; hand your module to the library.")
    told = f"{name}{TOLD_BY}{answer}"
    reason = Message(
        "{why}; where it is a PReLU, say {arch:NAME} with {short}, otherwise hand your module to "
        "the library.",
        "{why}; where it is a PReLU, choose {short} below, otherwise hand your module to the "
        "library.",
        why=why,
        short=told.rpartition("/")[2],
    )
    return UnclearHead(reason, (told,))


def _alike(given: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether two shapes are the same, but for the channels that a convolution reads."""
    return given == wanted or (
        len(given) == 4 == len(wanted) and (given[0], *given[2:]) == (wanted[0], *wanted[2:])
    )


def own_name(name: str) -> str:
    """The key of a head's layer in the network, below its root, for that in the file."""
    layer, _, weight = name.rpartition(".")
    return f"{layer.replace('.', '_')}.{weight}"


def by_statistics(head: OwnHead, prefix: str, tensors: Mapping[str, Tensor]) -> OwnHead:
    """A head with names, its ReLUs before those BatchNorm layers that get nothing negative.

    Args:
        head: as read from the shapes, where a function stands behind a BatchNorm layer.
        prefix: of its keys in `tensors`.
        tensors: the state dict.
    """
    if head.settled:
        return head
    layers = list(head.layers)
    for place in range(1, len(layers)):
        norm, function = layers[place - 1 : place + 1]
        if norm.kind == "BatchNorm" and function.kind == "function":
            means = tensors[f"{prefix}{norm.name}.running_mean"]
            if means.min() >= -ROUNDING * (1 + means.abs().max()):
                layers[place - 1 : place + 1] = function, norm
    return replace(head, layers=tuple(layers))


def contradiction(head: OwnHead, prefix: str, tensors: Mapping[str, Tensor]) -> str:
    """What in the statistics of BatchNorm contradicts a head as it was read; "" for nothing.

    Behind a ReLU no mean is negative; of the cells' largest and average the first is the larger.

    `head` is as read from the shapes, `prefix` that of its keys in the state dict.
    """
    for before, after in head.functions:
        means = tensors.get(f"{prefix}{after}.running_mean")
        negative = means is not None and means.min() < -ROUNDING * (1 + means.abs().max())
        if negative and head.function in ("", USUAL):
            return f"behind {prefix}{before} stands no ReLU, for values get below 0 there"
    if head.both_pools:
        first = f"{prefix}{head.layers[0].name}.running_mean"
        largest, average = tensors[first].chunk(2)
        if (largest - average).min() < -ROUNDING * (1 + average.abs().max()):
            return f"{first} is not of the cells' largest, then their average, as fastai has it"
    return ""


def head_notes(head: OwnHead, prefix: str) -> list[str]:
    """How a head was rebuilt."""
    listed = ", ".join(_words(prefix, layer) for layer in head.layers if layer.name)
    pool = " It reads the largest of the cells beside their average." if head.both_pools else ""
    gap = next((f"{prefix}{a} and {prefix}{b}" for a, b in _gaps_before_linear(head)), "")
    dropout = f" What stands between {gap} was taken as dropout." if gap else ""
    told = "".join(
        f" {head.function} was placed between {prefix}{a} and {prefix}{b}."
        for a, b in head.functions
        if not head.settled
    )
    return [
        f"The head is one of your own and was rebuilt from its weights: {listed}."
        f"{pool}{dropout}{told}"
    ]


def assumed(name: str, head: OwnHead, prefix: str) -> list[str]:
    """What was taken for a head that its file does not tell, and nobody has told.

    Args:
        name: of the known network.
        head: its head.
        prefix: of its keys in the file.
    """
    if head.function or not head.functions:
        return []
    return [
        Message(
            "The file does not say which function stands {between}; ReLU was taken, the usual "
            "one. If yours is another, say {arch:NAME} with one of {names}; {expect} with a few of "
            "your own predictions tells.",
            "The file does not say which function stands {between}; ReLU was taken, the usual "
            "one. If yours is another, choose {names} at {arch:NAME}; {expect:CSV} with a few of "
            "your own predictions tells.",
            between=" and ".join(f"between {prefix}{a} and {prefix}{b}" for a, b in head.functions),
            names=_alternatives(name),
        )
    ]


def other_functions(name: str, head: OwnHead | None) -> tuple[str, ...]:
    """Names of the same network with other functions in its head."""
    if head is None or not head.functions:
        return ()
    now = head.function or USUAL
    return tuple(f"{name}{TOLD_BY}{other}" for other in FUNCTIONS if other != now)


def _question(name: str, head: OwnHead, prefix: str) -> str:
    """A question to the user, where the file does not even tell that a function stands there."""
    if not head.functions or (head.settled and head.functions[0][0] != OTHER_FUNCTION.get(name)):
        return ""
    before, after = head.functions[0]
    return Message(
        "the file does not tell which function stands between {before} and {after}, if any does; "
        "say {arch:NAME} with one of {names} ({none} for nothing between them), or hand your "
        "module to the library.",
        "the file does not tell which function stands between {before} and {after}, if any does; "
        "choose one of {names} below ({none} for nothing between them), or hand your module to "
        "the library.",
        before=prefix + before,
        after=prefix + after,
        names=f"{name.rpartition('/')[2]}{TOLD_BY}{USUAL}, {_alternatives(name)}",
        none=f"{TOLD_BY}none",
    )


def _alternatives(name: str) -> str:
    short = name.rpartition("/")[2]
    others = [f"{TOLD_BY}{function}" for function in FUNCTIONS if function != USUAL]
    return f"{short}{', '.join(others[:-1])} or {others[-1]}"


def _listed(bare: Shapes, prefix: str) -> str:
    """The layers of a head, with the shape of their first weight."""
    parts = _by_layer(bare)
    return ", ".join(
        f"{prefix}{name} ({'x'.join(map(str, next(iter(weights.values())))) or 'a number'})"
        for name, weights in list(parts.items())[:4]
    ) + ("" if len(parts) <= 4 else ", …")


def _words(prefix: str, layer: HeadLayer) -> str:
    widths = f", {layer.inputs} to {layer.outputs}" if layer.kind == "linear" else ""
    return f"{prefix}{layer.name} ({layer.kind}{widths})"


def _gaps_before_linear(head: OwnHead) -> list[tuple[str, str]]:
    """Layers with numbers up to the first linear one, between which something stands."""
    first = next(n for n, layer in enumerate(head.layers) if layer.kind == "linear")
    names = [layer.name for layer in head.layers[: first + 1]]
    if not all(map(NUMBERED.fullmatch, names)):
        return []
    return [pair for pair in itertools.pairwise(names) if not _next(*pair)]


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


def _head(root: str, bare: Shapes, features: int, function: str) -> OwnHead | None:
    """The head that keys stand for; None where they are no layers' weights.

    Raises:
        _UnclearError: it cannot be told.
    """
    weights = _by_layer(bare)
    if not weights or "" in weights:
        return None
    parts = {name: _layer(name, shapes, function) for name, shapes in weights.items()}
    if not all(NUMBERED.fullmatch(name) for name in parts):
        layers = _by_width(parts, features, function)
        head = OwnHead(root, tuple(layers), function=function, settled=False)
    else:
        layers = _by_number(parts)
        behind = _numbers(layers[0].name)[-1] >= FLATTENED
        both = layers[0].kind == "BatchNorm" and behind and layers[0].inputs == 2 * features
        _check_widths(layers, features * (1 + both))
        head = OwnHead(root, tuple(layers), both, function)
    if function == PRELU and not head.has_function(PRELU):
        return replace(head, function="")
    if function == PRELU and head.functions:
        before, after = head.functions[0]
        raise _UnclearError("beside the PReLU a function stands between {} and {}", before, after)
    return head


def _by_layer(bare: Shapes) -> dict[str, dict[str, tuple[int, ...]]]:
    parts: dict[str, dict[str, tuple[int, ...]]] = {}
    for key, shape in bare.items():
        name, _, weight = key.rpartition(".")
        parts.setdefault(name, {})[weight] = shape
    return parts


def _layer(name: str, weights: Mapping[str, tuple[int, ...]], function: str) -> HeadLayer:
    """One layer by the shapes of its weights, and the function that the user has told.

    Raises:
        _UnclearError: it is none of the kinds, or one of several.
    """
    weight = weights.get("weight", ())
    if len(weights.get("running_mean", ())) == 1:
        (width,) = weights["running_mean"]
        return HeadLayer(name, "BatchNorm", width, width, "weight" in weights)
    if weights.keys() <= {"weight", "bias"}:
        if len(weight) == 2:
            return HeadLayer(name, "linear", weight[1], weight[0], "bias" in weights)
        if len(weight) == 1 and "bias" in weights:
            return HeadLayer(name, "LayerNorm", weight[0], weight[0])
        if weight == (1,):
            return HeadLayer(name, "PReLU", 1, 1)
        if len(weight) == 1 and function == PRELU:
            return HeadLayer(name, "PReLU", weight[0], weight[0])
        if len(weight) == 1:
            raise _UnclearError(
                "{} has one weight a feature, as a PReLU, an RMSNorm or a LayerNorm without bias",
                name,
                answer=PRELU,
            )
    raise _UnclearError("{} is no linear, batch norm, layer norm or PReLU layer", name)


def _by_number(parts: Parts) -> list[HeadLayer]:
    """Layers by their numbers, with a function between two linear ones where there is a gap.

    Raises:
        _UnclearError: there is no last linear layer, or nothing tells which gap is the function.
    """
    found: list[HeadLayer] = []
    between: list[HeadLayer] = []
    for name in sorted(parts, key=_numbers):
        between.append(parts[name])
        if parts[name].kind == "linear":
            found += _with_function(found[-1], between) if found else between
            between = []
    if between:
        raise _UnclearError("no linear layer stands behind {}", between[-1].name)
    return found


def _with_function(before: HeadLayer, layers: list[HeadLayer]) -> list[HeadLayer]:
    """The layers behind a linear one up to the next, with a function in the first gap."""
    kinds = {layer.kind for layer in layers}
    names = [before.name, *(layer.name for layer in layers)]
    gaps = [n for n, pair in enumerate(itertools.pairwise(names)) if not _next(*pair)]
    if not gaps or "PReLU" in kinds:
        return layers
    if len(gaps) > 1 and "LayerNorm" in kinds:
        raise _UnclearError(
            "a function and dropout stand between {} and {}, and nothing tells which comes first",
            names[0],
            names[-1],
        )
    return [*layers[: gaps[0]], HeadLayer("", "function"), *layers[gaps[0] :]]


def _check_widths(layers: Iterable[HeadLayer], features: int) -> None:
    """Whether each layer reads what the one before it gives; raises _UnclearError."""
    for layer in layers:
        if layer.kind in ("linear", "BatchNorm", "LayerNorm"):
            if layer.inputs != features:
                raise _UnclearError(
                    f"{{}} reads {layer.inputs} features where {features} come", layer.name
                )
            features = layer.outputs


def _by_width(parts: Parts, features: int, function: str) -> list[HeadLayer]:
    """Layers with names, in the one order that their widths allow.

    Between two linear layers a function: behind a LayerNorm, as is usual, and behind a BatchNorm
    layer until its statistics are seen.

    Raises:
        _UnclearError: no order fits, or several do.
    """
    linear = [layer for layer in parts.values() if layer.kind == "linear"]
    orders = [
        order
        for order in itertools.permutations(linear[: MOST_LINEAR + 1])
        if [layer.inputs for layer in order] == [features, *(each.outputs for each in order[:-1])]
    ]
    if not orders:
        raise _UnclearError("their widths do not follow one another")
    if len(orders) > 1 or len(linear) > MOST_LINEAR:
        raise _UnclearError("nothing tells in which order they are computed")
    before: list[list[HeadLayer]] = [[] for _ in linear]  # what stands before each linear layer
    for layer in parts.values():
        if layer.kind == "linear":
            continue
        places = [
            place
            for place, each in enumerate(orders[0])
            if (place if layer.kind == "PReLU" else True)
            and (layer.inputs == each.inputs or (layer.kind == "PReLU" and layer.inputs == 1))
        ]
        if len(places) != 1 or before[places[0]]:
            raise _UnclearError("nothing tells where {} stands", layer.name)
        before[places[0]].append(layer)
    found = [*before[0], orders[0][0]]
    for others, each in zip(before[1:], orders[0][1:], strict=True):
        kind = others[0].kind if others else ""
        if kind == "BatchNorm" and function not in ("", USUAL, "none"):
            raise _UnclearError("nothing tells whether a function stands before {}", others[0].name)
        found += [*others, *([] if kind == "PReLU" else [HeadLayer("", "function")]), each]
    return found


def _numbers(name: str) -> list[int]:
    return [int(number) for number in re.split("[._]", name)]


def _next(before: str, name: str) -> bool:
    """Whether nothing stands between two layers of one Sequential."""
    *outer, last = _numbers(before)
    return _numbers(name) == [*outer, last + 1]
