"""What the grid shows, against the same worked out in pandas, image by image."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.fakes import Part, passed_parts, random_parts, write_fake_audit
from trust_core.decision.curves import roles_of
from trust_core.decision.indicators.registry import INDICATORS
from trust_core.decision.operating_point import FlagCounts, OperatingPoint
from trust_core.decision.part_filter import (
    ORDERS,
    PAGE_SIZE,
    SHOWN,
    Filters,
    GridPosition,
    count_parts,
    defect_kinds,
    grid_position,
    listed,
    page_of_parts,
    part_rows,
)
from trust_core.storage.audit_files import Audit

POINT = OperatingPoint("iou_difference", 1.0, 0.05, "tune")


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return write_fake_audit(tmp_path_factory.mktemp("parts") / "audit", random_parts(240))


def expected(
    audit: Audit, point: OperatingPoint, before: OperatingPoint | None = None
) -> pd.DataFrame:
    """Every image of the role, with its indicator and flags, by the functions of the core."""
    samples = audit.query("SELECT * FROM samples ORDER BY sample_id")
    samples = samples[samples["role"].isin(roles_of(point.role))]
    passed = audit.passed(roles_of(point.role))

    def indicator(at: OperatingPoint) -> pd.Series:
        by_strength = (passed[passed["strength"] == e].reset_index() for e in (at.strength, 0.0))
        enhanced, clean = by_strength
        scores = pd.Series(INDICATORS[at.indicator](enhanced, clean), enhanced["sample_id"])
        return samples["sample_id"].map(scores)

    table = samples.assign(indicator=indicator(point))
    table["passed"] = table["outcome"].isin(["FN", "TN"])
    table["suspicion"] = table["indicator"].fillna(np.inf)
    table["flagged"] = table["passed"] & (table["suspicion"] >= point.threshold)
    before = before or point
    table["before"] = table["passed"] & (indicator(before).fillna(np.inf) >= before.threshold)
    return table


BRUTE = {
    "all": lambda t: t["sample_id"] != "",
    "fn": lambda t: t["outcome"] == "FN",
    "overlooked": lambda t: (t["outcome"] == "FN") & ~t["flagged"],
    "flagged": lambda t: t["flagged"],
    "tn": lambda t: t["outcome"] == "TN",
    "tp": lambda t: t["outcome"] == "TP",
    "fp": lambda t: t["outcome"] == "FP",
    "unscored": lambda t: t["status"] != "scored",
    "changed": lambda t: t["flagged"] != t["before"],
}


def every_page(audit: Audit, point: OperatingPoint, filters: Filters) -> pd.DataFrame:
    pages = [page_of_parts(audit, point, filters, 1)]
    while len(pages[-1]) == PAGE_SIZE:
        pages.append(page_of_parts(audit, point, filters, len(pages) + 1))
    return pd.concat(pages, ignore_index=True)


def test_every_choice_is_held_to_pandas():
    assert set(BRUTE) == set(SHOWN)


@pytest.mark.parametrize("indicator", INDICATORS)
@pytest.mark.parametrize("strength", [0.0, 4.0])
def test_indicator_and_flag_are_those_of_the_core(audit: Audit, indicator: str, strength: float):
    values = expected(audit, OperatingPoint(indicator, strength, 0.0, "all"))
    middle = float(values["indicator"].median())  # of a score itself: ≥ has to hold with equality
    point = OperatingPoint(indicator, strength, middle, "all")
    want = expected(audit, point).set_index("sample_id")
    have = every_page(audit, point, Filters()).set_index("sample_id").loc[want.index]
    assert want["flagged"].any()
    pd.testing.assert_series_equal(have["flagged"], want["flagged"])
    pd.testing.assert_series_equal(have["indicator"], want["indicator"])


@pytest.mark.parametrize("show", SHOWN)
@pytest.mark.parametrize("role", ["tune", "test", "all"])
def test_what_is_shown_is_what_pandas_finds(audit: Audit, show: str, role: str):
    point, before = replace(POINT, role=role), replace(POINT, threshold=0.2)
    filters = Filters(show, before=before)
    table = expected(audit, point, before)
    want = table[BRUTE[show](table)]
    found = every_page(audit, point, filters)
    assert sorted(found["sample_id"]) == sorted(want["sample_id"])
    assert count_parts(audit, point, filters).shown[show] == len(want)
    assert sorted(listed(audit, point, filters)["path"]) == sorted(want["path"])


@pytest.mark.parametrize("other", [{"strength": 4.0}, {"indicator": "p_defect"}])
def test_what_changes_side_also_between_strengths_and_indicators(
    audit: Audit, other: dict[str, Any]
):
    before = replace(POINT, **other)
    table = expected(audit, POINT, before)
    want = table[BRUTE["changed"](table)]
    assert len(want)
    found = every_page(audit, POINT, Filters("changed", before=before))
    assert sorted(found["sample_id"]) == sorted(want["sample_id"])


@pytest.mark.parametrize("sort", ORDERS)
def test_order_is_total_and_pages_join_without_gap(audit: Audit, sort: str):
    found = every_page(audit, POINT, Filters(sort=sort))
    assert found["sample_id"].is_unique
    assert len(found) > 2 * PAGE_SIZE
    table = expected(audit, POINT)
    keys = {
        "suspicious": (["passed", "suspicion", "sample_id"], [False, False, True]),
        "trusted": (["passed", "suspicion", "sample_id"], [False, True, True]),
        "likely": (["p_defect", "sample_id"], [False, True]),
        "unlikely": (["p_defect", "sample_id"], [True, True]),
        "path": (["path"], [True]),
    }
    by, ascending = keys[sort]
    want = table.sort_values(by, ascending=ascending, na_position="last")
    assert found["sample_id"].tolist() == want["sample_id"].tolist()


def test_kind_group_and_search_narrow_together(audit: Audit):
    tune = audit.query("SELECT kind FROM samples WHERE role = 'tune'")["kind"]
    assert defect_kinds(audit, "tune") == sorted(set(tune) - {""})
    found = every_page(audit, POINT, Filters(kind="pit"))
    assert set(found["kind"]) == {"pit"}
    assert len(found) == (tune == "pit").sum() > 1
    group = found["group"].iloc[0]
    assert set(every_page(audit, POINT, Filters(group=group))["group"]) == {group}
    assert set(every_page(audit, POINT, Filters(search=group.upper()))["group"]) == {group}
    only = found["path"].iloc[0]
    assert every_page(audit, POINT, Filters(kind="pit", search=only))["path"].tolist() == [only]


@pytest.mark.parametrize("text", ["'; DROP TABLE samples; --", "%", "_", "\\", '"', "{order}"])
def test_what_a_reader_types_is_only_text(audit: Audit, text: str):
    for filters in (Filters(search=text), Filters(kind=text), Filters(group=text)):
        found = page_of_parts(audit, POINT, filters, 1)
        assert all(text in path for path in found["path"])
        assert count_parts(audit, POINT, filters).shown["all"] == len(found)


def test_unscored_parts_are_flagged_and_come_first(tmp_path: Path):
    parts = passed_parts([math.nan, 0.4], [0.3, -0.2])
    audit = write_fake_audit(tmp_path / "audit", parts)
    found = page_of_parts(audit, OperatingPoint("iou_difference", 0.0, 9.0, "tune"), Filters(), 1)
    assert found["flagged"].tolist() == [True, False, False, False]
    assert math.isnan(found["indicator"].iloc[0])
    assert found["indicator"].tolist()[1:] == pytest.approx([0.4, 0.3, -0.2])


def test_parts_that_were_not_passed_are_never_flagged(tmp_path: Path):
    parts = [Part(True, 0.9, (0.8,)), Part(False, 0.8, (0.8,)), *passed_parts([0.1], [])]
    audit = write_fake_audit(tmp_path / "audit", parts)
    found = page_of_parts(audit, OperatingPoint("iou_difference", 0.0, -1.0, "tune"), Filters(), 1)
    flags = dict(zip(found["outcome"], found["flagged"], strict=True))
    assert flags == {"FN": True, "TP": False, "FP": False}


def test_changed_side_tells_both_ways(tmp_path: Path):
    audit = write_fake_audit(tmp_path / "audit", passed_parts([0.5, 0.3], [0.35, 0.1]))
    lower = count_parts(
        audit,
        OperatingPoint("iou_difference", 0.0, 0.2, "tune"),
        Filters(before=replace(POINT, strength=0.0, threshold=0.4)),
    )
    assert lower.shown["changed"] == 2
    assert (lower.gained_fn, lower.gained_tn, lower.lost_fn, lower.lost_tn) == (1, 1, 0, 0)
    assert lower.flags == FlagCounts(2, 2, 2, 1)
    higher = count_parts(
        audit,
        OperatingPoint("iou_difference", 0.0, 0.4, "tune"),
        Filters(before=replace(POINT, strength=0.0, threshold=0.2)),
    )
    assert (higher.gained_fn, higher.gained_tn, higher.lost_fn, higher.lost_tn) == (0, 0, 1, 1)
    nothing = count_parts(audit, OperatingPoint("iou_difference", 0.0, 0.4, "tune"), Filters())
    assert nothing.shown["changed"] == 0


def test_neighbours_follow_the_order_of_the_grid(audit: Audit):
    filters = Filters("tn", sort="likely")
    ids = every_page(audit, POINT, filters)["sample_id"].tolist()
    assert len(ids) > PAGE_SIZE + 1
    for index in (0, 1, PAGE_SIZE - 1, PAGE_SIZE, len(ids) - 1):
        before = ids[index - 1] if index else None
        after = ids[index + 1] if index + 1 < len(ids) else None
        assert grid_position(audit, POINT, filters, ids[index]) == GridPosition(
            index + 1, len(ids), before, after
        )


def test_a_part_the_filters_leave_out_has_no_place(audit: Audit):
    missed = page_of_parts(audit, POINT, Filters("fn"), 1)["sample_id"].iloc[0]
    assert grid_position(audit, POINT, Filters("tn"), missed) == GridPosition(0, 0, None, None)


def test_one_part_comes_with_its_group_and_all_strengths(audit: Audit):
    row = page_of_parts(audit, POINT, Filters("fn"), 1).iloc[0]
    photos, scores = part_rows(audit, POINT, row["sample_id"])
    want = audit.query('SELECT path FROM samples WHERE "group" = $1 ORDER BY path', [row["group"]])
    assert photos["path"].tolist() == want["path"].tolist()
    assert len(photos) == 2
    mine = photos[photos["sample_id"] == row["sample_id"]].iloc[0]
    pd.testing.assert_series_equal(mine, row, check_names=False)
    assert scores["strength"].tolist() == [0.0, 1.0, 4.0]
    caught = page_of_parts(audit, POINT, Filters("tp"), 1)["sample_id"].iloc[0]
    assert part_rows(audit, POINT, caught)[1]["strength"].tolist() == [0.0]


def test_an_unknown_part_is_no_part(audit: Audit):
    photos, scores = part_rows(audit, POINT, "0000000000000000")
    assert photos.empty
    assert scores.empty
