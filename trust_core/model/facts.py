"""What is said of a model file, and what it is found to be; no PyTorch is loaded for it."""

from dataclasses import dataclass

from trust_core.model.outputs import Convention
from trust_core.model.preprocessing import Preprocessing

PRECISION_NAMES = ("fp32", "tf32", "bf16")


@dataclass(frozen=True)
class ModelOptions:
    """What the command line says of a model; None (or empty) = by the card, else by rule.

    Attributes:
        arch: architecture, when it is not to be recognised.
        layers: explanation layers.
        defect_index: output(s) that mean defective.
        good_index: outputs that mean good.
        one_logit: "defect" or "good": what a positive single output means.
        size: (H, W).
        resize: "stretch", "crop:S" or "letterbox".
        interpolation: "bilinear", "bicubic", "nearest", "lanczos" or "area".
        channels: "rgb", "bgr" or "grey".
        mean: one value or one for each channel.
        std: as `mean`.
        antialias: "yes" (as PIL) or "no" (as OpenCV and torchvision on tensors).
        bits: that 16-bit pictures use; None without a card = by the pictures (`open_for_audit`).
        exif: "upright" or "ignore".
    """

    arch: str | None = None
    layers: tuple[str, ...] = ()
    defect_index: int | tuple[int, ...] | None = None
    good_index: tuple[int, ...] = ()
    one_logit: str | None = None
    size: tuple[int, int] | None = None
    resize: str | None = None
    interpolation: str | None = None
    channels: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    antialias: str | None = None
    bits: int | None = None
    exif: str | None = None


@dataclass(frozen=True)
class ModelFacts:
    """What a model file is, before anything is said about its input.

    Attributes:
        architecture: full name.
        outputs: K.
        convention: what the outputs mean by rule; None when the user has to say.
        preprocessing: of the input, by rule.
        layer: the explanation layer by rule.
        layers: every layer that can be explained, with its channels and grid (C, h, w).
        notes: sentences the user should read.
        assumed: of these, what changes every number if it is wrong.
        other_heads: architectures by whose name another function in the head is told.
    """

    architecture: str
    outputs: int
    convention: Convention | None
    preprocessing: Preprocessing
    layer: str
    layers: dict[str, tuple[int, int, int]]
    notes: tuple[str, ...]
    assumed: tuple[str, ...] = ()
    other_heads: tuple[str, ...] = ()
