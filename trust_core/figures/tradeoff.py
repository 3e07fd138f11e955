"""Charts of the trade-off: curves with the operating point, bars by kind of defect.

What a slider moves (the operating point and its counts) is not drawn by a trace but by shapes and
annotations, so that a page can move it without drawing a curve again: a figure shows the curves,
`mark_tradeoff` says what its layout becomes at a point.

Notation: `E` strengths, `n` points of a drawn curve.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from trust_core.decision.indicators.registry import SHIFT_NAME
from trust_core.decision.operating_point import fewest_decimals
from trust_core.decision.tradeoff import DRAWN_POINTS, Curve, Floats
from trust_core.figures.elements import (
    ACCENT,
    DIGITS,
    GREY,
    NONE,
    OUTCOME_COLOURS,
    SHIFT_LINE,
    Layout,
    bare_axis,
    corner,
    diamond,
    frame,
    label,
    segment,
    share_axis,
    shortened,
    spot,
)
from trust_core.messages import threshold_text

OTHER_POINTS, SHIFT_POINTS = 160, 300
VISIBLE_POINTS = 90  # more markers than that would make a thick line
# From weak to strong, all of a brightness that stands out on white and on black alike (3 : 1).
STRENGTH_RAMP = ("#2185C5", "#7A68D8", "#BE4BA6", "#D9483B", "#B06A00")
OTHER_AUDIT = {"color": "#00917A", "width": 2, "dash": "2px,4px"}
NAME_POINTS = 120  # of a curve, among which its name looks for a place
CHARACTER, LINE = 0.0125, 0.05  # width of a letter and height of a line, as shares of the picture


def strength_colours(strengths: Iterable[float]) -> dict[float, str]:
    """A colour for each strength ε, along `STRENGTH_RAMP` in their order."""
    known = sorted(strengths)
    anchors = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in STRENGTH_RAMP])
    places = np.linspace(0, len(anchors) - 1, len(known)) if len(known) > 1 else np.zeros(1)
    channels = [np.interp(places, np.arange(len(anchors)), anchors[:, i]) for i in range(3)]
    return {
        strength: "#" + "".join(f"{round(value):02X}" for value in colour)
        for strength, colour in zip(known, np.stack(channels, axis=-1).tolist(), strict=True)
    }


def tradeoff_chart(
    curves: Mapping[float, Curve],
    shift: Curve,
    chosen: float,
    *,
    shift_only: bool = False,
    other: tuple[str, Curve] | None = None,
) -> go.Figure:
    """Missed photos caught over good photos re-inspected, a curve per strength, each named.

    Args:
        curves: of one indicator, by strength ε.
        shift: of just lowering the decision threshold.
        chosen: the strength that is drawn thick.
        shift_only: the indicator is threshold shift itself: one dashed line is all there is.
        other: name of another audit and its curve, drawn dotted over these.

    Returns:
        A figure whose curves carry their strength as `meta`, and at each point
        `customdata = (τ, missed photos flagged, good photos flagged, τ as the slider says it)`.
    """
    shown = {} if shift_only else curves
    colours = strength_colours(curves)
    meta = chosen if shift_only else None
    lines = [_line(shift, SHIFT_POINTS, "decision threshold", line=SHIFT_LINE, meta=meta)]
    named = [(SHIFT_NAME, GREY, shift)]
    if other is not None:
        name = escape(shortened(other[0]))
        lines.append(_line(other[1], SHIFT_POINTS, name, line=OTHER_AUDIT, meta=None))
        named.append((name, str(OTHER_AUDIT["color"]), other[1]))
    for strength in sorted(shown, key=lambda e: (e == chosen, e)):  # the chosen one on top
        one = strength == chosen
        lines.append(_strength_line(shown[strength], strength, colours[strength], chosen=one))
    layout = frame(470, top=34) | {
        "hovermode": "closest",
        "xaxis": share_axis(f"Good photos re-inspected, of {shift.tn:,}"),
        "yaxis": share_axis(f"Missed photos caught, of {shift.fn:,}"),
        "annotations": _curve_names([*_strength_names(shown, chosen, colours), *named]),
    }
    return go.Figure(lines, layout)


def mark_tradeoff(
    points: Curve, threshold: float, shift: Curve, names: Sequence[Layout] = ()
) -> Layout:
    """Layout that marks the operating point, and what threshold shift asks for the same catch.

    Of one curve it has the same pieces at every threshold, so that `elements.tracks` can follow
    them. What the marks are is said in the lower right corner, where no curve runs.

    `shift` is `points` itself when that is the indicator; `names` are annotations that stay, those
    of the figure.
    """
    if not (points.fn and points.tn):
        return {"shapes": [], "annotations": list(names)}
    index = points.at(threshold)
    x, y = _place(points, index)
    shapes = [spot(x, y, 8, ACCENT)]
    own = f"<b>● Operating point:</b> {points.flagged_tn[index]:,} good photos re-inspected"
    texts = [corner(own, ACCENT, 0 if points is shift else 1)]
    rival = shift.at_caught(int(points.flagged_fn[index]))
    if rival is not None and points is not shift:
        rival_x, rival_y = _place(shift, rival)
        # A line at the height of the point: how much further threshold shift has to go.
        between = segment((x, rival_x), (y, y), color=GREY, width=1.5, dash="dot")
        shapes = [between, diamond(rival_x, rival_y, 6, GREY), *shapes]
        told = f"<b>◆ By {SHIFT_NAME}:</b> {shift.flagged_tn[rival]:,} for the same catch"
        texts.append(corner(told, GREY, 0))
    return {"shapes": shapes, "annotations": [*texts, *names]}


def kind_bars(rows: Sequence[tuple[str, int, int]]) -> go.Figure:
    """Bars of missed photos by kind of defect: caught, and still missed, with their counts."""
    names = [escape(shortened(kind)) for kind, _, _ in rows]
    places = list(range(len(rows)))
    series = (
        ("caught", [k for _, k, _ in rows], OUTCOME_COLOURS["TP"], ""),
        ("still missed", [n - k for _, k, n in rows], OUTCOME_COLOURS["FN"], "/"),
    )
    bars = [
        go.Bar(
            y=places,
            x=values,
            name=what,
            orientation="h",
            marker={
                "color": colour,
                "line": {"color": colour, "width": [int(v > 0) for v in values]},
                "pattern": {"shape": hatch, "size": 6, "fgcolor": colour, "bgcolor": NONE},
            },
            customdata=names,
            hovertemplate=f"%{{customdata}}: %{{x:,d}} {what}<extra></extra>",
        )
        for what, values, colour, hatch in series
    ]
    widest = max(n for *_, n in rows)
    layout = frame(40 + 30 * len(rows)) | {
        "barmode": "stack",
        "bargap": 0.28,
        "xaxis": {"visible": False, "fixedrange": True, "range": [0, 1.16 * widest]},
        "yaxis": bare_axis(names) | {"range": [len(rows) - 0.5, -0.5]},
        "annotations": [
            label(n, place, f"{k:,} of {n:,}", side="beside")
            for place, (_, k, n) in zip(places, rows, strict=True)
        ],
    }
    return go.Figure(bars, layout)


def _strength_names(
    curves: Mapping[float, Curve], chosen: float, colours: Mapping[float, str]
) -> list[tuple[str, str, Curve]]:
    """Name, colour and curve of the strengths, the chosen one first; equal curves share a name."""
    found: list[tuple[str, str, Curve]] = []
    for strength in sorted(curves, key=lambda e: (e != chosen, e)):
        points = curves[strength]
        if all(points is not known for *_, known in found):
            equal = [e for e in sorted(curves) if curves[e] is points]
            text = f"ε {equal[0]:g}" + (f" to {equal[-1]:g}" if len(equal) > 1 else "")
            bold = f"<b>{text}</b>" if chosen in equal else text
            found.append((bold, colours[strength], points))
    return found


def _curve_names(named: Sequence[tuple[str, str, Curve]]) -> list[Layout]:
    """A name for each curve, right below its line, where fewest lines and names are in the way."""
    if not all(points.fn and points.tn for *_, points in named):
        return []
    ways = [_dense(points) for *_, points in named]
    taken = np.empty((0, 4))
    texts: list[Layout] = []
    for place, ((text, colour, _), way) in enumerate(zip(named, ways, strict=True)):
        wide = CHARACTER * len(text.removeprefix("<b>").removesuffix("</b>"))
        inside = way[(way[:, 0] < 0.98 - wide) & (way[:, 1] > 0.2)]
        spots = inside if len(inside) else way
        left, top = spots[:, 0] + 0.012, spots[:, 1] - 0.012
        boxes = np.stack((left, left + wide, top - LINE, top), axis=-1)
        others = np.concatenate([ways[i] for i in range(len(ways)) if i != place] or [way[:0]])
        crossed = _inside(others, boxes).sum(axis=1)
        hidden = _overlapping(boxes, taken).sum(axis=1)
        # A name may be crossed by a line, but never lies on another name if that can be helped.
        best = int(np.argmin(hidden * 1000 + crossed + _inside(way, boxes).sum(axis=1)))
        taken = np.concatenate((taken, boxes[best : best + 1]))
        x, y = spots[best].tolist()
        texts.append(label(x, y, text, colour) | {"bgcolor": NONE})  # a ground would cut the curves
    return texts


def _dense(points: Curve) -> Floats:
    """Places along a curve at even steps, as shares `(NAME_POINTS, 2)`."""
    index = points.representatives(OTHER_POINTS)
    x, y = points.tn_loss[index], points.fn_recall[index]
    way = np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))))
    at = np.linspace(0, way[-1], NAME_POINTS)
    return np.stack((np.interp(at, way, x), np.interp(at, way, y)), axis=-1)


def _inside(places: Floats, boxes: Floats) -> npt.NDArray[np.bool_]:
    """Which places `(m, 2)` lie in which boxes `(n, 4)` of left, right, bottom, top, `(n, m)`."""
    left, right, bottom, top = boxes[:, :, None].transpose(1, 0, 2)
    x, y = places.T
    return np.asarray((x > left) & (x < right) & (y > bottom) & (y < top))


def _overlapping(boxes: Floats, others: Floats) -> npt.NDArray[np.bool_]:
    """Which boxes `(n, 4)` and others `(m, 4)` share a place, `(n, m)`."""
    left, right, bottom, top = boxes[:, :, None].transpose(1, 0, 2)
    low, high, foot, head = others.T
    return np.asarray((left < high) & (right > low) & (bottom < head) & (top > foot))


def _strength_line(points: Curve, strength: float, colour: str, *, chosen: bool) -> go.Scatter:
    called = f"ε {strength:g}"
    if not chosen:
        thin = {"color": colour, "width": 1.4}
        return _line(points, OTHER_POINTS, called, line=thin, meta=strength)
    strong = {"color": colour, "width": 3.5}
    line = _line(points, DRAWN_POINTS, called, line=strong, meta=strength, mode="lines+markers")
    visible = len(line.x) <= VISIBLE_POINTS
    line.marker = {"size": 6 if visible else 9, "color": colour, "opacity": 1 if visible else 0}
    return line


def _line(points: Curve, limit: int, called: str, **style: Any) -> go.Scatter:  # noqa: ANN401
    index = points.representatives(limit)
    thresholds = [t if math.isfinite(t) else None for t in points.thresholds[index].tolist()]
    counts = (points.flagged_fn[index].tolist(), points.flagged_tn[index].tolist())
    below = np.append(points.thresholds, -np.inf)[index + 1]
    short = fewest_decimals(below, points.thresholds[index]).tolist()
    texts = [threshold_text(t) if math.isfinite(t) else "–" for t in short]
    return go.Scatter(
        x=_brief(points.tn_loss[index]),
        y=_brief(points.fn_recall[index]),
        customdata=list(zip(thresholds, *counts, texts, strict=True)),
        hovertemplate=(
            f"%{{customdata[1]:,d}} of {points.fn:,} missed photos caught<br>"
            f"%{{customdata[2]:,d}} of {points.tn:,} good photos re-inspected<br>"
            f"{called}{', threshold' if style['meta'] is not None else ''} "
            "%{customdata[3]}<extra></extra>"
        ),
        name=called,
        **({"mode": "lines"} | style),
    )


def _place(points: Curve, index: int) -> tuple[float, float]:
    """Where a point of a curve lies in the picture."""
    x, y = points.flagged_tn[index] / points.tn, points.flagged_fn[index] / points.fn
    return round(float(x), DIGITS), round(float(y), DIGITS)


def _brief(shares: Floats) -> list[float | None]:
    """Shares to a hundred-thousandth: a tenth of what a picture can show, a third of the text."""
    return [round(share, DIGITS) if math.isfinite(share) else None for share in shares.tolist()]
