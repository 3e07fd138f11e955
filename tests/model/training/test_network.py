"""Our own networks: three forms of one, named, built, written, recognised and audited."""

import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import save_file

from tests.model.networks import shaken
from trust_core.errors import ModelError
from trust_core.model.open import ModelOptions, open_detector
from trust_core.model.recognition.architectures import Blueprint
from trust_core.model.training.network import read_plan

ENCODER = "tu-test_efficientnet"


def built(name: str, outputs: int = 2, channels: int = 3) -> torch.nn.Module:
    torch.manual_seed(0)
    return shaken(Blueprint(f"multitask/{name}", outputs, channels).build())


@pytest.mark.parametrize(
    ("name", "grid"),
    [
        (f"joint:FPN32:{ENCODER}", 64),
        (f"joint:FPN32@2:{ENCODER}", 32),
        (f"joint:FPN32@4:{ENCODER}", 16),
        (f"joint:Unet4:{ENCODER}", 64),
        ("joint:Unet16:resnet18", 64),
    ],
)
def test_a_joint_network_gives_a_mask_and_a_label(name, grid):
    mask, label = built(name)(torch.rand(2, 3, 64, 64))
    assert mask.shape == (2, 1, grid, grid)
    assert label.shape == (2, 2)


def test_a_mask_network_decides_by_its_most_suspicious_pixel():
    network = built(f"mask:FPN32:{ENCODER}")
    mask, label = network(torch.rand(3, 3, 64, 64))
    assert torch.equal(label[:, 0], mask.flatten(1).max(1).values)
    assert torch.equal(label[:, 0] >= 0, (mask.sigmoid() >= 0.5).flatten(1).any(1))


def test_a_label_network_is_the_label_of_the_joint_one():
    joint, label = built(f"joint:FPN32:{ENCODER}"), built(f"label:{ENCODER}")
    label.load_state_dict({k: v for k, v in joint.state_dict().items() if k in label.state_dict()})
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(joint(images)[1], label(images))


def test_the_usual_widths_are_those_of_segmentation_models_pytorch():
    for form, family in (("Unet16", smp.Unet), ("FPN128", smp.FPN)):
        ours = built(f"joint:{form}:resnet18", outputs=3)
        theirs = family("resnet18", encoder_weights=None, aux_params={"classes": 3}).eval()
        theirs.load_state_dict(ours.state_dict())
        images = torch.rand(2, 3, 64, 64)
        for one, other in zip(ours(images), theirs(images), strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    "name",
    ["joint:FPN32@4:resnet18", "mask:Unet8:resnet18", "label:resnet18", "joint:FPN64:resnet18"],
)
def test_a_file_opens_by_name_and_is_recognised_without(tmp_path, name):
    path = tmp_path / "network.safetensors"
    save_file(built(name, 1).state_dict(), path)
    told = open_detector(path, ModelOptions(arch=f"multitask/{name}", size=(64, 64)))
    assert told.architecture == f"multitask/{name}"
    found = open_detector(path, ModelOptions(size=(64, 64)))
    assert found.architecture.replace("@4", "") == f"multitask/{name}".replace("@4", "")
    assert (told.mask_grid is None) == name.startswith("label")
    pixels = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(told.log_odds(pixels), found.log_odds(pixels))


def test_one_grey_channel(tmp_path):
    mask, label = built(f"joint:FPN32:{ENCODER}", channels=1)(torch.rand(2, 1, 64, 64))
    assert mask.shape == (2, 1, 64, 64)
    assert label.shape == (2, 2)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("both:FPN32:resnet18", "no network of ours"),
        ("joint:FPN32", "no network of ours"),
        ("joint", "no network of ours"),
        ("joint:PSPNet8:resnet18", "FPN or Unet with its width"),
        ("mask:Unet16@2:resnet18", "FPN or Unet with its width"),
        ("mask::resnet18", "FPN or Unet with its width"),
    ],
)
def test_names_that_mean_nothing(name, sentence):
    with pytest.raises(ModelError, match=sentence):
        read_plan(name)


@pytest.mark.parametrize("name", ["label:resnet99", "joint:FPN20:resnet18", "label:tu-nothing"])
def test_networks_that_cannot_be_built(name):
    with pytest.raises(ModelError, match=r"cannot be built|There is no encoder"):
        Blueprint(f"multitask/{name}", 1).build()


@pytest.mark.parametrize("form", ["joint:FPN32@4", "mask:FPN32@4", "label"])
def test_a_detector_decides_the_same_without_making_a_mask(tmp_path, form):
    path = tmp_path / "network.safetensors"
    save_file(built(f"{form}:{ENCODER}", 1).state_dict(), path)
    options = ModelOptions(arch=f"multitask/{form}:{ENCODER}", size=(64, 64))
    detector = open_detector(path, options)
    pixels = torch.rand(2, 3, 64, 64)
    decoded = []
    if detector.module.decoder is not None:
        detector.module.decoder.register_forward_hook(lambda *_: decoded.append(1))
    whole = detector.forward_with_gradients(pixels, input_gradient=True)
    made = len(decoded)
    assert (whole.mask_logits is None) == (form == "label")
    bare = detector.forward_with_gradients(pixels, input_gradient=True, masks=False)
    torch.testing.assert_close(detector.log_odds(pixels), whole.log_odds)
    assert len(decoded) == (made if form.startswith("joint") else 3 * made)
    assert bare.mask_logits is None
    torch.testing.assert_close(bare.log_odds, whole.log_odds)
    torch.testing.assert_close(bare.input_gradient, whole.input_gradient)
    (layer,) = detector.layers
    torch.testing.assert_close(bare.gradients[layer], whole.gradients[layer])
