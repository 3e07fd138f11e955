"""The operating point in the URL."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import url_state
from dashboard.decide.requirements import read_requirements
from dashboard.localization.url_state import mask_threshold
from dashboard.parts.url_state import read_filters
from tests.fakes import Part, passed_parts, write_fake_audit
from trust_core.decision.journal import append, decide
from trust_core.decision.localization.audit_masks import Contradiction
from trust_core.decision.operating_point import OperatingPoint
from trust_core.storage.audit_files import Audit

MISSED = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05]
GOOD = [0.65, 0.05, 0.0]
DEFAULT = OperatingPoint(
    "iou_difference", 0.0, 0.1, "tune"
)  # 9 of 10 missed defects score at least 0.1


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return write_fake_audit(tmp_path / "demo", passed_parts(MISSED, GOOD))


@pytest.fixture
def query(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Stands in for the URL."""
    parameters: dict[str, str] = {}
    monkeypatch.setattr(st, "query_params", parameters)
    return parameters


def test_default_catches_nine_tenths_of_the_missed_defects(audit: Audit, query: dict[str, str]):
    assert url_state.read_point(audit) == DEFAULT


def test_the_url_names_the_point(audit: Audit, query: dict[str, str]):
    query |= {"ind": "log_odds", "eps": "4", "tau": "-1.5", "role": "all"}
    assert url_state.read_point(audit) == OperatingPoint("log_odds", 4.0, -1.5, "all")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ind", "nothing"),
        ("ind", ""),
        ("eps", "3"),
        ("eps", "nan"),
        ("eps", "<script>"),
        ("tau", "inf"),
        ("tau", "nan"),
        ("tau", ""),
        ("role", "train"),
        ("role", "x"),
    ],
)
def test_a_value_that_means_nothing_is_passed_over(
    audit: Audit, query: dict[str, str], key: str, value: str
):
    query[key] = value
    assert url_state.read_point(audit) == DEFAULT


def test_the_last_noted_point_is_the_default(audit: Audit, query: dict[str, str]):
    decide(audit, "iou_difference", 0.33, 1.0, "first")
    decide(audit, "iou_difference", 0.44, 4.0, "second thoughts")
    append(audit, "label_disputed", sample_id="x")
    assert url_state.read_point(audit) == OperatingPoint("iou_difference", 4.0, 0.44, "tune")
    query["eps"] = "0"
    assert url_state.read_point(audit) == DEFAULT  # a τ of another strength would mean nothing


@pytest.mark.parametrize(
    "entry",
    [
        {"audit": "other-table-half"},
        {"threshold": "x"},
        {"threshold": None},
        {"indicator": ["gone"]},
        {"strength": 3},
    ],
)
def test_a_noted_point_of_other_scores_is_passed_over(
    audit: Audit, query: dict[str, str], entry: dict[str, object]
):
    noted = {"what": "operating_point", "audit": audit.id, "indicator": "iou_difference"}
    noted |= {"threshold": 0.33, "strength": 1.0} | entry
    with (audit.folder / "decisions.jsonl").open("a") as journal:
        journal.write(json.dumps(noted) + "\n")
    assert url_state.read_point(audit) == DEFAULT


def test_a_corrected_label_keeps_the_noted_point(audit: Audit, query: dict[str, str]):
    decide(audit, "iou_difference", 0.33, 1.0, "good")
    corrected = replace(audit, manifest=replace(audit.manifest, table="another"))
    assert url_state.read_point(corrected).threshold == 0.33


@pytest.mark.parametrize(
    ("parts", "threshold"),
    [
        (passed_parts([], [0.3, 0.2]), 0.3),  # nothing is missed: flag as few as can be
        (passed_parts([float("nan")], [0.3]), 0.0),  # +∞ catches it; 0 flags what 0.3 flags
        ([Part(True, 0.9, (0.1,))], 0.0),  # nothing is passed
    ],
)
def test_the_default_threshold_is_always_finite(
    tmp_path: Path, query: dict[str, str], parts: list[Part], threshold: float
):
    audit = write_fake_audit(tmp_path / "demo", parts)
    assert url_state.read_point(audit).threshold == threshold


def test_write_then_read(audit: Audit, query: dict[str, str]):
    point = OperatingPoint("log_odds_shift", 4.0, 0.1 + 0.2, "test")
    url_state.write_point(point)
    assert query == {"ind": "log_odds_shift", "eps": "4", "tau": str(0.1 + 0.2), "role": "test"}
    assert url_state.read_point(audit) == point


def test_only_what_changed_is_written():
    def script() -> None:
        from dashboard.url_state import write_point
        from trust_core.decision.operating_point import OperatingPoint

        write_point(OperatingPoint("iou_difference", 0.0, 0.5, "tune"))

    app = AppTest.from_function(script)
    app.query_params["tau"] = "0.5"
    app.query_params["part"] = "abc"
    assert not app.run().exception
    assert dict(app.query_params) == {
        "tau": "0.5",
        "part": "abc",
        "ind": "iou_difference",
        "eps": "0",
        "role": "tune",
    }


def test_links_keep_the_audit_and_the_point(query: dict[str, str]):
    query |= {"audit": "a b&c", "eps": "1", "tau": "0.3", "part": "x", "page": "2"}
    assert url_state.link_query(show="flagged", tau=0.25, kind=None) == {
        "audit": "a b&c",
        "eps": "1",
        "tau": "0.25",
        "show": "flagged",
    }


def test_another_audit_starts_at_its_own_point(query: dict[str, str]):
    query |= {"audit": "demo", "eps": "1", "tau": "0.3"}
    assert url_state.link_query(audit="other") == {"audit": "other"}
    assert url_state.link_query(audit=None) == {"eps": "1", "tau": "0.3"}


@pytest.mark.parametrize("text", ["inf", "-inf", "nan", "1e999", "x", ""])
def test_no_page_takes_a_number_that_is_none(audit: Audit, query: dict[str, str], text: str):
    query |= dict.fromkeys(("from", "fromeps", "tau", "eps", "mask", "area", "recall"), text)
    query["contra"] = "good_marked"
    point = url_state.read_point(audit)
    assert point == DEFAULT
    filters = read_filters(audit, point)
    assert filters.before is None
    assert filters.contra is None
    query["mask"] = "0.5"
    assert read_filters(audit, point).contra == Contradiction("good_marked", 0.5, 0.0)
    assert mask_threshold("beside") is None
    assert read_requirements().demand.recall == 0.95


def slider_page():
    import streamlit as st

    from dashboard.url_state import sync_widget

    sync_widget("level", float(st.query_params.get("level", 3)))
    st.slider("Level", 0.0, 9.0, key="level")
    st.query_params["level"] = st.session_state["level"]


def test_a_moved_slider_is_not_told_its_own_value():
    app = AppTest.from_function(slider_page).run()
    assert app.slider[0].value == 3
    assert app.slider[0].proto.set_value
    app.query_params["level"] = "5"  # as its callback writes it
    app.slider[0].set_value(5.0).run()
    assert app.slider[0].value == 5
    assert not app.slider[0].proto.set_value


def test_a_slider_follows_another_address():
    app = AppTest.from_function(slider_page).run()
    app.query_params["level"] = "7"
    app.run()
    assert app.slider[0].value == 7
    assert app.slider[0].proto.set_value
