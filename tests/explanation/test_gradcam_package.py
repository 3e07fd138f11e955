"""The adapter to the package grad-cam, and what it leaves behind in a user's module: nothing."""

import copy
import io
from contextlib import redirect_stdout

import pytest
import pytorch_grad_cam as package
import torch
from torch import nn

from tests.explanation.networks import FunctionalReLU, TinyResNet, Tokens, make
from trust_core.errors import ModelError, SettingsError
from trust_core.explanation.cams import SPECIFIC
from trust_core.explanation.gradcam_package import package_map
from trust_core.explanation.map_forms import PACKAGE_MAPS
from trust_core.model.detector import Detector

SHARED_FORMS = sorted(set(SPECIFIC) & set(PACKAGE_MAPS))


@pytest.fixture
def detector() -> Detector:
    torch.manual_seed(0)
    return make(TinyResNet(), side=(32, 48))


@pytest.fixture
def pixels() -> torch.Tensor:
    return torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(1))


def state_of(module: nn.Module) -> list[object]:
    """All that a method could leave changed: modules, modes, flags, gradients, hooks, buffers."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return [
        [(name, id(part), part.training) for name, part in module.named_modules()],
        [(name, w.requires_grad, id(w.grad)) for name, w in module.named_parameters()],
        [len(getattr(part, kind)) for part in module.modules() for kind in hooks],
        [value.tolist() for value in module.state_dict().values()],
    ]


@pytest.mark.parametrize("name", PACKAGE_MAPS)
def test_every_map_has_the_layers_grid_and_leaves_nothing_behind(detector, pixels, name: str):
    module = detector.module
    module.fc.bias.grad = torch.ones_like(module.fc.bias)
    before = state_of(module)
    printed = io.StringIO()
    for sign in (1, -1):
        with redirect_stdout(printed):
            made = package_map(detector, name, pixels, detector.layers[0], sign)
        assert made.shape == (2, *detector.grids[detector.layers[0]])
        assert made.dtype == torch.float32
        assert made.isfinite().all()
        assert (made >= 0).all()
    assert state_of(module) == before
    assert module.fc.bias.grad.eq(1).all()
    assert printed.getvalue() == ""  # standard output belongs to --json
    assert not pixels.requires_grad


@pytest.mark.parametrize("form", SHARED_FORMS)
@pytest.mark.parametrize("layer", ["stem", "block1", "block2"])
def test_maps_that_both_have_are_equal_at_any_layer(pixels, form: str, layer: str):
    """The stem and the blocks are followed by work in place."""
    torch.manual_seed(2)
    assert_equal_to_ours(make(TinyResNet(), side=(32, 48), layers=(layer,)), pixels, form)


@pytest.mark.parametrize("form", SHARED_FORMS)
def test_maps_are_taken_after_a_relu_that_is_no_module(form: str):
    torch.manual_seed(3)
    detector = make(FunctionalReLU(), layers=("conv",))
    pixels = torch.rand(2, 3, 32, 32)
    assert (detector.forward_with_gradients(pixels).activations["conv"] >= 0).all()
    assert_equal_to_ours(detector, pixels, form)


@pytest.mark.parametrize("form", SHARED_FORMS)
@pytest.mark.parametrize("layout", ["tokens", "last"])
def test_maps_of_tokens_are_equal_to_ours(form: str, layout: str):
    torch.manual_seed(4)
    detector = make(Tokens(layout), side=(32, 48), layers=("mix",))
    assert detector.grids == {"mix": (4, 6)}
    assert_equal_to_ours(detector, torch.rand(2, 3, 32, 48), form)


@pytest.mark.parametrize("name", ["ablationcam", "scorecam", "eigencam"])
@pytest.mark.parametrize("layout", ["tokens", "last"])
def test_other_maps_of_tokens_have_the_grid(name: str, layout: str):
    detector = make(Tokens(layout), side=(32, 48), layers=("mix",))
    assert package_map(detector, name, torch.rand(1, 3, 32, 48), "mix", 1).shape == (1, 4, 6)


def assert_equal_to_ours(detector: Detector, pixels: torch.Tensor, form: str) -> None:
    layer = detector.layers[0]
    response = detector.forward_with_gradients(pixels)
    for sign in (1, -1):
        ours = SPECIFIC[form](response.activations[layer], sign * response.gradients[layer])
        theirs = package_map(detector, form, pixels, layer, sign)
        torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-4 * float(ours.max()))


def test_ablation_drops_each_channel_of_the_tapped_layer():
    """Weights (z − z without the channel)/z, by hand: the network is linear above the layer."""
    torch.manual_seed(5)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    detector = make(network, side=16)
    pixels = torch.rand(1, 3, 16, 16)
    (activations,) = detector.forward_with_gradients(pixels).activations.values()
    assert activations.min() == 0
    evidence = network[4].weight[1] - network[4].weight[0]
    drops = evidence * activations.mean((2, 3))[0] / detector.log_odds(pixels)
    wanted = torch.einsum("c,chw->hw", drops, activations[0]).relu().detach()
    ours = package_map(detector, "ablationcam", pixels, detector.layers[0], 1)[0]
    torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-5)


class _FailsLater(TinyResNet):
    """Runs so often, then fails, with whatever a stranger's network raises."""

    calls_left = 10**6

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls_left -= 1
        if self.calls_left < 0:
            raise RuntimeError("the kernel gave up\nwith a long trace")
        return super().forward(x)


