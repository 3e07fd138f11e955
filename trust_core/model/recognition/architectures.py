"""Architectures by name: building them, and the input their publishers gave them.

A name is `torchvision/NAME`, `timm/NAME`, `smp/DECODER:ENCODER` (segmentation_models_pytorch with
a classification head beside its mask) or `multitask/...` (our own, see `multitask.py`). No weights
are ever downloaded.
"""

import difflib
import functools
import inspect
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import segmentation_models_pytorch as smp
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from trust_core.errors import ModelError
from trust_core.model.recognition.own_head import TOLD_BY, OwnHead, put_head, split_function
from trust_core.model.training.network import check_encoder, is_timm, read_plan

SMP_DECODERS = (
    "Unet",
    "UnetPlusPlus",
    "FPN",
    "DeepLabV3Plus",
    "DeepLabV3",
    "Linknet",
    "MAnet",
    "PSPNet",
    "PAN",
    "UPerNet",
    "Segformer",
)
INITIALISERS = frozenset(name for name in vars(nn.init) if name.endswith("_"))
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Blueprint:
    """All that is needed to build a network.

    Attributes:
        name: as in this module's docstring.
        outputs: number of outputs K.
        channels: input channels, 1 or 3.
        size: (H, W) the network is built for; None = as published.
        masks: mask channels (smp only).
        auxiliary: with the auxiliary heads of GoogLeNet and Inception.
        head: one of several layers in the place of its own; None = its own.
    """

    name: str
    outputs: int
    channels: int = 3
    size: tuple[int, int] | None = None
    masks: int = 1
    auxiliary: bool = False
    head: OwnHead | None = None

    @property
    def full_name(self) -> str:
        """The name by which the same network is built again: with the function that was told."""
        told = self.head.function if self.head else ""
        return f"{self.name}{TOLD_BY}{told}" if told else self.name

    def build(self) -> nn.Module:
        """The network with its initial weights.

        Raises:
            ModelError: this architecture cannot be built with these values.
        """
        library, _, name = self.name.partition("/")
        try:
            module = _BUILDERS[library](self, name)
            if self.head:
                put_head(module, self.head)
        except (TypeError, ValueError, RuntimeError, AssertionError, KeyError, IndexError) as error:
            raise ModelError(
                f"{self.name} cannot be built for {self.outputs} outputs, {self.channels} "
                f"channels, size {self.size or 'as published'}: {error}"
            ) from error
        return module


@dataclass(frozen=True)
class PublishedInput:
    """The input an architecture was published with.

    `size` is (H, W), `mean` and `std` are of RGB; `resize` and `interpolation` are as in
    `Preprocessing`, "" where nothing is said.
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: str = ""
    interpolation: str = ""


@functools.cache
def torchvision_names() -> frozenset[str]:
    """Classification networks of torchvision."""
    return frozenset(torchvision.models.list_models(torchvision.models))


@functools.cache
def architecture_names() -> tuple[str, ...]:
    """Names that may be given for an architecture, torchvision's first."""
    return (
        *(f"torchvision/{name}" for name in sorted(torchvision_names())),
        *(f"timm/{name}" for name in timm.list_models()),
    )


def full_names(name: str) -> list[str]:
    """The architectures a user can mean by a name, torchvision's first.

    `name` stands with or without its library, and with the function of a head of one's own behind
    a plus sign, where that is to be told.

    Raises:
        ModelError: there is none; close names are listed.
    """
    base, function = split_function(name)
    if function:
        return [f"{found}{TOLD_BY}{function}" for found in full_names(base)]
    library, _, rest = name.partition("/") if "/" in name else ("", "", name)
    found = []
    if library in ("", "torchvision") and rest in torchvision_names():
        found.append(f"torchvision/{rest}")
    if library in ("", "timm") and is_timm(rest):
        found.append(f"timm/{rest}")
    if library == "multitask":
        found.append(f"multitask/{read_plan(rest).name}")
    if library == "smp":
        decoder, _, encoder = rest.partition(":")
        check_encoder(encoder)
        if decoder in SMP_DECODERS:
            found.append(name)
    if not found:
        known = [*torchvision_names(), *timm.list_models()]
        close = difflib.get_close_matches(rest, known, n=3)
        hint = f" Close names: {', '.join(close)}." if close else ""
        raise ModelError(
            f'There is no architecture "{name[:80]}" in torchvision or timm (or '
            f"smp/DECODER:ENCODER, or multitask/ of our own).{hint}"
        )
    return found


@functools.cache
def smp_encoders() -> tuple[str, ...]:
    """Encoders that segmentation_models_pytorch names itself."""
    return tuple(smp.encoders.encoders)


