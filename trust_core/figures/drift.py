"""The chart of the drift check: evidence against the line being what was audited."""

from collections.abc import Sequence
from math import log10

import plotly.graph_objects as go

from trust_core.figures.elements import (
    ACCENT,
    GREY,
    OUTCOME_COLOURS,
    TOOLBAR,
    frame,
    label,
    segment,
    share_axis,
)

LEAST = 0.1  # evidence below that is drawn there: it says nothing


def evidence_chart(
    path: Sequence[tuple[int, float]], limit: float, called: int | None
) -> go.Figure:
    """Evidence over the images of a line, on a scale of powers of ten.

    `path` holds `(image, evidence)`, at least once. A drift is called from `limit` on; `called` is
    the image at which it was.
    """
    images = [image for image, _ in path]
    line = go.Scatter(
        x=images,
        y=[max(LEAST, value) for _, value in path],
        mode="lines",
        line={"color": ACCENT, "width": 2.5},
        hovertemplate="%{x:,d} images: evidence %{y:.3~g}<extra></extra>",
    )
    last = max(images)
    shapes = [segment((0, last), (limit, limit), color=GREY, width=2, dash="6px,5px")]
    # On an axis of logarithms a note stands at the logarithm, a shape at the value.
    notes = [
        {"x": 1, "xref": "paper", "xanchor": "right", "y": log10(limit), "yanchor": "bottom",
         "showarrow": False, "text": f"{limit:g} calls it", "font": {"color": GREY}}
    ]  # fmt: skip
    if called is not None:
        colour = OUTCOME_COLOURS["FN"]
        shapes.append(segment((called, called), (LEAST, limit), color=colour, width=2))
        notes.append(label(called, log10(LEAST), f"called at {called:,}", colour, side="above"))
    highest = max(limit, *(value for _, value in path))
    layout = frame(274, top=TOOLBAR) | {
        "hovermode": "x",
        "xaxis": share_axis("Images on the line")
        | {"range": [0, 1.02 * last], "tickformat": ",d", "fixedrange": True},
        "yaxis": share_axis("Evidence")
        | {
            "type": "log",
            "range": [log10(LEAST), log10(highest) + 0.2],
            "tickformat": "~g",
            "dtick": max(1, round((log10(highest) + 1) / 5)),
            "fixedrange": True,
        },
        "shapes": shapes,
        "annotations": notes,
    }
    return go.Figure([line], layout)
