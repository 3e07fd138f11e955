"""Figures as SVG: what stands where, in numbers worked out by hand."""

import re
from xml.etree import ElementTree as Xml

import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trust_core.figures.elements import frame, label, share_axis, spot
from trust_core.figures.svg import svg, ticks, tip
from trust_core.figures.tradeoff import kind_bars


def line(**more: object) -> go.Figure:
    axes = {"range": [0, 1], "visible": False}
    margin = {"l": 0, "r": 0, "t": 0, "b": 0}
    layout = frame(100) | {"xaxis": axes, "yaxis": axes, "margin": margin}
    return go.Figure([go.Scatter(x=[0, 0.5, None, 1], y=[0, 1, None, 1], **more)], layout)


def test_points_lie_where_their_values_are() -> None:
    drawn = svg(line(mode="lines"), 210, "a line")
    # 10 pixels are kept for the texts of the axis: x runs from 10 to 210, y from 100 up to 0.
    assert 'd="M10.0 100.0 L110.0 0.0 M210.0 0.0"' in drawn
    assert 'aria-label="a line"' in drawn


def test_hover_texts_are_read() -> None:
    figure = line(
        mode="lines+markers",
        customdata=[(0.25, 1200), (0.5, 3), (0, 0), (None, 4)],
        hovertemplate="%{customdata[1]:,d} parts<br>%{x:$.1%} at %{customdata[0]:.4~g}"
        "<extra></extra>",
    )
    tips = re.findall(r'data-tip="([^"]*)"', svg(figure, 200, "x"))
    assert tips == [
        "1,200 parts\n0.0\N{NO-BREAK SPACE}% at 0.25",
        "3 parts\n50.0\N{NO-BREAK SPACE}% at 0.5",
        "4 parts\n100.0\N{NO-BREAK SPACE}% at –",
    ]


def test_formats_are_those_of_d3() -> None:
    values = {"x": -0.5, "y": 1234.5, "customdata": ["a<b", 2.0]}
    assert tip("%{x:+.1f} %{y:,.0f} %{customdata[0]} %{customdata[1]:~g}", values) == (
        "−0.5 1,234 a<b 2"
    )


def test_marks_are_in_pixels_and_texts_beside_them() -> None:
    marks = {
        "shapes": [spot(0.5, 1, 8, "#123456")],
        "annotations": [label(0.5, 1, "<b>A&lt;B</b>")],
    }
    drawn = Xml.fromstring(svg(line(mode="lines"), 210, "x", marks))
    circle = next(e for e in drawn if e.tag == "circle" and e.get("fill") == "#123456")
    assert (circle.get("cx"), circle.get("cy"), circle.get("r")) == ("110.0", "0.0", "8")
    text = next(e for e in drawn if e.text == "A<B")
    assert (text.get("x"), text.get("text-anchor")) == ("120.0", "start")
    assert text.get("font-weight")


def test_bars_stand_one_after_the_other() -> None:
    drawn = Xml.fromstring(svg(kind_bars([("crack", 3, 4), ("pit", 0, 2)]), 600, "x"))
    bars = [e for e in drawn if e.tag == "rect"]
    ends = [(float(e.get("x", "")), float(e.get("width", ""))) for e in bars]
    assert len(bars) == 3  # an empty bar is none
    (start, caught), (after, missed), (pit, lost) = ends
    assert after == pytest.approx(start + caught, abs=0.2)
    assert caught == pytest.approx(3 * missed, abs=0.3)
    assert lost == pytest.approx(2 * missed, abs=0.3)
    assert pit == start


def test_axes_have_texts() -> None:
    layout = frame(200) | {"xaxis": share_axis("Lost"), "yaxis": share_axis("Caught")}
    drawn = svg(go.Figure([go.Scatter(x=[0, 1], y=[0, 1])], layout), 400, "x")
    for text in ("Lost", "Caught", "0\N{NO-BREAK SPACE}%", "100\N{NO-BREAK SPACE}%"):
        assert f">{text}</text>" in drawn


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 12))
def test_ticks_lie_inside_and_are_even(low: float, span: float, most: int) -> None:
    found = ticks(low, low + span, most)
    assert 1 <= len(found) <= most + 1 or span < 1e-9 * abs(low)
    slack = 1e-6 * span + 1e-9 * abs(low)
    assert all(low - slack <= value <= low + span + slack for value in found)
