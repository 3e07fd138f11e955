"""Windows over an image, and what its evidence by windows and pixels is. Needs no PyTorch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Evidence:
    """What the pixels of one image speak for, in bits; positive speaks for *defective*.

    Attributes:
        bits: (H, W), the mean over the windows that cover a pixel.
        windows: (n, 3), first row, first column and bits of each window.
        total: sum over windows that do not overlap.
        expected: log-odds lost when those windows are replaced at once; NaN without the check.
        forwards: images put through the network, those of the check included.
        backwards: images whose gradient was taken.
        seconds: for all of it.
    """

    bits: npt.NDArray[np.float32]
    windows: npt.NDArray[np.float32]
    total: float
    expected: float
    forwards: int
    backwards: int
    seconds: float


def window_starts(length: int, window: int, stride: int) -> list[int]:
    """First pixels of windows along an axis: every `stride`, and one that ends at the border."""
    last = length - window
    return [*range(0, last, stride), last]


def disjoint(positions: Sequence[int], window: int) -> list[int]:
    """Places of the starts, greedily from the first, whose windows do not overlap."""
    chosen: list[int] = []
    for place, start in enumerate(positions):
        if not chosen or start >= positions[chosen[-1]] + window:
            chosen.append(place)
    return chosen
