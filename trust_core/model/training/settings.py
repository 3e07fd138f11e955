"""Settings of a training run."""

import math
from dataclasses import dataclass

from trust_core.errors import SettingsError
from trust_core.messages import Message, none_of, option
from trust_core.model.modules import PRECISIONS
from trust_core.model.open import ModelCard
from trust_core.model.outputs import Convention, choose_convention
from trust_core.model.preprocessing import Preprocessing
from trust_core.model.recognition.architectures import Blueprint
from trust_core.model.training.network import DECODER, ENCODER, OBJECTIVES, STRIDE, read_plan


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of one run; together with the data they say what comes out, to the last bit.

    Attributes:
        objective: `joint`, `mask` or `label` (see `multitask.py`).
        encoder: shared by both branches.
        decoder: of the mask, e.g. "FPN32"; `label` has none.
        weights: first weights of the encoder, "imagenet" or a file; None = drawn from the seed.
        size: (H, W) of the input, multiples of 32; of 64 with close-ups.
        channels: "rgb" or "grey".
        mean: normalisation, one value or one a channel.
        std: as `mean`.
        close_up_epochs: epochs on windows of half the side around the defects, before the others;
            they cost a quarter.
        epochs: epochs on whole images.
        batch: images a step.
        lr: highest learning rate; it rises for a tenth of the steps and falls along a cosine.
        weight_decay: of AdamW.
        mask_weight: of the mask's loss; joint only.
        label_weight: of the decision's loss; joint only.
        patience: stop after so many epochs on whole images without a better one; 0 = never.
        precision: "fp32", "tf32" (on a GPU), or "bf16" for the forward pass.
        seed: of first weights, order, views and dropout.

    Raises:
        SettingsError: a value that means nothing, with what to write instead.
        ModelError: no such encoder or decoder.
    """

    objective: str = "joint"
    encoder: str = ENCODER
    decoder: str = DECODER
    weights: str | None = None
    size: tuple[int, int] = (192, 192)
    channels: str = "rgb"
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)
    close_up_epochs: int = 0
    epochs: int = 20
    batch: int = 16
    lr: float = 1e-3
    weight_decay: float = 0.02
    mask_weight: float = 0.5
    label_weight: float = 0.5
    patience: int = 0
    precision: str = "fp32"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, known in (
            ("objective", self.objective, OBJECTIVES),
            ("precision", self.precision, PRECISIONS),
            ("channels", self.channels, ("rgb", "grey")),
        ):
            if value not in known:
                raise SettingsError(none_of(name, value, known))
        smallest = STRIDE * (2 if self.close_up_epochs else 1)
        if any(side < smallest or side % smallest for side in self.size):
            nearest = "x".join(str(max(1, round(side / smallest)) * smallest) for side in self.size)
            why = " with close-ups" if self.close_up_epochs else ""
            raise SettingsError(
                Message(
                    "{size} {height}x{width}: both sides must be multiples of {smallest}{why}; the "
                    "nearest is {nearest}.",
                    height=self.size[0],
                    width=self.size[1],
                    smallest=smallest,
                    why=why,
                    nearest=nearest,
                )
            )
        for name, number, least in (
            ("epochs", self.epochs, 1),
            ("close_up_epochs", self.close_up_epochs, 0),
            ("batch", self.batch, 2),
            ("patience", self.patience, 0),
            ("seed", self.seed, 0),
        ):
            if number < least:
                raise SettingsError(
                    Message(
                        "{option} is at least {least}, not {number}.",
                        option=option(name),
                        least=least,
                        number=number,
                    )
                )
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise SettingsError(
                Message("{lr} is a number above 0, not {number:g}.", number=self.lr)
            )
        weights = (self.mask_weight, self.label_weight, self.weight_decay)
        if not all(math.isfinite(weight) and weight >= 0 for weight in weights):
            raise SettingsError("Loss weights and weight decay are numbers from 0 up.")
        self.preprocessing  # noqa: B018 (checks itself)
        read_plan(self._plan)

    @property
    def _plan(self) -> str:
        parts = (self.objective, "" if self.objective == "label" else self.decoder, self.encoder)
        return ":".join(part for part in parts if part)

    @property
    def blueprint(self) -> Blueprint:
        """How the network is built: outputs for good and defective; of a `mask` network one."""
        return Blueprint(f"multitask/{self._plan}", 1 if self.objective == "mask" else 2)

    @property
    def preprocessing(self) -> Preprocessing:
        """How an image becomes its input."""
        return Preprocessing(self.size, channels=self.channels, mean=self.mean, std=self.std)

    @property
    def convention(self) -> Convention:
        """What its outputs mean."""
        return choose_convention(self.blueprint.outputs)

    @property
    def needs_masks(self) -> bool:
        """Whether masks are opened at all: `label` looks at them only to place its close-ups."""
        return self.objective != "label" or self.close_up_epochs > 0

    def card(self, layer: str) -> ModelCard:
        """What the auditor has to know of the trained network."""
        return ModelCard(self.blueprint.name, self.preprocessing, self.convention, layer)
