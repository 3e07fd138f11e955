"""Heads of one's own are rebuilt with the right numbers, asked about, or refused with the cause."""

from collections import OrderedDict

import pytest
import torch
import torchvision
from torch import nn

from tests.model.networks import build, shaken
from tests.model.recognition.test_recognise import FILE, outputs, refused, same
from trust_core.errors import ModelError
from trust_core.model.recognition.own_head import FUNCTIONS, MaxAndAverage, split_function
from trust_core.model.recognition.recognise import recognise

SIZE = (64, 64)


def trained(module):
    """Statistics of BatchNorm, of every kind, as images leave them."""
    module = shaken(module)
    norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    for part in norms:
        part.momentum = None
        part.reset_running_stats()
    with torch.no_grad():
        module.train()(torch.randn(8, 3, *SIZE, generator=torch.Generator().manual_seed(0)))
    return module.eval()


def replaced(name, root, *layers):
    module = build(name)
    module.set_submodule(root, nn.Sequential(*layers))
    return module


def resnet(*layers):
    return replaced("torchvision/resnet18", "fc", *layers)


class Named(nn.Module):
    """A class around a headless network, with layers by name and a function between them."""

    def __init__(self, function=nn.Identity, **layers):
        super().__init__()
        self.backbone = build("torchvision/resnet18")
        self.backbone.fc = nn.Identity()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.names = tuple(layers)
        self.functions = {self.names[-2]: function()}

    def forward(self, x):
        x = self.backbone(x)
        for name in self.names:
            x = self.functions.get(name, nn.Identity())(getattr(self, name)(x))
        return x


def found(module, arch=None):
    result = recognise(FILE, module.state_dict(), arch=arch)
    assert same(outputs(result.module, size=SIZE), outputs(module, size=SIZE))
    return result


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
        (lambda: resnet(nn.Linear(512, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 2)), True),
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
        # LayerNorm: before all, behind a linear layer, behind a function.
        (lambda: resnet(nn.LayerNorm(512), nn.Dropout(0.1), nn.Linear(512, 2)), False),
        (lambda: resnet(nn.Linear(512, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 2)), True),
        (lambda: resnet(nn.Linear(512, 8), nn.ReLU(), nn.LayerNorm(8), nn.Linear(8, 2)), True),
        (
            lambda: replaced(
                "timm/convnext_atto",
                "head.fc",
                *(nn.Linear(320, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 2)),
            ),
            True,
        ),
        # A PReLU has a weight: nothing is taken, whatever the gaps are.
        (
            lambda: resnet(
                nn.Linear(512, 8), nn.Dropout(0.2), nn.PReLU(), nn.Dropout(0.2), nn.Linear(8, 2)
            ),
            False,
        ),
        (lambda: resnet(nn.Linear(512, 8), nn.Linear(8, 2)), False),
    ],
)
def test_a_head_of_several_layers_of_its_own(module, hidden):
    result = found(trained(module()))
    assert any("head is one of your own" in note for note in result.notes)
    assert any("ReLU was taken" in note for note in result.assumed) == hidden
    assert bool(result.other_heads) == hidden


