"""Where a linear probe sees a defect: its score at one depth, shared out over the cells.

Mean, standard deviation and mean of the largest cells are homogeneous of degree 1 in the
activations, so by Euler's theorem activation times gradient, summed over channels and cells, is the
whole score before its intercept. Of the mean the share of a cell is exact, because the mean is
linear; of the other two it is their gradient at these activations.

Notation: C channels and h, w grid of the depth, n = h·w cells.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trust_core.model.depths import STATISTICS, top_count

if TYPE_CHECKING:  # takes seconds to load, and who shows a map has no use for it
    from torch import Tensor

Values = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ProbeMap:
    """A probe's score over the cells of one depth.

    Attributes:
        values: `(h, w)`; above 0 a cell speaks for *defective*, below for *good*. The intercept is
            shared out evenly, so that they add up to the score, and a cell that is like the average
            cell of good parts has about nothing.
        score: of the image at this depth, intercept included.
        exact: share of what the cells say, sign aside, that comes from the mean and is exact; the
            rest is told by the gradient. In [0, 1].
    """

    values: Values
    score: float
    exact: float

    @property
    def explained(self) -> float:
        """The sum of the cells over the score: 1 but for rounding; NaN for a score of 0."""
        return float(self.values.sum()) / self.score if self.score else float("nan")


def probe_map(maps: "Tensor", weights: "Tensor", offset: float, score: float) -> ProbeMap:
    """Share out the score of one image.

    `maps` are the activations at the depth, `(C, h, w)`; `weights` and `offset` are of the probe
    there, `(3 * C,)`: all means, all deviations, all tops. `score` is that of the image there, from
    the activations that the audit pooled.
    """
    import torch

    cells = maps.flatten(1).double()
    of_mean, of_deviation, of_top = weights.double().view(len(STATISTICS), -1, 1)
    count = cells.shape[1]
    deviation, mean = torch.std_mean(cells, 1, correction=0, keepdim=True)
    largest = top_count(count)
    top = torch.zeros_like(cells).scatter_(1, cells.topk(largest, 1).indices, 1 / largest)
    # A channel without variation has no deviation to share out, and no gradient there.
    slope = torch.where(deviation > 0, (cells - mean) / (count * deviation), 0.0)
    exact = (of_mean * cells / count).sum(0)
    rest = (cells * (of_deviation * slope + of_top * top)).sum(0)
    values = exact + rest + offset / count
    sizes = [float(part.abs().sum()) for part in (exact, rest)]
    return ProbeMap(
        values.view(maps.shape[1:]).float().numpy(),
        score,
        sizes[0] / sum(sizes) if sum(sizes) else 1.0,
    )
