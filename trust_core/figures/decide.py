"""Charts of a decision: leads of the indicators, what missed parts prove, cost of a threshold."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from trust_core.decision.certificate import Demand, needed, proven
from trust_core.decision.indicator_verdicts import IndicatorVerdict
from trust_core.decision.indicators.registry import (
    DEFAULT_INDICATOR,
    SHIFT_NAME,
    THRESHOLD_SHIFT,
    indicator_name,
)
from trust_core.decision.tradeoff import Floats
from trust_core.decision.verdict import AMBER, GREEN, RED
from trust_core.figures.elements import (
    ACCENT,
    EDGE,
    GREY,
    NONE,
    OUTCOME_COLOURS,
    SHIFT_LINE,
    TENTHS,
    TOOLBAR,
    bare_axis,
    frame,
    label,
    pointers,
    row_note,
    segment,
    share_axis,
    shortened,
)
from trust_core.figures.words.numbers import capital, good_parts_at

if TYPE_CHECKING:  # brings torch
    from trust_core.decision.tuning.sensitivity import Neighbour

# Colour and shape say the same.
VERDICT_COLOURS = {
    GREEN: OUTCOME_COLOURS["TP"],
    AMBER: OUTCOME_COLOURS["FP"],
    RED: OUTCOME_COLOURS["FN"],
}
VERDICT_SHAPES = {GREEN: "triangle-up", AMBER: "circle", RED: "triangle-down"}
ROW = 32  # pixels, so that a name has room between two marks
LIFT, SHORT = 0.5, 36  # on a phone: how much of a row a name stands above its mark; its letters
PLAN, PLAIN = 340, 92  # pixels: the height of a chart, and what of it is margins, ticks and title
PROVEN = (0.0, 1.04)  # shares that the chart of the plan shows
OVERLAPS = (DEFAULT_INDICATOR, "iou_difference_shift", "best_overlap", "overlap_profile")

# What is left of the IoU difference when a piece of it is taken away.
ABLATIONS = (
    *("iou_difference_clean", "log_odds", "log_odds_shift", "iou_defect", "good_disagreement"),
    *("iou_random", "defect_area", "defect_entropy"),
)
AXIS_NAMES = {
    "layer": "Layer",
    "specific": "Map for one class",
    "agnostic": "Map for any class",
    "mask": "Mask of a map",
    "variant": "How the overlap is read",
    "strength": "Adversarial strength",
}


@dataclass(frozen=True)
class Contender:
    """A row of the comparison; a heading when it has neither verdict nor difference.

    `difference` is AUROC − that of threshold shift, with its 95 % interval; `cost` are good parts
    re-inspected at the wanted recall, in words; `colour` is "" for a heading and for threshold
    shift; `chosen` is the indicator that is looked at.
    """

    label: str
    colour: str = ""
    difference: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    cost: str = ""
    chosen: bool = False


def few_verdicts(
    verdicts: Sequence[IndicatorVerdict], named: Sequence[str]
) -> list[IndicatorVerdict]:
    """The few that matter: those named, threshold shift, and the best of all others."""
    always = {*named, THRESHOLD_SHIFT}
    there = {_lead(one) for one in verdicts if one.indicator in always}  # another name of one
    others = [o for o in verdicts if o.indicator not in always and _lead(o) not in there]
    best = max(others, key=lambda one: np.nan_to_num(one.verdict.difference, nan=-1), default=None)
    return [one for one in verdicts if one.indicator in always or one is best]


def _lead(one: IndicatorVerdict) -> tuple[float, float, float]:
    return (one.verdict.difference, *one.verdict.interval)


def indicator_rows(
    verdicts: Sequence[IndicatorVerdict], indicator: str, recall: float
) -> Iterator[Contender]:
    """Δ first, then what is left of it without a piece, then all others; the rival is the last."""
    rivals = [one for one in verdicts if one.indicator != THRESHOLD_SHIFT]
    known = {*OVERLAPS, *ABLATIONS}
    groups = {
        "Where the heatmaps overlap": [o for o in rivals if o.indicator in OVERLAPS],
        "IoU difference, a piece taken away": [o for o in rivals if o.indicator in ABLATIONS],
        "Other ways": [o for o in rivals if o.indicator not in known],
    }
    for heading, members in groups.items():
        if members:
            yield Contender(heading)
        for one in members:
            yield Contender(
                capital(indicator_name(one.indicator)),
                one.verdict.colour,
                one.verdict.difference,
                *one.verdict.interval,
                cost=good_parts_at(one.points, recall),
                chosen=one.indicator == indicator,
            )
    for one in verdicts:
        if one.indicator == THRESHOLD_SHIFT:
            cost = good_parts_at(one.points, recall)
            yield Contender(capital(SHIFT_NAME), difference=0.0, cost=cost)


def neighbour_rows(neighbours: Sequence["Neighbour"]) -> list[Contender]:
    """The choice and its neighbours, axis by axis."""
    rows: list[Contender] = []
    for axis, heading in AXIS_NAMES.items():
        along = [point for point in neighbours if point.axis == axis]
        if len(along) < 2:
            continue
        rows.append(Contender(heading))
        for point in along:
            label = capital(indicator_name(point.value)) if axis == "variant" else point.value
            interval = point.low, point.high
            rows.append(
                Contender(label, point.colour, point.difference, *interval, chosen=point.chosen)
            )
    return rows


def contenders(rows: Sequence[Contender], cost_title: str) -> go.Figure:
    """Each indicator's lead over threshold shift with its interval, and what it costs in words."""
    judged = [(place, row) for place, row in enumerate(rows) if row.colour]
    bars = [
        go.Scatter(
            x=[100 * row.low, 100 * row.high],
            y=[place, place],
            mode="lines",
            line={"color": ACCENT if row.chosen else GREY, "width": 5 if row.chosen else 2},
            hoverinfo="skip",
        )
        for place, row in judged
    ]
    marks = go.Scatter(
        x=[100 * row.difference for _, row in judged],
        y=[place for place, _ in judged],
        mode="markers",
        marker={
            "size": 12,
            "symbol": [VERDICT_SHAPES[row.colour] for _, row in judged],
            "color": [VERDICT_COLOURS[row.colour] for _, row in judged],
            "line": EDGE,
        },
        customdata=[(escape(row.label), 100 * row.low, 100 * row.high) for _, row in judged],
        hovertemplate=(
            "%{customdata[0]}: %{x:+.1f} points<br>"
            "95 % interval %{customdata[1]:+.1f} to %{customdata[2]:+.1f}<extra></extra>"
        ),
    )
    ends = [e for _, row in judged for e in (row.low, row.high, row.difference) if e == e]
    low, high = 100 * min([-0.02, *ends]), 100 * max([0.02, *ends])
    room = 0.06 * (high - low)
    texts = [
        row_note(place, f"<b>{row.cost}</b>" if row.chosen else row.cost)
        for place, row in enumerate(rows)
        if row.cost
    ]
    head = row_note(-0.9, cost_title, align="right", font={"color": GREY, "size": 12})
    rival = go.Scatter(
        x=[0 for row in rows if _is_rival(row)],
        y=[place for place, row in enumerate(rows) if _is_rival(row)],
        mode="markers",
        marker={"size": 11, "symbol": "diamond", "color": GREY, "line": EDGE},
        hoverinfo="skip",
    )
    across = share_axis("Lead: more of 100 pairs of a missed and a good photo ranked right") | {
        "domain": [0, 0.8],
        "range": [low - room, high + room],
        "tickformat": "~g",
        "fixedrange": True,
    }
    down = bare_axis([_label(row) for row in rows]) | {
        "range": [len(rows) - 0.5, -1.5 if cost_title else -0.5],
        "ticklen": 8,
    }
    # Names beside the marks would leave no room for these on a phone: there they stand above them.
    above = [
        row_note(place, _label(row, SHORT), x=0, xanchor="left") for place, row in enumerate(rows)
    ]
    lifted = [note | {"y": note["y"] - LIFT, "bgcolor": NONE} for note in (*above, *texts)]
    narrow = {
        "xaxis": across
        | {"domain": [0, 1], "title": share_axis("Lead: more of 100 pairs ranked right")["title"]},
        "yaxis": down | {"showticklabels": False},
        "annotations": [head, *lifted],
    }
    layout = frame(ROW * (len(rows) + bool(cost_title)) + 84, top=TOOLBAR) | {
        "hovermode": "closest",
        "xaxis": across,
        "yaxis": down,
        "shapes": [segment((0, 0), (-0.5, len(rows) - 0.5), **SHIFT_LINE) | {"layer": "below"}],
        "annotations": [head, *texts],
        "meta": {"narrow": narrow},
    }
    return go.Figure([*bars, marks, rival], layout)


