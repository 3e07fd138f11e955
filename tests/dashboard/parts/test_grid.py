"""The grid's names, and its lists of parts, read back as a spreadsheet would."""

import io
from pathlib import Path

import pandas as pd
import pytest

from dashboard.parts.grid import ORDER_NAMES, SHOWN_NAMES, parts_csv
from tests.fakes import Part, passed_parts, write_fake_audit
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.part_filter import ORDERS, SHOWN, Filters
from trust_core.storage.audit_files import Audit

POINT = OperatingPoint("iou_difference", 0.0, 0.25, "tune")


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return write_fake_audit(tmp_path / "audit", passed_parts([0.5, -0.2], [0.3, 0.1]))


def table(content: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(content), keep_default_na=False, dtype=str)


def test_every_choice_and_every_order_has_a_name():
    assert list(SHOWN_NAMES) == list(SHOWN)
    assert list(ORDER_NAMES) == list(ORDERS)


def test_the_flagged_list_names_each_part_and_why(audit: Audit):
    found = table(parts_csv(audit, POINT, Filters("flagged", sort="path")))
    assert found["path"].tolist() == ["crack/0000.png", "good/0002.png"]
    assert found["outcome"].tolist() == ["FN", "TN"]
    assert found["label"].tolist() == ["1", "0"]
    assert found["indicator"].tolist() == ["0.5", "0.3"]
    assert set(found["flagged"]) == {"True"}
    first = found.iloc[0]
    assert float(first["p"]) == pytest.approx(0.45)
    assert (first["indicator_name"], first["strength"], first["threshold"]) == (
        "iou_difference",
        "0.0",
        "0.25",
    )
    assert first["audit"] == audit.id
    assert first["model_sha256"] == audit.manifest.model.sha256
    assert first["data_sha256"] == audit.manifest.data.sha256


def test_the_overlooked_list_keeps_negative_scores_as_numbers(audit: Audit):
    found = table(parts_csv(audit, POINT, Filters("overlooked")))
    assert found["path"].tolist() == ["crack/0001.png"]
    assert found["indicator"].tolist() == ["-0.2"]


@pytest.mark.parametrize("kind", ["=1+2", "+1", "-1", "@SUM(A1)", "＝1"])
def test_text_that_a_spreadsheet_would_run_is_quoted(tmp_path: Path, kind: str):
    parts = [Part(True, 0.2, (0.5,), kind=kind.replace("/", ""))]
    audit = write_fake_audit(tmp_path / "audit", parts)
    found = table(parts_csv(audit, POINT, Filters("flagged")))
    assert found["kind"].tolist() == [f"'{kind}"]
    assert found["path"].tolist() == [f"'{kind}/0000.png"]
