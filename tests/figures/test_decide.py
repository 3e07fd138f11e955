"""The charts of a decision."""

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from trust_core.decision.certificate import Demand
from trust_core.decision.verdict import GREEN, RED
from trust_core.figures import decide


def test_the_chart_of_indicators_tells_by_shape_and_colour_and_escapes() -> None:
    rows = [
        decide.Contender("Heading"),
        decide.Contender("<b>x</b>", GREEN, 0.1, 0.05, 0.2, "3 of 9", chosen=True),
        decide.Contender("y", RED, -0.1, -0.2, -0.05, "9 of 9"),
        decide.Contender("rival", difference=0.0, cost="5 of 9"),
    ]
    figure = decide.contenders(rows, "cost")
    marks = next(t for t in figure.data if t.customdata is not None)
    assert list(marks.marker.symbol) == ["triangle-up", "triangle-down"]
    assert len(set(marks.marker.color)) == 2
    assert [note.text for note in figure.layout.annotations[1:]] == [
        "<b>3 of 9</b>",
        "9 of 9",
        "5 of 9",
    ]
    layout = figure.to_plotly_json()["layout"]
    assert "<b>x" not in json.dumps(layout["yaxis"]["ticktext"])
    phone = layout["meta"]["narrow"]  # the same texts, above the marks
    texts = [note["text"] for note in phone["annotations"][1:]]
    assert texts == [*layout["yaxis"]["ticktext"], "<b>3 of 9</b>", "9 of 9", "5 of 9"]
    assert [note["y"] for note in phone["annotations"][1:5]] == [-0.5, 0.5, 1.5, 2.5]
    assert phone["yaxis"]["showticklabels"] is False
    go.Layout({name: part for name, part in layout.items() if name != "template"} | phone)


def test_the_chart_of_the_plan_marks_what_is_needed() -> None:
    figure = decide.provable_recall(Demand(0.95), 68)
    assert list(figure.data[-1].x) == [59, 93, 124]
    assert "<b>68</b> you have" in [note.text for note in figure.layout.annotations]
    first = figure.data[1]
    at = list(first.x).index(max(n for n in first.x if n <= 59))
    assert first.y[at] <= 0.9505


@pytest.mark.parametrize("have", [0, 1, 5000])
def test_the_chart_of_the_plan_stands_for_any_number(have: int) -> None:
    for demand in (Demand(0.5, 0.5), Demand(0.999, 0.999)):
        figure = decide.provable_recall(demand, have)
        assert figure.layout.xaxis.range[1] >= have


def test_costs_of_nothing_are_a_chart_without_a_mark() -> None:
    line = (np.full(3, np.nan), np.full(3, np.nan))
    for marks in ([], [decide.CostMark("Own", np.nan, np.nan)]):
        figure = decide.costs(line, line, marks)
        assert not figure.layout.annotations
        assert np.isfinite((*figure.layout.xaxis.range, *figure.layout.yaxis.range)).all()


def test_the_chart_of_costs_names_the_thresholds() -> None:
    line = (np.array([0.0, 50.0, 100.0]), np.array([0.4, 0.3, 0.9]))
    marks = [decide.CostMark("Cheapest", 50, 0.3), decide.CostMark("Own", 100, 0.9)]
    figure = decide.costs(line, line, marks)
    assert [note.text for note in figure.layout.annotations] == ["Cheapest", "Own"]
    assert figure.data[0].line.dash == "6px,5px"
    own = figure.layout.annotations[1]
    assert (own.x, own.y) == pytest.approx((100, 0.9))  # each at its point, the text away from it
    assert own.xanchor == "right"
    assert figure.layout.yaxis.range == pytest.approx((0, 1.05 * 0.9))
