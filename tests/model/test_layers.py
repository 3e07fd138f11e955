import pytest
import torch
from torch import nn

from tests.model.networks import Tiny, build
from trust_core.errors import ModelError, SettingsError
from trust_core.model.detector import Detector
from trust_core.model.outputs import choose_convention
from trust_core.model.preprocessing import Preprocessing


def open_at(module, size=(64, 64), layers=()):
    return Detector(module, Preprocessing(size), choose_convention(2), layers)


# name, options, layer, grid, layout, activated
BY_RULE = [
    ("torchvision/resnet18", {}, "layer4", (2, 2), "first", True),
    ("timm/resnet18", {}, "layer4", (2, 2), "first", True),
    ("torchvision/vgg11", {}, "features", (2, 2), "first", True),
    ("torchvision/densenet121", {}, "features", (2, 2), "first", True),
    ("torchvision/mobilenet_v2", {}, "features", (2, 2), "first", True),
    ("torchvision/mobilenet_v3_small", {}, "features", (2, 2), "first", True),
    ("torchvision/squeezenet1_1", {}, "features", (3, 3), "first", True),
    ("torchvision/shufflenet_v2_x0_5", {}, "conv5", (2, 2), "first", True),
    ("torchvision/regnet_y_400mf", {}, "trunk_output", (2, 2), "first", True),
    ("timm/tf_efficientnet_lite0", {}, "bn2", (2, 2), "first", True),
    ("timm/mobilenetv3_small_100", {}, "blocks", (2, 2), "first", True),
    ("timm/lcnet_050", {}, "blocks", (2, 2), "first", True),
    ("timm/resnetv2_50", {}, "norm", (2, 2), "first", True),
    ("timm/convnext_atto", {}, "stages", (2, 2), "first", False),
    ("torchvision/swin_t", {}, "norm", (2, 2), "last", False),
    ("timm/swin_tiny_patch4_window7_224", {"img_size": 64}, "norm", (2, 2), "last", False),
    # After the last block only the class token is read: the grid's last word is one earlier.
    ("timm/vit_tiny_patch16_224", {"img_size": 64}, "blocks.10", (4, 4), "tokens", False),
    (
        "timm/deit_tiny_distilled_patch16_224",
        {"img_size": 64},
        "blocks.10",
        (4, 4),
        "tokens",
        False,
    ),
    (
        "torchvision/vit_b_32",
        {"image_size": 64},
        "encoder.layers.encoder_layer_10",
        (2, 2),
        "tokens",
        False,
    ),
    ("smp/Unet:resnet18", {}, "encoder.layer4", (2, 2), "first", True),
    ("smp/FPN:efficientnet-b0", {}, "encoder._blocks.15", (2, 2), "first", False),
]
SLOW = ("torchvision/vgg11", "torchvision/vit_b_32", "timm/resnetv2_50")  # large, like the others


@pytest.mark.parametrize(
    ("name", "options", "layer", "grid", "layout", "activated"),
    [pytest.param(*row, marks=[pytest.mark.slow] * (row[0] in SLOW)) for row in BY_RULE],
)
def test_the_layer_by_rule(name, options, layer, grid, layout, activated):
    detector = open_at(build(name, **options))
    assert detector.layers == (layer,)
    assert detector.grids == {layer: grid}
    assert detector.explained[layer].layout == layout
    assert any("no non-linearity" in note for note in detector.notes) == (not activated)
    if activated:
        activation = detector.forward_with_gradients(torch.rand(2, 3, 64, 64)).activations[layer]
        assert activation.min() >= (-0.4 if "v3" in name or "lcnet" in name else 0)


def test_tall_narrow_images():
    detector = open_at(build("torchvision/resnet18"), (256, 64))
    assert detector.grids == {"layer4": (8, 2)}
    swin = open_at(build("timm/swin_tiny_patch4_window7_224", img_size=(128, 64)), (128, 64))
    assert swin.grids == {"norm": (4, 2)}
    vit = open_at(build("timm/vit_tiny_patch16_224", img_size=(96, 32)), (96, 32))
    assert vit.grids == {"blocks.10": (6, 2)}


def test_tokens_lie_where_their_patches_are():
    module = build("timm/vit_tiny_patch16_224", img_size=64)
    detector = open_at(module, layers=("patch_embed",))
    black = torch.zeros(1, 3, 64, 64)
    white = black.clone()
    white[:, :, 16:32, 48:64] = 1  # the patch in row 1, column 3
    activations = detector.forward_with_gradients(torch.cat([black, white])).activations[
        "patch_embed"
    ]
    changed = (activations[0] != activations[1]).any(0)
    assert changed.nonzero().tolist() == [[1, 3]]


def test_layer_grids_lists_in_call_order_and_names_can_be_chosen():
    detector = open_at(build("torchvision/resnet18"))
    grids = detector.layer_grids()
    stages = ["conv1", "layer1", "layer2", "layer3", "layer4"]
    assert [name for name in grids if name in stages] == stages
    assert grids["layer3"] == (256, 4, 4)
    assert "avgpool" not in grids
    assert "fc" not in grids
    with pytest.raises(SettingsError, match="Near it: layer4"):
        open_at(build("torchvision/resnet18"), layers=("layer5",))


def test_a_chosen_layer_is_taken_after_its_functional_relu():
    detector = open_at(build("torchvision/densenet121"), layers=("features.norm5",))
    response = detector.forward_with_gradients(torch.rand(2, 3, 64, 64))
    assert response.activations["features.norm5"].min() == 0


def test_an_in_place_relu_after_the_layer_does_not_reach_the_activations():
    detector = open_at(Tiny(), layers=("stem", "relu"))
    response = detector.forward_with_gradients(torch.rand(2, 3, 64, 64))
    assert response.activations["stem"].min() == 0  # relu follows: applied
    assert response.activations["relu"].shape[2:] == (16, 16)  # called twice: the last call


class Branches(nn.Module):
    """Two parallel branches that are joined, an unused one, and tokens that form no grid."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.left = nn.Sequential(nn.Conv2d(3, 4, 4, 4), nn.ReLU())
        self.right = nn.Sequential(nn.Conv2d(3, 4, 4, 4), nn.ReLU())
        self.unused = nn.Conv2d(8, 2, 1)
        self.join = nn.Sequential(nn.Conv2d(8, 8, 1), nn.ReLU())
        self.odd = nn.Linear(8, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        x = self.join(torch.cat([self.left(x), self.right(x)], 1))
        self.unused(x)
        tokens = self.odd(x.flatten(2).transpose(1, 2)[:, :11])
        return self.head(tokens.mean(1))


def test_branches_unused_heads_and_odd_tokens_are_passed_over():
    detector = open_at(Branches(), (16, 16))
    assert detector.layers == ("join",)
    assert "left" in detector.layer_grids()
    assert "unused" not in detector.layer_grids()
    assert "odd" not in detector.layer_grids()


def test_tokens_without_a_grid_are_refused_with_a_sentence():
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.read = nn.Linear(12, 8)
            self.head = nn.Linear(8, 2)

        def forward(self, x):
            return self.head(self.read(x.reshape(len(x), -1, 12)[:, :23]).mean(1))

    with pytest.raises(ModelError, match="tokens form no grid"):
        open_at(Words(), (16, 32))
