"""A known network below other names is found, with the right numbers, or it is said where."""

import re

import pytest
import torch
from torch import nn

from tests.model.networks import build, shaken
from tests.model.recognition.test_recognise import FILE, outputs, refused, same
from trust_core.model.recognition.own_head import MaxAndAverage
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


@pytest.mark.parametrize("name", ["torchvision/resnet18"])
def test_what_is_not_told_by_the_weights_is_not_guessed(name):
    whole = build(name)
    state = {f"backbone.{key}": value for key, value in whole.state_dict().items()}
    message = refused(state | {"classifier.weight": torch.ones(2, 2)})
    assert "122 keys begin with backbone" in message
    assert "resnet18" in message
    assert "The rest is classifier.weight" in message


def trained(module):
    """Statistics of BatchNorm, of every kind, as images leave them."""
    module = shaken(module)
    norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    for part in norms:
        part.momentum = None
        part.reset_running_stats()
    with torch.no_grad():
        module.train()(torch.randn(8, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    return module.eval()


def replaced(name, root, *layers):
    module = build(name)
    module.set_submodule(root, nn.Sequential(*layers))
    return module


def fastai(body, features):
    """The layers of `create_head`, behind a body that was cut before its pooling."""
    return nn.Sequential(
        body,
        nn.Sequential(
            MaxAndAverage(),
            nn.Flatten(),
            nn.BatchNorm1d(2 * features),
            nn.Dropout(0.25),
            nn.Linear(2 * features, 64, bias=False),
            nn.ReLU(inplace=True),
            nn.BatchNorm1d(64),
            nn.Dropout(0.5),
            nn.Linear(64, 2, bias=False),
        ),
    )


def cut(name):
    return nn.Sequential(*list(build(name).children())[:-2])


@pytest.mark.parametrize(
    ("module", "hidden"),
    [
        (
            lambda: replaced(
                "torchvision/resnet18",
                "fc",
                *(nn.Linear(512, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 2)),
            ),
            True,
        ),
        (
            lambda: replaced(
                "torchvision/mobilenet_v3_small",
                "classifier",
                *(nn.Linear(576, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 1)),
            ),
            True,
        ),
        (
            lambda: replaced(
                "timm/lcnet_050", "classifier", nn.BatchNorm1d(1280), nn.Linear(1280, 2)
            ),
            False,
        ),
        (
            lambda: nn.Sequential(
                *list(build("torchvision/resnet18").children())[:-1],
                *(nn.Flatten(), nn.BatchNorm1d(512), nn.Linear(512, 2)),
            ),
            False,
        ),
        (lambda: fastai(cut("torchvision/resnet18"), 512), True),
        (lambda: fastai(cut("torchvision/efficientnet_b0"), 1280), True),
    ],
)
def test_a_head_of_several_layers_of_its_own(module, hidden):
    result = found(trained(module()))
    assert any("head is one of your own" in note for note in result.notes)
    assert any("ReLU was taken" in note for note in result.notes) == hidden


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        # Means of tanh get below 0, those of a ReLU do not.
        (
            (nn.Linear(512, 8), nn.Tanh(), nn.BatchNorm1d(8), nn.Linear(8, 2)),
            "behind fc.0 stands no ReLU",
        ),
        ((nn.Linear(512, 8), nn.PReLU(), nn.Linear(8, 2)), "fc.0.bias"),
        ((nn.Linear(512, 8), nn.LayerNorm(8), nn.Linear(8, 2)), "fc.0.bias"),
    ],
)
def test_a_head_that_its_weights_contradict_is_not_guessed(layers, said):
    message = refused(trained(replaced("torchvision/resnet18", "fc", *layers)).state_dict())
    assert said in message
    assert "hand your module to the library" in message


def test_which_half_is_the_largest_of_the_cells_is_told_by_its_means():
    module = trained(fastai(cut("torchvision/resnet18"), 512))
    state = module.state_dict()
    means = state["1.2.running_mean"]
    state["1.2.running_mean"] = torch.cat(means.chunk(2)[::-1])
    assert "not of the cells' largest, then their average" in refused(state)


def test_numbers_beside_a_network_are_named():
    """A class that normalises inside: which mean and std the network sees is not guessed."""
    state = {
        f"net.{key}": value for key, value in build("torchvision/resnet18").state_dict().items()
    }
    message = refused(state | {"mean": torch.zeros(1, 3, 1, 1), "std": torch.ones(1, 3, 1, 1)})
    assert "The rest is mean, std" in message
