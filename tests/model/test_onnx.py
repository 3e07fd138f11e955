import sys

import pytest
import torch

from tests.model.networks import build
from trust_core.errors import ModelError
from trust_core.model.detector import Detector
from trust_core.model.open import ModelOptions, open_detector
from trust_core.model.outputs import choose_convention
from trust_core.model.preprocessing import Preprocessing


def export(path, module, size=(64, 96)):
    pytest.importorskip("onnx2torch", reason="the extra onnx is not installed")
    image = torch.zeros(1, 3, *size)
    torch.onnx.export(
        module,
        (image,),
        str(path),
        dynamo=False,
        opset_version=17,
        input_names=["x"],
        dynamic_axes={"x": {0: "n"}},
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["torchvision/resnet18", "timm/test_efficientnet"])
def test_a_converted_network_keeps_its_outputs_and_gradients(tmp_path, name):
    module = build(name)
    export(tmp_path / "net.onnx", module)
    detector = open_detector(tmp_path / "net.onnx", ModelOptions(mean=(0.5,), std=(0.25,)))
    assert detector.preprocessing.size == (64, 96)
    own = Detector(module, Preprocessing((64, 96), mean=(0.5,), std=(0.25,)), choose_convention(2))
    pixels = torch.rand(2, 3, 64, 96)
    one, two = (
        each.forward_with_gradients(pixels, input_gradient=True) for each in (detector, own)
    )
    assert torch.allclose(one.log_odds, two.log_odds, atol=1e-4)
    assert torch.allclose(one.input_gradient, two.input_gradient, atol=1e-4)
    assert list(detector.grids.values()) == list(own.grids.values())
    (activation,), (wanted,) = one.activations.values(), two.activations.values()
    assert torch.allclose(activation, wanted, atol=1e-4)


def test_a_file_that_is_no_onnx_or_keeps_its_weights_elsewhere(tmp_path):
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    (tmp_path / "noise.onnx").write_bytes(b"\x89PNG" * 50)
    with pytest.raises(ModelError, match=r"noise.onnx is no valid ONNX"):
        open_detector(tmp_path / "noise.onnx")
    export(tmp_path / "net.onnx", build("timm/test_resnet"))
    graph = onnx.load(tmp_path / "net.onnx")
    onnx.save(graph, tmp_path / "split.onnx", save_as_external_data=True, location="weights.bin")
    with pytest.raises(ModelError, match="keeps its weights in another file"):
        open_detector(tmp_path / "split.onnx")


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx2torch", None)
    with pytest.raises(ModelError, match=r"net.onnx.*pip install onnx onnx2torch"):
        open_detector(tmp_path / "net.onnx")
