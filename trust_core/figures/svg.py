"""A figure as SVG without a browser: for a document that is printed, mailed, or opened offline.

Draws what the figures of this package use of Plotly: lines, markers, stacked bars, shapes and
annotations. Every point carries its hover text as `data-tip`, for whoever opens it on a screen.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape, unescape
from typing import Any

import plotly.graph_objects as go

from trust_core.figures.elements import GRID, NONE, TEXT_SIZE

CHARACTER = 0.55  # width of a character, of the size of its font
LINE_HEIGHT = 1.25
TICK_SIZE = 12
MARKER_SIDES = {  # corners of a marker, of its radius
    "diamond": ((0, -1.2), (1.2, 0), (0, 1.2), (-1.2, 0)),
    "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "triangle-up": ((0, -1.1), (1.05, 0.8), (-1.05, 0.8)),
    "triangle-down": ((0, 1.1), (1.05, -0.8), (-1.05, -0.8)),
}
DASHES = {"dot": "2 4", "dash": "8 5"}
FIELD = re.compile(r"%\{([a-z]+)(?:\[(\d+)\])?(?::([^}]*))?\}")
TAG = re.compile(r"(</?[bi](?: [^>]*)?>|<br>)")

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Axis:
    """Values along one side of the picture, as pixels.

    `low` and `high` are the values at the pixels `start` and `end`.
    """

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    @property
    def least(self) -> float:
        """The smaller of the values at its ends."""
        return min(self.low, self.high)

    @property
    def most(self) -> float:
        """The larger of them."""
        return max(self.low, self.high)


def svg(figure: go.Figure | Record, width: int, alt: str, marks: Record | None = None) -> str:
    """A figure as an `<svg>` element.

    The height is the figure's. `marks` are shapes that take the place of its own,
    as `mark_tradeoff` gives them.
    """
    content = figure.to_plotly_json() if isinstance(figure, go.Figure) else figure
    layout: dict[str, Any] = content["layout"] | dict(marks or {})
    traces = _stacked([_plain(trace) for trace in content["data"]])
    height = layout["height"]
    x_ticks, y_ticks = (
        _ticks(layout.get(n, {}), _values(traces, n[0])) for n in ("xaxis", "yaxis")
    )
    x, y = _axes(layout, traces, width, y_ticks)
    marked = [_shape(shape, x, y) for shape in layout.get("shapes", ())]
    below = [text for text, s in zip(marked, layout.get("shapes", ()), strict=True) if _below(s)]
    above = [text for text in marked if text not in below]
    pieces = [
        *_x_axis(layout.get("xaxis", {}), x, y, x_ticks),
        *_y_axis(layout.get("yaxis", {}), x, y, y_ticks),
        *below,
        *(piece for trace in traces for piece in _trace(trace, x, y)),
        *above,
        *(_annotation(note, x, y, width) for note in layout.get("annotations", ())),
    ]
    return (
        f'<svg class="figure" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(alt)}">{"".join(pieces)}</svg>'
    )


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round values between two, at most about `most` of them, evenly spaced.

    >>> ticks(0, 1, 6)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    span = high - low
    if not span > 0:
        return [low]
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(n * step, 12) for n in range(first, last + 1)]


def tip(template: str, values: Mapping[str, Any]) -> str:
    """A hover text of Plotly as plain text, a line break for `<br>`.

    Args:
        template: with `%{x:.1%}` or `%{customdata[1]:,d}`; the formats of d3 are those of Python
            but for the tilde, which Python's `g` needs not.
        values: `x`, `y`, `customdata`.
    """

    def text(field: re.Match[str]) -> str:
        name, index, form = field.groups()
        value = values.get(name)
        if index is not None and isinstance(value, Sequence) and not isinstance(value, str):
            value = value[int(index)]
        return _formatted(value, form or "")

    plain = FIELD.sub(text, template.replace("<extra></extra>", "")).replace("<br>", "\n")
    return unescape(plain)


def _formatted(value: object, form: str) -> str:
    if value is None:
        return "–"
    if not isinstance(value, int | float) or not form:
        return str(value)
    if not math.isfinite(value):
        return "–"
    form = form.replace("~", "").removeprefix("$")  # of `elements.PERCENT`
    text = format(int(value) if form.endswith("d") else value, form)
    return text.replace("-", "−").replace("%", "\N{NO-BREAK SPACE}%")


def _plain(trace: dict[str, Any]) -> dict[str, Any]:
    """A trace whose coordinates are lists of numbers."""
    return trace | {
        name: [None if v is None else float(v) for v in trace[name]]
        for name in ("x", "y")
        if trace.get(name) is not None
    }


def _stacked(traces: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The traces, each bar beginning where those before it in its row end."""
    ends: dict[float, float] = {}
    found = []
    for trace in traces:
        if trace["type"] == "bar":
            base = [ends.get(row, 0.0) for row in trace["y"]]
            for row, start, length in zip(trace["y"], base, trace["x"], strict=True):
                ends[row] = start + length
            trace = trace | {"base": base}
        found.append(trace)
    return found


