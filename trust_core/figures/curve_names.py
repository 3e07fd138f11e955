"""Places for the names of curves: free of lines, marks and one another, however wide the chart.

A name keeps a distance in pixels from a point of its curve, and a thin line leads to that. In a
wider chart it reaches less far, as a share of the width, so that what it covers there is a part of
what it covers in the narrowest: a place that is free on a telephone is free on every screen.

Notation: `n` points of a curve, `B` places or boxes, `W × H` pixels of the narrowest picture; up is
positive.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trust_core.decision.tradeoff import Counts, Floats

Cells = npt.NDArray[np.bool_]
Line = tuple[Floats, Floats]

NARROWEST, WIDEST = 250, 900  # pixels of the picture between the axes
HEIGHT = 384  # of the highest picture; a chart is as high on every screen
LETTER, ROW = 7.4, 18  # pixels: the width of a letter, the height of a line of text
FREE = 4  # pixels that stay empty around a name
MARK = 11  # pixels from the middle of a mark to its edge, and some air
STEP = 8  # pixels from one point of a curve that a name can lead to, to the next
# Pixels from such a point to the nearer end of its name, and to the middle of its height.
SIDEWAYS = (16, 26, 40, 60, 90, 124)
AWAY = (0, 16, 25, 36, 50, 68, 92, 122, 160, 210, 270)
UNCLEAR = 4  # pixels from such a point within which no other line should be
# What makes a place worse, in pixels of a longer line to it: each pixel of a line that is crossed
# on the way, other lines around the point, something below the name, no room for it.
CROSSED, CONFUSED, BURIED, OUTSIDE = 2, 150, 1000, 100_000
FEW = 1000  # of the places that are good by themselves, of which the lines to them are looked at
ALONG = np.linspace(0.25, 1, 24)  # of the line to a name, where it is looked at
SCALES = (1.0, 0.6, NARROWEST / WIDEST)  # of distances sideways, from the narrowest to the widest


@dataclass(frozen=True)
class Place:
    """Where a name stands.

    Attributes:
        x, y: the point of its curve that it leads to, shares of the picture's sides.
        right: pixels from there to the nearer end of the name; negative where it ends left of it.
        up: pixels from there to the middle of its height.
    """

    x: float
    y: float
    right: int
    up: int


def place_names(
    letters: Sequence[int],
    curves: Sequence[Line],
    marks: Floats,
    nameless: Sequence[Line] = (),
    height: int = HEIGHT,
) -> list[Place]:
    """A place for the name of each curve; where none is free, the one that covers least.

    Args:
        letters: of each name.
        curves: `(x, y)` of each, `(n,)`, as drawn, shares of the picture's sides. One point twice
            is a point to be named.
        marks: left, right and y of all pairs of marks with a line between them, `(M, 3)`.
        nameless: other lines.
        height: of the picture in pixels, `HEIGHT` at most.
    """
    size = np.array([NARROWEST, height])
    curves, nameless = (
        [(x * size[0], y * size[1]) for x, y in lines] for lines in (curves, nameless)
    )
    marked = np.zeros((HEIGHT, NARROWEST), dtype=bool)
    for *ends, y in (marks * size[[0, 0, 1]]).tolist():
        _fill(marked, (*sorted(ends), y - MARK, y + MARK))
    lines = np.stack([_drawn(x, y) for x, y in curves])
    leading, names = np.zeros_like(marked), np.zeros_like(marked)
    for x, y in nameless:
        leading |= _drawn(x, y)
    found: dict[int, tuple[float, ...]] = {}
    for one in sorted(range(len(letters)), key=lambda i: -letters[i]):  # a long one finds it harder
        others = leading | np.delete(lines, one, axis=0).any(axis=0)
        wide, spots = LETTER * letters[one], _spots(*curves[one])
        place = _best(spots, wide, lines[one], others, marked, names, height)
        found[one] = tuple(place.tolist())
        _fill(names, _boxes(place[None], wide, FREE)[0])
        x, y, right, up = found[one]
        for scale in SCALES:
            leading |= _drawn(np.array([x, x + scale * right]), np.array([y, y + up]))
    return [
        Place(x / NARROWEST, y / height, int(right), int(up))
        for x, y, right, up in (found[one] for one in range(len(letters)))
    ]


def _best(
    spots: Floats,
    wide: float,
    own: Cells,
    others: Cells,
    marked: Cells,
    names: Cells,
    height: int,
) -> Floats:
    """The best of the spots `(B, 4)` for a name `wide` pixels long, in a picture `height` high.

    In the way are its `own` curve, `others`, what can be `marked`, and other `names`.
    """
    x, y, right, up = spots.T
    tight, loose = _boxes(spots, wide, FREE), _boxes(spots, wide, FREE + MARK)
    # Marks are as high as they are in `marked`; aside they are kept away from by the box.
    covered = _count(own | others | names, tight) + _count(marked, loose)
    left, end, bottom, top = tight.T
    outside = (left < 0) | (end > NARROWEST) | (bottom < 0) | (top > height)
    around = np.stack((x - UNCLEAR, x + UNCLEAR, y - UNCLEAR, y + UNCLEAR), axis=-1)
    cost = np.hypot(right, up) + CONFUSED * (_count(others, around) > 0)
    cost += np.where(covered > 0, BURIED + covered, 0) + OUTSIDE * outside
    few = np.argpartition(cost, min(FEW, len(cost)) - 1)[:FEW]
    cost = cost[few] + _crossings(spots[few], others, names)
    return np.asarray(spots[few[int(np.argmin(cost))]])


def _crossings(spots: Floats, lines: Cells, names: Cells) -> Floats:
    """What the lines that lead to names cross, as a cost, `(B,)`."""
    x, y, right, up = spots.T[:, :, None]
    cost = np.zeros(len(spots))
    for scale in SCALES:
        cells = _cells(x + scale * right * ALONG, y + up * ALONG)
        cost += CROSSED * lines[cells].sum(axis=1) + BURIED * names[cells].any(axis=1)
    return cost


def _spots(x: Floats, y: Floats) -> Floats:
    """Where the name of a curve can stand: x, y, right and up, all in pixels, `(B, 4)`."""
    way = _way(x, y)
    at = np.linspace(0, way[-1], max(2, int(way[-1] / STEP)))
    sideways = [sign * pixels for sign in (1, -1) for pixels in SIDEWAYS]
    away = [sign * pixels for sign in (-1, 1) for pixels in AWAY]
    index, right, up = np.meshgrid(np.arange(len(at)), sideways, away, indexing="ij")
    points = np.stack((np.interp(at, way, x), np.interp(at, way, y)))[:, index.ravel()]
    return np.stack((*points, right.ravel(), up.ravel()), axis=-1)


def _boxes(spots: Floats, wide: float, air: float) -> Floats:
    """Left, right, bottom and top of all that names cover in charts of any width, `(B, 4)`.

    `spots` are the points they lead to, in pixels, and their `right` and `up`, `(B, 4)`; `air` is
    what they keep free around them.
    """
    x, y, right, up = spots.T
    side = np.sign(right)
    near = x + side * (np.abs(right) - air) * SCALES[-1]
    far = x + side * (np.abs(right) + wide + air)
    half = ROW / 2 + FREE
    low, high = np.minimum(near, far), np.maximum(near, far)
    return np.stack((low, high, y + up - half, y + up + half), axis=-1)


def _drawn(x: Floats, y: Floats) -> Cells:
    """The pixels that a line through some points covers, `(H, W)`."""
    cells = np.zeros((HEIGHT, NARROWEST), dtype=bool)
    way = _way(x, y)
    at = np.arange(0, way[-1] + 1, 0.5)
    cells[_cells(np.interp(at, way, x), np.interp(at, way, y))] = True
    return cells


def _way(x: Floats, y: Floats) -> Floats:
    """How far the points of a line are along it, `(n,)`."""
    return np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))))


def _fill(cells: Cells, box: Sequence[float]) -> None:
    """Set the cells in a box of left, right, bottom and top."""
    (bottom, top), (left, right) = _cells(np.array(box[:2]), np.array(box[2:]))
    cells[bottom : top + 1, left : right + 1] = True


def _cells(x: Floats, y: Floats) -> tuple[Counts, Counts]:
    """Row and column of the pixels at some places; what is outside is at the edge."""
    return (
        np.clip(y.astype(np.int64), 0, HEIGHT - 1),
        np.clip(x.astype(np.int64), 0, NARROWEST - 1),
    )


def _count(cells: Cells, boxes: Floats) -> Counts:
    """How many of the cells lie in each box, `(B,)`."""
    sums = np.zeros((HEIGHT + 1, NARROWEST + 1), dtype=np.int64)
    sums[1:, 1:] = cells.cumsum(axis=0).cumsum(axis=1)
    left, right, bottom, top = boxes.T
    (low, first), (high, last) = _cells(left, bottom), _cells(right, top)
    high, last = high + 1, last + 1
    return np.asarray(sums[high, last] - sums[low, last] - sums[high, first] + sums[low, first])
