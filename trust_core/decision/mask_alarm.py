"""The mask head's own alarm: does the mask see what the label branch missed?"""

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import avg_pool2d

from trust_core.decision.tradeoff import Floats

WINDOW = 32  # windows to a side: one covers 0.1 % of the picture
MASK_CHUNK = 256


def largest_area(masks: npt.NDArray[np.float16], rows: npt.NDArray[np.int64]) -> Floats:
    """The largest mean probability over any small window of each mask, `(n,)`.

    A window is a 1/32 of the height by a 1/32 of the width, at least one cell, at every cell: wide
    enough that one noisy pixel is no alarm, small enough that a small defect is one.

    Args:
        masks: probabilities of *defective*, `(N, H', W')`; read some at a time.
        rows: which of them.

    Returns:
        NaN for a mask that holds one.
    """
    window = [max(1, round(side / WINDOW)) for side in masks.shape[1:]]
    found = [np.empty(0)]
    for start in range(0, len(rows), MASK_CHUNK):
        part = np.asarray(masks[rows[start : start + MASK_CHUNK]], dtype=np.float32)
        means = avg_pool2d(torch.from_numpy(part)[:, None], window, stride=1)
        found.append(means.flatten(1).amax(1).double().numpy())  # a NaN is the largest
    return np.concatenate(found)
