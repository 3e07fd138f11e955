"""Overlap of heatmaps: comparison grid, masks, IoU, and the IoU difference Δ.

Δ = IoU(M_defect, M_agnostic) − IoU(M_good, M_agnostic), in [−1, 1], higher = more suspicious
(arXiv 2604.19206, form S2: where the network looks for a defect against where it looks at all).

Everything here is elementwise or a count, so a score does not depend on the batch it was computed
in, and re-scoring stored maps gives the very same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trust_core.errors import SettingsError
from trust_core.registry import Registry

if TYPE_CHECKING:  # takes seconds to load, and settings, forms and pages need names alone
    from torch import Tensor

COMPARISON_GRID = 64  # cells a side: IoU on a bare 7×7 grid ties all the time
OTSU_BINS = 256
DEFAULT_MASK = "half"

SCORED = "scored"
CONSTANT = "the agnostic map is constant"
NOT_FINITE = "a value is not finite"
EMPTY = "both masks are empty"

MaskRule = Callable[["Tensor", str], "Tensor"]
MASKS: Registry[MaskRule] = Registry("mask rule")


@dataclass(frozen=True)
class Overlap:
    """Scores of `N` images, as float64; NaN where there is no score.

    Attributes:
        iou_defect: IoU of the defect mask with the agnostic mask, `(N,)`.
        iou_good: IoU of the good mask with the agnostic mask, `(N,)`.
        iou_difference: Δ, `(N,)`.
        status: `SCORED` or the reason why there is no score, `(N,)`.
    """

    iou_defect: npt.NDArray[np.float64]
    iou_good: npt.NDArray[np.float64]
    iou_difference: npt.NDArray[np.float64]
    status: npt.NDArray[np.object_]


def to_comparison_grid(maps: Tensor, side: int = COMPARISON_GRID) -> Tensor:
    """Bilinear resize `(N, h, w) -> (N, side, side)`, `align_corners=False`.

    The same as `torch.nn.functional.interpolate`, but made of single elementwise operations, whose
    rounding cannot depend on where in a batch an image stands: one flipped cell moves Δ.
    """
    import torch

    def along(values: Tensor, axis: int) -> Tensor:
        length = values.shape[axis]
        centre = (torch.arange(side, device=maps.device, dtype=maps.dtype) + 0.5) * length / side
        centre = (centre - 0.5).clamp(0, length - 1)
        low = centre.floor().long()
        high = (low + 1).clamp(max=length - 1)
        shape = (1, side, 1) if axis == 1 else (1, 1, side)
        weight = (centre - low).reshape(shape)
        start = values.index_select(axis, low)
        # In this form equal cells stay exactly equal: a constant map is constant on every grid.
        return start + weight * (values.index_select(axis, high) - start)

    return along(along(maps, 1), 2)


@MASKS.register("half")
def half(maps: Tensor, argument: str) -> Tensor:
    """Cells above min + 0.5·(max − min), `(N, s, s) -> (N, s, s)` bool."""
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return maps > low + 0.5 * (high - low)


@MASKS.register("top")
def top(maps: Tensor, argument: str) -> Tensor:
    """`top:q`: the k = round(q·s²) largest cells, equal cells in index order."""
    flat = maps.flatten(1)
    count = round(top_share(argument) * int(flat.shape[1]))
    smallest = flat.topk(count, dim=1).values[:, -1:]
    above, equal = flat > smallest, flat == smallest
    left = count - above.sum(1, keepdim=True)
    return (above | (equal & (equal.long().cumsum(1) <= left))).view_as(maps)


@MASKS.register("otsu")
def otsu(maps: Tensor, argument: str) -> Tensor:
    """Cells above Otsu's threshold over 256 bins between min and max. Otsu, IEEE SMC 1979."""
    import torch

    flat = maps.flatten(1).double()
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    width = (high - low) / OTSU_BINS
    bins = ((flat - low) / width.where(width > 0, torch.ones_like(width))).long()
    counts = flat.new_zeros(flat.shape[0], OTSU_BINS).scatter_add_(
        1, bins.clamp(max=OTSU_BINS - 1), torch.ones_like(flat)
    )
    centres = low + (torch.arange(OTSU_BINS, device=flat.device) + 0.5) * width
    mass, moment = counts.cumsum(1), (counts * centres).cumsum(1)
    rest, rest_moment = mass[:, -1:] - mass, moment[:, -1:] - moment
    between = mass * rest * (moment / mass.clamp(min=1) - rest_moment / rest.clamp(min=1)) ** 2
    threshold = centres.gather(1, between.argmax(1, keepdim=True))
    return (flat > threshold).view_as(maps)


