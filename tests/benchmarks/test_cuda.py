"""The run on a GPU, small and on the CPU where there is none."""

import json

import pytest
import torch

from benchmarks import cuda
from benchmarks.cuda_sections import SECTIONS, Section, within

FINDINGS = {
    "demo": ("fp32", "cpu_seconds"),
    "engine": ("ResNet-18",),
    "disk": ("decoding_jpg", "decoding_png", "ResNet-18, fp32"),
    "memory": ("halved", "batches_tried"),
    "evidence": ("first-order", "audit"),
    "training": ("interrupted", "resumed_at_step", "history", "opens"),
    "cluster": ("local_seconds", "actors_seconds", "differences"),
}


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_runs_small_or_says_what_it_lacks(name, tmp_path):
    if why := cuda.missing(SECTIONS[name]):
        assert why.endswith("skipped")
        assert why.startswith("needs CUDA" if name == "memory" else "needs the package")
        return
    cuda.run_section(name, tmp_path / "part.json", quick=True)
    found = json.loads((tmp_path / "part.json").read_text())
    assert set(FINDINGS[name]) <= found.keys()
    assert "error" not in found
    for compared in (found.get("fp32"), found.get("audit"), found.get("differences")):
        if compared:
            assert compared["decisions_changed"] == 0
            assert compared["clean"]["z"]["share_within"] == 1
            assert compared["flagged"]["same"] == compared["flagged"]["of"]


def test_a_section_that_fails_leaves_what_it_found_and_why(tmp_path, monkeypatch):
    def fails(note, quick):
        note("first", quick)
        raise ArithmeticError("the reason")

    monkeypatch.setitem(SECTIONS, "demo", Section(fails, 1))
    with pytest.raises(ArithmeticError):
        cuda.run_section("demo", tmp_path / "part.json", quick=True)
    found = json.loads((tmp_path / "part.json").read_text())
    assert found["first"] is True
    assert found["error"][-1] == "ArithmeticError: the reason"


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what is skipped without a GPU")
def test_one_object_is_printed_and_written(capsys, tmp_path):
    out = tmp_path / "cuda.json"
    cuda.main(["--quick", "--json", "--section", "memory", "--out", str(out)])
    printed = json.loads(capsys.readouterr().out)
    assert printed["sections"] == {"memory": {"status": "needs CUDA, skipped"}}
    assert printed["machine"]["gpu"] is None
    assert json.loads(out.read_text()) == printed


def test_a_process_that_runs_out_of_time_says_so():
    found = cuda.in_process("engine", 0.05, quick=True)
    assert found["status"].startswith("stopped after")


def test_differences_are_counted_by_their_tolerance():
    found = within(torch.tensor([0.0, 0.1, 0.4, float("nan")]).double().numpy(), 0.2)
    assert found["largest"] == pytest.approx(0.4)
    assert found["share_within"] == pytest.approx(2 / 3)
