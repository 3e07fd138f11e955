"""The gate: each requirement met or not, and the JUnit file."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from tests.decision.test_certify import DELTA, parts
from tests.fakes import passed_parts, write_fake_audit
from trust_core.decision.certificate import Demand
from trust_core.decision.certify import certify
from trust_core.decision.gate import gate, write_junit
from trust_core.errors import SettingsError, StoreError
from trust_core.storage.audit_files import Audit


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return write_fake_audit(tmp_path / "a <b> & 'c'", parts(30), strengths=(0.0, 1.0))


def test_all_met(audit: Audit):
    result = gate(audit, Demand(0.9), DELTA, 1.0)
    assert result.met
    assert result.sentence == "All requirements are met."
    assert [r.name for r in result.requirements] == [
        "recall 0.9 with confidence 0.95",
        "TN loss at most 1 on certify",
        "TN loss at most 1 on test",
    ]
    assert result.as_json()["certificate"] == certify(audit, Demand(0.9), DELTA).as_json()


def test_a_loss_is_met_up_to_its_value_and_not_beyond(audit: Audit):
    certificate = certify(audit, Demand(0.9), DELTA)
    losses = certificate.ours.certify.tn_loss, certificate.ours.test.tn_loss
    assert gate(audit, Demand(0.9), DELTA, max(losses)).met
    result = gate(audit, Demand(0.9), DELTA, max(losses) - 1e-6)
    assert not result.met
    assert "exceeds" in result.sentence


def test_without_a_loss_only_the_recall_counts(audit: Audit):
    assert len(gate(audit, Demand(0.9), DELTA, None).requirements) == 1
    result = gate(audit, Demand(0.95), DELTA, None)
    assert not result.met
    assert "Cannot be certified: 30 missed parts; 59 are needed" in result.sentence


def test_what_is_not_known_is_not_met(audit: Audit, tmp_path: Path):
    result = gate(audit, Demand(0.95), DELTA, 1.0)
    assert [r.met for r in result.requirements] == [False] * 3
    bare = write_fake_audit(tmp_path / "bare", passed_parts([0.5] * 30, [0.1], role="certify"))
    result = gate(bare, Demand(0.9), DELTA, 1.0)  # no good part on test
    assert [r.met for r in result.requirements] == [True, True, False]
    assert "The loss of good parts on test is not known" in result.sentence


def test_a_loss_that_is_no_share_is_refused_before_a_seal_is_opened(audit: Audit):
    with pytest.raises(SettingsError, match="max TN loss 10: write a share between 0 and 1"):
        gate(audit, Demand(0.9), DELTA, 10)
    assert not (audit.folder / "decisions.jsonl").exists()


def test_junit(audit: Audit, tmp_path: Path):
    result = gate(audit, Demand(0.9), DELTA, 0.0)
    write_junit(tmp_path / "gate.xml", result)
    suites = Xml.parse(tmp_path / "gate.xml").getroot()
    suite = suites.find("testsuite")
    assert suites.tag == "testsuites"
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "2", "0")
    cases = suite.findall("testcase")
    assert [case.find("failure") is not None for case in cases] == [False, True, True]
    assert {case.get("classname") for case in cases} == {str(audit.folder)}
    assert cases[1].find("failure").get("message") == result.requirements[1].sentence
    text = (tmp_path / "gate.xml").read_text()
    assert "a &lt;b&gt; &amp; " in text


def test_what_no_xml_may_hold_is_replaced(audit: Audit, tmp_path: Path):
    result = gate(audit, Demand(0.9), DELTA, None)
    strange = Path("bell\x07, half \ud800, nul\x00, fine ✓ \U0001f600")
    renamed = replace(result, certificate=replace(result.certificate, folder=strange))
    write_junit(tmp_path / "gate.xml", renamed)
    case = Xml.parse(tmp_path / "gate.xml").getroot().find("testsuite/testcase")
    assert case.get("classname") == "bell\ufffd, half \ufffd, nul\ufffd, fine ✓ \U0001f600"


def test_a_file_that_cannot_be_written_is_said(audit: Audit, tmp_path: Path):
    result = gate(audit, Demand(0.9), DELTA, None)
    with pytest.raises(StoreError, match=r"Cannot write .*gate\.xml: No such file"):
        write_junit(tmp_path / "missing" / "gate.xml", result)
