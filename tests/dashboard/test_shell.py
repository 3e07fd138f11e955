"""The frame: which audit is open, and what happens when none can be."""

import re
import threading
import tomllib
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import cache, shell
from tests.dashboard.app import SECONDS, again, change_manifest, html, open_page
from tests.fakes import passed_parts, write_fake_audit
from trust_core.errors import StoreError
from trust_core.figures.tradeoff import ACCENT
from trust_core.storage.locks import LOCK, writer_lock
from trust_core.storage.manifest import MANIFEST

APP = Path(__file__).parents[2] / "app.py"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workspace. A script made from a function has no other pages: links become text."""
    monkeypatch.setenv("TRUST_CORE_WORKSPACE", str(tmp_path))
    monkeypatch.setattr(st, "page_link", lambda *_, label, **__: st.text(f"link: {label}"))
    return tmp_path


def audit(workspace: Path, name: str, created: str = "2026-05-04T03:02:01+0000") -> Path:
    folder = workspace / name
    write_fake_audit(folder, passed_parts([0.5, 0.1], [0.2, 0.0]))
    change_manifest(folder, created=created)
    return folder


def page(needs_audit: bool = True) -> None:
    """The script of a page that needs nothing but the frame."""
    import streamlit as st

    from dashboard import shell

    def draw(audit) -> None:
        st.text(f"opened: {audit.folder.name if audit else None}")

    (shell.audit_page if needs_audit else shell.page)("Trade-off", draw)


def run(needs_audit: bool = True, **query: str) -> AppTest:
    app = AppTest.from_function(page, kwargs={"needs_audit": needs_audit}, default_timeout=SECONDS)
    for key, value in query.items():
        app.query_params[key] = value
    return again(app)


def opened(app: AppTest) -> str | None:
    said = [text.value for text in app.text if text.value.startswith("opened: ")]
    return said[0].removeprefix("opened: ") if said else None


def test_the_url_names_the_audit(workspace: Path):
    audit(workspace, "demo")
    audit(workspace, "other")
    assert opened(run(audit="other")) == "other"


def test_the_demo_is_open_when_nothing_else_is_asked_and_the_url_says_so(workspace: Path):
    audit(workspace, "demo")
    audit(workspace, "later", "2027-01-01T00:00:00+0000")
    app = run()
    assert opened(app) == "demo"
    assert app.query_params["audit"] == "demo"


def test_without_a_demo_the_newest_finished_audit_is_open(workspace: Path):
    audit(workspace, "old", "2020-01-01T00:00:00+0000")
    audit(workspace, "later", "2027-01-01T00:00:00+0000")
    change_manifest(audit(workspace, "unfinished", "2028-01-01T00:00:00+0000"), status="running")
    assert opened(run()) == "later"


def test_the_audit_opened_last_stays_open_without_its_name_in_the_url(workspace: Path):
    audit(workspace, "demo")
    audit(workspace, "other")
    app = run(audit="other")
    del app.query_params["audit"]
    assert opened(again(app)) == "other"


def test_the_switcher_opens_another_audit_and_forgets_the_operating_point(workspace: Path):
    audit(workspace, "demo")
    audit(workspace, "other")
    app = run(audit="demo", tau="0.3", eps="1", part="x", show="flagged")
    app.selectbox(key=shell.SWITCHER).select("other")
    assert opened(again(app)) == "other"
    assert dict(app.query_params) == {"audit": "other"}


def test_the_switcher_tells_audits_of_one_name_apart(workspace: Path):
    for name in ("aaaaaaaaaaaa-01234567-half", "bbbbbbbbbbbb-01234567-half"):
        change_manifest(audit(workspace, name), data={"root": "/tiles", "layout": "CSV"})
    audit(workspace, "demo")
    labels = run().selectbox(key=shell.SWITCHER).options
    assert sorted(labels) == ["Demo", "resnet18 on tiles (aaaaaa)", "resnet18 on tiles (bbbbbb)"]


def test_no_audit_at_all_sends_home(workspace: Path):
    app = run()
    assert opened(app) is None
    assert "No audit is open yet." in html(app)
    assert "link: Go to Home" in [text.value for text in app.text]
    assert opened(run(needs_audit=False)) == "None"


@pytest.mark.parametrize("name", ["gone", "../demo", "<script>alert(1)</script>"])
def test_an_audit_that_is_not_there_is_an_error_with_a_way_on(workspace: Path, name: str):
    audit(workspace, "demo")
    app = run(audit=name)
    assert opened(app) is None
    assert "There is no audit" in html(app)
    assert "<script>" not in html(app)
    app.selectbox(key=shell.SWITCHER).select("demo")
    assert opened(again(app)) == "demo"


def test_a_damaged_manifest_is_an_error(workspace: Path):
    (audit(workspace, "demo") / MANIFEST).write_text("{")
    app = run(audit="demo")
    assert opened(app) is None
    assert "is damaged; " in html(app)


def test_a_missing_table_is_an_error(workspace: Path):
    (audit(workspace, "demo") / "scores.parquet").unlink()
    assert "scores.parquet is missing" in html(run(audit="demo"))


def test_a_running_audit_tells_how_far_it_is_and_a_stopped_one_that_it_can_go_on(workspace: Path):
    folder = audit(workspace, "mine")
    change_manifest(folder, status="running")
    (folder / "progress.json").write_text('{"done": 1204, "total": 2400}')
    with writer_lock(folder / LOCK, ""):
        running = run(audit="mine")
    assert "mine is still running: 1,204 of 2,400 photos are done." in html(running)
    assert "link: See how it stands" in [text.value for text in running.text]
    assert "was stopped before it finished" in html(run(audit="mine"))


def failing(where: str, what: str) -> None:
    """The script of a page where something goes wrong: in the page, a fragment or a callback."""
    import shutil

    import streamlit as st

    from dashboard import shell
    from trust_core.errors import StoreError

    def fail(audit) -> None:
        if what == "error":
            raise StoreError("the <disk> is full")
        if what == "deleted":
            shutil.rmtree(audit.folder)
        audit.query("SELECT nonsense FROM nowhere")

    def draw(audit) -> None:
        st.text("drawn before")
        if where == "callback":
            st.button("Go", on_click=shell.callback(fail), args=(audit,))
        else:
            (fail if where == "page" else shell.fragment(fail))(audit)

    shell.audit_page("Trade-off", draw)


def fail(where: str, what: str) -> AppTest:
    given = {"where": where, "what": what}
    app = AppTest.from_function(failing, kwargs=given, default_timeout=SECONDS)
    app.query_params["audit"] = "demo"
    app.run()
    return app.button[0].click().run() if where == "callback" else app


@pytest.mark.parametrize("where", ["page", "fragment", "callback"])
@pytest.mark.parametrize(
    ("what", "says"),
    [("error", "the &lt;disk&gt; is full"), ("deleted", "There is no audit &#x27;demo&#x27;")],
)
def test_what_goes_wrong_is_told_wherever_it_does(
    workspace: Path, where: str, what: str, says: str
):
    audit(workspace, "demo")
    app = fail(where, what)
    assert not app.exception
    assert f'role="alert"><p>{says}' in html(app)


@pytest.mark.parametrize("where", ["page", "fragment", "callback"])
def test_a_fault_of_the_program_is_told_and_logged_whole(workspace: Path, where: str, caplog):
    audit(workspace, "demo")
    app = fail(where, "fault")
    assert not app.exception
    assert 'class="problem fault"' in html(app)
    assert "CatalogException" in html(app)
    assert caplog.records[-1].message == shell.FAULT
    assert "nowhere" in caplog.text


def test_every_page_and_fragment_goes_through_the_handler():
    root = APP.parent
    for path in [*(root / "dashboard").rglob("*.py"), *(root / "pages").glob("*.py"), APP]:
        text = path.read_text(encoding="utf-8")
        if path.name != "shell.py":
            assert "st.fragment" not in text, path
            assert "set_page_config" not in text, path
    for path in [*(root / "pages").glob("*.py"), APP]:
        last = path.read_text(encoding="utf-8").splitlines()[-1].strip()
        assert re.match(r"(shell\.)?(audit_)?page\(|st\.switch_page\(", last), path


def test_an_error_is_told_in_the_words_of_the_page():
    def script() -> None:
        from dashboard import shell
        from trust_core.errors import SettingsError
        from trust_core.messages import Message

        shell.show_error(SettingsError(Message("{size} is odd.", "Take another {size}.")))

    assert "Take another “Size”." in html(AppTest.from_function(script).run())


def test_an_error_is_escaped():
    def script() -> None:
        from dashboard import shell
        from trust_core.errors import StoreError

        shell.show_error(StoreError("<img src=x> is damaged"))

    assert "&lt;img src=x&gt; is damaged" in html(AppTest.from_function(script).run())


def test_every_page_in_the_bar_is_there():
    assert [file for file in shell.PAGES if not (APP.parent / file).is_file()] == []
    assert issubclass(shell.Unfinished, StoreError)


def test_the_dashboard_stays_on_this_machine_and_has_a_theme_of_its_own():
    config = tomllib.loads((APP.parent / ".streamlit" / "config.toml").read_text())
    assert config["server"]["address"] == "127.0.0.1"
    assert config["server"]["enableXsrfProtection"] is True
    assert config["browser"]["gatherUsageStats"] is False
    assert config["client"]["showSidebarNavigation"] is False
    for name in ("chartCategoricalColors", "chartSequentialColors", "chartDivergingColors"):
        assert len(config["theme"][name]) == 10, f"Streamlit drops {name} silently otherwise"
    for font in config["theme"]["fontFaces"]:
        assert (shell.STATIC / Path(font["url"]).name).read_bytes().startswith(b"wOF2")


def test_the_accent_of_the_frame_is_that_of_the_figures():
    assert f"--ours: {ACCENT};" in (shell.STATIC / "frame.css").read_text()


def test_the_worker_is_warmed_once_and_only_where_an_audit_is_open(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = threading.Event()
    monkeypatch.setattr(cache, "WARM_AFTER", 0.0)
    monkeypatch.setattr(cache.WORKER, "start", started.set)
    cache.warm_worker.clear()
    open_page()
    assert not started.wait(0.1)
    audit(workspace, "demo")
    open_page()
    assert started.wait(10)
    started.clear()
    open_page("tradeoff")
    assert not started.wait(0.1)
