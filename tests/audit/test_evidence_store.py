"""Evidence kept with an audit: results, what a task costs, and the scale of the colours."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.dashboard.ware import write_audit
from tests.fakes import copy_audit, passed_parts
from trust_core.audit import evidence_job, evidence_store
from trust_core.audit.evidence_store import (
    FOLDER,
    SCALE,
    EvidenceTask,
    evidence_scale,
    has_result,
    read_result,
    write_result,
)
from trust_core.audit.reopen import network_input, reopen_detector
from trust_core.errors import StoreError
from trust_core.explanation.evidence.audit_gaussian import audit_patch_gaussian
from trust_core.explanation.evidence.forms import Evidence, evidence
from trust_core.model.detector import Detector
from trust_core.storage.audit_files import Audit

PARTS = [
    *passed_parts([0.3, 0.2], [0.1, 0.2]),
    *passed_parts([0.3], [0.1], role="train"),
    *passed_parts([0.3], [0.1], role="test"),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    audit = write_audit(tmp_path_factory.mktemp("stored") / "audit", PARTS)
    audit_patch_gaussian(audit)  # learnt once for all tests
    return audit


@pytest.fixture(scope="module")
def detector(whole: Audit) -> Detector:
    return reopen_detector(whole)


@pytest.fixture
def audit(whole: Audit, tmp_path: Path) -> Audit:
    return copy_audit(whole, tmp_path / "audit")


def sample(audit: Audit) -> str:
    return audit.query("SELECT sample_id FROM samples ORDER BY path")["sample_id"].iloc[0]


def test_a_result_is_read_as_it_was_kept(tmp_path: Path):
    bits = np.array([[0.5, -2.0]], dtype=np.float32)
    windows = np.array([[0, 0, 1.5], [0, 1, -1.0]], dtype=np.float32)
    written = Evidence(bits, windows, 0.5, float("nan"), 12, 3, 1.25)
    assert not has_result(tmp_path)
    write_result(tmp_path, written)
    assert has_result(tmp_path)
    read = read_result(tmp_path)
    np.testing.assert_array_equal(read.bits, bits)
    np.testing.assert_array_equal(read.windows, windows)
    assert (read.total, read.forwards, read.backwards, read.seconds) == (0.5, 12, 3, 1.25)
    assert np.isnan(read.expected)


@pytest.mark.parametrize(
    ("form", "passes"),
    [("prediction-difference", 640), ("plug-in", 64), ("corrected-plug-in", 94)],
)
def test_what_a_slow_form_costs(form: str, passes: int):
    task = EvidenceTask("part", form, 10, 8)
    assert task.windows((64, 64)) == 64
    assert task.passes((64, 64)) == passes


def test_a_task_is_computed_and_kept(audit: Audit, detector: Detector):
    task = EvidenceTask(sample(audit), "plug-in", 10, 10)
    evidence_job.compute(audit, task)
    found = read_result(task.folder(audit))
    path = audit.query("SELECT path FROM samples ORDER BY path")["path"].iloc[0]
    pixels, conditional = network_input(audit, detector, path), audit_patch_gaussian(audit)
    again = evidence(detector, pixels, conditional, "plug-in", window=10, stride=10)
    np.testing.assert_array_equal(found.bits, again.bits)
    assert found.expected == again.expected


def test_a_worker_says_in_a_sentence_what_is_wrong(
    audit: Audit, capsys: pytest.CaptureFixture[str]
):
    task = EvidenceTask("no-such-part", "plug-in", 10, 8)
    assert evidence_job.main(task.arguments(audit)) == 2
    assert "has no part no-such-part" in capsys.readouterr().err
    task = EvidenceTask(sample(audit), "no-such-form", 10, 8)
    assert evidence_job.main(task.arguments(audit)) == 2
    assert "no-such-form" in capsys.readouterr().err


def test_a_pass_is_timed(detector: Detector):
    assert 0 < evidence_job.pass_seconds(detector) < 10


def measured(audit: Audit, detector: Detector, form: str = "first-order") -> float:
    return evidence_scale(audit, detector, audit_patch_gaussian(audit, 10), form)


def test_the_scale_is_measured_once_on_images_that_are_not_sealed(
    audit: Audit, detector: Detector, monkeypatch: pytest.MonkeyPatch
):
    for path in audit.query("SELECT path FROM samples WHERE role = 'test'")["path"]:
        audit.data_file(path).unlink()
    first = measured(audit, detector)
    assert first > 0
    seen = json.loads((audit.folder / FOLDER / SCALE).read_text())
    assert seen == {"first-order-10": first}
    monkeypatch.setattr(evidence_store, "_measure", None)  # it is not computed again
    assert measured(audit, detector) == measured(audit, detector, "plug-in") == first


def test_the_scale_is_the_value_that_one_in_200_pixels_exceed(audit: Audit, detector: Detector):
    conditional = audit_patch_gaussian(audit, 10)
    paths = audit.query(
        "SELECT path FROM samples WHERE role IN ('train', 'tune') ORDER BY sample_id"
    )["path"]
    bits = [
        evidence(detector, network_input(audit, detector, path), conditional).bits for path in paths
    ]
    assert measured(audit, detector) == pytest.approx(np.quantile(np.abs(bits), 0.995))


def test_another_question_has_a_scale_of_its_own(audit: Audit, detector: Detector):
    assert measured(audit, detector, "gradient-x-input") != measured(audit, detector)


def test_a_damaged_scale_is_measured_again(audit: Audit, detector: Detector):
    first = measured(audit, detector)
    (audit.folder / FOLDER / SCALE).write_text("{")
    assert measured(audit, detector) == first


def test_without_images_there_is_no_scale(audit: Audit, detector: Detector):
    for path in audit.query("SELECT path FROM samples")["path"]:
        audit.data_file(path).unlink()
    with pytest.raises(StoreError, match="None of the photographs that are not sealed"):
        measured(audit, detector)
