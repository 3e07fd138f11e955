"""Which architecture a state dict belongs to: a strict match of every key and every shape.

Two architectures can share all keys and shapes and still compute differently (padding, epsilon of
the normalisation). Every architecture that fits is built and run on the same noise: those that
give the same outputs are one, and the first by the order of `_preference` is taken; the others are
named in a note.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from trust_core.errors import ModelError
from trust_core.messages import Message
from trust_core.model.modules import eval_mode
from trust_core.model.outputs import logits_of
from trust_core.model.recognition.architectures import (
    SMP_DECODERS,
    Blueprint,
    WeightsOnMeta,
    full_names,
    published_input,
)
from trust_core.model.recognition.fingerprints import DERIVED, Shapes, nearest
from trust_core.model.recognition.heads import (
    assumed,
    by_statistics,
    contradiction,
    head_notes,
    other_functions,
)
from trust_core.model.recognition.key_names import Layout, has_heads, read_layout
from trust_core.model.recognition.match import ArchitectureFit, Miss, fit_architecture
from trust_core.model.recognition.transformers_names import timm_names

MOST_FITS = 6
# With transform_input these turn ImageNet's normalisation into (x - 0.5) / 0.5.
RESCALING = ("torchvision/googlenet", "torchvision/inception_v3")


@dataclass(frozen=True)
class Recognised:
    """The network with its weights.

    Attributes:
        module: in eval mode.
        blueprint: how it was built.
        others: architectures with the same keys and shapes that compute something else.
        notes: sentences the user should read.
        assumed: of these, what was taken for a head of one's own that its file does not tell.
        other_heads: the same network with other functions in that head.
    """

    module: nn.Module
    blueprint: Blueprint
    others: tuple[str, ...]
    notes: tuple[str, ...]
    assumed: tuple[str, ...] = ()
    other_heads: tuple[str, ...] = ()


def recognise(
    path: Path,
    tensors: Mapping[str, Tensor],
    *,
    arch: str | None = None,
    size: tuple[int, int] | None = None,
) -> Recognised:
    """Find, build and fill the architecture of a state dict.

    `path` is for messages. `arch` is the architecture's name, when the user has named it; otherwise
    all known are tried. `size` is (H, W) of the input, when the user has said it.

    Raises:
        ModelError: nothing fits; the three nearest are listed with what differs.
    """
    tensors, family = timm_names(tensors) or (tensors, "")
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    layout = read_layout(shapes)
    shapes = {layout.names[key]: shape for key, shape in shapes.items()}
    tensors = {layout.names[key]: tensor for key, tensor in tensors.items()}
    names = full_names(arch) if arch else candidates(shapes)
    fits: list[ArchitectureFit] = []
    misses: list[Miss] = []
    for name in names:
        found = fit_architecture(name, shapes, size)
        if isinstance(found, ArchitectureFit):
            fits.append(found)
        else:
            misses.append(found)
        if len(fits) == MOST_FITS:
            break
    if not fits:
        raise _nothing_fits(path, arch, layout, len(shapes), misses)
    fits = [_settled(each, tensors) for each in fits]
    fits.sort(key=lambda each: _preference(each.blueprint))
    for head in filter(None, (fits[0].blueprint.head,)):
        if wrong := contradiction(head, fits[0].prefix, tensors):
            raise ModelError(
                f"{path.name} is {fits[0].blueprint.name} with a head of its own, but {wrong}; "
                "hand your module to the library."
            )
    known = _preferred(fits[:1] if arch else fits, tensors, size)
    if family:
        note = f"{path.name} has the names of transformers ({family}); they were read as timm's."
        return replace(known, notes=(note, *known.notes))
    return known


def _settled(found: ArchitectureFit, tensors: Mapping[str, Tensor]) -> ArchitectureFit:
    """A fit with its own head as the statistics of BatchNorm layers tell it."""
    head = found.blueprint.head
    if head is None:
        return found
    head = by_statistics(head, found.prefix, tensors)
    return replace(found, blueprint=replace(found.blueprint, head=head))


def candidates(shapes: Shapes) -> list[str]:
    """The short list of architectures to compare a state dict with."""
    encoder = {
        key.removeprefix("encoder."): shape
        for key, shape in shapes.items()
        if key.startswith("encoder.")
    }
    if has_heads(shapes):
        names = [name[4:] for name in nearest(encoder, encoders=True)[:2]]
        usual = [f"smp/{decoder}:{name}" for name in names for decoder in SMP_DECODERS]
        return usual + [own for name in names for own in _own(shapes, name)]
    return nearest(shapes)


def _own(shapes: Shapes, encoder: str) -> list[str]:
    """Networks of `multitask.py` that these heads can belong to."""
    if "segmentation_head.0.weight" not in shapes:
        return [f"multitask/label:{encoder}"]
    width = shapes["segmentation_head.0.weight"][1:2]
    classifies = "classification_head.3.weight" in shapes
    form = "joint" if classifies else "mask"
    return [f"multitask/{form}:{family}{w}:{encoder}" for w in width for family in ("FPN", "Unet")]


def fill(found: ArchitectureFit, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Build an architecture and load the weights, strictly."""
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


