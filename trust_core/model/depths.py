"""Depths of a network: which layers probes read, and their activations pooled to a few numbers.

Notation: N images, C channels, h, w the layer's grid, D pooled numbers of all depths together.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

DEPTHS = 6
RESOLUTIONS = 4  # as many as the stages of most networks; before them there is little but texture
TOP_SHARE = 0.02  # of the cells: the largest ones, averaged, see a defect of a few cells
STATISTICS = ("mean", "deviation", "top")


def choose_depths(layers: Sequence[tuple[str, tuple[int, int]]]) -> tuple[str, ...]:
    """The layers that are read, six where there are as many, from the first to the last.

    The end of each of the last four resolutions; then the resolutions with the most layers give
    more than one, spread evenly (a vision transformer has a single resolution, and gives all six).
    A layer with a short dotted name (a stage) goes before one with a long name (inside a block).

    Args:
        layers: name and grid (h, w) of the layers that everything passes through on the way to the
            decision, in the order their outputs arise.
    """
    by_grid: dict[tuple[int, int], list[str]] = {}
    for name, grid in layers:
        by_grid.setdefault(grid, []).append(name)
    resolutions = list(by_grid.values())[-RESOLUTIONS:]
    shares = [1] * len(resolutions)
    for _ in range(DEPTHS - len(resolutions) if resolutions else 0):
        sizes = [len(names) / share for names, share in zip(resolutions, shares, strict=True)]
        shares[max(range(len(sizes)), key=lambda index: (sizes[index], index))] += 1
    chosen = {
        name
        for names, share in zip(resolutions, shares, strict=True)
        for name in _spread(names, share)
    }
    return tuple(name for name, _ in layers if name in chosen)


def _spread(names: list[str], count: int) -> list[str]:
    """Some of the names, evenly, the last one among them; the fewest levels that hold enough."""
    levels = sorted({name.count(".") for name in names})
    for level in levels:
        some = [name for name in names if name.count(".") <= level]
        if len(some) >= count:
            break
    count = min(count, len(some))
    return [some[-(-len(some) * index // count) - 1] for index in range(1, count + 1)]


def pooled(maps: "Tensor") -> "Tensor":
    """Mean, standard deviation and mean of the largest 2 % of the cells of each channel.

    All three are homogeneous: twice the activations give twice the numbers.

    Maps are (N, C, h, w), the result (N, 3 * C): all means, all deviations, all tops.
    """
    import torch  # takes seconds to load: who only reads what was pooled does without

    cells = maps.flatten(2).float()
    deviation, mean = torch.std_mean(cells, 2, correction=0)
    count = top_count(cells.shape[2])
    top = cells.amax(2) if count == 1 else cells.topk(count, 2, sorted=False).values.mean(2)
    return torch.cat([mean, deviation, top], 1)


def top_count(cells: int) -> int:
    """How many of so many cells are the largest 2 %; one at least."""
    return max(1, round(TOP_SHARE * int(cells)))