def published_input(blueprint: Blueprint, module: nn.Module) -> PublishedInput:
    """Size and normalisation that the architecture was published with (ImageNet where unsaid)."""
    library, _, name = blueprint.name.partition("/")
    size, mean, std = (224, 224), IMAGENET_MEAN, IMAGENET_STD
    resize = interpolation = ""
    if library == "torchvision":
        transforms = torchvision.models.get_model_weights(name).DEFAULT.transforms()
        size = (transforms.crop_size[0], transforms.crop_size[0])
        mean, std = tuple(transforms.mean), tuple(transforms.std)
        resize, interpolation = f"crop:{transforms.resize_size[0]}", transforms.interpolation.value
    elif library == "timm":
        published = getattr(module, "pretrained_cfg", {})
        size = tuple(published.get("input_size", (3, *size))[1:])
        mean, std = tuple(published.get("mean", mean)), tuple(published.get("std", std))
        if share := published.get("crop_pct"):
            resize = f"crop:{int(min(size) / share)}"
        interpolation = published.get("interpolation", "")
    resize = "" if blueprint.size else resize
    return PublishedInput(blueprint.size or size, mean, std, resize, interpolation)


def _build_torchvision(blueprint: Blueprint, name: str) -> nn.Module:
    options: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        options = {"aux_logits": blueprint.auxiliary, "init_weights": False}
    if name.startswith("vit_") and blueprint.size:
        if blueprint.size[0] != blueprint.size[1]:
            raise ValueError("torchvision builds it for square images only")
        options = {"image_size": blueprint.size[0]}
    module: nn.Module = torchvision.models.get_model(
        name, weights=None, num_classes=blueprint.outputs, **options
    )
    if blueprint.channels != 3:
        _replace_first_conv(module, blueprint.channels)
    return module


def _build_timm(blueprint: Blueprint, name: str) -> nn.Module:
    if not is_timm(name):
        raise ValueError("timm lists no such network")
    options: dict[str, Any] = {"img_size": blueprint.size} if blueprint.size else {}
    return timm.create_model(
        name,
        pretrained=False,
        num_classes=blueprint.outputs,
        in_chans=blueprint.channels,
        **options,
    )


def _build_smp(blueprint: Blueprint, name: str) -> nn.Module:
    decoder, _, encoder = name.partition(":")
    check_encoder(encoder)
    if decoder not in SMP_DECODERS:
        raise ValueError("there is no such decoder")
    return getattr(smp, decoder)(
        encoder,
        encoder_weights=None,
        in_channels=blueprint.channels,
        classes=blueprint.masks,
        aux_params={"classes": blueprint.outputs},
    )


def _build_multitask(blueprint: Blueprint, name: str) -> nn.Module:
    return read_plan(name).build(blueprint.outputs, blueprint.channels)


_BUILDERS = {
    "torchvision": _build_torchvision,
    "timm": _build_timm,
    "smp": _build_smp,
    "multitask": _build_multitask,
}


def _replace_first_conv(module: nn.Module, channels: int) -> None:
    """Give the convolution that reads the image another number of channels."""
    name, first = next(
        (name, part)
        for name, part in module.named_modules()
        if isinstance(part, nn.Conv2d) and part.in_channels == 3
    )
    known = inspect.signature(nn.Conv2d).parameters.keys() & vars(first).keys()
    options = {key: getattr(first, key) for key in known - {"in_channels", "bias", "device"}}
    conv = nn.Conv2d(channels, bias=first.bias is not None, **options)
    if first.weight.is_meta:
        conv = conv.to("meta")
    parent, _, last = name.rpartition(".")
    setattr(module.get_submodule(parent), last, conv)


@functools.lru_cache(maxsize=64)  # a file is opened more than once, by the same short list
def meta_shapes(blueprint: Blueprint) -> dict[str, tuple[int, ...]]:
    """Key -> shape of the network's state dict, without allocating its weights."""
    whole = torch.device("meta") if blueprint.name.startswith("timm/") else nullcontext()
    with whole, WeightsOnMeta():
        module = blueprint.build()
    return {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}


class WeightsOnMeta(TorchFunctionMode):
    """Only uninitialised weights on the meta device; what is computed at building stays real."""

    def __torch_function__(
        self,
        function: Callable[..., object],
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        kwargs = dict(kwargs or {})
        if function is torch.empty:
            kwargs["device"] = "meta"
        tensor = args[0] if args else kwargs.get("tensor")
        drawn = getattr(function, "__name__", "") in INITIALISERS
        if drawn and isinstance(tensor, Tensor) and tensor.is_meta:
            return tensor  # there is nothing to draw, but trying takes most of the time
        return function(*args, **kwargs)
