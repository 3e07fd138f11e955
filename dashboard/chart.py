"""A Plotly chart that holds still while what it marks moves.

`st.plotly_chart` (1.67) is a new element, drawn anew, whenever its figure changes in anything: each
step of a slider would lose the zoom and flash. This one is told what moves, and moves only that.
Told what differs from stop to stop of a slider, it moves while that is dragged: Streamlit's slider
sends its value only when it is let go.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import plotly.graph_objects as go
import streamlit as st
from plotly.offline import get_plotlyjs

from dashboard.shell import STATIC, callback, component
from trust_core.errors import file_errors
from trust_core.storage.atomic import replacing

NOTHING: dict[str, Any] = {}
Drawing = tuple[str, int]  # a figure as JSON, and its height in pixels


@dataclass(frozen=True)
class Live:
    """What a slider moves in the browser, before the server has answered.

    Attributes:
        slider: key of the slider.
        texts: what it says at each of its `S` stops.
        tracks: path of a value of `moving` → its value at each stop (`elements.tracks`).
        numbers: `data-live` name of a number on the page → its text at each stop.
    """

    slider: str
    texts: Sequence[str]
    tracks: Mapping[str, Sequence[Any]]
    numbers: Mapping[str, Sequence[str]]

    def as_text(self) -> str:
        """JSON text of a drawing, which a cache can keep and the browser need not read again."""
        return json.dumps(vars(self))


def drawing(figure: go.Figure | Mapping[str, Any]) -> Drawing:
    """A figure, or the same as plain JSON, as text, which a cache can keep."""
    if isinstance(figure, go.Figure):
        return figure.to_json(validate=False), int(figure.layout.height)
    return json.dumps(figure), int(figure["layout"]["height"])


def chart(
    figure: Drawing,
    *,
    key: str,
    alt: str,
    moving: dict[str, Any] = NOTHING,
    revision: str = "",
    on_choose: Callable[[float, float | None], None] | None = None,
    live: str = "",
    here: int = -1,
) -> None:
    """Draw a figure, or move the marks on the one that is drawn.

    Args:
        figure: of `drawing`. As long as it is the same text, nothing of it is drawn again.
        key: of the element.
        alt: one sentence that says what it shows.
        moving: shapes, as `figures.mark_tradeoff` gives them.
        revision: a zoom lives as long as this is the same.
        on_choose: called with `(threshold, strength)` when a point or a cell is clicked: the first
            two of its `customdata`, or the `meta` of its trace as the strength.
        live: what follows a slider while it is dragged, of `Live.as_text`.
        here: the stop of that slider that `moving` is for.
    """

    def choose() -> None:
        point = st.session_state[key].chosen
        if on_choose is not None and point:
            on_choose(float(point["threshold"]), point.get("strength"))

    text, height = figure
    data = {
        "figure": text,
        "moving": moving,
        "revision": revision,
        "height": height,
        "alt": alt,
        "library": library_address(),
        "live": live,
        "here": here,
    }
    component("chart", '<div class="chart"></div>')(
        data=data, key=key, height=height, on_chosen_change=callback(choose)
    )


@st.cache_resource(show_spinner=False)
def library_address() -> str:
    """Address of plotly.js, the one in the Python package, put where pages can load it."""
    path = STATIC / f"plotly-{version('plotly')}.min.js"
    with file_errors(f"Cannot write {path}", "the charts need it there once"):
        if not path.exists():
            with replacing(path, durable=False) as unfinished:
                unfinished.write_text(get_plotlyjs(), encoding="utf-8")
    return f"app/static/{path.name}"
