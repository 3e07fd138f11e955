"""An exported network gives the numbers of the one it was made from, and opens with its card."""

import json
import shutil

import onnxruntime
import pytest
import torch

from tests.model.networks import Tiny, build
from tests.model.test_probabilities import Ends
from trust_core.errors import StoreError
from trust_core.model.detector import Detector
from trust_core.model.onnx_export import export_onnx
from trust_core.model.open import ModelCard, open_detector, read_card, write_model
from trust_core.model.outputs import choose_convention
from trust_core.model.preprocessing import Preprocessing

INPUT = Preprocessing((64, 48), mean=(0.5,), std=(0.25,))


@pytest.mark.parametrize(
    ("network", "outputs"),
    [
        (lambda: build("timm/test_resnet"), 2),
        (lambda: build("smp/Unet:resnet18", 1), 1),
        (lambda: Ends(torch.nn.Softmax(1)), 2),
        (lambda: Tiny(3), 3),
    ],
)
def test_onnxruntime_gives_the_same(tmp_path, network, outputs):
    convention = choose_convention(outputs, good_index=[1] if outputs == 3 else ())
    size = (64, 64) if outputs == 1 else INPUT.size
    detector = Detector(network(), Preprocessing(size, mean=(0.5,), std=(0.25,)), convention)
    path = export_onnx(detector, tmp_path / "net.onnx")
    pixels = torch.rand(5, 3, *size)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    logits, *masks = session.run(None, {"images": ((pixels - 0.5) / 0.25).numpy()})
    response = detector.forward_with_gradients(pixels)
    assert torch.allclose(torch.from_numpy(logits), response.logits, atol=1e-5, rtol=1e-5)
    assert len(masks) == (response.mask_logits is not None)
    if masks:
        assert torch.allclose(torch.from_numpy(masks[0]), response.mask_logits, atol=1e-4)
    again = open_detector(path)
    assert (again.preprocessing, again.convention) == (detector.preprocessing, convention)
    assert torch.allclose(again.log_odds(pixels), detector.log_odds(pixels), atol=1e-4)


def test_each_file_has_its_own_card(tmp_path):
    module = build("timm/test_resnet")
    write_model(tmp_path / "net.safetensors", module, ModelCard("timm/test_resnet", INPUT))
    detector = open_detector(tmp_path / "net.safetensors")
    torch.onnx.export(module, (torch.zeros(1, 3, 64, 48),), str(tmp_path / "net.onnx"),
                      dynamo=False, opset_version=17)  # fmt: skip
    assert read_card(tmp_path / "net.onnx") is None  # net.json is of net.safetensors
    export_onnx(detector, tmp_path / "net.onnx")
    assert read_card(tmp_path / "net.onnx").preprocessing == INPUT
    assert json.loads((tmp_path / "net.json").read_text())["file"] == "net.safetensors"
    for suffix in (".safetensors", ".json"):  # renamed together, they still belong together
        shutil.move(tmp_path / f"net{suffix}", tmp_path / f"other{suffix}")
    assert read_card(tmp_path / "other.safetensors").preprocessing == INPUT
    shutil.copy(tmp_path / "other.json", tmp_path / "third.json")
    assert read_card(tmp_path / "third.onnx") is None


def test_a_folder_that_is_not_there(tmp_path):
    detector = Detector(Tiny(), INPUT, choose_convention(2))
    with pytest.raises(StoreError, match="cannot be written"):
        export_onnx(detector, tmp_path / "absent" / "net.onnx")
