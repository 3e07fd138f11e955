"""An operating point in words."""

from dashboard.tradeoff.words import counts_table, sides_sentence
from trust_core.decision.operating_point import FlagCounts


def test_the_table_tells_the_rival_where_there_is_one() -> None:
    assert "by the lowered threshold instead" in counts_table(FlagCounts(87, 1204, 66, 74, 121))
    assert "instead" not in counts_table(FlagCounts(0, 3, 0, 3, None))


def test_sides_name_only_what_changed() -> None:
    assert sides_sentence((2, 12), (0, 0)) == "newly flagged: 2 missed defects, 12 good parts"
    told = "newly flagged: 3 good parts; no longer flagged: 1 missed defect"
    assert sides_sentence((0, 3), (1, 0)) == told
    assert sides_sentence((0, 0), (0, 0)) == ""
