"""Home: the finding, the ways on, and the page of a newcomer."""

from pathlib import Path

from tests.dashboard.app import html, links, open_page
from tests.fakes import passed_parts, write_fake_audit
from trust_core.storage.audit_files import Audit


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


def test_a_missing_audit_is_told_and_the_page_lives_on(demo: Audit):
    app = open_page(audit="gone")
    assert "There is no audit &#x27;gone&#x27;" in html(app)
    assert "Open the demo audit" in links(app)
    assert "Demo" in links(app)


def test_what_was_not_scored_is_offered_where_there_is_any(demo: Audit, workspace: Path):
    assert open_page().get("download_button")[0].proto.label == "Download the list with reasons"
    write_fake_audit(workspace / "whole", passed_parts([0.5], [0.1]))
    assert len(open_page(audit="whole").get("download_button")) == 0
