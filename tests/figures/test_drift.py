"""The chart of the evidence: what lies where."""

from trust_core.figures.drift import LEAST, evidence_chart


def test_the_limit_and_the_call_are_marked() -> None:
    figure = evidence_chart([(1, 0.001), (50, 3.0), (90, 400.0)], 20, 72)
    assert list(figure.data[0].y) == [LEAST, 3.0, 400.0]
    limit, called = figure.layout.shapes
    assert (limit.y0, limit.y1, limit.x1) == (20, 20, 90)
    assert (called.x0, called.x1) == (72, 72)
    assert [note.text for note in figure.layout.annotations] == ["20 calls it", "called at 72"]
    assert figure.layout.yaxis.range[1] > 2.6  # 400 lies inside


def test_without_a_call_only_the_limit_stands() -> None:
    figure = evidence_chart([(1, 1.0)], 20, None)
    assert len(figure.layout.shapes) == 1
    assert figure.layout.yaxis.range[1] > 1.3
