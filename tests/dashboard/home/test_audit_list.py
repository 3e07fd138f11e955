"""The list of audits: every state, renamed, deleted."""

from pathlib import Path

from tests.dashboard.app import again, change_manifest, html, links, open_page
from tests.fakes import passed_parts, write_fake_audit
from trust_core.storage.audit_files import Audit
from trust_core.storage.locks import LOCK, writer_lock
from trust_core.storage.manifest import MANIFEST
from trust_core.storage.workspace import list_audits


def test_every_state_of_an_audit_is_listed(demo: Audit, workspace: Path):
    for name in ("running", "stopped", "finished"):
        write_fake_audit(workspace / name, passed_parts([0.5], [0.1]))
    for name in ("running", "stopped"):
        change_manifest(workspace / name, status="running")
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
    assert list_audits() == []


def test_an_audit_that_cannot_be_deleted_says_why(demo: Audit):
    app = open_page()
    app.checkbox(key="sure-demo").check()
    again(app)
    app.button(key="delete-demo").click()
    with writer_lock(demo.folder / LOCK, ""):
        assert "Demo is still running; stop it first." in html(again(app))
    assert demo.folder.is_dir()