def _is_rival(row: Contender) -> bool:
    return not row.colour and row.difference == 0


def _label(row: Contender, most: int = 100) -> str:
    """The name of a row, shortened to `most` letters where something stands beside it."""
    if not row.colour and not row.cost:
        return f'<i style="color:{GREY}">{escape(row.label)}</i>'
    text = escape(shortened(row.label, most))
    return f"<b>{text}</b>" if row.chosen else text


def provable_recall(demand: Demand, have: int, lost: Sequence[int] = (0, 1, 2)) -> go.Figure:
    """What a number of missed parts proves, by how many of them are overlooked.

    `have` missed parts lie in `certify`; `lost` are numbers of parts overlooked, a curve each.
    """
    wanted = [needed(demand, k) for k in lost]
    most = max(int(1.25 * max(wanted)), int(1.15 * have), 12)
    counts = np.unique(np.geomspace(1, most, 240).round().astype(int))
    curves = []
    for k in lost:
        shares = [proven(max(0, n - k), int(n), demand.confidence) for n in counts]
        first = k == lost[0]
        curves.append(
            go.Scatter(
                x=counts,
                y=np.round(shares, 5),
                mode="lines",
                line={"color": ACCENT, "width": 3 if first else 1.3},
                opacity=1 if first else 0.6,
                hovertemplate=(
                    f"%{{x:,d}} missed parts, {k} overlooked:<br>"
                    f"at least %{{y:{TENTHS}}} proven<extra></extra>"
                ),
            )
        )
    ceiling = go.Scatter(
        x=[*counts, *counts[::-1]],
        y=[*curves[0].y, *[1.04] * len(counts)],
        fill="toself",
        mode="none",
        fillcolor=NONE,
        fillpattern={
            "shape": "/",
            "size": 9,
            "fgcolor": GREY,
            "fillmode": "overlay",
            "solidity": 0.08,
        },
        hoverinfo="skip",
    )
    dots = go.Scatter(
        x=wanted,
        y=[demand.recall] * len(wanted),
        mode="markers",
        marker={"size": 9, "color": ACCENT, "line": EDGE},
        hoverinfo="skip",
    )
    heights = (demand.recall, demand.recall)
    shapes = [segment((0, most), heights, color=ACCENT, width=1.5, dash="dot")]
    stops = np.array(wanted, dtype=np.float64)
    lines = [(np.array(curve.x, dtype=np.float64), np.array(curve.y)) for curve in curves]
    ends = np.array([0.0, most])
    lines += [(ends, np.full(2, demand.recall)), (np.full(2, float(have)), np.array([0.0, 1.0]))]
    notes = pointers(
        [(f"<b>{n:,}</b>", "") for n in wanted],
        [(np.array([n, n]), np.full(2, demand.recall)) for n in stops],
        np.stack((stops, stops, np.full(len(stops), demand.recall)), axis=-1),
        ((0, most), PROVEN),
        lines,
        PLAN - PLAIN,
    )
    if have:
        shapes.append(segment((have, have), (0, 1), color=OUTCOME_COLOURS["FN"], width=2))
        notes.append(
            label(have, 0.06, f"<b>{have:,}</b> you have", OUTCOME_COLOURS["FN"], side="above")
            | {"xanchor": "right" if have > 0.7 * most else "left",
               "xshift": -6 if have > 0.7 * most else 6}
        )  # fmt: skip
    layout = frame(PLAN, top=TOOLBAR) | {
        "hovermode": "closest",
        "xaxis": share_axis("Missed parts to prove it on")
        | {"range": [0, most], "tickformat": ",d", "fixedrange": True},
        "yaxis": share_axis("Missed parts caught, proven")
        | {"range": list(PROVEN), "fixedrange": True},
        "shapes": shapes,
        "annotations": notes,
    }
    return go.Figure([ceiling, *curves, dots], layout)


