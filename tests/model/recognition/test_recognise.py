from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.model.networks import build
from trust_core.errors import ModelError
from trust_core.model.open import ModelOptions, open_detector
from trust_core.model.outputs import logits_of
from trust_core.model.recognition.architectures import Blueprint, full_names, meta_shapes
from trust_core.model.recognition.fingerprints import fingerprint
from trust_core.model.recognition.recognise import candidates, recognise

FILE = Path("net.pth")
# Architectures that are recognised as themselves or as a twin that computes the same; small ones
# of every family, and more of each.
ROUND_TRIP = """
torchvision: resnet18 densenet121 mobilenet_v3_small regnet_x_400mf swin_t mnasnet0_5
torchvision: shufflenet_v2_x0_5 squeezenet1_1 googlenet
timm: seresnet18 mobilenetv3_small_100 tf_efficientnet_lite0 convnext_atto lcnet_050 ghostnet_050
timm: repvgg_a0 mobileone_s0 test_vit test_resnet test_byobnet test_efficientnet
smp: Unet:resnet18 FPN:efficientnet-b0
"""
MORE = """
torchvision: resnet34 resnet50 resnext50_32x4d vgg11 vgg11_bn alexnet mobilenet_v2
torchvision: mobilenet_v3_large efficientnet_b0 efficientnet_b1 convnext_tiny regnet_y_400mf
torchvision: vit_b_32 squeezenet1_0
timm: resnet18 resnet26d resnetv2_50 densenet121 mobilenetv2_035 efficientnet_b0 efficientnet_es
timm: tf_efficientnetv2_b0 regnety_002 mnasnet_small tinynet_e test_convnext vit_tiny_patch16_224
timm: deit_tiny_patch16_224
smp: Linknet:mobilenet_v2
"""


def names(text):
    lines = (line.split(": ", 1) for line in text.strip().splitlines())
    return [f"{library}/{name}" for library, listed in lines for name in listed.split()]


