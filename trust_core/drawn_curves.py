"""Which points of a trade-off curve are drawn, and where its name stands beside it.

Notation: `n` points of a drawn curve.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from trust_core.decision.tradeoff import Curve, Floats
from trust_core.figure_parts import ACCENT, GREY, Layout, name

CHOSEN_POINTS, OTHER_POINTS, SHIFT_POINTS = 600, 160, 300
ROOM = 0.055  # that a name needs around it, as a share of the picture

Indices = npt.NDArray[np.int64]


def drawn(points: Curve, limit: int) -> Indices:
    """Indices of at most `limit` points that stand for a curve, ascending; all when they are few.

    First come the points that catch one more missed defect at the lowest loss, then points at even
    steps along the curve. Both ends are among them.
    """
    count = len(points.thresholds)
    if count <= limit:
        return np.arange(count)
    gains = np.flatnonzero(np.diff(points.flagged_fn, prepend=-1))
    if len(gains) > limit // 2:
        gains = gains[np.linspace(0, len(gains) - 1, limit // 2).round().astype(int)]
    way = points.flagged_fn / max(1, points.fn) + points.flagged_tn / max(1, points.tn)
    steps = np.linspace(way[0], way[-1], limit - len(gains) - 2)
    even = np.searchsorted(way, steps).clip(0, count - 1)
    return np.unique(np.concatenate(([0, count - 1], gains, even)))


def curve_names(curves: Mapping[float, Curve], shift: Curve, chosen: float) -> list[Layout]:
    """Names beside the curves, where there is room; the others are named by their hover."""
    named = [(f"<b>ε {e:g}</b>", ACCENT, curves[e]) for e in curves if e == chosen]
    named.append(("just lowering the decision threshold", GREY, shift))
    named += [(f"ε {e:g}", ACCENT, points) for e, points in sorted(curves.items()) if e != chosen]
    if not (shift.fn and shift.tn):
        return []
    ways = [
        np.stack((points.tn_loss, points.fn_recall), axis=-1)[drawn(points, OTHER_POINTS)]
        for *_, points in named
    ]
    taken = np.empty((0, 2))
    texts: list[Layout] = []
    for place, ((text, colour, _), way) in enumerate(zip(named, ways, strict=True)):
        inside = way[(way[:, 0] > 0.03) & (way[:, 0] < 0.72) & (way[:, 1] > 0.08)]
        others = np.concatenate([taken, *ways[:place], *ways[place + 1 :]])
        if not len(inside):
            continue
        foot = inside + np.array((0.05, -0.035))  # a name stands right of and below its curve
        room = _distance(foot, others) if len(others) else np.ones(len(foot))
        best = int(np.argmax(room))
        if room[best] < ROOM and colour == ACCENT and len(texts) > 1:
            continue
        x, y = inside[best].tolist()
        width = 0.0105 * len(text) if colour == GREY else 0.05
        strip = np.stack((x + np.linspace(0, width, 8), np.full(8, y - 0.035)), axis=-1)
        taken = np.concatenate((taken, strip))
        texts.append(name(x, y, text, colour))
    return texts


def _distance(points: Floats, others: Floats) -> Floats:
    """Distance of each point `(n, 2)` to the nearest of the others `(m, 2)`, `(n,)`."""
    gaps = points[:, None] - others[None]
    return np.sqrt((gaps**2).sum(axis=-1).min(axis=1))
