"""First-order evidence of a batch as heatmaps, on the comparison grid.

The signed part is class-specific, the magnitude class-agnostic, so that evidence can take the place
of either kind of heatmap in an audit.
"""

import torch
from torch import Tensor

from trust_core.explanation.evidence.occlusion import (
    gradient_times_difference,
    mean_over_windows,
)
from trust_core.explanation.evidence.patch_gaussian import PatchGaussian
from trust_core.explanation.evidence.windows import window_starts
from trust_core.explanation.overlap import COMPARISON_GRID

WINDOW, STRIDE, PAD = 10, 5, 2
CONCENTRATION_SHARE = 0.05


def evidence_window(size: tuple[int, int]) -> int:
    """Side of the windows of these maps for a network input of (H, W)."""
    return min(WINDOW, min(size) - 2 * PAD)


def evidence_maps(pixels: Tensor, gradient: Tensor, surroundings: PatchGaussian) -> Tensor:
    """First-order evidence for *defective*, in bits.

    `gradient` is ∂z/∂x at `pixels`, both (N, c, H, W), these in [0, 1].

    Returns:
        (N, 64, 64): the mean over the pixels of each cell.
    """
    size, window = (pixels.shape[2], pixels.shape[3]), surroundings.window
    rows, columns = (window_starts(length, window, min(STRIDE, window)) for length in size)
    maps = []
    for image, slope in zip(pixels, gradient, strict=True):
        gaussian = surroundings
        if (image == image[:1]).all():  # grey
            image, slope, gaussian = image[:1], slope.sum(0, keepdim=True), surroundings.grey
        blocks = gaussian.blocks(image, rows, columns)
        found = gradient_times_difference(slope, blocks, rows, columns)
        maps.append(mean_over_windows(found, rows, columns, window, size).float())
    grid = torch.nn.functional.adaptive_avg_pool2d(torch.stack(maps), COMPARISON_GRID)
    return grid.to(pixels.device)


def concentration(maps: Tensor) -> Tensor:
    """Share of the positive evidence that lies in its strongest twentieth of the cells.

    A defect speaks from few windows, a good part from everywhere. 0 where nothing is positive.

    Maps are (N, h, w), the result (N,) float64 in [0, 1].
    """
    flat = maps.flatten(1).double().clamp(min=0)
    strongest = flat.topk(max(1, round(CONCENTRATION_SHARE * flat.shape[1])), dim=1).values
    return strongest.sum(1) / flat.sum(1).clamp(min=1e-12)
