"""The evidence view of a part, on a real audit of a small network, driven without a browser."""

import json
from pathlib import Path

import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import cache
from dashboard.parts import evidence
from dashboard.parts.evidence import windows_for
from tests.dashboard.app import again, query
from tests.dashboard.test_parts import opened, texts
from tests.dashboard.test_terms import unexplained
from tests.dashboard.ware import write_audit
from tests.fakes import Part, copy_audit, passed_parts
from trust_core.audit import evidence_job
from trust_core.audit.evidence_store import RESULT, EvidenceTask, read_result
from trust_core.audit.sandbox import GivenUp, Limits
from trust_core.explanation.evidence.audit_gaussian import audit_patch_gaussian
from trust_core.storage.audit_files import Audit
from trust_core.storage.manifest import MANIFEST

PARTS = [
    *passed_parts([0.3, 0.2], [0.1, 0.2]),
    *passed_parts([0.3], [0.1], role="train"),
    *passed_parts([0.3], [0.1], role="test"),
    Part(True, 0.9, (0.0,)),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    audit = write_audit(tmp_path_factory.mktemp("learnt") / "demo", PARTS)
    audit_patch_gaussian(audit)  # what the images let expect is learnt once for all tests
    return audit


@pytest.fixture
def audit(workspace: Path, whole: Audit) -> Audit:
    st.cache_data.clear()  # every test looks at the same images with the same network
    return copy_audit(whole, workspace / "demo")


@pytest.fixture
def row(audit: Audit) -> pd.Series:
    return audit.query("SELECT * FROM samples WHERE role = 'tune' ORDER BY path").iloc[0]


def looked(row: pd.Series, **more: str) -> AppTest:
    return opened(part=row["sample_id"], look="evidence", **more)


def pictures(app: AppTest) -> int:
    names = [component.proto.component_name for component in app.get("bidi_component")]
    return names.count("trust_core.evidence")


def test_a_part_shows_its_evidence_with_scale_sum_and_check(audit: Audit, row: pd.Series):
    app = looked(row)
    assert pictures(app) == 2
    assert unexplained(app) == {}
    said = texts(app)
    assert "speaks for good" in said
    assert "speaks for defective" in said
    assert "Against what their surroundings suggest" in said
    assert "Check: for and against give" in said
    assert "Check these maps against grad-cam" not in [button.label for button in app.button]


def test_the_look_is_chosen_and_stays_from_part_to_part(audit: Audit, row: pd.Series):
    app = opened(part=row["sample_id"])
    app.get("button_group")[0].set_value("evidence")
    again(app)
    assert query(app, "look") == "evidence"
    assert pictures(app) == 2
    step = app.button(key="part-next")
    (step if not step.disabled else app.button(key="part-previous")).click()
    again(app)
    assert query(app, "part") != row["sample_id"]
    assert pictures(app) == 2


def test_form_window_and_side_live_in_the_url(audit: Audit, row: pd.Series):
    app = looked(row)
    app.selectbox(key="evidence-form").set_value("gradient-x-input")
    again(app)
    app.selectbox(key="evidence-window").set_value(5)
    again(app)
    app.get("button_group")[1].set_value("good")
    again(app)
    app.selectbox(key="evidence-against").set_value("plug-in")
    again(app)
    asked = {name: query(app, name) for name in ("form", "window", "side", "against")}
    assert asked == {
        "form": "gradient-x-input",
        "window": "5",
        "side": "good",
        "against": "plug-in",
    }
    shared = looked(row, **asked)
    assert shared.selectbox(key="evidence-form").value == "gradient-x-input"
    assert "every window against black" in texts(shared)
    assert "Window by window" in texts(shared)


def test_nonsense_in_the_url_is_passed_over(audit: Audit, row: pd.Series):
    app = looked(row, form="x", window="-3", side="y", against="z")
    assert app.selectbox(key="evidence-form").value == "first-order"
    assert app.selectbox(key="evidence-window").value == 10


@pytest.mark.parametrize(
    ("size", "windows"),
    [((224, 224), [5, 10, 20]), ((32, 64), [5, 10]), ((12, 40), [5]), ((8, 8), [2])],
)
def test_windows_leave_room_for_their_surroundings(size: tuple[int, int], windows: list[int]):
    assert windows_for(size) == windows


def test_a_model_that_is_gone_is_said_and_the_photograph_stays(audit: Audit, row: pd.Series):
    Path(audit.manifest.model.path).unlink()
    app = looked(row)
    assert "The model file has moved" in texts(app)
    assert pictures(app) == 1


def test_a_model_that_is_another_is_refused(audit: Audit, row: pd.Series):
    file = audit.folder / MANIFEST
    manifest = json.loads(file.read_text())
    for name in ("sha256", "files"):  # as a manifest of before there were any
        manifest.pop(name, None)
    manifest["model"]["sha256"] = "0" * 64
    file.write_text(json.dumps(manifest))
    assert "is not the file that was audited" in texts(looked(row))


def test_a_photograph_that_is_gone_is_said(audit: Audit, row: pd.Series):
    audit.data_file(row["path"]).unlink()
    assert "the file is not there" in texts(looked(row))


def test_the_death_of_the_process_that_computes_is_a_sentence(
    audit: Audit, row: pd.Series, monkeypatch: pytest.MonkeyPatch
):
    def died(*_: object, what: str, limits: Limits) -> None:
        raise GivenUp(f"{what} was given up: it asked for too much. {limits.advice}")

    monkeypatch.setattr(cache.WORKER, "call", died)
    for look, what in (("evidence", "The evidence"), ("heatmaps", "The heatmaps")):
        app = opened(part=row["sample_id"], look=look)
        assert f"{what} was given up: it asked for too much. This machine may be" in texts(app)
        assert "called good" in texts(app)  # the page stands


def test_the_slow_method_is_started_computed_compared_and_kept(
    audit: Audit, row: pd.Series, monkeypatch: pytest.MonkeyPatch
):
    asked = []
    monkeypatch.setattr(evidence.jobs, "start", lambda *given: asked.append(given))
    app = looked(row)
    assert "64 windows, up to 640 passes through the network" in texts(app)
    app.button(key="evidence-start").click()
    again(app)
    task = EvidenceTask(row["sample_id"], "prediction-difference", 10, 8)
    [(arguments, folder, program)] = asked
    assert folder == task.folder(audit)
    assert program[1:] == ("-m", "trust_core.audit.evidence_job")
    assert evidence_job.main(arguments) == 0
    assert read_result(folder).forwards >= 640
    app = looked(row)
    assert pictures(app) == 3
    assert "strongest windows are the same" in texts(app)
    assert "evidence-start" not in [button.key for button in app.button]


def test_a_kept_result_that_is_damaged_is_said(audit: Audit, row: pd.Series):
    folder = EvidenceTask(row["sample_id"], "prediction-difference", 10, 8).folder(audit)
    folder.mkdir(parents=True)
    (folder / RESULT).write_bytes(b"PK not a zip")
    assert "is damaged; delete it" in texts(looked(row))
