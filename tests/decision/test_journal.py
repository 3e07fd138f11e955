"""The journal: appended to, never changed, and never silently without an entry."""

import json
import math
from pathlib import Path

import pytest

from tests.fakes import random_parts, write_fake_audit
from trust_core.decision.journal import JOURNAL, append, decide, entries, open_seals
from trust_core.errors import SettingsError, StoreError
from trust_core.storage.audit_files import Audit


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return write_fake_audit(tmp_path / "audit", random_parts(24))


def test_a_seal_is_opened_once_and_logged(audit: Audit):
    assert open_seals(audit, ["tune", "train"], "a look") == ()
    assert not (audit.folder / JOURNAL).exists()
    assert open_seals(audit, ["tune", "test"], "a look") == ("test",)
    assert open_seals(audit, ["tune", "certify", "test"], "another look") == ("certify",)
    assert open_seals(audit, ["certify", "test"], "a third") == ()
    found = entries(audit)
    assert [(e["what"], e["role"], e["why"]) for e in found] == [
        ("seal_opened", "test", "a look"),
        ("seal_opened", "certify", "another look"),
    ]
    for entry in found:
        assert entry["audit"] == audit.id
        assert entry["who"]
        assert entry["when"].startswith("20")


def test_an_operating_point_is_noted_with_its_reason(audit: Audit):
    noted = decide(audit, "iou_difference", 0.25, 1.0, "  the line can take 8 % \n")
    assert entries(audit) == [noted]
    wanted = {
        "what": "operating_point",
        "indicator": "iou_difference",
        "threshold": 0.25,
        "strength": 1.0,
        "why": "the line can take 8 %",
    }
    assert {key: noted[key] for key in wanted} == wanted


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("entropy", 0.1, 0.0, "why"), "There is no indicator 'entropy'"),
        (("log_odds", 0.1, 0.5, "why"), "Strength 0.5 was not audited; choose from 0, 1, 4"),
        (("log_odds", 0.1, math.nan, "why"), "Strength nan was not audited"),
        (("log_odds", 0.1, 1.0, " \t"), "needs a reason; write it after --why"),
        (("log_odds", math.nan, 1.0, "why"), "Threshold nan: write a finite number"),
        (("log_odds", math.inf, 1.0, "why"), "Threshold inf: write a finite number"),
    ],
)
def test_a_decision_that_means_nothing_is_refused_and_not_noted(audit: Audit, arguments, sentence):
    with pytest.raises(SettingsError) as caught:
        decide(audit, *arguments)
    assert sentence in str(caught.value)
    assert entries(audit) == []


def test_earlier_lines_are_never_changed(audit: Audit):
    append(audit, "label_disputed", sample_id="x", why="it is a reflection, 0.2 µm")
    before = (audit.folder / JOURNAL).read_bytes()
    open_seals(audit, ["test"], "a look")
    after = (audit.folder / JOURNAL).read_bytes()
    assert after.startswith(before)
    assert [json.loads(line)["what"] for line in after.splitlines()] == [
        "label_disputed",
        "seal_opened",
    ]
    assert entries(audit)[0]["why"] == "it is a reflection, 0.2 µm"


def test_a_torn_line_is_left_out_and_does_not_swallow_the_next(audit: Audit):
    open_seals(audit, ["test"], "a look")
    path = audit.folder / JOURNAL
    with path.open("a", encoding="utf-8") as file:
        file.write('{"when": "2026-05-04", "what": "seal_op')
    assert len(entries(audit)) == 1
    assert open_seals(audit, ["certify"], "a look") == ("certify",)
    assert [entry["role"] for entry in entries(audit)] == ["test", "certify"]
    assert open_seals(audit, ["certify"], "a look") == ()


def test_a_journal_that_cannot_be_written_stops_the_look(audit: Audit):
    (audit.folder / JOURNAL).mkdir()
    with pytest.raises(StoreError, match=f"Cannot write .*{JOURNAL}: ") as caught:
        append(audit, "seal_opened", role="test", why="a look")
    assert len(str(caught.value).splitlines()) == 1


def test_the_file_is_read_when_it_has_changed(audit: Audit, monkeypatch: pytest.MonkeyPatch):
    reads = []
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: reads.append(self) or read(self))
    assert entries(audit) == []
    open_seals(audit, ["test"], "a look")
    for _ in range(3):
        assert [entry["role"] for entry in entries(audit)] == ["test"]
    entries(audit).clear()  # a copy: nobody else loses an entry
    open_seals(audit, ["certify"], "a look")
    assert [entry["role"] for entry in entries(audit)] == ["test", "certify"]
    assert len(reads) == 2
