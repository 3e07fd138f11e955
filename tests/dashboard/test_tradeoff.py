"""The Trade-off page: its words equal the report, its controls and its URL are one."""

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.dashboard.app import fine, open_page, query, texts
from tests.fakes import Part, passed_parts, random_parts, write_fake_audit
from trust_core.decision.curves import tradeoff
from trust_core.decision.journal import JOURNAL, decide, entries, open_seals
from trust_core.storage.audit_files import Audit

COUNTS = re.compile(r"(\d+) of (\d+) missed photos caught; (\d+) of (\d+) good photos")


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Audit:
    return workspace_with(tmp_path, monkeypatch, random_parts(400))


def workspace_with(folder: Path, patch: pytest.MonkeyPatch, parts: Sequence[Part]) -> Audit:
    patch.setenv("TRUST_CORE_WORKSPACE", str(folder))
    return write_fake_audit(folder / "mine", parts)


def opened(**query: str) -> AppTest:
    return open_page("tradeoff", **({"audit": "mine", "eps": "0"} | query))


def counts(app: AppTest) -> tuple[int, ...]:
    found = COUNTS.search(texts(app))
    assert found, texts(app)
    return tuple(map(int, found.groups()))


def told_by_report(audit: Audit, indicator: str, strength: float, tau: float) -> tuple[int, ...]:
    told = tradeoff(audit, indicator).as_json()
    points = next(c for c in told["curves"] if c["strength"] == strength)["points"]
    last = [p for p in points if p["threshold"] is None or p["threshold"] >= tau][-1]
    return last["flagged_fn"], told["counts"]["fn"], last["flagged_tn"], told["counts"]["tn"]


def test_it_opens_on_tune_at_a_point_that_catches_nine_in_ten(audit: Audit) -> None:
    caught, missed, _, _ = counts(opened())
    assert caught == math.ceil(0.9 * missed)


@pytest.mark.parametrize(
    ("indicator", "tau"), [("iou_difference", 0.1), ("log_odds", -1.5), ("p_defect", 0.1)]
)
@pytest.mark.parametrize("eps", ["0", "4"])
def test_its_counts_are_those_of_the_report(
    audit: Audit, indicator: str, tau: float, eps: str
) -> None:
    app = opened(ind=indicator, eps=eps, tau=str(tau))
    assert counts(app) == told_by_report(audit, indicator, float(eps), tau)


def test_the_slider_moves_the_counts_and_the_address(audit: Audit) -> None:
    app = opened()
    slider = app.select_slider("threshold")
    for text in (slider.options[0], slider.options[7], slider.options[-1]):
        tau = float(text.replace("−", "-"))
        fine(app.select_slider("threshold").set_value(tau).run())
        assert float(query(app, "tau")) == tau
        assert counts(app) == told_by_report(audit, "iou_difference", 0.0, tau)
    caught, missed, again, good = counts(app)
    assert (caught, again) == (missed, good)  # the last stop flags everything


def test_every_stop_of_the_slider_does_something(audit: Audit) -> None:
    app = opened()
    seen = []
    for text in app.select_slider("threshold").options[:12]:
        fine(app.select_slider("threshold").set_value(float(text.replace("−", "-"))).run())
        seen.append(counts(app))
    assert len(set(seen)) == 12


def test_the_strength_moves_too(audit: Audit) -> None:
    app = opened(tau="0.1")
    fine(app.select_slider("strength").set_value(4.0).run())
    assert (query(app, "eps"), query(app, "tau")) == ("4", "0.1")
    assert counts(app) == told_by_report(audit, "iou_difference", 4.0, 0.1)


def test_another_indicator_starts_at_its_own_threshold(audit: Audit) -> None:
    app = opened(tau="0.1")
    fine(app.selectbox("indicator").set_value("log_odds").run())
    assert query(app, "ind") == "log_odds"
    caught, missed, _, _ = counts(app)
    assert caught == math.ceil(0.9 * missed)


def test_the_rival_stands_beside(audit: Audit) -> None:
    app = opened(tau="0.1")
    caught, missed, again, _ = counts(app)
    shift = tradeoff(audit).as_json()["threshold_shift"]["points"]
    rival = next(p["flagged_tn"] for p in shift if p["flagged_fn"] >= caught)
    told = f"would re-inspect {rival} good photos for the same catch, {abs(rival - again)} "
    assert told in texts(app)
    home = texts(open_page(audit="mine", ind="iou_difference", eps="0", tau="0.1"))
    assert f"Looking again at {caught + again} of them by IoU difference" in home
    assert f"catches {caught} of {missed} " in home  # the same counts
    assert "would re-inspect" not in texts(opened(ind="p_defect"))
    assert 0 < caught < missed
    assert again != rival


def test_where_it_came_from_is_one_slide_and_parts_that_change_side_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace_with(tmp_path, monkeypatch, passed_parts([0.9, 0.5], [0.7, 0.3, 0.1]))
    app = opened(tau="0.9")
    assert "Move the threshold or the strength to see which photos change side." in texts(app)
    for tau in (0.7, 0.5):  # two steps of one slide
        stop = next(s for s in stops_of(app) if tau - 0.2 < s <= tau)
        fine(app.select_slider("threshold").set_value(stop).run())
    told = "Since τ 0.9, ε 0 – newly flagged: 1 missed photo, 1 good photo."
    assert told in texts(app)
    fine(app.select_slider("strength").set_value(1.0).run())
    assert "no photo changed side" in texts(app)