def _values(traces: Sequence[Record], name: str) -> list[float]:
    found = [v for trace in traces for v in trace.get(name) or () if v is not None]
    return [value for value in found if math.isfinite(value)]


def _range(axis: Record, values: Sequence[float]) -> tuple[float, float]:
    """The range of an axis, or one that holds all values."""
    if axis.get("range"):
        low, high = axis["range"]
        return float(low), float(high)
    low, high = min(values, default=0.0), max(values, default=1.0)
    if axis.get("rangemode") == "tozero":
        low, high = min(low, 0.0), max(high, 0.0)
    room = 0.05 * (high - low or 1.0)
    return (low if low == 0 else low - room), high + room


def _ticks(axis: Record, values: Sequence[float]) -> list[tuple[float, str]]:
    """Where an axis has a text, and the text."""
    if axis.get("visible") is False:
        return []
    if axis.get("tickvals") is not None:
        return list(zip(axis["tickvals"], axis["ticktext"], strict=True))
    low, high = _range(axis, values)
    form = axis.get("tickformat", "~g")
    found = ticks(min(low, high), max(low, high), axis.get("nticks", 6))
    return [(value, _formatted(value, form)) for value in found]


def _axes(
    layout: Record, traces: Sequence[Record], width: int, y_ticks: Sequence[tuple[float, str]]
) -> tuple[Axis, Axis]:
    x, y, margin = layout.get("xaxis", {}), layout.get("yaxis", {}), layout["margin"]
    longest = max((len(_bare(text)) for _, text in y_ticks), default=0)
    left = margin["l"] + longest * TICK_SIZE * CHARACTER + 10
    left += 22 if _title(y) else 0
    right = width - margin["r"]
    top, bottom = margin["t"], layout["height"] - margin["b"]
    bottom -= 0 if x.get("visible") is False else 22
    bottom -= 24 if _title(x) else 0
    start, end = x.get("domain", (0, 1))
    across = right - left
    return (
        Axis(*_range(x, _values(traces, "x")), left + start * across, left + end * across),
        Axis(*_range(y, _values(traces, "y")), bottom, top),
    )


def _title(axis: Record) -> str:
    return str(axis.get("title", {}).get("text") or "")


def _x_axis(axis: Record, x: Axis, y: Axis, marks: Sequence[tuple[float, str]]) -> Iterable[str]:
    for value, text in marks:
        if axis.get("showgrid", True):
            yield _line((x.at(value), y.start), (x.at(value), y.end), GRID)
        yield _text(x.at(value), y.start + 16, text, anchor="middle", size=TICK_SIZE)
    if title := _title(axis):
        yield _text((x.start + x.end) / 2, y.start + 38, title, anchor="middle")


def _y_axis(axis: Record, x: Axis, y: Axis, marks: Sequence[tuple[float, str]]) -> Iterable[str]:
    for value, text in marks:
        if axis.get("showgrid", True):
            yield _line((x.start, y.at(value)), (x.end, y.at(value)), GRID)
        yield _text(x.start - 8, y.at(value) + 4, text, anchor="end", size=TICK_SIZE)
    if title := _title(axis):
        middle = (y.start + y.end) / 2
        turned = f'transform="rotate(-90 14 {middle:.1f})"'
        yield _text(14, middle, title, anchor="middle", more=turned)


