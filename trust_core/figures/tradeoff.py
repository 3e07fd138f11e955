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
import plotly.graph_objects as go

from trust_core.decision.indicators.registry import SHIFT_NAME
from trust_core.decision.tradeoff import DRAWN_POINTS, Curve, Floats
from trust_core.figures.elements import (
    ACCENT,
    DIGITS,
    GREY,
    LETTER,
    NONE,
    OUTCOME_COLOURS,
    SHARES,
    SHIFT_LINE,
    Layout,
    bare_axis,
    diamond,
    frame,
    label,
    pointers,
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
OTHER_NAME = 16  # letters, which have to fit into the picture on a telephone


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
    rival = _line(shift, SHIFT_POINTS, "decision threshold", line=SHIFT_LINE, meta=meta)
    lines = {e: _strength_line(shown[e], e, colours[e], chosen=e == chosen) for e in shown}
    named = [*_strength_names(shown, lines, chosen), (SHIFT_NAME, rival)]
    if other is not None:
        name = escape(shortened(other[0], OTHER_NAME))
        named.append((name, _line(other[1], SHIFT_POINTS, name, line=OTHER_AUDIT, meta=None)))
    strengths = sorted(lines, key=lambda e: (e == chosen, e))  # the chosen one on top
    marked = shift if shift_only else curves[chosen]
    layout = frame(470, top=34) | {
        "hovermode": "closest",
        "xaxis": share_axis(f"Good photos re-inspected, of {shift.tn:,}"),
        "yaxis": share_axis(f"Missed photos caught, of {shift.fn:,}"),
        "annotations": _curve_names(named, marked, shift) if shift.fn and shift.tn else [],
    }
    rest = [line for _, line in named[len(named) - 1 - (other is not None) :]]
    return go.Figure([*rest, *(lines[e] for e in strengths)], layout)


def mark_tradeoff(points: Curve, threshold: float, shift: Curve) -> Layout:
    """Shapes that mark the operating point, and what threshold shift asks for the same catch.

    Of one curve they are the same pieces at every threshold, so that `elements.tracks` can follow
    them. `shift` is `points` itself when that is the indicator.
    """
    if not (points.fn and points.tn):
        return {"shapes": []}
    index = points.at(threshold)
    x, y = _place(points, index)
    shapes = [spot(x, y, 8, ACCENT)]
    rival = shift.at_caught(int(points.flagged_fn[index]))
    if rival is not None and points is not shift:
        rival_x, rival_y = _place(shift, rival)
        # A line at the height of the point: how much further threshold shift has to go.
        between = segment((x, rival_x), (y, y), color=GREY, width=1.5, dash="dot")
        shapes = [between, diamond(rival_x, rival_y, 6, GREY), *shapes]
    return {"shapes": shapes}


def kind_bars(rows: Sequence[tuple[str, int, int]]) -> Layout:
    """Bars of missed photos by kind of defect: caught, and still missed, with their counts.

    As plain JSON, since every move of the slider makes them anew: Plotly's own objects check each
    value, which takes ten times as long.
    """
    names = [escape(shortened(kind)) for kind, _, _ in rows]
    places = list(range(len(rows)))
    series = (
        ("caught", [k for _, k, _ in rows], OUTCOME_COLOURS["TP"], ""),
        ("still missed", [n - k for _, k, n in rows], OUTCOME_COLOURS["FN"], "/"),
    )
    bars = [
        {
            "type": "bar",
            "y": places,
            "x": values,
            "name": what,
            "orientation": "h",
            "marker": {
                "color": colour,
                "line": {"color": colour, "width": [int(v > 0) for v in values]},
                "pattern": {"shape": hatch, "size": 6, "fgcolor": colour, "bgcolor": NONE},
            },
            "customdata": names,
            "hovertemplate": f"%{{customdata}}: %{{x:,d}} {what}<extra></extra>",
        }
        for what, values, colour, hatch in series
    ]
    counts = [f"{k:,} of {n:,}" for _, k, n in rows]
    layout = frame(40 + 30 * len(rows), right=20 + LETTER * max(map(len, counts))) | {
        "barmode": "stack",
        "bargap": 0.28,
        "xaxis": {"visible": False, "fixedrange": True, "range": [0, max(n for *_, n in rows)]},
        "yaxis": bare_axis(names) | {"range": [len(rows) - 0.5, -0.5]},
        "annotations": [
            label(n, place, text, side="beside")
            for place, (_, _, n), text in zip(places, rows, counts, strict=True)
        ],
    }
    return {"data": bars, "layout": layout}


def _strength_names(
    curves: Mapping[float, Curve], lines: Mapping[float, go.Scatter], chosen: float
) -> list[tuple[str, go.Scatter]]:
    """Name and line of the strengths, the chosen one first; equal curves share a name."""
    found: list[tuple[str, go.Scatter]] = []
    known: list[Curve] = []
    for strength in sorted(curves, key=lambda e: (e != chosen, e)):
        points = curves[strength]
        if all(points is not one for one in known):
            known.append(points)
            equal = [e for e in sorted(curves) if curves[e] is points]
            text = f"ε {equal[0]:g}" + (f" to {equal[-1]:g}" if len(equal) > 1 else "")
            found.append((f"<b>{text}</b>" if chosen in equal else text, lines[strength]))
    return found


def _curve_names(
    named: Sequence[tuple[str, go.Scatter]], points: Curve, shift: Curve
) -> list[Layout]:
    """A name for each line, where no line comes, nor a mark of `mark_tradeoff`."""
    index = points.drawn
    caught = np.minimum(points.flagged_fn[index], shift.fn)
    rivals = np.searchsorted(shift.flagged_fn, caught)  # as `Curve.at_caught`
    marks = points.tn_loss[index], shift.tn_loss[rivals], points.fn_recall[index]
    return pointers(
        [(text, line.line.color) for text, line in named],
        [(np.array(line.x), np.array(line.y)) for _, line in named],
        np.stack(marks, axis=-1),
        (SHARES, SHARES),
    )


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
    short = points.short_thresholds(index).tolist()
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
