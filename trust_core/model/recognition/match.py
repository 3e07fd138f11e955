"""Comparing a state dict with one architecture, key by key and shape by shape.

What may differ is read off the shapes: the number of outputs, one input channel in place of three,
the input size behind a table of positions, and a head wrapped in Sequential(Dropout, Linear).

Notation: K outputs, H, W input size, T tokens of a position embedding.
"""

import math
from dataclasses import dataclass, replace

from trust_core.errors import ModelError
from trust_core.model.recognition.architectures import Blueprint, meta_shapes
from trust_core.model.recognition.fingerprints import DERIVED, Shapes
from trust_core.model.recognition.heads import UnclearHead, own_name, read_head
from trust_core.model.recognition.own_head import split_function

PROBE_OUTPUTS = 1009  # no layer of a known network is that wide, so it marks the head
POSITIONS = ("pos_embed", "pos_embedding")
DECIDES_BY_MASK = "multitask/mask:"  # no head tells its outputs: it has one
AUXILIARY = ("googlenet", "inception_v3")
SIZE_BOUND = ("pos_embed", "pos_embedding", "relative_position_bias_table")


@dataclass(frozen=True)
class ArchitectureFit:
    """An architecture that a state dict fits, key by key.

    Attributes:
        blueprint: how to build it.
        renames: key of the file -> key of the network, where a head was replaced by
            Sequential(Dropout, Linear) or the reverse, or by one of several layers.
        prefix: of the keys of a head of several layers.
    """

    blueprint: Blueprint
    renames: tuple[tuple[str, str], ...] = ()
    prefix: str = ""


@dataclass(frozen=True)
class Miss:
    """An architecture that a state dict does not fit, and why.

    Attributes:
        name: full name of the architecture.
        matched: keys that fit.
        expected: keys it has.
        difference: in words.
        channels: that the first layer reads, where these alone differ; 0 otherwise.
        head: why that is not rebuilt, where all else fits.
    """

    name: str
    matched: int
    expected: int
    difference: str
    channels: int = 0
    head: UnclearHead | None = None


def fit_architecture(
    name: str, shapes: Shapes, size: tuple[int, int] | None = None
) -> ArchitectureFit | Miss:
    """Compare a state dict with one architecture, whatever its outputs, channels and input size.

    `name` carries the function of a head of one's own where the user has told it; `size` is (H, W)
    to build it for, when known.
    """
    name, function = split_function(name)
    miss: Miss | None = None
    for built_for in dict.fromkeys([None, size, *_position_sizes(shapes)]):
        try:
            found = _fit_at(Blueprint(name, PROBE_OUTPUTS, size=built_for), shapes, function)
        except ModelError as error:
            found = Miss(name, 0, 0, str(error))
        if isinstance(found, ArchitectureFit):
            return found
        miss = max(miss or found, found, key=lambda each: each.matched)
        if built_for is None and not any(key.endswith(SIZE_BOUND) for key in shapes):
            break
    assert miss is not None
    return miss


def _fit_at(probe: Blueprint, shapes: Shapes, function: str) -> ArchitectureFit | Miss:
    if probe.name.endswith(AUXILIARY):  # heads for training alone, of any number of outputs
        shapes = {key: shape for key, shape in shapes.items() if not key.lower().startswith("aux")}
    found = _compared(probe, shapes)
    if isinstance(found, ArchitectureFit):
        return found if not function else _without_function(probe, found, function)
    head = read_head(probe.name, meta_shapes(probe), shapes, PROBE_OUTPUTS, function)
    if isinstance(head, UnclearHead):
        return replace(found, head=head)
    if head:
        own, prefix = head
        body = meta_shapes(probe).keys()
        renames = {
            key: f"{own.root}.{own_name(key.removeprefix(prefix))}"
            for key in shapes
            if key.startswith(prefix) and (key not in body or key.startswith(f"{own.root}."))
        }
        renamed = {renames.get(key, key): shape for key, shape in shapes.items()}
        rebuilt = _compared(replace(probe, outputs=own.outputs, head=own), renamed)
        if isinstance(rebuilt, ArchitectureFit) and function and not own.has_function(function):
            return _without_function(probe, rebuilt, function)
        if isinstance(rebuilt, ArchitectureFit):
            return ArchitectureFit(rebuilt.blueprint, tuple(renames.items()), prefix)
    return found


def _without_function(probe: Blueprint, found: ArchitectureFit, function: str) -> Miss:
    keys = len(meta_shapes(replace(found.blueprint, head=None)))
    difference = f"its head has no function that {function} could be; leave +{function} out"
    return Miss(probe.name, keys, keys, difference)