@dataclass(frozen=True)
class CostMark:
    """A threshold on a cost curve."""

    label: str
    flagged: float
    cost: float


def costs(
    ours: tuple[Floats, Floats], shift: tuple[Floats, Floats], marks: Sequence[CostMark]
) -> go.Figure:
    """Expected cost a part over re-inspections a shift; threshold shift dashed.

    `ours` are re-inspections and cost at each threshold of the indicator, both `(n,)`, `shift`
    those of threshold shift; `marks` are thresholds to name.
    """
    styles = (
        (shift, SHIFT_LINE, SHIFT_NAME),
        (ours, {"color": ACCENT, "width": 3}, "indicator"),
    )
    lines = [
        go.Scatter(
            x=np.round(x, 3), y=np.round(y, 6), mode="lines", line=line, name=called,
            hovertemplate=f"{called}<br>%{{x:,.0f}} re-inspections a shift<br>"
            "%{y:.3~g} a part<extra></extra>",
        )
        for (x, y), line, called in styles
    ]  # fmt: skip
    dots = go.Scatter(
        x=[mark.flagged for mark in marks],
        y=[mark.cost for mark in marks],
        mode="markers",
        marker={
            "size": 13, "color": ACCENT, "line": EDGE,
            "symbol": ["diamond", "circle", "square", "star"][: len(marks)],
        },
        customdata=[mark.label for mark in marks],
        hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip
    far, high = (
        max(float(np.nanmax(values[axis], initial=0)) for values, *_ in styles) or 1
        for axis in (0, 1)
    )
    axes = (-0.02 * far, 1.03 * far), (0.0, 1.05 * high)
    seen = [mark for mark in marks if math.isfinite(mark.flagged + mark.cost)]
    places = np.array([(mark.flagged, mark.flagged, mark.cost) for mark in seen]).reshape(-1, 3)
    notes = pointers(
        [(mark.label, "") for mark in seen],
        [(np.array([x, x]), np.array([y, y])) for x, _, y in places],
        places,
        axes,
        [values for values, *_ in styles],
        PLAN - PLAIN,
    )
    layout = frame(PLAN, top=TOOLBAR) | {
        "hovermode": "closest",
        "xaxis": share_axis("Re-inspections a shift")
        | {"range": list(axes[0]), "tickformat": ",~g", "fixedrange": True},
        "yaxis": share_axis("Expected cost a part")
        | {"range": list(axes[1]), "tickformat": ",~g", "fixedrange": True},
        "annotations": notes,
    }
    return go.Figure([*lines, dots], layout)
