"""The list of disputed labels, read back as a spreadsheet would."""

import io
from pathlib import Path

import pandas as pd
import pytest

from dashboard.parts.disputes import disputes_csv
from tests.fakes import passed_parts, write_fake_audit
from trust_core.decision.journal import LABEL_DISPUTED, dispute, disputes, entries
from trust_core.storage.audit_files import Audit


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return write_fake_audit(tmp_path / "audit", passed_parts([0.5, -0.2], [0.3, 0.1]))


def table(content: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(content), keep_default_na=False, dtype=str)


def test_a_disputed_label_is_noted_exported_and_never_applied(audit: Audit):
    before = audit.query("SELECT * FROM samples")
    sample_id = before["sample_id"].iloc[0]
    dispute(audit, sample_id, "  =really good \n")
    dispute(audit, sample_id, "a scratch")
    assert [entry["what"] for entry in entries(audit)] == [LABEL_DISPUTED] * 2
    assert [entry.note for entry in disputes(audit)] == ["=really good", "a scratch"]
    found = table(disputes_csv(audit))
    assert found["note"].tolist() == ["'=really good", "a scratch"]
    assert set(found["path"]) == {before["path"].iloc[0]}
    assert found["who"].iloc[0]
    pd.testing.assert_frame_equal(audit.query("SELECT * FROM samples"), before)


def test_without_disputes_the_list_has_its_heading_only(audit: Audit):
    found = table(disputes_csv(audit))
    assert found.empty
    assert {"path", "label", "note", "who", "when"} <= set(found.columns)