def _compared(probe: Blueprint, shapes: Shapes) -> ArchitectureFit | Miss:
    expected = meta_shapes(probe)
    renames = _head_renames(expected, shapes)
    shapes = {renames.get(key, key): shape for key, shape in shapes.items()}
    sizes = dict(_variable_sizes(expected, shapes))
    if probe.name.startswith(DECIDES_BY_MASK):
        sizes["outputs"] = 1
    if probe.head:
        sizes["outputs"] = probe.outputs
    blueprint = replace(
        probe,
        outputs=sizes.get("outputs", 1),
        channels=sizes.get("channels", 3),
        masks=sizes.get("masks", 1),
    )
    expected = {
        key: tuple(blueprint.outputs if side == PROBE_OUTPUTS else side for side in shape)
        for key, shape in expected.items()
    }
    if sizes.keys() - {"outputs"}:
        expected = meta_shapes(blueprint)
    missing = [key for key in expected.keys() - shapes.keys() if not key.endswith(DERIVED[0])]
    surplus = [key for key in shapes.keys() - expected.keys() if not key.endswith(DERIVED)]
    common = expected.keys() & shapes.keys()
    wrong = sorted(key for key in common if expected[key] != shapes[key])
    if "outputs" in sizes and not missing and not surplus and not wrong:
        return ArchitectureFit(blueprint, tuple(renames.items()))
    parts = [f"{key} is {_times(shapes[key])}, not {_times(expected[key])}" for key in wrong[:1]]
    parts += [f"{len(wrong) - 1} more shapes differ"] if len(wrong) > 1 else []
    parts += [f"{len(missing)} missing, e.g. {min(missing)}"] if missing else []
    parts += [f"{len(surplus)} unknown, e.g. {min(surplus)}"] if surplus else []
    matched = len(common) - len(wrong)
    difference = "; ".join(parts) or "no classification head"
    first = expected[wrong[0]] if len(wrong) == 1 and not missing and not surplus else ()
    other = shapes[wrong[0]] if first else ()
    alike = len(first) == len(other) == 4 and (first[0], *first[2:]) == (other[0], *other[2:])
    channels = other[1] if alike and first[1] == 3 else 0
    return Miss(probe.name, matched, len(expected), difference, channels)


def _variable_sizes(expected: Shapes, shapes: Shapes) -> list[tuple[str, int]]:
    """Outputs, input channels and masks, as the shapes say."""
    sizes = []
    for key, shape in expected.items():
        given = shapes.get(key, ())
        if len(given) != len(shape):
            continue
        if shape[:1] == (PROBE_OUTPUTS,) and given[1:] == shape[1:]:
            sizes.append(("outputs", given[0]))
        elif len(shape) == 4 and shape[1] == 3 and given == (shape[0], 1, *shape[2:]):
            sizes.append(("channels", 1))
        elif key == "segmentation_head.0.weight" and given[1:] == shape[1:]:
            sizes.append(("masks", given[0]))
    return sizes


def _head_renames(expected: Shapes, shapes: Shapes) -> dict[str, str]:
    """Match a head of one linear layer that has another name than the architecture's own.

    It may be wrapped in a Sequential with dropout, taken out of one, or belong to a class around
    the network (`backbone.*` beside `classifier.*`).
    """
    lost = [key for key in expected if key not in shapes and not key.endswith(DERIVED)]
    extra = [key for key in shapes if key not in expected and not key.endswith(DERIVED)]
    old, new = ({key.rpartition(".")[0] for key in keys} for keys in (lost, extra))
    if len(old) != 1 or len(new) != 1:
        return {}
    before, after = old.pop(), new.pop()
    weight = expected.get(f"{before}.weight", ())
    same_inputs = weight[1:] == shapes.get(f"{after}.weight", ())[1:]
    if weight[:1] != (PROBE_OUTPUTS,) or not same_inputs:
        return {}
    return {key: before + key.removeprefix(after) for key in extra}


def _position_sizes(shapes: Shapes) -> list[tuple[int, int]]:
    """Square input sizes that a position embedding of T tokens may stand for."""
    tokens = [
        shape[1] for key, shape in shapes.items() if key.endswith(POSITIONS) and len(shape) == 3
    ]
    patches = [
        shape[-1]
        for key, shape in shapes.items()
        if key.endswith(("patch_embed.proj.weight", "conv_proj.weight")) and len(shape) == 4
    ]
    sides = [
        math.isqrt(tokens[0] - prefix) * patches[0]
        for prefix in range(6)
        if tokens and patches and tokens[0] > prefix
        if math.isqrt(tokens[0] - prefix) ** 2 == tokens[0] - prefix
    ]
    return [(side, side) for side in sides]


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a number"
