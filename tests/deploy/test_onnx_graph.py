"""A guard as one ONNX graph: the torch guard's numbers, by onnxruntime, without torch."""

import subprocess
import sys

import numpy as np
import pytest
from torch import nn

from tests.deploy.ware import Ware, make_ware
from trust_core.deploy.guard import Guard
from trust_core.deploy.onnx_graph import SCORES, _linear_head
from trust_core.deploy.onnx_guard import load_onnx_guard
from trust_core.deploy.policy import GuardRefused, write_guard_sums
from trust_core.errors import ModelError

pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
pytest.importorskip("onnx", reason="the extra onnx is not installed")

OWN = ("mask_alarm",)  # another network, below


@pytest.fixture(scope="module")
def ware(tmp_path_factory) -> Ware:
    return make_ware(tmp_path_factory.mktemp("ware"))


def same(ware: Ware, guard: Guard, role: str = "test") -> None:
    """Every number and decision of the two guards on the images of a role."""
    files = ware.files(ware.paths(role))
    torch_says = guard.inspect(files, maps=True)
    onnx_says = load_onnx_guard(guard.folder).inspect(files, maps=True)
    for one, other in zip(torch_says, onnx_says, strict=True):
        assert one.decision == other.decision
        assert other.log_odds == pytest.approx(one.log_odds, rel=1e-4, abs=1e-4)
        assert other.p_defect == pytest.approx(one.p_defect, abs=1e-4)
        if one.indicator is None:
            assert other.indicator is None
        else:
            assert other.indicator == pytest.approx(one.indicator, rel=1e-3, abs=2e-3)
        for name, values in other.maps.items():
            largest = np.abs(one.maps[name]).max()
            np.testing.assert_allclose(values, one.maps[name], atol=2e-3 * largest + 1e-9)
    assert len({part.decision for part in onnx_says}) > 1


@pytest.mark.parametrize("indicator", [name for name in SCORES if name not in OWN])
def test_its_numbers_are_those_of_the_torch_guard(ware, tmp_path, indicator):
    strength = 2.0 if indicator.endswith("shift") or indicator == "log_odds" else 0.0
    same(ware, ware.export(tmp_path / "guard", indicator, strength, onnx=True))


def test_under_perturbation_the_graph_holds_the_backward_pass_too(tmp_path):
    """Max pooling, normalisation, a strided and a grouped convolution; two steps of PGD."""

    def wrap(module: nn.Module) -> nn.Module:
        convolution = nn.Conv2d(12, 12, 3, stride=2, padding=1, groups=4, bias=False)
        nn.init.dirac_(convolution.weight, groups=4)
        norm = nn.BatchNorm2d(12)
        norm.running_mean.uniform_(-0.01, 0.01)
        further = [nn.MaxPool2d(3, 1, 1), convolution, norm, nn.ReLU6(inplace=True)]
        return nn.Sequential(*module[:4], *further, *module[4:])

    deep = make_ware(tmp_path, 60, settings={"pgd_steps": 2}, wrap=wrap)
    same(deep, deep.export(tmp_path / "guard", "iou_difference", 2.0, onnx=True))


def test_an_earlier_layer_is_explained_by_the_backward_pass(tmp_path):
    earlier = make_ware(tmp_path / "earlier", 60, layers=("1",))
    same(earlier, earlier.export(tmp_path / "guard", onnx=True))


@pytest.mark.parametrize("outputs", [1, 3])
def test_one_output_and_three(tmp_path, outputs):
    choices = {} if outputs == 1 else {"good_index": (0,)}
    other = make_ware(tmp_path, outputs=outputs, convention=choices)
    same(other, other.export(tmp_path / "guard", onnx=True))


@pytest.mark.parametrize("mask", ["top:0.2", "otsu"])
def test_the_other_mask_rules(tmp_path, mask):
    other = make_ware(tmp_path, 120, settings={"mask": mask})
    same(other, other.export(tmp_path / "guard", onnx=True))


def test_it_runs_without_torch(ware, tmp_path):
    guard = ware.export(tmp_path / "guard", onnx=True)
    file = ware.files(ware.paths("test"))[0]
    code = (
        "import sys; from pathlib import Path;"
        "from trust_core.deploy.onnx_guard import load_onnx_guard;"
        f"part = load_onnx_guard(Path({str(guard.folder)!r})).inspect([{str(file)!r}])[0];"
        "print(part.decision, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [guard.inspect([file])[0].decision, "False"]


def test_what_cannot_be_one_graph_is_said_in_a_sentence(ware, tmp_path):
    with pytest.raises(ModelError, match="needs more layers than one"):
        ware.export(tmp_path / "a", "iou_random", onnx=True)
    assert not (tmp_path / "a").exists()


def test_a_changed_graph_is_refused(ware, tmp_path):
    folder = ware.export(tmp_path / "guard", onnx=True).folder
    content = bytearray((folder / "guard.onnx").read_bytes())
    weight = ware.detector.module[6].weight.detach().numpy().tobytes()
    place = content.find(weight[:16])
    assert place > 0
    content[place + 3] ^= 0x01
    (folder / "guard.onnx").write_bytes(content)
    with pytest.raises(GuardRefused, match=r"guard\.onnx has changed"):
        load_onnx_guard(folder)
    write_guard_sums(folder)
    with pytest.raises(GuardRefused, match=r"guard\.onnx: z at strength 0 differs"):
        load_onnx_guard(folder)


def test_a_folder_without_a_graph_says_so(ware, tmp_path):
    with pytest.raises(ModelError, match=r"has no guard\.onnx"):
        load_onnx_guard(ware.export(tmp_path / "guard").folder)


def test_the_head_must_give_the_outputs_themselves(ware, tmp_path):
    """A factor behind the linear layer would go unseen by its weights."""

    class Scaled(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return 2.0 * self.inner(x)

    other = make_ware(tmp_path, 60, wrap=Scaled)
    assert _linear_head(ware.detector) is not None
    assert _linear_head(other.detector) is None
    same(other, other.export(tmp_path / "guard", onnx=True))