def stops_of(app: AppTest) -> list[float]:
    return [float(text.replace("−", "-")) for text in app.select_slider("threshold").options]


def test_a_sealed_role_is_opened_deliberately_and_logged_once(audit: Audit) -> None:
    app = opened(tau="0.1")
    fine(app.selectbox("role").set_value("test").run())
    assert not COUNTS.search(texts(app))
    assert not (audit.folder / JOURNAL).exists()
    fine(app.checkbox("seal-sure").check().run())
    fine(app.button("seal-open").click().run())
    told = tradeoff(audit, role="test").as_json()
    assert counts(app)[1::2] == (told["counts"]["fn"], told["counts"]["tn"])
    assert [(e["what"], e["role"]) for e in entries(audit)] == [("seal_opened", "test")]
    assert "test was opened" in texts(opened(role="test"))


def test_from_a_seal_one_can_turn_back(audit: Audit) -> None:
    app = opened(role="certify")
    back = next(b for b in app.button if b.label == "Back to the photos for choosing")
    fine(back.click().run())
    assert query(app, "role") == "tune"
    assert counts(app)
    assert not (audit.folder / JOURNAL).exists()


def test_a_point_is_kept_with_its_reason(audit: Audit) -> None:
    app = opened(tau="0.125", eps="1")
    app.text_input("why").set_value("six a shift")
    fine(keep_button(app).click().run())
    (entry,) = entries(audit)
    kept = {key: entry[key] for key in ("what", "indicator", "threshold", "strength", "why")}
    assert kept == {
        "what": "operating_point",
        "indicator": "iou_difference",
        "threshold": 0.125,
        "strength": 1.0,
        "why": "six a shift",
    }
    assert "Kept so far: IoU difference of 0.125 or more" in texts(app)


def test_without_a_reason_nothing_is_kept_and_the_page_says_so(audit: Audit) -> None:
    app = opened()
    fine(keep_button(app).click().run())
    assert "needs a reason" in texts(app)
    assert entries(audit) == []


def keep_button(app: AppTest):
    return next(b for b in app.button if b.label == "Keep this operating point")


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        (passed_parts([math.nan], [math.nan, math.nan]), "None of these photos has a score"),
        (passed_parts([], [0.1, 0.2]), "no defect was missed"),
        (passed_parts([0.1, 0.2], []), "no good photo was passed"),
        (passed_parts([0.5], [0.5]), "1 of 1 missed photo caught; 1 of 1 good photo"),
        ([Part(True, 0.9, (0.5,)), Part(False, 0.7, (0.5,))], "None of these photos has a score"),
    ],
)
def test_little_data_is_said_plainly(
    parts: list[Part], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace_with(tmp_path, monkeypatch, parts)
    assert says in texts(opened())


def test_kinds_are_escaped_in_the_chart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [Part(True, 0.1, (0.5,), kind="<img src=x>"), Part(False, 0.1, (0.2,))]
    workspace_with(tmp_path, monkeypatch, parts)
    charts = [e.proto for e in opened().get("bidi_component")]
    assert charts
    drawn = json.dumps([chart.json for chart in charts])
    assert "&lt;img" in drawn
    assert "<img" not in drawn


def test_a_move_reads_the_journal_at_most_once(
    audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(audit, "iou_difference", 0.25, 1.0, "a reason")
    app = opened()
    reads = []
    read = Path.read_bytes

    def counted(path: Path) -> bytes:
        reads.extend([path] * (path.name == JOURNAL))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", counted)
    for move, noted in enumerate((False, True, False)):
        if noted:  # by somebody else, meanwhile
            open_seals(audit, ["test"], "a look")
        reads.clear()
        stop = stops_of(app)[move]
        fine(app.select_slider("threshold").set_value(stop).run())
        assert float(query(app, "tau")) == stop
        assert len(reads) == noted


def test_what_can_be_re_inspected_a_shift_leads_to_the_threshold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace_with(tmp_path, monkeypatch, passed_parts([0.9, 0.5], [0.8, 0.4, 0.3, 0.1]))
    # All defective parts are missed: 25 a missed photo, 12.5 a good one, of 100 parts a shift.
    app = opened(tau="0.1", rate="50", shift="100")
    fine(app.number_input("afford-shift").set_value(70).run())
    assert query(app, "tau") == "0.5"
    assert counts(app) == (2, 2, 1, 4)
    assert app.number_input("afford-shift").placeholder == "now 62"
    fine(app.number_input("afford-shift").set_value(20).run())
    assert "asks for more than 20 re-inspections a shift" in texts(app)
    assert query(app, "tau") == "0.5"


def test_another_audit_is_laid_over_where_its_photos_are_not_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = workspace_with(tmp_path, monkeypatch, random_parts(60))
    write_fake_audit(tmp_path / "rival", passed_parts([0.9, 0.5], [0.7]))
    app = opened()
    assert "Dotted:" not in texts(app)
    app = opened(**{"with": "rival", "eps": "4"})
    assert "Dotted: rival at ε 4, on its own 2 missed photos and 1 good photo." in texts(app)
    open_seals(audit, ["test"], "a look")
    sealed = texts(opened(**{"with": "rival", "role": "test"}))
    assert "Its photos for test are sealed." in sealed
