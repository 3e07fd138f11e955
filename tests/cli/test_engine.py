"""Where batches run, as the command line is told it."""

import sys

import pytest

from tests.small import small_dataset, small_detector
from trust_core.audit.cluster import Cluster
from trust_core.audit.run import run_audit
from trust_core.audit.settings import AuditSettings
from trust_core.cli.main import main
from trust_core.errors import EngineError


@pytest.mark.parametrize("option", ["--ray-address", "--workers", "--gpus"])
def test_options_of_the_cluster_need_the_engine(option, capsys):
    assert main(["audit", "model.pth", "parts", option, "2"]) == 2
    assert capsys.readouterr().err == f"{option} is for the cluster: add --engine ray.\n"


def test_without_ray_the_sentence_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    dataset = small_dataset(tmp_path / "images")
    with pytest.raises(EngineError, match=r"pip install 'ray\[data\]'"):
        run_audit(
            small_detector(),
            dataset,
            AuditSettings(strengths=(0,)),
            tmp_path / "a",
            cluster=Cluster(),
        )