@pytest.mark.parametrize("function", [name for name in FUNCTIONS if name != "relu"])
def test_a_function_that_the_user_tells(function):
    module = shaken(resnet(nn.Linear(512, 8), FUNCTIONS[function](), nn.Linear(8, 2)))
    assert not same(
        outputs(recognise(FILE, module.state_dict()).module, size=SIZE), outputs(module, size=SIZE)
    )
    result = found(module, f"resnet18+{function}")
    assert result.blueprint.full_name == f"torchvision/resnet18+{function}"
    assert result.assumed == ()
    again = recognise(FILE, module.state_dict(), arch=result.blueprint.full_name)
    assert again.blueprint == result.blueprint


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ({"embedding": nn.Linear(512, 8), "classifier": nn.Linear(8, 2)}, "none"),
        ({"fc1": nn.Linear(512, 8), "fc2": nn.Linear(8, 2)}, "gelu"),
        (
            {"neck": nn.Linear(512, 8), "bnneck": nn.BatchNorm1d(8), "head": nn.Linear(8, 2)},
            "none",
        ),
        ({"fc1": nn.Linear(512, 8), "bn1": nn.BatchNorm1d(8), "fc2": nn.Linear(8, 2)}, "relu"),
        ({"fc1": nn.Linear(512, 8), "norm": nn.LayerNorm(8), "fc2": nn.Linear(8, 2)}, "gelu"),
        ({"a": nn.Linear(512, 8), "b": nn.LayerNorm(8), "c": nn.Linear(8, 2)}, "none"),
    ],
)
def test_layers_with_names_are_rebuilt_once_the_user_tells_what_stands_between(layers, told):
    module = trained(Named(FUNCTIONS[told], **layers))
    message = refused(module.state_dict())
    first, last = list(layers)[-2:]
    own = "own." * ("bn1" in layers)  # a name that the network has too
    assert f"which function stands between {own}{first} and {own}{last}, if any does" in message
    assert "say --arch NAME with one of resnet18+relu" in message
    notes = found(module, f"resnet18+{told}").notes
    if "bn1" not in layers:
        assert any(f"{told} was placed between {first} and {last}." in note for note in notes)


@pytest.mark.parametrize(
    "module",
    [
        lambda: resnet(nn.Linear(512, 8), nn.PReLU(8), nn.Dropout(), nn.Linear(8, 2)),
        lambda: Named(fc1=nn.Linear(512, 8), act=nn.PReLU(8), fc2=nn.Linear(8, 2)),
        lambda: resnet(nn.Linear(512, 8), nn.BatchNorm1d(8), nn.PReLU(8), nn.Linear(8, 2)),
    ],
)
def test_one_weight_a_feature_is_a_prelu_once_the_user_tells(module):
    module = trained(module())
    message = refused(module.state_dict())
    assert "has one weight a feature, as a PReLU, an RMSNorm or a LayerNorm without bias" in message
    assert "where it is a PReLU, say --arch NAME with resnet18+prelu" in message
    result = found(module, "resnet18+prelu")
    assert result.blueprint.full_name == "torchvision/resnet18+prelu"
    assert result.assumed == result.other_heads == ()
    again = recognise(FILE, module.state_dict(), arch=result.blueprint.full_name)
    assert again.blueprint == result.blueprint


def test_a_prelu_that_is_none_and_a_function_beside_one_are_refused():
    state = resnet(nn.Linear(512, 8), nn.ReLU(), nn.Linear(8, 2)).state_dict()
    assert "has no function that prelu could be" in refused(state, arch="resnet18+prelu")
    layers = (nn.Linear(512, 8), nn.PReLU(8), nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 2))
    message = refused(resnet(*layers).state_dict(), arch="resnet18+prelu")
    assert "beside the PReLU a function stands between fc.2 and fc.4" in message


@pytest.mark.parametrize("name", ["inception_v3", "googlenet"])
def test_auxiliary_heads_of_any_width_are_left_out(name):
    module = getattr(torchvision.models, name)(weights=None, init_weights=False).eval()
    module.fc = nn.Linear(module.fc.in_features, 2)  # the others keep their 1000 outputs
    result = recognise(FILE, module.state_dict())
    assert result.blueprint.name == f"torchvision/{name}"
    assert result.blueprint.outputs == 2


def test_another_stem_is_no_other_number_of_channels():
    module = build("torchvision/resnet18")
    module.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)  # as for CIFAR; its stride is in no file
    message = refused(module.state_dict())
    assert "conv1.weight is 64x3x3x3, not 64x3x7x7" in message
    assert "channels" not in message


