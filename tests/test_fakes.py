"""The fake audit has the format that a real one has."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from tests.fakes import GRID, random_parts, write_fake_audit
from trust_core.audit.run import run_audit
from trust_core.audit.settings import AuditSettings
from trust_core.data.samples import SAMPLE_COLUMNS, Dataset
from trust_core.decision.indicators.registry import ABSENT
from trust_core.model.detector import Detector
from trust_core.model.outputs import choose_convention
from trust_core.model.preprocessing import Preprocessing
from trust_core.storage.audit_files import SAMPLES, SCORES, Audit
from trust_core.storage.manifest import MANIFEST


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return write_fake_audit(tmp_path_factory.mktemp("fake") / "audit")


@pytest.fixture(scope="module")
def real(fake: Audit, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """An audit of a small network on the fake's own images."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)
    )
    with torch.no_grad():
        network[4].bias[0] += 1  # so that images are passed
    samples = fake.query("SELECT * FROM samples")[list(SAMPLE_COLUMNS)]
    dataset = Dataset(Path(fake.manifest.data.root), samples, "class folders", ("good",), ())
    detector = Detector(network, Preprocessing((48, 48)), choose_convention(2))
    settings = AuditSettings(strengths=(0.0, 1.0, 4.0), tta=True)
    return run_audit(detector, dataset, settings, tmp_path_factory.mktemp("real"))


def test_rivals_are_those_a_real_audit_can_have(fake: Audit, real: Audit):
    by_autotune, by_mask_head = {"best_overlap", "overlap_profile"}, {"mask_alarm"}
    by_evidence = {"evidence_mass"}
    assert set(fake.stored_indicators) == set(ABSENT)
    assert set(real.stored_indicators) == set(ABSENT) - by_autotune - by_mask_head - by_evidence
    counts = real.manifest.counts
    assert real.query("SELECT count(*) FROM indicators").iloc[0, 0] == counts.fn + counts.tn


@pytest.mark.parametrize("file", [SAMPLES, SCORES])
def test_tables_have_the_columns_and_types_of_a_real_audit(fake: Audit, real: Audit, file: str):
    schemas = [pq.read_schema(audit.folder / file) for audit in (fake, real)]
    first, second = ({field.name: field.type for field in schema} for schema in schemas)
    assert first == second


def test_manifest_has_the_keys_of_a_real_audit(fake: Audit, real: Audit):
    def keys(value: object) -> object:
        if isinstance(value, dict):
            return {key: keys(item) for key, item in value.items()}
        return [keys(item) for item in value[:1]] if isinstance(value, list) else None

    first, second = (json.loads((a.folder / MANIFEST).read_text()) for a in (fake, real))
    # Nobody notes the files of a fake: tests change them.
    assert set(first) | {"files", "sha256"} == set(second)
    for part in ("settings", "model", "data", "maps", "timings", "counts"):
        assert keys(first[part]) == keys(second[part]), part


def test_files_are_those_of_a_real_audit(fake: Audit, real: Audit):
    def suffixes(audit: Audit) -> set[str]:
        files = (path for path in audit.folder.rglob("*") if path.is_file())
        return {path.name.split(".", 1)[-1] for path in files if path.suffix}

    assert {s.rsplit(".", 1)[-1] for s in suffixes(fake)} == {
        s.rsplit(".", 1)[-1] for s in suffixes(real)
    }


def test_is_realistic(fake: Audit):
    samples = fake.query("SELECT * FROM samples")
    assert set(samples["outcome"]) == {"TP", "FN", "TN", "FP", ""}
    assert set(samples["role"]) == {"train", "tune", "certify", "test"}
    assert set(samples["status"]) == {"scored", "no score", "unreadable"}
    assert samples["group"].value_counts().max() == 2
    assert samples["sample_id"].is_monotonic_increasing
    scores = fake.query("SELECT * FROM scores ORDER BY row")
    pd.testing.assert_frame_equal(
        scores, scores.sort_values(["sample_id", "strength"]).reset_index(drop=True)
    )
    assert fake.maps("defect").shape == (len(scores), *GRID)
    assert np.abs(fake.maps("gradient")).max() == 1


def test_is_reproducible(tmp_path: Path):
    first, second = (write_fake_audit(tmp_path / name / "audit", random_parts(20)) for name in "ab")
    pd.testing.assert_frame_equal(
        first.query("SELECT * FROM scores"), second.query("SELECT * FROM scores")
    )
    assert first.id == second.id
