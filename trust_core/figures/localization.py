"""Charts of localization: recall by size of the defect, metrics at every mask threshold."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import plotly.graph_objects as go

from trust_core.decision.bootstrap import Estimate
from trust_core.decision.localization.metrics import SizeClass
from trust_core.decision.tradeoff import Floats
from trust_core.figures.elements import (
    ACCENT,
    EDGE,
    GREY,
    LETTER,
    NONE,
    OUTCOME_COLOURS,
    PERCENT,
    SHIFT_LINE,
    TOOLBAR,
    Layout,
    bare_axis,
    frame,
    label,
    row_note,
    segment,
    share_axis,
)

LINES = {  # metric: name, colour, dash
    "seg_recall": ("defects marked", OUTCOME_COLOURS["TP"], "solid"),
    "false_alarms": ("good photos marked", OUTCOME_COLOURS["FP"], "solid"),
    "pooled_miou": ("agreement, pooled", GREY, SHIFT_LINE["dash"]),
    "seg_miou": ("agreement by photo", ACCENT, "solid"),
}
BESIDE = 14  # pixels from the last mark to its counts
APART = 0.09  # of the height: names closer than that are moved apart


def recall_by_size(rows: Sequence[SizeClass], *, strict: bool) -> go.Figure:
    """Recall of defects by their size: share, 95 % interval and counts; the smallest on top.

    With `strict` the recall is that of masks that touch the defect.
    """
    recalls = [row.seg_recall_strict if strict else row.seg_recall for row in rows]
    held = [(place, recall) for place, recall in enumerate(recalls) if recall.total]
    ranges = [
        go.Scatter(
            x=list(recall.interval),
            y=[place, place],
            mode="lines",
            line={"color": ACCENT, "width": 3},
            hoverinfo="skip",
        )
        for place, recall in held
    ]
    marks = go.Scatter(
        x=[recall.value for _, recall in held],
        y=[place for place, _ in held],
        mode="markers",
        marker={"size": 13, "color": ACCENT, "line": EDGE},
        cliponaxis=False,
        customdata=[(*recall.interval, rows[place].iou.value) for place, recall in held],
        hovertemplate=(
            f"%{{x:{PERCENT}}}, 95 % interval "
            f"%{{customdata[0]:{PERCENT}}} to %{{customdata[1]:{PERCENT}}}"
            "<br>mean IoU %{customdata[2]:.2f}<extra></extra>"
        ),
    )
    counts = [_counts(recall) for recall in recalls]
    room = BESIDE + LETTER * max(map(len, counts), default=0)
    layout = frame(56 + 46 * len(rows), right=room) | {
        "hovermode": "closest",
        "xaxis": share_axis("Share of these defects") | {"nticks": 3, "fixedrange": True},
        "yaxis": bare_axis([_two_lines(row.name) for row in rows])
        | {"range": [len(rows) - 0.5, -0.5]},
        "annotations": [
            row_note(place, text, xanchor="left", xshift=BESIDE)
            for place, text in enumerate(counts)
        ],
    }
    return go.Figure([*ranges, marks], layout)


def metrics_by_threshold(values: Mapping[str, Floats], at: Floats) -> go.Figure:
    """The metrics over the mask threshold; each point carries its threshold as `customdata`.

    Values, by metric, and the thresholds `at` are `(K,)` each.
    """
    places = _places({metric: values[metric] for metric in LINES if metric in values})
    lines = [
        go.Scatter(
            x=at,
            y=values[metric],
            mode="lines",
            line={"color": LINES[metric][1], "dash": LINES[metric][2], "width": 2.5},
            customdata=at[:, None],
            hovertemplate=f"from %{{x:.2f}}: %{{y:.2f}} {LINES[metric][0]}<extra></extra>",
        )
        for metric in places
    ]
    names = [
        label(1.0, place, LINES[metric][0], LINES[metric][1], side="beside")
        | {"xanchor": "left", "xshift": 4, "bgcolor": NONE}
        for metric, place in places.items()
    ]
    room = 4 + LETTER * max((len(LINES[metric][0]) for metric in places), default=0)
    layout = frame(322, top=TOOLBAR, right=room) | {
        "hovermode": "closest",
        "xaxis": share_axis("Mask threshold")
        | {"range": [0, 1], "tickformat": ".1f", "fixedrange": True},
        "yaxis": share_axis("") | {"fixedrange": True},
        "annotations": names,
    }
    return go.Figure(lines, layout)


def mark_threshold(threshold: float) -> Layout:
    """Shapes that mark a threshold on `metrics_by_threshold`."""
    mark = segment((threshold, threshold), (0, 1), color=GREY, width=1.5) | {"yref": "paper"}
    return {"shapes": [mark]}


def _places(values: Mapping[str, Floats]) -> dict[str, float]:
    """Heights of the names at the right end of the lines, moved apart, by metric."""
    ends = {
        metric: float(line[~np.isnan(line)][-1])
        for metric, line in values.items()
        if not np.isnan(line).all()
    }
    places: dict[str, float] = {}
    lowest = 0.0
    for metric in sorted(ends, key=ends.__getitem__):
        lowest = max(ends[metric], lowest)
        places[metric] = lowest
        lowest += APART
    return places


def _counts(recall: Estimate) -> str:
    return f"{recall.hits:,.0f} of {recall.total:,}" if recall.total else "none here"


def _two_lines(text: str) -> str:
    """`tiny, under 0.1 % of the photo` as a word and, below it, what it means."""
    word, _, meaning = text.partition(", ")
    return f"<b>{escape(word.capitalize())}</b><br>{escape(meaning)}"
