"""A known network below other names is found, with the right numbers, or it is said where."""

import re

import pytest
import torch
from torch import nn

from tests.model.networks import build, shaken
from tests.model.recognition.test_recognise import FILE, outputs, refused, same
from trust_core.model.recognition.recognise import recognise


class Around(nn.Module):
    """A class around a headless network, as tutorials write it."""

    def __init__(self, body, features, names=("backbone", "classifier")):
        super().__init__()
        self.names = names
        setattr(self, names[0], body)
        setattr(self, names[1], nn.Linear(features, 2))

    def forward(self, x):
        body, head = (getattr(self, name) for name in self.names)
        return head(body(x).flatten(1))


def headless(name, head):
    module = build(name)
    module.set_submodule(head, nn.Identity())
    return module


def sliced(name):
    return nn.Sequential(*list(build(name).children())[:-1])


def found(module, state=None, size=(96, 96)):
    result = recognise(FILE, state or module.state_dict())
    assert same(outputs(result.module, size=size), outputs(module, size=size))
    return result


@pytest.mark.parametrize("prefix", ["encoder.", "my_net.", "_model.", "a.b.c."])
@pytest.mark.parametrize("name", ["torchvision/mobilenet_v3_small", "timm/lcnet_050"])
def test_any_prefix_that_all_keys_share(prefix, name):
    module = build(name)
    found(module, {prefix + key: value for key, value in module.state_dict().items()})


@pytest.mark.parametrize(
    ("body", "features", "names"),
    [
        (lambda: headless("torchvision/resnet18", "fc"), 512, ("backbone", "classifier")),
        (lambda: headless("timm/lcnet_050", "classifier"), 1280, ("features", "fc")),
        (lambda: sliced("torchvision/resnet18"), 512, ("feature_extractor", "head")),
        (lambda: sliced("timm/resnet18"), 512, ("net", "linear")),
    ],
)
def test_a_backbone_and_a_linear_layer_of_its_own(body, features, names):
    result = found(shaken(Around(body(), features, names)))
    assert any("was read as the linear layer" in note for note in result.notes)


def test_children_by_number_with_a_linear_layer_behind():
    module = shaken(nn.Sequential(sliced("torchvision/resnet18"), nn.Flatten(), nn.Linear(512, 2)))
    found(module)


def test_swin_of_an_older_timm():
    module = build("timm/swin_tiny_patch4_window7_224", img_size=64)
    old = {
        re.sub(
            r"layers\.(\d)\.downsample",
            lambda part: f"layers.{int(part[1]) - 1}.downsample",
            key.replace("head.fc.", "head."),
        ): value
        for key, value in module.state_dict().items()
    }
    result = recognise(FILE, old, size=(64, 64))
    assert same(outputs(result.module, size=(64, 64)), outputs(module, size=(64, 64)))


def test_what_is_not_told_by_the_weights_is_not_guessed():
    whole = build("torchvision/resnet18")
    state = {f"backbone.{key}": value for key, value in whole.state_dict().items()}
    message = refused(state | {"classifier.weight": torch.ones(2, 7)})
    assert "torchvision/resnet18 with a head of its own" in message
    assert "fc (2x512), classifier (2x7), but their widths do not follow one another" in message


def test_numbers_beside_a_network_are_named():
    """A class that normalises inside: which mean and std the network sees is not guessed."""
    state = {
        f"net.{key}": value for key, value in build("torchvision/resnet18").state_dict().items()
    }
    message = refused(state | {"mean": torch.zeros(1, 3, 1, 1), "std": torch.ones(1, 3, 1, 1)})
    assert "The rest is mean, std" in message
