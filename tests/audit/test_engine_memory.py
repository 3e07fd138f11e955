"""Batches fit into memory: their size is found, and what does not fit after all is halved."""

import numpy as np
import pandas as pd
import pytest
import torch

from tests.small import SIDE, small_dataset, small_detector
from trust_core.audit import run
from trust_core.audit.decode import read_batch
from trust_core.audit.engine import MOST_ON_CPU, Halving, fitting_batch
from trust_core.audit.run import run_audit
from trust_core.audit.score import score_batch
from trust_core.audit.settings import AuditSettings
from trust_core.errors import SettingsError

SETTINGS = AuditSettings(strengths=(0, 1))
FAILURES = [
    MemoryError("Unable to allocate 3.1 GiB"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:126] DefaultCPUAllocator: can't allocate memory"),
]


@pytest.fixture(scope="module")
def detector():
    return small_detector()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return small_dataset(tmp_path_factory.mktemp("data") / "images")


@pytest.fixture(scope="module")
def batch(detector, dataset):
    return read_batch(dataset, detector.preprocessing, slice(0, 11))


def room_for(images, detector, error, tried):
    """A batch function on a machine where no more than some images fit."""

    def score(batch):
        tried.append(len(batch.sample_ids))
        if len(batch.sample_ids) > images:
            raise error
        return score_batch(detector, SETTINGS, batch)

    return score


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_a_batch_that_does_not_fit_is_halved_and_so_are_those_after_it(detector, batch, error):
    tried = []
    halving = Halving(room_for(3, detector, error, tried))
    once, again, whole = halving(batch), halving(batch), score_batch(detector, SETTINGS, batch)
    assert tried == [11, 6, 3, 3, 3, 2, 3, 3, 3, 2]
    for found in (once, again):
        pd.testing.assert_frame_equal(found.samples, whole.samples, rtol=1e-4)
        keys = ["sample_id", "strength", "status"]
        pd.testing.assert_frame_equal(found.scores[keys], whole.scores[keys])
        np.testing.assert_allclose(
            found.scores["iou_difference"], whole.scores["iou_difference"], atol=5e-3
        )
        for name, maps in whole.maps.items():
            np.testing.assert_allclose(found.maps[name], maps, atol=2e-3)
        np.testing.assert_allclose(found.features, whole.features, atol=1e-3)


def test_one_image_that_does_not_fit_is_told_in_one_sentence(detector, batch):
    with pytest.raises(SettingsError, match="One image alone does not fit"):
        Halving(room_for(0, detector, FAILURES[0], []))(batch)


def test_another_failure_is_not_taken_for_a_lack_of_memory(detector, batch):
    tried = []
    with pytest.raises(RuntimeError, match="a bug"):
        Halving(room_for(0, detector, RuntimeError("a bug"), tried))(batch)
    assert tried == [11]


def test_an_audit_goes_on_where_memory_is_short(detector, dataset, tmp_path, monkeypatch):
    whole = run_audit(detector, dataset, SETTINGS, tmp_path / "whole", batch_size=20)
    original = run.score_batch

    def short(detector, settings, batch, *others):
        if len(batch.sample_ids) > 7:
            raise FAILURES[1]
        return original(detector, settings, batch, *others)

    monkeypatch.setattr(run, "score_batch", short)
    halved = run_audit(detector, dataset, SETTINGS, tmp_path / "halved", batch_size=20)
    one, two = (a.query("SELECT * FROM scores ORDER BY row") for a in (whole, halved))
    assert list(one["sample_id"]) == list(two["sample_id"])
    np.testing.assert_allclose(one["iou_difference"], two["iou_difference"], atol=5e-3)


def test_the_batch_follows_the_budget(detector):
    # Kept for a backward: the pixels, both convolutions' inputs and both activations.
    cells = 3 * SIDE**2 + 8 * (SIDE // 2) ** 2 + 12 * (SIDE // 4) ** 2
    assert detector.bytes_per_image >= 4 * cells
    assert detector.bytes_per_image < 8 * cells
    sizes = [fitting_batch(detector, budget) for budget in (1, 1 << 20, 2 << 20, 1 << 40)]
    assert sizes[0] == 1
    assert sizes[2] == pytest.approx(2 * sizes[1], abs=1)
    assert sizes[3] == MOST_ON_CPU
    assert 1 <= fitting_batch(detector) <= MOST_ON_CPU
