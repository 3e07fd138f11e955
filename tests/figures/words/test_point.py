"""An operating point in words."""

import re

import pytest

from trust_core.decision.operating_point import FlagCounts
from trust_core.figures.words import point
from trust_core.figures.words.point import counts_table, sides_sentence


def test_the_table_tells_the_rival_where_there_is_one() -> None:
    assert "by the lowered threshold instead" in counts_table(FlagCounts(87, 1204, 66, 74, 121))
    assert "instead" not in counts_table(FlagCounts(0, 3, 0, 3, None))


def test_sides_name_only_what_changed() -> None:
    assert sides_sentence((2, 12), (0, 0)) == "newly flagged: 2 missed defects, 12 good parts"
    told = "newly flagged: 3 good parts; no longer flagged: 1 missed defect"
    assert sides_sentence((0, 3), (1, 0)) == told
    assert sides_sentence((0, 0), (0, 0)) == ""


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ((0, 9, 0, 2, 0), "The detector calls 9 parts good. None of them is a defect."),
        (
            (1, 9, 1, 0, 1),
            "The detector calls 10 parts good. 1 of them is a defect it missed. "
            "Re-inspecting the most suspicious part would catch it.",
        ),
        (
            (87, 1117, 0, 0, 0),
            "The detector calls 1,204 parts good. 87 of them are defects it missed. "
            "None is sent to re-inspection yet.",
        ),
        (
            (87, 1117, 0, 5, 0),
            "The detector calls 1,204 parts good. 87 of them are defects it missed. "
            "Re-inspecting the 5 most suspicious parts would catch none of the 87.",
        ),
        (
            (87, 1117, 87, 1013, 0),
            "The detector calls 1,204 parts good. 87 of them are defects it missed. "
            "Re-inspecting the 1,100 most suspicious parts would catch all 87.",
        ),
    ],
)
def test_sentences(counts: tuple[int, int, int, int, int], sentence: str):
    assert point.finding_sentence(FlagCounts(*counts)) == sentence


def test_bars_tell_the_counts_and_no_bar_is_drawn_when_nothing_was_missed():
    bars = point.finding_bars(FlagCounts(87, 1117, 66, 8, 54), "iou_difference")
    assert "✕ 21 still overlooked" in bars
    assert "Good parts re-inspected for that" in bars
    assert re.findall(r"<td>(\d+)</td>", bars) == ["8", "54"]
    assert point.finding_bars(FlagCounts(0, 9, 0, 2, None), "iou_difference") == ""


@pytest.mark.parametrize(
    ("indicator", "name"),
    [("p_defect", "Lowering the threshold"), ("iou_difference", "Second Look")],
)
def test_without_a_comparison_one_bar_stands_alone(indicator: str, name: str):
    bars = point.finding_bars(FlagCounts(9, 99, 0, 2, None), indicator)
    assert re.findall(r'<th scope="row">([^<]+)', bars) == [name]


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
    assert told.removeprefix("Just lowering the decision threshold ") == says