def test_whether_a_relu_stands_before_a_batch_norm_with_a_name_is_told_by_its_means():
    layers = {"fc1": nn.Linear(512, 8), "bn1": nn.BatchNorm1d(8), "fc2": nn.Linear(8, 2)}
    module = Named(**layers)
    module.functions = {"fc1": nn.ReLU()}
    found(trained(module), "resnet18+relu")


@pytest.mark.parametrize(
    "layers",
    [
        {"norm": nn.LayerNorm(512), "fc": nn.Linear(512, 2)},
        {"norm": nn.BatchNorm1d(512), "out": nn.Linear(512, 2)},
        {"fc1": nn.Linear(512, 8), "act": nn.PReLU(), "fc2": nn.Linear(8, 2)},
        {"head": nn.Sequential(OrderedDict(a=nn.LayerNorm(512), b=nn.Linear(512, 3)))},
    ],
)
def test_layers_with_names_that_leave_no_question(layers):
    module = shaken(Named(**({"same": nn.Identity()} | layers)))
    assert any("head is one of your own" in note for note in found(module).notes)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        # Means of tanh get below 0, those of a ReLU do not.
        (
            lambda: resnet(nn.Linear(512, 8), nn.Tanh(), nn.BatchNorm1d(8), nn.Linear(8, 2)),
            "behind fc.0 stands no ReLU",
        ),
        (
            lambda: resnet(
                nn.Linear(512, 8), nn.Dropout(), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 2)
            ),
            "a function and dropout stand between fc.0 and fc.4, and nothing tells which comes",
        ),
        (
            lambda: resnet(nn.utils.parametrizations.weight_norm(nn.Linear(512, 2))),
            "is no linear, batch norm, layer norm or PReLU layer",
        ),
        (
            lambda: Named(a=nn.Linear(512, 512), b=nn.Linear(512, 512), c=nn.Linear(512, 2)),
            "nothing tells in which order they are computed",
        ),
        (
            lambda: Named(a=nn.Linear(512, 512), b=nn.LayerNorm(512), c=nn.Linear(512, 2)),
            "nothing tells where b stands",
        ),
        # Its own head has Hardswish there; only the width may have been changed.
        (
            lambda: replaced(
                "torchvision/mobilenet_v3_small",
                "classifier",
                *(nn.Linear(576, 16), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(16, 2)),
            ),
            "which function stands between classifier.0 and classifier.3",
        ),
    ],
)
def test_a_head_that_cannot_be_told_is_refused_with_the_cause(module, said):
    message = refused(trained(module()).state_dict())
    assert said in message
    assert "with a head of its own" in message
    assert "hand your module to the library" in message


def test_a_head_without_a_function_has_none_to_tell():
    state = build("torchvision/resnet18").state_dict()
    with pytest.raises(ModelError, match=r"no function that gelu could be; leave \+gelu out"):
        recognise(FILE, state, arch="resnet18+gelu")
    with pytest.raises(ModelError, match="no function that a head can have; they are relu, gelu"):
        recognise(FILE, state, arch="resnet18+swoosh")
    assert split_function("timm/resnet18") == ("timm/resnet18", "")


def test_what_stands_behind_a_norm_that_comes_first_is_said():
    module = shaken(resnet(nn.BatchNorm1d(512), nn.Dropout(), nn.Linear(512, 2)))
    assert "between fc.0 and fc.2 was taken as dropout" in found(module).notes[0]
    module = shaken(resnet(nn.BatchNorm1d(512), nn.Linear(512, 2)))
    assert "dropout" not in found(module).notes[0]


def test_which_half_is_the_largest_of_the_cells_is_told_by_its_means():
    module = trained(fastai(cut("torchvision/resnet18"), 512))
    state = module.state_dict()
    means = state["1.2.running_mean"]
    state["1.2.running_mean"] = torch.cat(means.chunk(2)[::-1])
    assert "not of the cells' largest, then their average" in refused(state)
