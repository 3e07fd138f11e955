"""Figures of localization: what they show is what they were given."""

import numpy as np

from trust_core.decision.localization.metrics import SIZES, THRESHOLDS, Masks, SizeClass, localize
from trust_core.figures import localization as figures


def masks() -> Masks:
    predicted = np.array([5, 0, 40, 600, 9, 0])
    overlap = np.array([4, 0, 30, 500, 0, 0])
    true = np.array([5, 6, 50, 900, 0, 0])
    codes = np.arange(6)
    return Masks(predicted, overlap, true, np.full(6, 10_000), true > 0, codes)


def texts(figure) -> list[str]:
    return [note.text for note in figure.layout.annotations]


def test_recall_by_size_with_its_counts_and_intervals() -> None:
    rows = localize(masks()).by_size
    figure = figures.recall_by_size(rows, strict=False)
    assert texts(figure) == ["1 of 2", "1 of 1", "1 of 1", "none here"]
    marks = figure.data[-1]
    assert list(marks.x) == [0.5, 1.0, 1.0]
    assert list(marks.y) == [0, 1, 2]
    assert [tuple(line.x) for line in figure.data[:-1]] == [r.seg_recall.interval for r in rows[:3]]
    assert "<b>Tiny</b><br>under 0.1 % of the photo" in figure.layout.yaxis.ticktext
    assert len(figure.layout.yaxis.ticktext) == len(SIZES)


def test_strict_recall_is_that_of_touching_masks() -> None:
    rows = [
        SizeClass(row.name, row.seg_recall, rows_strict, row.iou)
        for row, rows_strict in zip(
            localize(masks()).by_size,
            [row.seg_recall for row in reversed(localize(masks()).by_size)],
            strict=True,
        )
    ]
    assert texts(figures.recall_by_size(rows, strict=True)) == [
        "none here",
        "1 of 1",
        "1 of 1",
        "1 of 2",
    ]


def test_a_click_on_a_line_carries_its_threshold() -> None:
    at = THRESHOLDS[::9]
    falling = np.linspace(1, 0, len(at))
    values = dict.fromkeys(figures.LINES, falling)
    figure = figures.metrics_by_threshold(values, at)
    assert len(figure.data) == len(figures.LINES)
    for line in figure.data:
        np.testing.assert_array_equal(np.asarray(line.customdata)[:, 0], at)
        np.testing.assert_array_equal(line.y, falling)
    places = [note.y for note in figure.layout.annotations]
    assert min(np.diff(sorted(places))) >= figures.APART - 1e-9  # no name lies on another


def test_a_metric_that_is_nowhere_defined_has_no_line() -> None:
    at = THRESHOLDS[:3]
    values = {"seg_miou": np.full(3, np.nan), "false_alarms": np.array([1.0, 0.5, np.nan])}
    figure = figures.metrics_by_threshold(values, at)
    assert len(figure.data) == 1
    assert figure.layout.annotations[0].y == 0.5


def test_the_mark_moves_without_drawing_a_line_again() -> None:
    moved = figures.mark_threshold(0.37)
    assert moved["shapes"][0]["x0"] == moved["shapes"][0]["x1"] == 0.37
