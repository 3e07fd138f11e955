"""Which architecture a state dict belongs to: a strict match of every key and every shape.

Two architectures can share all keys and shapes and still compute differently (padding, epsilon of
the normalisation). Every architecture that fits is built and run on the same noise: those that
give the same outputs are one, and the first by the order of `_preference` is taken; the others are
named in a note.

Notation: K outputs, H, W input size, T tokens of a position embedding.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from trust_core.errors import ModelError
from trust_core.model.architectures import (
    SMP_DECODERS,
    Blueprint,
    WeightsOnMeta,
    full_names,
    meta_shapes,
    published_input,
)
from trust_core.model.convention import logits_of
from trust_core.model.detector import resting
from trust_core.model.index import DERIVED, Shapes, nearest

PROBE_OUTPUTS = 1009  # no layer of a known network is that wide, so it marks the head
MOST_FITS = 6
POSITIONS = ("pos_embed", "pos_embedding")
SIZE_BOUND = ("pos_embed", "pos_embedding", "relative_position_bias_table")


@dataclass(frozen=True)
class Fit:
    """An architecture that a state dict fits, key by key.

    Attributes:
        blueprint: how to build it.
        renames: key of the file -> key of the network, where a head was replaced by
            Sequential(Dropout, Linear) or the reverse.
    """

    blueprint: Blueprint
    renames: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Miss:
    """An architecture that a state dict does not fit, and why."""

    name: str
    matched: int
    expected: int
    difference: str


@dataclass(frozen=True)
class Recognised:
    """The network with its weights.

    Attributes:
        module: in eval mode.
        blueprint: how it was built.
        others: architectures with the same keys and shapes that compute something else.
        notes: sentences the user should read.
    """

    module: nn.Module
    blueprint: Blueprint
    others: tuple[str, ...]
    notes: tuple[str, ...]


def recognise(
    path: Path,
    tensors: Mapping[str, Tensor],
    *,
    arch: str | None = None,
    size: tuple[int, int] | None = None,
) -> Recognised:
    """Find, build and fill the architecture of a state dict.

    Args:
        path: of the model file, for messages.
        tensors: its state dict.
        arch: the architecture's name, when the user has told; otherwise all known are tried.
        size: (H, W) of the input, when the user has told.

    Raises:
        ModelError: nothing fits; the three nearest are listed with what differs.
    """
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    names = full_names(arch) if arch else candidates(shapes)
    fits: list[Fit] = []
    misses: list[Miss] = []
    for name in names:
        found = fit(name, shapes, size)
        if isinstance(found, Fit):
            fits.append(found)
        else:
            misses.append(found)
        if len(fits) == MOST_FITS:
            break
    if not fits:
        raise ModelError(_nothing_fits(path, arch, len(shapes), misses))
    fits.sort(key=lambda each: _preference(each.blueprint))
    return _first_of_its_kind(fits[:1] if arch else fits, tensors, size)


def candidates(shapes: Shapes) -> list[str]:
    """The short list of architectures to compare a state dict with."""
    encoder = {
        key.removeprefix("encoder."): shape
        for key, shape in shapes.items()
        if key.startswith("encoder.")
    }
    if encoder and any(key.startswith("segmentation_head.") for key in shapes):
        names = nearest(encoder, encoders=True)[:2]
        return [f"smp/{decoder}:{name[4:]}" for name in names for decoder in SMP_DECODERS]
    return nearest(shapes)


def fit(name: str, shapes: Shapes, size: tuple[int, int] | None = None) -> Fit | Miss:
    """Compare a state dict with one architecture, whatever its outputs, channels and input size.

    Args:
        name: full name of the architecture.
        shapes: key -> shape of the state dict.
        size: (H, W) to build it for, when known.
    """
    miss: Miss | None = None
    for built_for in dict.fromkeys([None, size, *_position_sizes(shapes)]):
        try:
            found = _fit_at(Blueprint(name, PROBE_OUTPUTS, size=built_for), shapes)
        except ModelError as error:
            found = Miss(name, 0, 0, str(error))
        if isinstance(found, Fit):
            return found
        miss = max(miss or found, found, key=lambda each: each.matched)
        if built_for is None and not any(key.endswith(SIZE_BOUND) for key in shapes):
            break
    assert miss is not None
    return miss


def _fit_at(probe: Blueprint, shapes: Shapes) -> Fit | Miss:
    probe = replace(probe, auxiliary=any(key.lower().startswith("aux") for key in shapes))
    expected = meta_shapes(probe)
    renames = _head_renames(expected, shapes)
    shapes = {renames.get(key, key): shape for key, shape in shapes.items()}
    told = dict(_told(expected, shapes))
    blueprint = replace(
        probe,
        outputs=told.get("outputs", 1),
        channels=told.get("channels", 3),
        masks=told.get("masks", 1),
    )
    expected = {
        key: tuple(blueprint.outputs if side == PROBE_OUTPUTS else side for side in shape)
        for key, shape in expected.items()
    }
    if told.keys() - {"outputs"}:
        expected = meta_shapes(blueprint)
    missing = [key for key in expected.keys() - shapes.keys() if not key.endswith(DERIVED[0])]
    surplus = [key for key in shapes.keys() - expected.keys() if not key.endswith(DERIVED)]
    common = expected.keys() & shapes.keys()
    wrong = sorted(key for key in common if expected[key] != shapes[key])
    if "outputs" in told and not missing and not surplus and not wrong:
        return Fit(blueprint, tuple(renames.items()))
    parts = [f"{key} is {_times(shapes[key])}, not {_times(expected[key])}" for key in wrong[:1]]
    parts += [f"{len(wrong) - 1} more shapes differ"] if len(wrong) > 1 else []
    parts += [f"{len(missing)} missing, e.g. {min(missing)}"] if missing else []
    parts += [f"{len(surplus)} unknown, e.g. {min(surplus)}"] if surplus else []
    matched = len(common) - len(wrong)
    return Miss(probe.name, matched, len(expected), "; ".join(parts) or "no classification head")


def _told(expected: Shapes, shapes: Shapes) -> list[tuple[str, int]]:
    """What the shapes say of outputs, input channels and masks."""
    told = []
    for key, shape in expected.items():
        given = shapes.get(key, ())
        if len(given) != len(shape):
            continue
        if shape[:1] == (PROBE_OUTPUTS,) and given[1:] == shape[1:]:
            told.append(("outputs", given[0]))
        elif len(shape) == 4 and shape[1] == 3 and given == (shape[0], 1, *shape[2:]):
            told.append(("channels", 1))
        elif key == "segmentation_head.0.weight" and given[1:] == shape[1:]:
            told.append(("masks", given[0]))
    return told


def _head_renames(expected: Shapes, shapes: Shapes) -> dict[str, str]:
    """Match a head that was wrapped in (or taken out of) a Sequential with one Linear in it."""
    lost = [key for key in expected if key not in shapes and not key.endswith(DERIVED)]
    extra = [key for key in shapes if key not in expected and not key.endswith(DERIVED)]
    old, new = ({key.rpartition(".")[0] for key in keys} for keys in (lost, extra))
    if len(old) != 1 or len(new) != 1:
        return {}
    before, after = old.pop(), new.pop()
    wrapped = re.fullmatch(rf"{re.escape(before)}(\.\d+)+", after)
    unwrapped = re.fullmatch(rf"{re.escape(after)}(\.\d+)+", before)
    weight = expected.get(f"{before}.weight", ())
    same_inputs = weight[1:] == shapes.get(f"{after}.weight", ())[1:]
    if not (wrapped or unwrapped) or weight[:1] != (PROBE_OUTPUTS,) or not same_inputs:
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


def fill(found: Fit, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Build an architecture and load the weights, strictly.

    Args:
        found: the architecture and its renames.
        tensors: the state dict it was fitted to.
    """
    with WeightsOnMeta():  # initial values would take seconds, and be overwritten
        try:
            module = found.blueprint.build()
        except ModelError:
            module = None
    if module is not None:
        module.load_state_dict(_complete(module, found, tensors), assign=True)
        if not any(t.is_meta for t in (*module.parameters(), *module.buffers())):
            return module.eval()
    module = found.blueprint.build()
    module.load_state_dict(_complete(module, found, tensors))
    return module.eval()