def outputs(module, channels=3, size=(224, 224)):
    noise = torch.randn(1, channels, *size, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        return logits_of(module.eval()(noise))


def same(one, other):
    return torch.allclose(one, other, rtol=0, atol=1e-4 * (1 + other.abs().max().item()))


@pytest.mark.parametrize(
    "name",
    [*names(ROUND_TRIP), *(pytest.param(name, marks=pytest.mark.slow) for name in names(MORE))],
)
def test_a_state_dict_finds_its_architecture(name):
    module = build(name)
    found = recognise(FILE, module.state_dict())
    size = (160, 160) if "timm/test_" in name else (224, 224)
    assert found.blueprint.outputs == 2
    assert same(outputs(found.module, size=size), outputs(module, size=size))


@pytest.mark.parametrize("name", ["efficientnet_lite0", "tf_efficientnet_b0"])
def test_what_keys_and_shapes_cannot_tell_is_said_and_can_be_told(name):
    module = build(f"timm/{name}")
    found = recognise(FILE, module.state_dict())
    assert f"timm/{name}" in found.others
    assert f"timm/{name}" in found.notes[0]
    assert "--arch" in found.notes[0]
    told = recognise(FILE, module.state_dict(), arch=name)
    assert told.others == ()
    assert same(outputs(told.module), outputs(module))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_number_of_outputs_comes_from_the_head(count):
    state = build("torchvision/mobilenet_v3_small", count).state_dict()
    assert recognise(FILE, state).blueprint.outputs == count


def test_counters_of_batch_norm_may_be_absent():
    module = build("torchvision/resnet18")
    state = {k: v for k, v in module.state_dict().items() if "num_batches" not in k}
    assert same(outputs(recognise(FILE, state).module), outputs(module))


def one_channel(module):
    first = module.conv1
    module.conv1 = nn.Conv2d(1, first.out_channels, 7, 2, 3, bias=False)
    return module


def wrapped_head(module):
    module.fc = nn.Sequential(nn.Dropout(0.5), nn.Linear(512, 3))
    return module


@pytest.mark.parametrize("change", [one_channel, wrapped_head])
def test_a_replaced_first_or_last_layer(change):
    module = change(build("torchvision/resnet18"))
    found = recognise(FILE, module.state_dict())
    channels = found.blueprint.channels
    assert channels == (1 if change is one_channel else 3)
    assert same(outputs(found.module, channels), outputs(module, channels))
    if change is wrapped_head:
        assert "dropout" in found.notes[0]


def test_a_bare_linear_in_place_of_dropout_and_linear():
    module = build("torchvision/mobilenet_v2")
    module.classifier = nn.Linear(1280, 2)
    assert same(outputs(recognise(FILE, module.state_dict()).module), outputs(module))


def test_grey_timm_network():
    module = build("timm/resnet18", in_chans=1)
    found = recognise(FILE, module.state_dict())
    assert found.blueprint.channels == 1
    assert same(outputs(found.module, 1), outputs(module, 1))


@pytest.mark.parametrize(
    ("name", "options", "size", "told"),
    [
        ("timm/vit_tiny_patch16_224", {"img_size": 64}, (64, 64), None),
        ("timm/vit_tiny_patch16_224", {"img_size": (64, 96)}, (64, 96), (64, 96)),
        ("timm/swin_tiny_patch4_window7_224", {"img_size": 64}, (64, 64), (64, 64)),
        ("torchvision/vit_b_32", {"image_size": 64}, (64, 64), None),
    ],
)
def test_tables_of_positions_tell_the_input_size(name, options, size, told):
    module = build(name, **options)
    found = recognise(FILE, module.state_dict(), size=told)
    assert found.blueprint.size == size
    assert same(outputs(found.module, size=size), outputs(module, size=size))


def refused(state, **options):
    with pytest.raises(ModelError) as caught:
        recognise(FILE, state, **options)
    assert str(caught.value).count("\n") <= 2
    assert "net.pth" in str(caught.value)
    return str(caught.value)


def test_near_misses_are_listed_with_what_differs():
    state = build("torchvision/resnet18").state_dict()
    del state["fc.bias"]
    state["layer1.0.conv1.weight"] = torch.zeros(64, 64, 5, 5)
    message = refused(state)
    assert "resnet18 (120 of 122 keys" in message
    assert "layer1.0.conv1.weight is 64x64x5x5, not 64x64x3x3" in message
    assert "1 missing, e.g. fc.bias" in message
    assert message.count(" of ") >= 3


def test_the_wrong_architecture_is_refused():
    state = build("torchvision/resnet18").state_dict()
    message = refused(state, arch="resnet34")
    assert "resnet34" in message
    assert "missing" in message
    assert "unknown architecture" not in message
    assert recognise(FILE, state, arch="timm/resnet18").blueprint.name == "timm/resnet18"


def test_strangers_and_segmentation_without_a_decision():
    assert "none shares" in refused({"a.weight": torch.ones(2, 2)})
    state = build("smp/DeepLabV3:resnet18").state_dict()
    bare = {key: value for key, value in state.items() if "classification" not in key}
    assert "classification_head" in refused(bare)


def test_a_network_for_masks_alone_decides_by_its_mask_and_says_so(tmp_path):
    state = build("smp/Unet:resnet18").state_dict()
    bare = {key: value for key, value in state.items() if "classification" not in key}
    save_file(bare, tmp_path / "bare.safetensors")
    detector = open_detector(tmp_path / "bare.safetensors", ModelOptions(size=(64, 64)))
    assert detector.architecture == "multitask/mask:Unet16:resnet18"
    assert any("gives a mask but no decision" in note for note in detector.notes)
    response = detector.forward_with_gradients(torch.rand(2, 3, 64, 64))
    torch.testing.assert_close(response.log_odds, response.mask_logits.amax((1, 2, 3)))


def test_names():
    assert full_names("resnet18") == ["torchvision/resnet18", "timm/resnet18"]
    assert full_names("timm/resnet18") == ["timm/resnet18"]
    assert full_names("smp/Unet:resnet18") == ["smp/Unet:resnet18"]
    with pytest.raises(ModelError, match=r"Close names: .*resnet18"):
        full_names("resnet_18")
    with pytest.raises(ModelError, match="no encoder"):
        full_names("smp/Unet:nothing")


def test_the_index_agrees_with_the_installed_libraries():
    for name in ("torchvision/resnet18", "timm/lcnet_050", "timm/vit_tiny_patch16_224"):
        shapes = meta_shapes(Blueprint(name, 1000))
        assert name in candidates(shapes)[:4]
        assert (fingerprint(shapes) == fingerprint(dict(reversed(shapes.items())))).all()


@pytest.mark.parametrize("channels", [2, 4, 6])
def test_networks_of_other_channels_hear_about_channels(tmp_path, channels):
    network = build("torchvision/resnet18")
    network.conv1 = torch.nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
    torch.save(network.state_dict(), tmp_path / "net.pth")
    with pytest.raises(ModelError, match=f"resnet18, but it reads {channels} channels; pictures"):
        open_detector(tmp_path / "net.pth")
