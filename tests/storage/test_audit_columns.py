"""Columns of an audit against the same read with SQL, joined by `sample_id`."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.fakes import random_parts, write_fake_audit
from trust_core.decision.curves import scored
from trust_core.decision.indicators.registry import INDICATORS, available
from trust_core.errors import StoreError
from trust_core.storage.audit_columns import number_column, passed_rows, text_column
from trust_core.storage.audit_files import SCORES, Audit
from trust_core.storage.shards import write_table

ROLES = ("tune", "test")


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return write_fake_audit(tmp_path_factory.mktemp("columns") / "audit", random_parts(240))


def test_columns_of_samples_are_in_their_order(audit: Audit):
    table = audit.query("SELECT * FROM samples ORDER BY sample_id")
    for name in ("outcome", "group", "kind", "role", "status"):
        column = text_column(audit, name)
        assert column.names[column.codes].tolist() == table[name].tolist()
        assert column.names.is_monotonic_increasing
    np.testing.assert_array_equal(number_column(audit, "p_defect"), table["p_defect"])
    inside = table["outcome"].isin(["FN", "TN"]) & table["role"].isin(ROLES)
    assert passed_rows(audit, ROLES).tolist() == np.flatnonzero(inside).tolist()
    assert text_column(audit, "kind").equal("pit", "crack", "unknown").sum() == (
        table["kind"].isin(["pit", "crack"]).sum()
    )


@pytest.mark.parametrize("strength", [0.0, 1.0, 4.0])
def test_every_indicator_is_that_of_the_joined_table(audit: Audit, strength: float):
    joined = audit.passed(ROLES)
    want, clean = (joined[joined["strength"] == e].reset_index() for e in (strength, 0.0))
    for name in available(audit):
        have = scored(audit, ROLES, name, strength)
        np.testing.assert_array_equal(have["indicator"], INDICATORS[name](want, clean))
        np.testing.assert_array_equal(have["p_defect"], want["p_defect"])
        for column in ("outcome", "kind"):
            assert have[column].tolist() == want[column].tolist()
        assert pd.factorize(have["group"])[0].tolist() == pd.factorize(want["group"])[0].tolist()


def test_scores_of_other_images_are_refused(tmp_path: Path):
    audit = write_fake_audit(tmp_path / "audit", random_parts(60))
    scores = pd.read_parquet(audit.folder / SCORES)
    write_table(audit.folder / SCORES, scores[scores["strength"] != 1.0])
    with pytest.raises(StoreError, match=r"scores\.parquet does not belong to samples\.parquet"):
        scored(audit, ["tune"], "iou_difference", 4.0)
    write_table(audit.folder / SCORES, scores.iloc[5:])
    with pytest.raises(StoreError, match="run the audit again into a new folder"):
        scored(audit, ["tune"], "iou_difference", 0.0)
