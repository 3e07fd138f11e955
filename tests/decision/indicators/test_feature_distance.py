"""The mask head's alarm: the largest mean over a small window."""

import numpy as np
import pandas as pd
import pytest

from tests.fakes import random_parts, write_fake_audit
from trust_core.decision.indicators.feature_distance import MASK_CHUNK, largest_area
from trust_core.decision.indicators.stored import write_indicators
from trust_core.storage.audit_files import INDICATORS, SAMPLES


def test_by_hand() -> None:
    masks = np.zeros((3, 64, 96), dtype=np.float16)  # windows of 2 by 3 cells
    masks[0, 10, 10] = 0.6  # one noisy cell of six
    masks[1, 20:22, 30:33] = 0.5
    masks[2, -2:, -3:] = 0.25  # in a corner
    found = largest_area(masks, np.arange(3))
    assert found == pytest.approx([0.1, 0.5, 0.25], abs=1e-3)


def test_a_coarse_mask_has_windows_of_one_cell() -> None:
    masks = np.zeros((1, 7, 5), dtype=np.float16)
    masks[0, 3, 2] = 0.75
    assert largest_area(masks, np.array([0])) == pytest.approx([0.75])


def test_rows_are_those_asked_for_and_a_hole_is_unscored() -> None:
    masks = np.linspace(0, 1, 2 * MASK_CHUNK + 3, dtype=np.float16)[:, None, None] * np.ones(
        (1, 4, 4)
    )
    masks[7, 1, 1] = np.nan
    rows = np.array([2 * MASK_CHUNK + 2, 7, 0])
    found = largest_area(masks.astype(np.float16), rows)
    assert found[0] == pytest.approx(1.0, abs=1e-3)
    assert np.isnan(found[1])
    assert found[2] == 0
    assert len(largest_area(masks, np.empty(0, dtype=np.int64))) == 0


@pytest.mark.parametrize("mask_head", [True, False])
def test_it_is_an_indicator_of_the_passed_images(tmp_path, mask_head: bool) -> None:
    audit = write_fake_audit(tmp_path / "audit", random_parts(60), mask_head=mask_head)
    write_indicators(audit)
    table = pd.read_parquet(audit.folder / INDICATORS)
    assert ("mask_alarm" in table) == mask_head
    if mask_head:
        samples = pd.read_parquet(audit.folder / SAMPLES)
        passed = np.flatnonzero(samples["outcome"].isin(["FN", "TN"]))
        wanted = audit.masks()[passed].astype(np.float64).max((1, 2))  # windows of one cell
        np.testing.assert_allclose(table["mask_alarm"], wanted)