def _trace(trace: Record, x: Axis, y: Axis) -> Iterable[str]:
    if trace["type"] == "bar":
        yield from _bars(trace, x, y)
        return
    points = [
        (x.at(a), y.at(b)) if a is not None and b is not None else None
        for a, b in zip(trace.get("x") or (), trace.get("y") or (), strict=True)
    ]
    mode = trace.get("mode", "lines")
    if "lines" in mode:
        yield _path(points, trace)
    marker = trace.get("marker", {})
    for index, point in enumerate(points):
        if point is None:
            continue
        hover = "" if trace.get("hoverinfo") == "skip" else _tip_of(trace, index)
        shown = "markers" in mode and marker.get("opacity", 1) > 0
        if shown or hover:
            yield _marker(point, marker, index, hover, shown=shown)


def _tip_of(trace: Record, index: int) -> str:
    if "hovertemplate" not in trace:
        return ""
    custom = trace.get("customdata")
    values = {
        "x": trace["x"][index],
        "y": trace["y"][index],
        "customdata": None if custom is None else custom[index],
    }
    return tip(trace["hovertemplate"], values)


def _path(points: Sequence[tuple[float, float] | None], trace: Record) -> str:
    steps, pen = [], "M"
    for point in points:
        if point is None:
            pen = "M"
            continue
        steps.append(f"{pen}{point[0]:.1f} {point[1]:.1f}")
        pen = "L"
    line = trace.get("line", {})
    return (
        f'<path d="{" ".join(steps)}" fill="none" stroke="{line.get("color", "currentColor")}" '
        f'stroke-width="{line.get("width", 2)}" stroke-linejoin="round"'
        f' opacity="{trace.get("opacity", 1)}"{_dash(line)}/>'
    )


def _marker(
    point: tuple[float, float], marker: Record, index: int, hover: str, *, shown: bool
) -> str:
    told = f' data-tip="{escape(hover)}"' if hover else ""
    if not shown:
        return f'<circle cx="{point[0]:.1f}" cy="{point[1]:.1f}" r="4" fill="none"{told}/>'
    colour, symbol = (_nth(marker.get(name), index) for name in ("color", "symbol"))
    radius, edge = _nth(marker.get("size", 6), index) / 2, marker.get("line", {})
    style = (
        f'fill="{colour}" stroke="{edge.get("color", NONE)}" stroke-width="{edge.get("width", 0)}"'
    )
    if symbol not in MARKER_SIDES:
        centre = f'cx="{point[0]:.1f}" cy="{point[1]:.1f}"'
        return f'<circle {centre} r="{radius:g}" {style}{told}/>'
    corners = " ".join(
        f"{point[0] + radius * a:.1f},{point[1] + radius * b:.1f}" for a, b in MARKER_SIDES[symbol]
    )
    return f'<polygon points="{corners}" {style}{told}/>'


def _nth(value: Any, index: int) -> Any:  # noqa: ANN401 - one value for all, or one for each
    return value[index] if isinstance(value, list | tuple) else value


def _bars(trace: Record, x: Axis, y: Axis) -> Iterable[str]:
    """Horizontal bars; the second series of a stack begins where `base` says."""
    half = 0.36 * abs(y.at(1) - y.at(0))
    marker = trace["marker"]
    hatched = bool(marker.get("pattern", {}).get("shape"))
    for index, (length, row) in enumerate(zip(trace["x"], trace["y"], strict=True)):
        if not length:
            continue
        start = trace["base"][index]
        left, right, middle = x.at(start), x.at(start + length), y.at(row)
        hover = _tip_of(trace, index)
        fill = NONE if hatched else marker["color"]
        box = f'x="{left:.1f}" y="{middle - half:.1f}" height="{2 * half:.1f}"'
        told = f' data-tip="{escape(hover)}"' if hover else ""
        yield (
            f'<rect {box} width="{right - left:.1f}" fill="{fill}" stroke="{marker["color"]}" '
            f'pointer-events="all"{told}/>'
        )
        if hatched:
            yield from _hatching(left, right, middle, half, marker["color"])


