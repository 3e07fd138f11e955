"""An operating point in words."""

import re
from dataclasses import replace

import pytest

from trust_core.decision.operating_point import FlagCounts, OperatingPoint
from trust_core.figures.words import point
from trust_core.figures.words.point import caught_html, counts_table, moving_numbers, sides_sentence


def test_the_table_tells_the_rival_where_there_is_one() -> None:
    counts = FlagCounts(87, 1204, 66, 74, 121)
    assert "by threshold shift for the same catch" in counts_table(counts, rival=True)
    assert "threshold shift" not in counts_table(counts, rival=False)


def test_every_number_that_moves_stands_under_its_name() -> None:
    counts = FlagCounts(12, 555, 11, 74, None)
    numbers = moving_numbers(counts)
    shown = counts_table(counts, rival=True) + caught_html(counts)
    assert set(re.findall(r'data-live="([a-z-]+)"', shown)) == set(numbers)
    for name, text in numbers.items():
        assert f'data-live="{name}">{text}</b>' in shown
    assert numbers == {
        "caught": "11", "caught-share": "92 %", "again": "74", "again-share": "13 %",
        "rival": "–", "rival-share": "–",
    }  # fmt: skip
    none = caught_html(FlagCounts(0, 5, 0, 2))
    assert none == (
        'no defect was missed; <b data-live="again">2</b> of <b>5</b> good photos re-inspected'
    )


def test_what_a_point_flags() -> None:
    overlap = OperatingPoint("iou_difference", 1.0, -0.25, "tune")
    assert point.rule(overlap) == "has an IoU difference of −0.25 or more at adversarial strength 1"
    assert point.rule(replace(overlap, indicator="knn", strength=0.0)) == (
        "scores −0.25 or more by distance to the nearest good parts"
    )


def test_sides_name_only_what_changed() -> None:
    assert sides_sentence((2, 12), (0, 0)) == "newly flagged: 2 missed photos, 12 good photos"
    told = "newly flagged: 3 good photos; no longer flagged: 1 missed photo"
    assert sides_sentence((0, 3), (1, 0)) == told
    assert sides_sentence((0, 0), (0, 0)) == ""


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ((12, 555, 11, 74), "11 of 12 missed photos caught; 74 of 555 good photos re-inspected"),
        ((0, 1555, 0, 74), "no defect was missed; 74 of 1,555 good photos re-inspected"),
        ((3, 0, 2, 0), "2 of 3 missed photos caught; no good photo was passed"),
    ],
)
def test_caught_sentence(counts: tuple[int, int, int, int], text: str):
    assert point.caught_sentence(FlagCounts(*counts)) == text


@pytest.mark.parametrize(
    ("shift_tn", "says"),
    [
        (121, "would re-inspect 121 good photos for the same catch, 47 more."),
        (74, "would re-inspect as many good photos for the same catch."),
        (70, "would re-inspect 70 good photos for the same catch, 4 fewer."),
        (None, ""),
    ],
)
def test_the_rival_in_words(shift_tn: int | None, says: str):
    told = point.shift_sentence(FlagCounts(87, 1204, 66, 74, shift_tn))
    assert told.removeprefix("Threshold shift ") == says
