"""An operating point in words."""

import pytest

from trust_core.decision.operating_point import FlagCounts
from trust_core.figures.words import point
from trust_core.figures.words.point import counts_table, sides_sentence


def test_the_table_tells_the_rival_where_there_is_one() -> None:
    assert "by threshold shift instead" in counts_table(FlagCounts(87, 1204, 66, 74, 121))
    assert "instead" not in counts_table(FlagCounts(0, 3, 0, 3, None))


def test_sides_name_only_what_changed() -> None:
    assert sides_sentence((2, 12), (0, 0)) == "newly flagged: 2 missed defects, 12 good parts"
    told = "newly flagged: 3 good parts; no longer flagged: 1 missed defect"
    assert sides_sentence((0, 3), (1, 0)) == told
    assert sides_sentence((0, 0), (0, 0)) == ""


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ((12, 555, 11, 74), "11 of 12 missed defects caught; 74 of 555 good parts re-inspected"),
        ((0, 1555, 0, 74), "no defect was missed; 74 of 1,555 good parts re-inspected"),
        ((3, 0, 2, 0), "2 of 3 missed defects caught; no good part was passed"),
    ],
)
def test_caught_sentence(counts: tuple[int, int, int, int], text: str):
    assert point.caught_sentence(FlagCounts(*counts)) == text


@pytest.mark.parametrize(
    ("shift_tn", "says"),
    [
        (121, "would re-inspect 121 good parts for the same catch, 47 more."),
        (74, "would re-inspect as many good parts for the same catch."),
        (70, "would re-inspect 70 good parts for the same catch, 4 fewer."),
        (None, ""),
    ],
)
def test_the_rival_in_words(shift_tn: int | None, says: str):
    told = point.shift_sentence(FlagCounts(87, 1204, 66, 74, shift_tn))
    assert told.removeprefix("Threshold shift ") == says