def _complete(
    module: nn.Module, found: ArchitectureFit, tensors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
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


def _preferred(
    fits: Sequence[ArchitectureFit], tensors: Mapping[str, Tensor], size: tuple[int, int] | None
) -> Recognised:
    """The preferred fit, and those of the others that compute something else."""
    first, *rest = fits
    module = fill(first, tensors)
    notes: list[str] = []
    taken: list[str] = []
    if head := first.blueprint.head:
        taken = assumed(first.blueprint.name, head, first.prefix)
        notes += [*head_notes(head, first.prefix), *taken]
    elif first.renames:
        after, before = first.renames[0]
        notes.append(
            f"The head {after.rpartition('.')[0]} was read as the linear layer "
            f"{before.rpartition('.')[0]}, with or without dropout."
        )
    if first.blueprint.name in RESCALING:
        notes.append(
            Message(
                "{name} built from pretrained weights rescales its input, which a state dict does "
                "not tell: if yours did, say {mean:0.5} and {std:0.5} in place of the ImageNet "
                "values.",
                name=first.blueprint.name,
            )
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
            Message(
                "Recognised as {name}, but {others} has the same keys and shapes and computes "
                "differently; {arch:NAME} chooses.",
                name=first.blueprint.name,
                others=", ".join(others),
            )
        )
    return Recognised(
        module,
        first.blueprint,
        tuple(others),
        tuple(notes),
        tuple(taken),
        other_functions(first.blueprint.name, head),
    )


def _run(module: nn.Module, noise: Tensor) -> Tensor | None:
    with torch.no_grad(), eval_mode(module):
        try:
            return logits_of(module(noise))
        except (RuntimeError, AssertionError, ValueError):
            return None  # not built for this size; the detector says so in its own words


def _same(one: Tensor, other: Tensor) -> bool:
    scale = 1 + one.abs().max().item()
    return one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=1e-4 * scale)


def _nothing_fits(
    path: Path, arch: str | None, layout: Layout, count: int, misses: list[Miss]
) -> ModelError:
    misses.sort(key=lambda miss: (-miss.matched, miss.expected, miss.name))
    unclear = [miss for miss in misses if miss.head]
    for miss in sorted(unclear, key=lambda each: not each.name.startswith("torchvision/"))[:1]:
        assert miss.head is not None
        message = Message(
            "{file} is {name} with a head of its own: {head}",
            file=path.name,
            name=miss.name,
            head=miss.head.reason,
        )
        return ModelError(message, miss.head.choices)
    if arch:
        refusal = f"{path.name} does not hold the weights of {arch}"
        matched = f"{misses[0].matched} of {misses[0].expected} keys match"
        return ModelError(f"{refusal}: {matched}; {misses[0].difference}.")
    if misses and misses[0].channels:
        return ModelError(
            f"{path.name} is {misses[0].name}, but it reads {misses[0].channels} channels; "
            "pictures have one (grey) or three (RGB), so a network with further ones, as depth or "
            "infrared, cannot be audited. Audit one that reads three."
        )
    listed = " · ".join(
        f"{miss.name} ({miss.matched} of {miss.expected} keys: {miss.difference})"
        for miss in misses[:3]
        if miss.matched
    )
    inside = sum(key.startswith(layout.prefix) for key in layout.names)
    others = [key for key in layout.names if not key.startswith(layout.prefix)]
    where = (
        f"{'All' if not others else inside} keys begin with {layout.prefix.rstrip('.')}; "
        "below that: "
        if layout.prefix
        else ""
    )
    rest = f" The rest is {', '.join(others[:3])}." if layout.prefix and others else ""
    message = Message(
        "{file} ({tensors} tensors) fits no known architecture exactly; name it with {arch}, or "
        "hand your module to the library.\n{where}Nearest: {nearest}.{rest}",
        "{file} ({tensors} tensors) fits no known architecture exactly; name its architecture "
        "below.\n{where}Nearest: {nearest}.{rest}",
        file=path.name,
        tensors=count,
        where=where,
        nearest=listed or "none shares a single key",
        rest=rest,
    )
    return ModelError(message)
