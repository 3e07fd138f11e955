"""The simulated audits of the benchmarks have the format of real ones."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.simulated import write_simulated
from tests.fakes import random_parts, write_fake_audit
from trust_core.decision.certify import indicator_to_certify
from trust_core.decision.indicators.registry import available
from trust_core.storage.audit_files import SAMPLES, SCORES, open_audit
from trust_core.storage.manifest import MANIFEST


def test_its_tables_and_manifest_are_those_of_an_audit(tmp_path: Path):
    write_simulated(tmp_path / "simulated", 500)
    made = open_audit(tmp_path / "simulated")
    like = write_fake_audit(tmp_path / "fake", random_parts(60))
    written = (json.loads((audit.folder / MANIFEST).read_text()) for audit in (like, made))
    assert set(next(written)) - set(next(written)) <= {"precision"}
    for file in (SAMPLES, SCORES):
        a, b = (pd.read_parquet(audit.folder / file) for audit in (made, like))
        assert set(a) == set(b)
        assert a["sample_id"].is_monotonic_increasing
    scores = made.query("SELECT * FROM scores ORDER BY row")
    assert scores["row"].tolist() == list(range(len(scores)))
    assert made.maps("defect").shape[0] == len(scores)
    passed = made.query("SELECT count(*) AS n FROM samples WHERE outcome IN ('FN', 'TN')")
    assert (scores["strength"] == 8.0).sum() == passed["n"].iloc[0]
    assert indicator_to_certify(made).indicator in available(made)
    assert np.isfinite(made.query("SELECT energy FROM indicators")["energy"]).all()


def test_its_photographs_are_there(tmp_path: Path):
    write_simulated(tmp_path / "simulated", 30)
    made = open_audit(tmp_path / "simulated")
    root = Path(made.manifest.data.root)
    assert all((root / path).is_file() for path in made.query("SELECT path FROM samples")["path"])
