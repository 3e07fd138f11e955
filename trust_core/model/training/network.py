"""Multi-task networks: a shared encoder, a mask decoder, a classification branch.

arXiv 2510.13226 argues for the joint form: the decision of each part is learnt beside its mask,
from one encoder. The pieces are those of segmentation_models_pytorch (its `aux_params`), put
together in three ways, so that the claim can be tried with nothing else changed:

- `joint`: mask decoder and classification branch.
- `mask`: the pixel-centric rival, which knows no labels. A part is defective when any pixel of its
  mask is, so its log-odds is the largest of the mask's.
- `label`: the classification branch alone.

A name is `OBJECTIVE:DECODER:ENCODER`, or `label:ENCODER`. DECODER is `FPN` or `Unet` with its
width, the channels of its last layer (for FPN a multiple of 32), and, for FPN, the stride of the
mask if not 1: `FPN32`, `FPN32@4`, `Unet16`. `FPN128` and `Unet16` are the defaults of
segmentation_models_pytorch.

Notation: N images, c channels, H, W input size, K outputs, H', W' grid of the mask.
"""

import re
from dataclasses import dataclass
from typing import Any

import segmentation_models_pytorch as smp
import timm
from torch import Tensor, nn

from trust_core.errors import ModelError

OBJECTIVES = ("joint", "mask", "label")
ENCODER = "tu-tf_efficientnet_lite0"
DECODER = "FPN32"
STRIDE = 32
"""Both sides of the input are whole multiples of this: five halvings down and up again."""

_LISTED = re.compile(r"[A-Za-z0-9_.]+")  # no place for a source: "hf-hub:" would ask a model hub
_FORM = re.compile(r"(?P<family>FPN|Unet)(?P<width>[1-9]\d{0,3})(?:@(?P<stride>[124]))?")


class MultiTask(nn.Module):
    """The three forms above.

    Attributes:
        encoder: (N, c, H, W) to a list of feature grids, finest first.
        decoder: those grids to one; None for `label`.
        segmentation_head: that grid to (N, 1, H', W') evidence of *defective*; None for `label`.
        classification_head: the deepest grid to (N, K) logits; None for `mask`.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module | None,
        segmentation_head: nn.Module | None,
        classification_head: nn.Module | None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.segmentation_head = segmentation_head
        self.classification_head = classification_head

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """The mask (N, 1, H', W'), where there is one, and the logits (N, K).

        `x` is (N, c, H, W), normalised; H and W multiples of `STRIDE`.
        """
        features = self.encoder(x)
        if self.decoder is None or self.segmentation_head is None:
            return self._classify(features)
        mask = self.segmentation_head(self.decoder(features))
        if self.classification_head is None:
            return mask, mask.amax(dim=(2, 3))
        return mask, self._classify(features)

    def decide(self, x: Tensor) -> Tensor:
        """The logits (N, K) alone: where the decision does not need the mask, none is made."""
        if self.classification_head is not None:
            return self._classify(self.encoder(x))
        _, logits = self(x)
        return logits

    def _classify(self, features: list[Tensor]) -> Tensor:
        assert self.classification_head is not None
        return self.classification_head(features[-1])


@dataclass(frozen=True)
class Plan:
    """What a name says.

    `objective` is one of `OBJECTIVES`; `decoder` e.g. "FPN32@4", "" for `label`; `encoder` is of
    segmentation_models_pytorch, or `tu-` and a timm network.
    """

    objective: str
    decoder: str
    encoder: str

    @property
    def name(self) -> str:
        """The name that `read_plan` reads."""
        return ":".join(part for part in (self.objective, self.decoder, self.encoder) if part)

    def build(self, outputs: int, channels: int = 3) -> MultiTask:
        """The network with its initial weights; nothing is fetched.

        A `mask` network always has one output.
        """
        check_encoder(self.encoder)
        whole = _decoder(self.decoder or DECODER)
        network = whole.family(
            self.encoder,
            encoder_weights=None,
            in_channels=channels,
            classes=1,
            aux_params={"classes": outputs},
            **whole.options,
        )
        decodes, classifies = self.objective != "label", self.objective != "mask"
        return MultiTask(
            network.encoder,
            network.decoder if decodes else None,
            network.segmentation_head if decodes else None,
            network.classification_head if classifies else None,
        )


def read_plan(name: str) -> Plan:
    """What a name says, checked as far as that is possible without building it.

    Raises:
        ModelError: it is no such name.
    """
    objective, _, rest = name.partition(":")
    decoder, _, encoder = ("", "", rest) if objective == "label" else rest.partition(":")
    if objective not in OBJECTIVES or not encoder:
        raise ModelError(
            f'"{name}" is no network of ours; write e.g. joint:{DECODER}:{ENCODER} or '
            f"label:{ENCODER}."
        )
    check_encoder(encoder)
    if decoder or objective != "label":
        _decoder(decoder)
    return Plan(objective, decoder, encoder)


def is_timm(name: str) -> bool:
    """Whether timm lists a network of this name; never one of a model hub or of a folder."""
    return bool(_LISTED.fullmatch(name)) and timm.is_model(name)


def check_encoder(name: str) -> None:
    """Refuse an encoder that neither segmentation_models_pytorch nor timm lists.

    Raises:
        ModelError: it names something else, as a model hub or a folder.
    """
    if name in smp.encoders.encoders or (name.startswith("tu-") and is_timm(name[3:])):
        return
    raise ModelError(
        f'There is no encoder "{name[:80]}" in segmentation_models_pytorch or (as tu-NAME) in '
        f"timm; write e.g. {ENCODER}."
    )


@dataclass(frozen=True)
class _Decoder:
    family: Any
    options: dict[str, Any]


def _decoder(text: str) -> _Decoder:
    found = _FORM.fullmatch(text)
    if not found or (found["family"] == "Unet" and found["stride"] not in (None, "1")):
        raise ModelError(
            f'"{text}" is no mask decoder; write FPN or Unet with its width, and for FPN the '
            "stride of the mask if not 1: FPN32, FPN32@4, Unet16."
        )
    width, stride = int(found["width"]), int(found["stride"] or 1)
    if found["family"] == "Unet":
        return _Decoder(smp.Unet, {"decoder_channels": [width * k for k in (16, 8, 4, 2, 1)]})
    options = {
        "decoder_pyramid_channels": 2 * width,
        "decoder_segmentation_channels": width,
        "upsampling": 4 // stride,
    }
    return _Decoder(smp.FPN, options)
