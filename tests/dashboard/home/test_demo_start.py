"""The demo, started from the page of a newcomer."""

from pathlib import Path

import pytest

from tests.dashboard.app import again, html, open_page
from tests.fakes import passed_parts, write_fake_audit
from trust_core.audit import jobs
from trust_core.errors import StoreError


def test_the_demo_is_started_as_a_worker_and_watched(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
):
    started = []

    def start(arguments: list[str], folder: Path) -> None:
        started.append((arguments, folder))
        (workspace / "jobs").mkdir()
        (workspace / "jobs" / "demo.json").write_text("{}")

    monkeypatch.setattr(jobs, "start", start)
    state = jobs.JobState(300, 1200, rate=10.0, phase=jobs.RUNNING)
    monkeypatch.setattr(jobs, "state", lambda folder: state)
    app = open_page()
    app.button(key="demo").click()
    again(app)
    assert started == [(["demo", "--json"], workspace / "demo")]
    assert app.get("progress")[0].proto.text == "Auditing the demo: 300 of 1,200 photos, 2 min left"
    state = jobs.JobState(phase=jobs.RUNNING)
    assert again(app).get("progress")[0].proto.text == "Preparing the demo …"
    state = jobs.JobState(phase=jobs.FAILED, sentence="the <disk> is full")
    assert "the &lt;disk&gt; is full" in html(again(app))
    assert app.button(key="demo").label == "Go on with the demo"
    write_fake_audit(workspace / "demo", passed_parts([0.5], [0.1]))
    state = jobs.JobState(phase=jobs.DONE)
    assert "catches 1 of 1" in html(again(app))


def test_a_demo_that_cannot_be_started_says_why(workspace: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(arguments: list[str], folder: Path) -> None:
        raise StoreError("demo is being computed already")

    monkeypatch.setattr(jobs, "start", refuse)
    app = open_page()
    app.button(key="demo").click()
    assert "demo is being computed already" in html(again(app))
