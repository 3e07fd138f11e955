"""Colours, frame, axes, marks and labels of the charts, as plain JSON for Plotly.

Marks and labels are shapes and annotations of a layout; what has no colour takes the page's.
"""

import re
from collections.abc import Iterator, Sequence
from html import unescape
from typing import Any

import numpy as np

from trust_core.decision.tradeoff import Floats
from trust_core.figures.curve_names import HEIGHT, Line, place_names

Layout = dict[str, Any]
Range = tuple[float, float]

ACCENT = "#2185C5"  # the indicator; between Okabe and Ito's two blues, for light and dark alike
GREY = "#868C94"  # threshold shift, always dashed
WHITE = "#FFFFFF"
NONE = "rgba(0, 0, 0, 0)"
GRID = "rgba(134, 140, 148, 0.22)"
# Okabe and Ito (2008), told apart by colour-blind readers; never without a symbol or a word.
OUTCOME_COLOURS = {
    "TP": "#009E73",
    "FN": "#D55E00",
    "TN": "#56B4E9",
    "FP": "#E69F00",
    "flagged": "#CC79A7",
}
SHIFT_LINE = {"color": GREY, "width": 2.5, "dash": "6px,5px"}
EDGE = {"color": WHITE, "width": 1.5}  # of a marker
TEXT_SIZE = 13
DIGITS = 5  # of a share: a tenth of what a picture can show, a third of the text
SHARES = (-0.02, 1.03)  # what an axis of shares shows: marks at its ends are whole
# The sign of a locale's currency stands for that of per cent, which no locale of Plotly can change:
# `chart.js` and `svg.py` make it " %", as in every text (`words.numbers.percent`).
PERCENT, TENTHS = "$.0%", "$.1%"
TAG = re.compile(r"</?[bi]>")
TOOLBAR = 30  # pixels that the buttons at the upper right need, while the pointer is there
LETTER = 8  # pixels, of texts that margins are laid out for
RIGHT = 0.74  # labels of points further right stand left of them, inside the picture


def frame(height: int, top: int = 8, right: int = 12) -> Layout:
    """Layout of a figure without background, legend or title; all in pixels.

    `top` and `right` are margins: `TOOLBAR` at the top where lines reach the right edge.
    """
    return {
        "template": "none",
        "height": height,
        "margin": {"l": 8, "r": right, "t": top, "b": 8},
        "paper_bgcolor": NONE,
        "plot_bgcolor": NONE,
        "showlegend": False,
        "dragmode": "zoom",
    }


def share_axis(title: str) -> Layout:
    """An axis of shares from 0 to 1, in per cent."""
    return _axis(title) | {
        "range": list(SHARES),
        "tickformat": PERCENT,
        "nticks": 6,
        "gridcolor": GRID,
    }


def bare_axis(texts: Sequence[str]) -> Layout:
    """An axis of rows or columns, numbered from 0, with a text each; no lines, no zoom."""
    return _axis("") | {
        "tickvals": list(range(len(texts))),
        "ticktext": list(texts),
        "range": [-0.5, len(texts) - 0.5],
        "showgrid": False,
        "fixedrange": True,
    }


def _axis(title: str) -> Layout:
    return {
        "title": {"text": title, "font": {"size": TEXT_SIZE}, "standoff": 10},
        "zeroline": False,
        "automargin": True,
        "ticklen": 4,
        "tickcolor": NONE,
    }


def spot(x: float, y: float, radius: int, colour: str) -> Layout:
    """A round mark of a size in pixels, whatever the zoom."""
    sides = {"x0": -radius, "x1": radius, "y0": -radius, "y1": radius}
    return _mark(x, y, colour) | {"type": "circle"} | sides


def diamond(x: float, y: float, radius: int, colour: str) -> Layout:
    """A mark on its corner, of a size in pixels, whatever the zoom."""
    path = f"M {-radius} 0 L 0 {radius} L {radius} 0 L 0 {-radius} Z"
    return _mark(x, y, colour) | {"type": "path", "path": path}


def _mark(x: float, y: float, colour: str) -> Layout:
    return {
        "xsizemode": "pixel",
        "ysizemode": "pixel",
        "xanchor": x,
        "yanchor": y,
        "fillcolor": colour,
        "line": {"color": WHITE, "width": 2},
    }


