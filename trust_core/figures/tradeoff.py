"""Charts of the trade-off: curves, tables of counts, bars by kind of defect.

What a slider moves (the operating point and its name) is not drawn by a trace but by shapes and
annotations, so that a page can move it without drawing a curve again: a figure shows the curves,
`mark_tradeoff` and `mark_count_table` say what its layout becomes at a point.

Notation: `E` strengths, `T` thresholds, `n` points of a drawn curve.
"""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from trust_core.decision.indicators.registry import SHIFT_NAME
from trust_core.decision.tradeoff import DRAWN_POINTS, Counts, Curve, Floats
from trust_core.figures.elements import (
    ACCENT,
    GREY,
    NONE,
    OUTCOME_COLOURS,
    SHIFT_LINE,
    Layout,
    bare_axis,
    diamond,
    frame,
    label,
    ring,
    segment,
    share_axis,
    shortened,
    spot,
    threshold_text,
)

OTHER_POINTS, SHIFT_POINTS = 160, 300
VISIBLE_POINTS = 90  # more markers than that would make a thick line
ROOM = 0.055  # that a label needs around it, as a share of the picture
LOW = 0.12  # a label below a point lower than that would lie on the axis


def tradeoff_chart(
    curves: Mapping[float, Curve], shift: Curve, chosen: float, *, shift_only: bool = False
) -> go.Figure:
    """Missed defects caught over good parts re-inspected, a curve per strength.

    Args:
        curves: of one indicator, by strength ε.
        shift: of just lowering the decision threshold.
        chosen: the strength that is drawn in the accent.
        shift_only: the indicator is threshold shift itself: one dashed line is all there is.

    Returns:
        A figure whose curves carry their strength as `meta`, and at each point
        `customdata = (τ, missed defects flagged, good parts flagged)`.
    """
    shown = {} if shift_only else curves
    meta = chosen if shift_only else None
    lines = [_line(shift, SHIFT_POINTS, "decision threshold", line=SHIFT_LINE, meta=meta)]
    for strength in sorted(shown, key=lambda e: (e == chosen, e)):  # the chosen one on top
        lines.append(_strength_line(shown[strength], strength, strength == chosen))
    layout = frame(470, top=26) | {
        "hovermode": "closest",
        "xaxis": share_axis(f"Good parts re-inspected, of {shift.tn:,}"),
        "yaxis": share_axis(f"Missed defects caught, of {shift.fn:,}"),
        "annotations": _curve_labels(shown, shift, chosen),
    }
    return go.Figure(lines, layout)


def mark_tradeoff(
    points: Curve, threshold: float, shift: Curve, names: Sequence[Layout] = ()
) -> Layout:
    """Layout that marks the operating point, and what threshold shift asks for the same catch.

    Args:
        points: the chosen curve.
        threshold: τ.
        shift: the curve of threshold shift; `points` itself when that is the indicator.
        names: annotations that stay, those of the figure.
    """
    index = points.at(threshold)
    x, y = float(points.tn_loss[index]), float(points.fn_recall[index])
    if not (math.isfinite(x) and math.isfinite(y)):
        return {"shapes": [], "annotations": list(names)}
    shapes, texts = [], []
    rival = shift.at_caught(int(points.flagged_fn[index]))
    if rival is not None and points is not shift:
        rival_x, rival_y = float(shift.tn_loss[rival]), float(shift.fn_recall[rival])
        # A line at the height of the point: how much further threshold shift has to go.
        between = segment((x, rival_x), (y, y), color=GREY, width=1.5, dash="dot")
        shapes += [between, diamond(rival_x, rival_y, 6, GREY)]
        if abs(rival_x - x) > ROOM:
            told = f"{shift.flagged_tn[rival]:,} by {SHIFT_NAME}"
            texts.append(label(rival_x, rival_y, told, GREY, side="above"))
    shapes.append(spot(x, y, 8, ACCENT))
    own = f"<b>Operating point</b><br>{points.flagged_tn[index]:,} re-inspected"
    texts.append(label(x, y, own, side="below" if y > LOW else "above"))
    return {"shapes": shapes, "annotations": [*(n for n in names if _apart(n, texts)), *texts]}