def _hatching(left: float, right: float, middle: float, half: float, colour: str) -> Iterable[str]:
    """Diagonals inside a box, 6 pixels apart."""
    bottom = middle + half
    start = left - 2 * half + 6
    while start < right:
        low, high = max(start, left), min(start + 2 * half, right)
        yield _line((low, bottom - (low - start)), (high, bottom - (high - start)), colour)
        start += 6


def _below(shape: Record) -> bool:
    return shape.get("layer") == "below"


def _shape(shape: Record, x: Axis, y: Axis) -> str:
    line = shape.get("line", {})
    if shape["type"] == "line":
        ends = ((x.at(shape["x0"]), y.at(shape["y0"])), (x.at(shape["x1"]), y.at(shape["y1"])))
        return _line(*ends, line.get("color", "currentColor"), line)
    place = x.at(shape["xanchor"]), y.at(shape["yanchor"])
    fill = shape.get("fillcolor", NONE)
    style = (
        f'fill="{fill}" stroke="{line.get("color", NONE)}" stroke-width="{line.get("width", 0)}"'
    )
    if shape["type"] == "circle":
        radius = abs(shape["x1"] - shape["x0"]) / 2
        return f'<circle cx="{place[0]:.1f}" cy="{place[1]:.1f}" r="{radius:g}" {style}/>'
    return (
        f'<path transform="translate({place[0]:.1f} {place[1]:.1f})" d="{shape["path"]}" {style}/>'
    )


def _annotation(note: Record, x: Axis, y: Axis, width: int) -> str:
    """A text at a point, shifted by pixels as Plotly does: to the right, and up."""
    paper = note.get("xref") == "paper"
    left = width - 12 if paper else x.at(note["x"])
    anchor = {"left": "start", "right": "end"}.get(note.get("xanchor", ""), "middle")
    font = note.get("font", {})
    size = font.get("size", TEXT_SIZE)
    lines = note["text"].split("<br>")
    down = y.at(note["y"]) - note.get("yshift", 0)
    pointer = ""
    if note.get("showarrow"):
        end = left + note["ax"], down + note["ay"]
        pointer = _line((left, down), end, note["arrowcolor"])
        left, down = end[0] + math.copysign(3, note["ax"]), end[1]
    block = LINE_HEIGHT * size * len(lines)
    lift = {"top": 0.0, "bottom": block}.get(note.get("yanchor", "middle"), block / 2)
    first = down - lift + size
    return pointer + "".join(
        _text(left + note.get("xshift", 0), first + row * LINE_HEIGHT * size, text, anchor=anchor,
              size=size, colour=font.get("color", ""))
        for row, text in enumerate(lines)
    )  # fmt: skip


def _text(
    x: float,
    y: float,
    markup: str,
    *,
    anchor: str = "start",
    size: float = TEXT_SIZE,
    colour: str = "",
    more: str = "",
) -> str:
    """Text of Plotly, where only `<b>`, `<i>` and `<br>` are markup."""
    bold = 'font-weight="650"' if "<b>" in markup else ""
    slanted = 'font-style="italic"' if "<i" in markup else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="{anchor}" '
        f'fill="{colour or "currentColor"}" {bold} {slanted} {more}>{escape(_bare(markup))}</text>'
    )


def _bare(markup: str) -> str:
    """The text without its markup."""
    return unescape(TAG.sub("", markup))


def _line(
    start: tuple[float, float], end: tuple[float, float], colour: str, line: Record | None = None
) -> str:
    line = line or {}
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" '
        f'stroke="{colour}" stroke-width="{line.get("width", 1)}"{_dash(line)}/>'
    )


def _dash(line: Record) -> str:
    dash = str(line.get("dash") or "")
    pattern = DASHES.get(dash, dash.replace("px", "").replace(",", " "))
    return f' stroke-dasharray="{pattern}"' if pattern else ""