def segment(x: tuple[float, float], y: tuple[float, float], **line: object) -> Layout:
    """A line between two points; `line` is its colour, width and dash."""
    return {"type": "line", "x0": x[0], "x1": x[1], "y0": y[0], "y1": y[1], "line": line}


def row_note(row: int | float, text: str, **more: object) -> Layout:
    """Text at the right edge of a chart of rows."""
    note = {"x": 1, "xref": "paper", "xanchor": "right", "y": row, "showarrow": False, "text": text}
    return note | more


def label(x: float, y: float, text: str, colour: str = "", *, side: str = "below") -> Layout:
    """Text beside a point: `below` it, `above` it, or at its height, `beside` it."""
    left = x > RIGHT and side != "beside"
    lift = {"below": -6, "above": 6, "beside": 0}[side]
    return {
        "x": x,
        "y": y,
        "text": text,
        "showarrow": False,
        "align": "left",
        "xanchor": "right" if left else "left",
        "yanchor": {"below": "top", "above": "bottom", "beside": "middle"}[side],
        "xshift": -10 if left else 10,
        "yshift": lift,
    } | ({"font": {"color": colour, "size": TEXT_SIZE}} if colour else {})


def pointer(x: float, y: float, right: int, up: int, text: str, colour: str) -> Layout:
    """Text whose nearer end is some pixels away from a point, with a thin line to it.

    It ends left of the point where `right` is negative; `up` is to the middle of its height; "" is
    the page's colour.
    """
    return {
        "x": x,
        "y": y,
        "ax": right,
        "ay": -up,
        "text": text,
        "showarrow": True,
        "arrowhead": 0,
        "arrowwidth": 1,
        "arrowcolor": colour or GREY,
        "xanchor": "left" if right > 0 else "right",
        "yanchor": "middle",
        "bgcolor": NONE,  # a ground would cut the curves
    } | ({"font": {"color": colour, "size": TEXT_SIZE}} if colour else {})


def pointers(
    named: Sequence[tuple[str, str]],
    curves: Sequence[Line],
    marks: Floats,
    axes: tuple[Range, Range],
    nameless: Sequence[Line] = (),
    height: int = HEIGHT,
) -> list[Layout]:
    """Texts of `(text, colour)` beside their curves, where no line, mark or other text comes.

    `axes` are the ranges of x and y; the rest is as in `place_names`, as values of these axes, all
    finite but in `nameless`.
    """
    if not named:
        return []
    (x0, x1), (y0, y1) = axes
    drawn = [(x[known], y[known]) for x, y in nameless if (known := np.isfinite(x + y)).any()]
    ours, others = (
        [((x - x0) / (x1 - x0), (y - y0) / (y1 - y0)) for x, y in lines]
        for lines in (curves, drawn)
    )
    shares = (marks - (x0, x0, y0)) / (x1 - x0, x1 - x0, y1 - y0)
    letters = [len(unescape(TAG.sub("", text))) for text, _ in named]
    places = place_names(letters, ours, shares, others, height)
    return [
        pointer(x0 + at.x * (x1 - x0), y0 + at.y * (y1 - y0), at.right, at.up, text, colour)
        for (text, colour), at in zip(named, places, strict=True)
    ]


def tracks(layouts: Sequence[Layout]) -> dict[str, list[Any]]:
    """What differs between layouts of the same pieces: path of a value → the value in each.

    >>> tracks([{"shapes": [{"x": 1, "y": 0}]}, {"shapes": [{"x": 2, "y": 0}]}])
    {'shapes.0.x': [1, 2]}
    """
    flat = [dict(_leaves(layout)) for layout in layouts]
    paths = flat[0] if flat else {}
    found = {path: [one[path] for one in flat] for path in paths}
    return {path: all_ for path, all_ in found.items() if any(v != all_[0] for v in all_)}


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON
    """Each value of nested JSON with its path, `shapes.0.x`."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for name, part in inner:
        here = f"{path}.{name}".removeprefix(".")
        if isinstance(part, dict | list):
            yield from _leaves(part, here)
        else:
            yield here, part


def shortened(text: str, length: int = 24) -> str:
    """Text cut in the middle, where names of kinds differ least."""
    half = (length - 1) // 2
    return text if len(text) <= length else f"{text[:half]}…{text[-half:]}"