@pytest.mark.parametrize("name", PACKAGE_MAPS)
@pytest.mark.parametrize("calls", [0, 1, 2])
def test_nothing_is_left_behind_after_a_failure(pixels, name: str, calls: int):
    detector = make(_FailsLater(), side=(32, 48))
    before = state_of(detector.module)
    detector.module.calls_left = calls
    often = name in ("ablationcam", "scorecam")
    if calls and not often:
        package_map(detector, name, pixels, detector.layers[0], 1)
    else:
        with pytest.raises(ModelError) as caught:
            package_map(detector, name, pixels, detector.layers[0], 1)
        assert f"cannot make its map '{name}' for this network (the kernel gave up)" in str(
            caught.value
        )
        assert len(str(caught.value).splitlines()) == 1
    assert state_of(detector.module) == before
    detector.module.calls_left = 10**6
    clean = copy.deepcopy(detector.module).eval()
    torch.testing.assert_close(detector.logits(pixels), clean(pixels).detach())


class _UnusedHead(TinyResNet):
    """A second head that the log-odds do not depend on: the package's bookkeeping breaks."""

    def __init__(self) -> None:
        super().__init__()
        self.mask = nn.Conv2d(12, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.block2(self.block1(self.stem(x)))
        self.shown = self.mask(features)
        return self.fc(features.mean((2, 3)))


def test_a_network_that_the_package_cannot_explain_is_told_in_one_sentence(pixels):
    detector = make(_UnusedHead(), side=(32, 48))
    before = state_of(detector.module)
    with pytest.raises(ModelError, match="cannot make its map 'fullgrad' for this network"):
        package_map(detector, "fullgrad", pixels, detector.layers[0], 1)
    assert state_of(detector.module) == before
    package_map(detector, "gradcam", pixels, detector.layers[0], 1)


def test_an_unknown_map_is_refused(detector, pixels):
    with pytest.raises(SettingsError, match="no map of the package grad-cam 'nocam'; choose from"):
        package_map(detector, "nocam", pixels, detector.layers[0], 1)


def test_only_maps_that_a_second_run_reproduces_are_offered(detector, pixels):
    assert package.RandomCAM not in [find(package) for find in PACKAGE_MAPS.values()]
    for name in PACKAGE_MAPS:
        first, second = (
            package_map(detector, name, pixels, detector.layers[0], 1) for _ in range(2)
        )
        torch.testing.assert_close(first, second, msg=name)
