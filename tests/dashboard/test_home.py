"""Home: the finding, what was audited, the audits; and the page of a newcomer."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from dashboard.csv_export import csv
from dashboard.home import summary
from tests.dashboard.app import again, html, links, open_page
from tests.fakes import Part, passed_parts, write_fake_audit
from trust_core.audit import jobs
from trust_core.decision.operating_point import FlagCounts
from trust_core.errors import StoreError
from trust_core.storage.audit_files import MANIFEST, Audit
from trust_core.storage.locks import LOCK, writer_lock
from trust_core.storage.workspace import entries


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRUST_CORE_WORKSPACE", str(tmp_path))
    return tmp_path


@pytest.fixture
def demo(workspace: Path) -> Audit:
    """10 missed defects and 5 good parts on `tune`; others elsewhere; one of each trouble."""
    missed = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05]
    parts = passed_parts(missed, [0.65, 0.04, 0.03, 0.02, 0.01])
    parts += [Part(True, 0.9, (0.1,)), Part(False, 0.8, (0.1,)), Part(False, float("nan"), (0.1,))]
    parts += passed_parts([float("nan")], [0.5], role="certify")
    return write_fake_audit(workspace / "demo", parts)


def change(folder: Path, **manifest: object) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | manifest))


def test_the_finding_stands_first_with_its_counts(demo: Audit):
    said = html(open_page())
    assert (
        "The detector calls <b>15</b> parts good. <b>10</b> of them are defects it missed. "
        "Re-inspecting the <b>10</b> most suspicious parts would catch <b>9</b> of the <b>10</b>."
    ) in said
    # p falls from part to part, so the first nine by p are missed defects: one part fewer.
    assert "would re-inspect no good parts for the same catch, 1 fewer." in said


def test_the_operating_point_of_the_url_is_the_one_shown(demo: Audit):
    said = html(open_page(tau="0.6"))
    assert "Re-inspecting the <b>5</b> most suspicious parts would catch <b>4</b>" in said
    assert "flagging by IoU difference from 0.6 at adversarial strength 0." in said


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
    assert summary.finding_sentence(FlagCounts(*counts)) == sentence


def test_bars_tell_the_counts_and_no_bar_is_drawn_when_nothing_was_missed():
    bars = summary.finding_bars(FlagCounts(87, 1117, 66, 8, 54), "iou_difference")
    assert "✕ 21 still overlooked" in bars
    assert "Good parts re-inspected for that" in bars
    assert re.findall(r"<td>(\d+)</td>", bars) == ["8", "54"]
    assert summary.finding_bars(FlagCounts(0, 9, 0, 2, None), "iou_difference") == ""


@pytest.mark.parametrize(
    ("indicator", "name"),
    [("p_defect", "Lowering the threshold"), ("iou_difference", "Second Look")],
)
def test_without_a_comparison_one_bar_stands_alone(indicator: str, name: str):
    bars = summary.finding_bars(FlagCounts(9, 99, 0, 2, None), indicator)
    assert re.findall(r'<th scope="row">([^<]+)', bars) == [name]


def test_what_was_audited(demo: Audit):
    def said() -> dict[str, str]:
        return dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", summary.audit_description(demo)))

    assert said()["Detector"] == "000000000000 (resnet18)"
    assert said()["Calls a part defective"] == "from a defect probability of 0.5"
    assert said()["Computed"] == "04 May 2026, 03:02, in 12 s"
    demo.manifest["model"]["path"] = "/models/<tile>.pt"
    demo.manifest["settings"]["decision_threshold"] = None
    assert said()["Detector"] == "&lt;tile&gt;.pt (resnet18)"
    assert said()["Calls a part defective"] == "when a kind of defect has the largest output"


def test_roles_stand_in_their_order_with_their_counts(demo: Audit):
    rows = re.findall(r'scope="row">(\w+)<.*?</tr>', told := summary.role_table(demo))
    assert rows == ["tune", "certify"]
    assert re.findall(r"<td>(\d+)</td>", told) == ["10", "1", "5", "1", "1", "0", "1", "0"]


def test_what_was_not_scored_is_told_and_listed(demo: Audit):
    assert summary.not_scored_sentence(demo) == (
        "Left out, because not readable: 1 image. "
        "Always re-inspected, for want of a score: 1 part called good."
    )
    listed = summary.not_scored(demo)
    assert sorted(listed["status"]) == ["no score", "unreadable"]
    assert (listed["reason"] != "").all()
    assert open_page().get("download_button")[0].proto.label == "Download the list with reasons"


def test_nothing_is_offered_when_everything_was_scored(workspace: Path):
    audit = write_fake_audit(workspace / "demo", passed_parts([0.5], [0.1]))
    assert "Every image was read" in summary.not_scored_sentence(audit)
    assert len(open_page().get("download_button")) == 0


def test_csv_cells_that_begin_a_formula_are_harmless():
    table = pd.DataFrame({"path": ["=cmd()", "+1", "-a", "@x", "good/1.png"], "label": [-1] * 5})
    assert csv(table).decode().splitlines() == [
        "path,label",
        "'=cmd(),-1",
        "'+1,-1",
        "'-a,-1",
        "'@x,-1",
        "good/1.png,-1",
    ]


def test_ways_on_keep_the_audit_and_the_operating_point(demo: Audit):
    app = open_page(tau="0.6")
    ways = {e.proto.label: e.proto.query_string for e in app.get("page_link")}
    assert ways["Look at the trade-off →"] == "audit=demo&tau=0.6"
    assert {"Open the parts →", "Audit your own model →"} <= set(ways)


def test_a_newcomer_is_told_what_this_is_and_offered_the_demo(workspace: Path):
    app = open_page()
    assert "Second Look finds the parts that your defect detector calls good" in html(app)
    assert app.button(key="demo").label == "Open the demo audit"
    assert "Audit your own model" in links(app)


def test_the_demo_is_started_as_a_worker_and_watched(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
):
    started = []

    def start(arguments: list[str], folder: Path) -> None:
        started.append((arguments, folder))
        (workspace / "jobs").mkdir()
        (workspace / "jobs" / "demo.json").write_text("{}")

    monkeypatch.setattr(jobs, "start", start)
    state = jobs.JobState(jobs.RUNNING, 300, 1200, 10.0, 90.0)
    monkeypatch.setattr(jobs, "state", lambda folder: state)
    app = open_page()
    app.button(key="demo").click()
    again(app)
    assert started == [(["demo", "--json"], workspace / "demo")]
    assert app.get("progress")[0].proto.text == "Auditing the demo: 300 of 1,200 images, 2 min left"
    state = jobs.JobState(jobs.RUNNING)
    assert again(app).get("progress")[0].proto.text == "Preparing the demo …"
    state = jobs.JobState(jobs.FAILED, sentence="the <disk> is full")
    assert "the &lt;disk&gt; is full" in html(again(app))
    assert app.button(key="demo").label == "Go on with the demo"
    write_fake_audit(workspace / "demo", passed_parts([0.5], [0.1]))
    state = jobs.JobState(jobs.DONE)
    assert "The detector calls <b>2</b> parts good." in html(again(app))


def test_a_demo_that_cannot_be_started_says_why(workspace: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(arguments: list[str], folder: Path) -> None:
        raise StoreError("demo is being computed already")

    monkeypatch.setattr(jobs, "start", refuse)
    app = open_page()
    app.button(key="demo").click()
    assert "demo is being computed already" in html(again(app))


def test_a_missing_audit_is_told_and_the_page_lives_on(demo: Audit):
    app = open_page(audit="gone")
    assert "There is no audit &#x27;gone&#x27;" in html(app)
    assert "Open the demo audit" in links(app)
    assert "Demo" in links(app)


def test_every_state_of_an_audit_is_listed(demo: Audit, workspace: Path):
    for name in ("running", "stopped", "finished"):
        write_fake_audit(workspace / name, passed_parts([0.5], [0.1]))
    for name in ("running", "stopped"):
        change(workspace / name, status="running")
        (workspace / name / "progress.json").write_text('{"done": 1, "total": 2}')
    (workspace / "broken").mkdir()
    (workspace / "broken" / MANIFEST).write_text("{")
    with writer_lock(workspace / "running" / LOCK, ""):
        app = open_page()
    said = html(app)
    assert "◐</i> running, 1 of 2<progress" in said
    assert "○</i> stopped, 1 of 2</span>" in said
    assert "✕</i> damaged</span>" in said
    assert {"running", "stopped", "finished"} <= set(links(app))


def test_many_audits_are_folded(workspace: Path):
    for number in range(11):
        (workspace / f"a{number:02d}").mkdir()
        (workspace / f"a{number:02d}" / MANIFEST).write_text("{")
    app = open_page()
    assert html(app).count("damaged</span>") == 8
    app.button(key="all_audits").click()
    assert html(again(app)).count("damaged</span>") == 11


def test_rename(demo: Audit):
    app = open_page()
    app.text_input(key="name-demo").input("Line 3 *spring*")
    app.button(key="rename-demo").click()
    assert 'class="name">Line 3 *spring* <small>open</small>' in html(again(app))


def test_delete_asks_first_and_closes_the_audit(demo: Audit, workspace: Path):
    app = open_page(tau="0.6")
    assert app.button(key="delete-demo").disabled
    app.checkbox(key="sure-demo").check()
    again(app)
    app.button(key="delete-demo").click()
    assert "leaves the building" in html(again(app))
    assert dict(app.query_params) == {}
    assert entries() == []


def test_an_audit_that_cannot_be_deleted_says_why(demo: Audit):
    app = open_page()
    app.checkbox(key="sure-demo").check()
    again(app)
    app.button(key="delete-demo").click()
    with writer_lock(demo.folder / LOCK, ""):
        assert "Demo is still running; stop it first." in html(again(app))
    assert demo.folder.is_dir()
