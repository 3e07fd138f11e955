"""Figures: what they show is what the curves say."""

import copy
import json
from html import unescape

import numpy as np
import plotly.graph_objects as go
import pytest

from tests.decision.test_tradeoff import random_curve
from trust_core.decision.tradeoff import DRAWN_POINTS, curve
from trust_core.figures import tradeoff
from trust_core.figures.elements import (
    ACCENT,
    GREY,
    OUTCOME_COLOURS,
    shortened,
    tracks,
)
from trust_core.figures.tradeoff import (
    OTHER_POINTS,
    SHIFT_POINTS,
)

CURVES = {0.0: random_curve(80), 0.5: random_curve(80, 1, unscored=3), 4.0: random_curve(80, 2)}
SHIFT = random_curve(80, 3)


def traces(figure: go.Figure) -> dict[object, go.Scatter]:
    return {trace.meta: trace for trace in figure.data}


def test_every_curve_is_drawn_point_by_point_as_it_is() -> None:
    shown = traces(tradeoff.tradeoff_chart(CURVES, SHIFT, 0.5))
    assert set(shown) == {None, 0.0, 0.5, 4.0}
    for strength, points in {**CURVES, None: SHIFT}.items():
        trace = shown[strength]
        np.testing.assert_allclose(trace.x, points.tn_loss, atol=1e-5)
        np.testing.assert_allclose(trace.y, points.fn_recall, atol=1e-5)
        finite = points.thresholds[1:].tolist()
        assert [row[0] for row in trace.customdata] == [None, *finite]
        assert [row[1] for row in trace.customdata] == points.flagged_fn.tolist()
        assert [row[2] for row in trace.customdata] == points.flagged_tn.tolist()


def test_the_chosen_strength_stands_out_and_threshold_shift_is_grey_and_dashed() -> None:
    figure = tradeoff.tradeoff_chart(CURVES, SHIFT, 0.5)
    shown = traces(figure)
    assert figure.data[-1].meta == 0.5  # on top
    assert shown[0.5].line.width > shown[0.0].line.width
    assert len({shown[e].line.color for e in CURVES}) == len(CURVES)
    assert (shown[None].line.color, shown[None].line.dash) == (GREY, "6px,5px")
    assert all(shown[e].line.dash is None for e in CURVES)


def test_as_an_indicator_threshold_shift_is_the_only_line_and_can_be_clicked() -> None:
    (line,) = tradeoff.tradeoff_chart({0.0: SHIFT}, SHIFT, 0.0, shift_only=True).data
    assert line.line.dash
    assert line.meta == 0.0


def test_many_points_are_thinned_and_few_are_not() -> None:
    big = {e: random_curve(5000, int(e)) for e in (0.0, 1.0, 2.0)}
    figure = tradeoff.tradeoff_chart(big, random_curve(5000, 9), 1.0)
    lengths = [len(trace.x) for trace in figure.data]
    assert lengths[0] <= SHIFT_POINTS
    assert max(lengths[1:-1]) <= OTHER_POINTS
    assert OTHER_POINTS < lengths[-1] <= DRAWN_POINTS
    assert len(figure.to_json()) < 150_000


def test_the_mark_stands_on_the_point_and_the_rival_at_the_same_catch() -> None:
    points = curve(np.array([0.9, 0.7, 0.5, 0.3]), np.array([True, False, True, False]))
    shift = curve(np.array([0.1, 0.4, 0.2, 0.3]), np.array([True, False, True, False]))
    layout = tradeoff.mark_tradeoff(points, 0.6, shift)  # 1 of 2 caught, 1 of 2 re-inspected
    line, rival, own = layout["shapes"]
    assert (own["xanchor"], own["yanchor"], own["fillcolor"]) == (0.5, 0.5, ACCENT)
    assert (rival["xanchor"], rival["yanchor"], rival["fillcolor"]) == (1.0, 0.5, GREY)
    assert (line["x0"], line["x1"], line["y0"], line["y1"]) == (0.5, 1.0, 0.5, 0.5)
    go.Layout(layout)  # what Plotly does not know, it refuses


def test_what_the_slider_moves_is_the_same_as_marking_anew() -> None:
    points, stops = CURVES[0.5], [0.9, 0.4, 0.0, -2.0]
    layouts = [tradeoff.mark_tradeoff(points, stop, SHIFT) for stop in stops]
    found = tracks(layouts)
    assert found["shapes.2.xanchor"] == [one["shapes"][2]["xanchor"] for one in layouts]
    for stop, layout in enumerate(layouts):
        moved = copy.deepcopy(layouts[0])
        for path, values in found.items():
            kind, index, name = path.split(".")
            moved[kind][int(index)][name] = values[stop]
        assert moved == layout


def test_every_curve_has_a_name_of_its_colour_and_no_name_lies_on_another() -> None:
    figure = tradeoff.tradeoff_chart(CURVES, SHIFT, 0.5, other=("a <b>", random_curve(80, 7)))
    notes = figure.layout.annotations
    names = ["<b>ε 0.5</b>", "ε 0", "ε 4", "threshold shift", "a &lt;b&gt;"]
    assert [note.text for note in notes] == names
    shown = traces(figure)
    assert [note.font.color for note in notes[:3]] == [shown[e].line.color for e in (0.5, 0, 4)]
    assert [note.arrowcolor for note in notes[:3]] == [note.font.color for note in notes[:3]]
    go.Layout(annotations=notes)