def _complete(module: nn.Module, found: Fit, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The module's own state dict with the file's tensors in it.

    Filling its own keeps the version marks that some networks ask for, and the counters of
    BatchNorm that a file may lack.
    """
    renames = dict(found.renames)
    given = {renames.get(key, key): tensor for key, tensor in tensors.items()}
    state: dict[str, Tensor] = module.state_dict()
    for key in state:
        if key in given or not key.endswith(DERIVED[0]):
            state[key] = given[key]
    return state


def _preference(blueprint: Blueprint) -> tuple[bool, bool, bool, int, str]:
    """Which of several fits is taken: torchvision before timm, sizes as published, tf_ for -Lite.

    EfficientNet-Lite was published by TensorFlow and four of its five weights exist as `tf_` only;
    elsewhere the shorter name is the more usual one.
    """
    name = blueprint.name
    return (
        not name.startswith("torchvision/"),
        blueprint.size is not None,
        "efficientnet_lite" in name and "/tf_" not in name,
        len(name),
        name,
    )


def _first_of_its_kind(
    fits: Sequence[Fit], tensors: Mapping[str, Tensor], size: tuple[int, int] | None
) -> Recognised:
    """The preferred fit, and those of the others that compute something else."""
    first, *rest = fits
    module = fill(first, tensors)
    notes = []
    if first.renames:
        after, before = first.renames[0]
        notes.append(
            f"The head {after.rpartition('.')[0]} was read as dropout and the linear layer "
            f"{before.rpartition('.')[0]}."
        )
    others = []
    if rest:
        published = published_input(first.blueprint, module)
        shape = (1, first.blueprint.channels, *(size or published.size))
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        outputs = _run(module, noise)
        for other in rest:
            found = _run(fill(other, tensors), noise)
            if outputs is not None and found is not None and not _same(outputs, found):
                others.append(other.blueprint.name)
    if others:
        notes.append(
            f"Recognised as {first.blueprint.name}, but {', '.join(others)} has the same keys and "
            "shapes and computes differently; --arch NAME chooses."
        )
    return Recognised(module, first.blueprint, tuple(others), tuple(notes))


def _run(module: nn.Module, noise: Tensor) -> Tensor | None:
    with torch.no_grad(), resting(module):
        try:
            return logits_of(module(noise))
        except (RuntimeError, AssertionError, ValueError):
            return None  # not built for this size; the detector says so in its own words


def _same(one: Tensor, other: Tensor) -> bool:
    scale = 1 + one.abs().max().item()
    return one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=1e-4 * scale)


def _nothing_fits(path: Path, arch: str | None, count: int, misses: list[Miss]) -> str:
    misses.sort(key=lambda miss: (-miss.matched, miss.expected, miss.name))
    if arch:
        told = f"{path.name} does not hold the weights of {arch}"
        return f"{told}: {misses[0].matched} of {misses[0].expected} keys match; " + (
            f"{misses[0].difference}."
        )
    listed = " · ".join(
        f"{miss.name} ({miss.matched} of {miss.expected} keys: {miss.difference})"
        for miss in misses[:3]
        if miss.matched
    )
    return (
        f"{path.name} ({count} tensors) fits no known architecture exactly; "
        "name it with --arch, or hand your module to the library.\n"
        f"Nearest: {listed or 'none shares a single key'}."
    )


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a number"
