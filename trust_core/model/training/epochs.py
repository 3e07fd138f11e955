"""The epochs of a training run, and which of them is best."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What one epoch gave; a part of `tune` is as suspicious as its worst image.

    Attributes:
        epoch: its number, from 1.
        close_ups: whether it showed windows around the defects, not whole images.
        label_loss: of the decision, the mean over its steps; None where the objective has none.
        mask_loss: likewise, of the mask.
        tune_loss: of the whole objective on `tune`.
        tune_average_precision: of the decision over the parts of `tune`.
        tune_caught: defective parts of `tune` that are called defective at p ≥ 0.5.
        tune_defective: defective parts of `tune`.
        tune_false_alarms: good parts of `tune` that are called defective.
        tune_good: good parts of `tune`.
    """

    epoch: int
    close_ups: bool
    label_loss: float | None = None
    mask_loss: float | None = None
    tune_loss: float
    tune_average_precision: float
    tune_caught: int
    tune_defective: int
    tune_false_alarms: int
    tune_good: int


def best_epoch(history: list[Epoch]) -> Epoch:
    """The epoch that ranks the parts of `tune` best; among equals, the one of the lowest loss."""
    return max(history, key=lambda epoch: (epoch.tune_average_precision, -epoch.tune_loss))
