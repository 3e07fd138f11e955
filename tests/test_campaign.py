"""The campaign of faults and of hostile files, in its short form."""

from pathlib import Path

import pytest
import torch

from tests.campaign import QUICK_SHARE, run_campaign
from tests.hostile_files import open_all
from trust_core.data import files


@pytest.mark.slow
def test_no_fault_leaves_a_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files, "PAUSES", files.PAUSES)  # put back afterwards
    threads = torch.get_num_threads()
    try:
        kinds = run_campaign(tmp_path, quick=True)
    finally:
        torch.set_num_threads(threads)
    assert sum(kind.faults for kind in kinds) >= 30
    for kind in kinds:
        assert kind.is_clean, kind


@pytest.mark.slow
def test_no_hostile_file_runs_breaks_or_fills_anything():
    kinds = list(open_all(QUICK_SHARE))
    assert sum(kind.files for kind in kinds) >= 450
    for kind in kinds:
        assert kind.is_clean, kind
        assert kind.opened, f"nothing among {kind.name} is sound"
        assert kind.memory < 512, kind