def count_table(
    counts: Counts,
    strengths: Sequence[float],
    thresholds: Floats,
    total: int,
    what: str,
    colour: str,
) -> go.Figure:
    """A table of counts over threshold (right flags more) and strength, the fuller the darker.

    Args:
        counts: `(E, T)`.
        strengths: ε, ascending, `(E,)`.
        thresholds: τ, descending, `(T,)`.
        total: what a cell is a part of.
        what: is counted, a plural, for the hover.
        colour: of a full cell, `#rrggbb`.

    Returns:
        A figure whose cells carry `customdata = (τ, ε, count)`.
    """
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    cells = go.Heatmap(
        z=counts / max(1, total),
        zmin=0,
        zmax=1,
        colorscale=[[i, f"rgba({red},{green},{blue},{0.04 + 0.56 * i})"] for i in (0, 1)],
        showscale=False,
        xgap=1,
        ygap=1,
        hoverinfo="none",
    )
    x, y = np.meshgrid(np.arange(len(thresholds)), np.arange(len(strengths)))
    tau, strength = np.meshgrid(thresholds, np.asarray(strengths, dtype=np.float64))
    texts = go.Scatter(
        x=x.ravel(),
        y=y.ravel(),
        mode="text",
        text=[f"{n:,}" for n in counts.ravel()],
        textfont_size=12,
        customdata=np.stack((tau.ravel(), strength.ravel(), counts.ravel()), axis=-1),
        hovertemplate=(
            f"%{{customdata[2]:,d}} of {total:,} {what}<br>"
            "ε %{customdata[1]:~g}, threshold %{customdata[0]:.4~g}<extra></extra>"
        ),
    )
    layout = frame(88 + 27 * len(strengths)) | {
        "hovermode": "closest",
        "hoverdistance": 40,
        "xaxis": bare_axis([threshold_text(t) for t in thresholds], "Flagging threshold τ"),
        "yaxis": bare_axis([f"{e:g}" for e in strengths], "Strength ε"),
    }
    return go.Figure([cells, texts], layout)


def mark_count_table(
    strengths: Sequence[float], thresholds: Floats, strength: float, threshold: float
) -> Layout:
    """Layout that rings the operating point on a `count_table`.

    Between two columns it stands in proportion to τ; outside them, at the edge.
    """
    x = np.interp(-threshold, -thresholds, np.arange(len(thresholds)))
    y = list(strengths).index(strength)
    return {"shapes": [ring(float(x), y, 12, ACCENT)], "annotations": []}


def kind_bars(rows: Sequence[tuple[str, int, int]]) -> go.Figure:
    """Bars of missed defects by kind: caught, and still missed, with their counts.

    Args:
        rows: `(kind, caught, total)`, the first on top; at least one.
    """
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


def _curve_labels(curves: Mapping[float, Curve], shift: Curve, chosen: float) -> list[Layout]:
    """Names beside the curves, where there is room; the others are named by their hover."""
    named = [(f"<b>ε {e:g}</b>", ACCENT, curves[e]) for e in curves if e == chosen]
    named.append((SHIFT_NAME, GREY, shift))
    named += [(f"ε {e:g}", ACCENT, points) for e, points in sorted(curves.items()) if e != chosen]
    if not (shift.fn and shift.tn):
        return []
    ways = [
        np.stack((points.tn_loss, points.fn_recall), axis=-1)[points.representatives(OTHER_POINTS)]
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
        texts.append(label(x, y, text, colour))
    return texts


def _distance(points: Floats, others: Floats) -> Floats:
    """Distance of each point `(n, 2)` to the nearest of the others `(m, 2)`, `(n,)`."""
    gaps = points[:, None] - others[None]
    return np.sqrt((gaps**2).sum(axis=-1).min(axis=1))


def _apart(curve_name: Layout, texts: Sequence[Layout]) -> bool:
    """Whether none of the texts would lie on the name of a curve."""
    wide, high = 0.26, 0.09
    return all(
        abs(curve_name["x"] - t["x"]) > wide or abs(curve_name["y"] - t["y"]) > high for t in texts
    )


def _strength_line(points: Curve, strength: float, chosen: bool) -> go.Scatter:
    called = f"ε {strength:g}"
    if not chosen:
        thin = {"color": ACCENT, "width": 1.3}
        return _line(points, OTHER_POINTS, called, line=thin, opacity=0.5, meta=strength)
    strong = {"color": ACCENT, "width": 3}
    line = _line(points, DRAWN_POINTS, called, line=strong, meta=strength, mode="lines+markers")
    visible = len(line.x) <= VISIBLE_POINTS
    line.marker = {"size": 6 if visible else 9, "color": ACCENT, "opacity": 1 if visible else 0}
    return line


def _line(points: Curve, limit: int, called: str, **style: Any) -> go.Scatter:  # noqa: ANN401
    index = points.representatives(limit)
    thresholds = [t if math.isfinite(t) else None for t in points.thresholds[index].tolist()]
    counts = (points.flagged_fn[index].tolist(), points.flagged_tn[index].tolist())
    return go.Scatter(
        x=_brief(points.tn_loss[index]),
        y=_brief(points.fn_recall[index]),
        customdata=list(zip(thresholds, *counts, strict=True)),
        hovertemplate=(
            f"%{{customdata[1]:,d}} of {points.fn:,} missed defects caught<br>"
            f"%{{customdata[2]:,d}} of {points.tn:,} good parts re-inspected<br>"
            f"{called}{', threshold' if style['meta'] is not None else ''} "
            "%{customdata[0]:.4~g}<extra></extra>"
        ),
        name=called,
        **({"mode": "lines"} | style),
    )


def _brief(shares: Floats) -> list[float | None]:
    """Shares to a hundred-thousandth: a tenth of what a picture can show, a third of the text."""
    return [round(share, 5) if math.isfinite(share) else None for share in shares.tolist()]