@pytest.mark.parametrize("width", [250, 340, 600, 900])
def test_no_name_is_touched_by_a_line_or_by_a_mark_wherever_the_slider_stands(width: int) -> None:
    figure = tradeoff.tradeoff_chart(CURVES, SHIFT, 0.5, other=("a <b>", random_curve(80, 7)))
    lines = [on_screen(np.array(line.x), np.array(line.y), width) for line in figure.data]
    boxes = [box_of(note, width) for note in figure.layout.annotations]
    stops = CURVES[0.5].thresholds[1:].tolist()
    marks = [tradeoff.mark_tradeoff(CURVES[0.5], stop, SHIFT)["shapes"] for stop in stops]
    for between, rival, own in marks:
        ends = (np.array([between[f"{axis}{n}"] for n in (0, 1)]) for axis in "xy")
        lines.append(on_screen(*ends, width))
        for mark in (rival, own):
            x, y = on_screen(np.array([mark["xanchor"]]), np.array([mark["yanchor"]]), width)
            angle = np.linspace(0, 2 * np.pi, 40)
            lines.append((x + 9 * np.cos(angle), y + 9 * np.sin(angle)))
    for one, (left, right, bottom, top) in enumerate(boxes):
        assert 0 <= left < right <= width
        assert 0 <= bottom < top <= HEIGHT
        for x, y in lines:
            assert not ((x > left) & (x < right) & (y > bottom) & (y < top)).any()
        for low, high, foot, head in boxes[:one]:
            assert left >= high or right <= low or bottom >= head or top <= foot


HEIGHT = 384  # of the picture inside the axes, as a browser draws it


def on_screen(x: np.ndarray, y: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A line as points half a pixel from one another, on axes from -0.02 to 1.03."""
    x, y = (x + 0.02) / 1.05 * width, (y + 0.02) / 1.05 * HEIGHT
    way = np.concatenate(([0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))))
    at = np.arange(0, way[-1] + 0.5, 0.5)
    return np.interp(at, way, x), np.interp(at, way, y)


def box_of(note: go.layout.Annotation, width: int) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of a name, from its text and where it is to stand."""
    (x,), (y,) = on_screen(np.array([note.x]), np.array([note.y]), width)
    letters = len(unescape(note.text.replace("<b>", "").replace("</b>", "")))
    x, y, wide = x + note.ax, y - note.ay, 7 * letters
    left = x if note.xanchor == "left" else x - wide
    return left, left + wide, y - 8, y + 8


def test_curves_that_are_one_share_a_name() -> None:
    figure = tradeoff.tradeoff_chart({0.0: SHIFT, 1.0: SHIFT}, CURVES[0.0], 1.0)
    assert figure.layout.annotations[0].text == "<b>ε 0 to 1</b>"


def test_strengths_are_told_apart_on_white_and_on_black() -> None:
    colours = tradeoff.strength_colours((0, 0.1, 0.25, 0.5, 1, 2, 4, 8))
    assert len(set(colours.values())) == 8
    for colour in colours.values():
        channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(
            channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
        )
        light = float(linear @ (0.2126, 0.7152, 0.0722))
        assert 1.05 / (light + 0.05) >= 3  # of the WCAG, for marks
        assert (light + 0.05) / (0.0091 + 0.05) >= 3  # on #14181C


@pytest.mark.parametrize("missed", [True, False])
def test_without_missed_defects_or_good_parts_nothing_is_marked(missed: bool) -> None:
    points = curve(np.array([0.1, 0.2]), np.array([missed, missed]))
    assert tradeoff.mark_tradeoff(points, 0.2, points)["shapes"] == []
    figure = tradeoff.tradeoff_chart({0.0: points}, points, 0.0)
    assert json.loads(figure.to_json())["data"][0]["name"] == "decision threshold"


def test_bars_say_caught_and_still_missed_and_escape_names() -> None:
    figure = tradeoff.kind_bars([("<b>pit</b>", 3, 4), ("crack", 0, 2)])
    caught, missed = figure["data"]
    assert (caught["x"], missed["x"]) == ([3, 0], [1, 2])
    assert missed["marker"]["pattern"]["shape"] == "/"  # not by colour alone
    assert figure["layout"]["yaxis"]["ticktext"][0] == "&lt;b&gt;pit&lt;/b&gt;"
    assert [note["text"] for note in figure["layout"]["annotations"]] == ["3 of 4", "0 of 2"]
    go.Figure(figure)  # what Plotly does not know, it refuses


def test_outcome_colours_differ() -> None:
    assert len(set(OUTCOME_COLOURS.values())) == len(OUTCOME_COLOURS) == 5


def test_long_names_are_cut_in_the_middle() -> None:
    assert shortened("a" * 24) == "a" * 24
    cut = shortened("scratch_on_the_left_side_of_the_ring")
    assert cut == "scratch_on_…of_the_ring"
