"""The campaign of faults, in its short form."""

from pathlib import Path

import pytest
import torch

from tests.campaign import run_campaign
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