def top_share(argument: str) -> float:
    """The q of `top:q`.

    Raises:
        SettingsError: q is no number with at least one cell and less than all.
    """
    try:
        share = float(argument)
    except ValueError:
        share = float("nan")
    cells = COMPARISON_GRID**2
    if not 0.5 < share * cells < cells - 0.5:
        raise SettingsError(
            f"Mask rule 'top:{argument}': write the share of cells to keep, between 0 and 1, "
            "for example top:0.2."
        )
    return share


def check_mask_rule(rule: str) -> None:
    """Refuse a mask rule that does not exist, before anything runs.

    Raises:
        SettingsError: unknown name, a q that is no share of the cells, or one where none belongs.
    """
    name, _, argument = rule.partition(":")
    MASKS.find(name)
    if name == "top":
        top_share(argument)
    elif name != rule:
        raise SettingsError(f"Mask rule '{rule}': '{name}' takes no number; write {name}.")


def mask_of(maps: Tensor, rule: str, *, specific: bool) -> Tensor:
    """Masks of maps, each `(N, h, w)`, on the comparison grid: `(N, s, s)` bool.

    A specific mask holds only cells that are also > 0: what carries no evidence for a class is
    never in its mask, so the mask of an all-zero map is empty.
    """
    return _mask(to_comparison_grid(maps.float()), rule, specific=specific)


def _mask(resized: Tensor, rule: str, *, specific: bool) -> Tensor:
    name, _, argument = rule.partition(":")
    mask = MASKS.find(name)(resized, argument)
    return mask & (resized > 0) if specific else mask


def iou(first: Tensor, second: Tensor) -> npt.NDArray[np.float64]:
    """Intersection over union of masks `(N, s, s)`: `(N,)` float64; NaN where both are empty."""
    return _share(_cells(first, second).cpu().numpy())


def overlap(defect: Tensor, good: Tensor, agnostic: Tensor, rule: str = DEFAULT_MASK) -> Overlap:
    """Δ of `N` images from their maps, each `(N, h, w)` on the layer's grid.

    An empty specific mask is valid: the network finds nothing for that class, IoU 0. There is no
    score when the agnostic map is constant (on the comparison grid, which a finer layer grid can
    miss), a value is not finite, or both masks are empty.
    """
    return overlap_of(mask_cells(defect, good, agnostic, rule).cpu().numpy())


def mask_cells(defect: Tensor, good: Tensor, agnostic: Tensor, rule: str) -> Tensor:
    """What `overlap_of` makes Δ of, counted where the maps are, so that a GPU need not be awaited.

    Returns:
        `(N, 6)` int64: cells in both and in either of the masks of *defective* and agnostic, the
        same of *good*, whether all values are finite, and whether the agnostic map is constant.
    """
    import torch

    if len({defect.shape, good.shape, agnostic.shape}) > 1:  # evidence has a grid of its own
        defect, good, agnostic = (to_comparison_grid(m.float()) for m in (defect, good, agnostic))
    maps = torch.stack([defect, good, agnostic]).float()
    finite = maps.isfinite().all(3).all(2).all(0)
    resized = to_comparison_grid(maps.nan_to_num(0.0, 0.0, 0.0).flatten(0, 1))
    defect, good, agnostic = resized.chunk(3)
    constant = agnostic.amax((1, 2)) == agnostic.amin((1, 2))
    where = _mask(agnostic, rule, specific=False)
    cells = [_cells(_mask(maps, rule, specific=True), where) for maps in (defect, good)]
    return torch.cat([*cells, finite[:, None].long(), constant[:, None].long()], 1)


def overlap_of(cells: npt.NDArray[np.int64]) -> Overlap:
    """Δ of `N` images from the cells of their masks, `(N, 6)` as `mask_cells` counts them."""
    iou_defect, iou_good = _share(cells[:, :2]), _share(cells[:, 2:4])
    difference = iou_defect - iou_good
    status = np.select(
        [cells[:, 4] == 0, cells[:, 5] == 1, np.isnan(difference)],
        [NOT_FINITE, CONSTANT, EMPTY],
        SCORED,
    ).astype(object)
    unscored = status != SCORED
    for values in (iou_defect, iou_good, difference):
        values[unscored] = np.nan
    return Overlap(iou_defect, iou_good, difference, status)


def _cells(first: Tensor, second: Tensor) -> Tensor:
    """Cells in both and in either of two masks `(N, s, s)`: `(N, 2)`."""
    import torch

    return torch.stack([(first & second).sum((1, 2)), (first | second).sum((1, 2))], 1)


def _share(cells: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """In both over in either, `(N, 2)` to `(N,)`; NaN where no cell is in either."""
    result: npt.NDArray[np.float64] = np.full(len(cells), np.nan)
    np.divide(cells[:, 0], cells[:, 1], out=result, where=cells[:, 1] > 0)
    return result
