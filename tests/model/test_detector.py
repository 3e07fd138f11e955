import threading

import pytest
import torch
from torch import nn

from tests.model.networks import Tiny, build
from trust_core.errors import ModelError, SettingsError
from trust_core.model.detector import Detector
from trust_core.model.modules import eval_mode
from trust_core.model.outputs import choose_convention
from trust_core.model.preprocessing import Preprocessing

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
NETWORKS = {
    "torchvision/resnet18": {},
    "torchvision/mobilenet_v3_small": {},
    "torchvision/densenet121": {},
    "torchvision/vgg11_bn": {},
    "timm/tf_efficientnet_lite0": {},
    "timm/convnext_atto": {},
    "timm/test_convnext": {"in_chans": 1},
    "torchvision/swin_t": {},
    "timm/swin_tiny_patch4_window7_224": {"img_size": 64},
    "timm/vit_tiny_patch16_224": {"img_size": 64},
    "torchvision/vit_b_32": {"image_size": 64},
    "smp/Unet:resnet18": {},
}


def detector_of(module, size=(64, 64), outputs=2, channels="rgb", **options):
    normalise = IMAGENET if channels == "rgb" else {"mean": (0.5,), "std": (0.25,)}
    return Detector(
        module,
        Preprocessing(size, channels=channels, **normalise),
        options.pop("convention", choose_convention(outputs)),
        **options,
    )


def pixels_for(detector, images=3, seed=0):
    shape = (images, detector.preprocessing.input_channels, *detector.preprocessing.size)
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def close(one, other, tolerance=1e-4):
    return torch.allclose(one, other, rtol=0, atol=tolerance * (1 + other.abs().max().item()))


def plain_run(module, detector, pixels):
    """An independent run: full autograd, the layer's output caught by a bare hook."""
    (layer,) = detector.explained.values()
    kept = []
    handle = module.get_submodule(layer.name).register_forward_hook(
        lambda _, __, output: kept.append(output) or output.clone()
    )
    x = pixels.clone().requires_grad_()
    shape = (1, -1, 1, 1)
    mean, std = (
        torch.tensor(v).view(shape)
        for v in (detector.preprocessing.mean, detector.preprocessing.std)
    )
    output = module((x - mean) / std)
    handle.remove()
    logits = output[1] if isinstance(output, tuple) else output
    z = logits[:, 1] - logits[:, 0]
    gradient, dx = torch.autograd.grad(z.sum(), [kept[-1], x])
    return z.detach(), kept[-1].detach(), gradient, dx, layer


SLOW = ("torchvision/vgg11_bn", "torchvision/vit_b_32")  # large, and like others but for that


def slow_where(names):
    return [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in names]


@pytest.mark.parametrize("name", slow_where(NETWORKS))
def test_parity_with_a_plain_autograd_run(name):
    options = NETWORKS[name]
    module = build(name, **options)
    detector = detector_of(module, channels="grey" if "in_chans" in options else "rgb")
    pixels = pixels_for(detector)
    z, activation, gradient, dx, layer = plain_run(module, detector, pixels)
    response = detector.forward_with_gradients(pixels, input_gradient=True)
    again = detector.forward_with_gradients(pixels)
    assert close(detector.log_odds(pixels), z)
    for each in (response, again):
        assert close(each.log_odds, z)
        kept = each.activations[layer.name]
        assert kept.shape == each.gradients[layer.name].shape
        assert tuple(kept.shape[2:]) == detector.grids[layer.name]
        wanted = layer.maps(activation)
        assert close(kept, wanted.relu() if layer.relu else wanted)
        # Where relu(A) is 0 the gradient with respect to relu(A) and to A differ by definition.
        alive = kept > 0 if layer.relu else torch.ones_like(kept, dtype=torch.bool)
        assert alive.any()
        assert close(each.gradients[layer.name] * alive, layer.maps(gradient) * alive)
    assert close(response.input_gradient, dx)
    assert again.input_gradient is None
    assert response.features is not None
    assert response.features.shape[0] == len(pixels)


def test_features_are_what_the_last_linear_reads():
    module = build("torchvision/resnet18")
    detector = detector_of(module)
    pixels = pixels_for(detector)
    response = detector.forward_with_gradients(pixels)
    assert close(module.fc(response.features), response.logits)
    assert (
        detector_of(build("torchvision/squeezenet1_1")).forward_with_gradients(pixels).features
        is None
    )


def test_results_do_not_depend_on_the_batch():
    detector = detector_of(build("torchvision/mobilenet_v3_small").train())
    pixels = pixels_for(detector, 6)
    whole = detector.forward_with_gradients(pixels, input_gradient=True)
    for index in range(6):
        alone = detector.forward_with_gradients(pixels[index : index + 1], input_gradient=True)
        assert close(alone.log_odds, whole.log_odds[index : index + 1])
        name = detector.layers[0]
        assert close(alone.gradients[name], whole.gradients[name][index : index + 1])
        assert close(alone.input_gradient, whole.input_gradient[index : index + 1])


def test_log_odds_of_one_and_three_outputs():
    one = detector_of(Tiny(1), convention=choose_convention(1, one_logit="good"))
    pixels = pixels_for(one)
    assert close(one.log_odds(pixels), -one.logits(pixels)[:, 0])
    three = detector_of(Tiny(3), convention=choose_convention(3, good_index=[1]))
    logits = three.logits(pixels)
    wanted = logits[:, [0, 2]].exp().sum(1).log() - logits[:, 1]
    assert close(three.log_odds(pixels), wanted)
    x = three.forward_with_gradients(pixels).activations["relu"].clone().requires_grad_()
    logits = three.module.head(x.mean((2, 3)))
    z = logits[:, [0, 2]].exp().sum(1).log() - logits[:, 1]
    (gradient,) = torch.autograd.grad(z.sum(), x)
    assert close(three.forward_with_gradients(pixels).gradients["relu"], gradient)


def test_several_layers_at_once():
    module = build("torchvision/resnet18")
    detector = detector_of(module, layers=("layer2", "layer4", "layer3"))
    pixels = pixels_for(detector)
    response, bare = (
        detector.forward_with_gradients(pixels, input_gradient=True),
        detector.forward_with_gradients(pixels),
    )
    assert response.activations.keys() == {"layer2", "layer3", "layer4"}
    for name in detector.layers:
        alone = detector_of(module, layers=(name,)).forward_with_gradients(pixels)
        for each in (response, bare):
            assert close(each.activations[name], alone.activations[name])
            assert close(each.gradients[name], alone.gradients[name])


class Watch(nn.Module):
    """Counts forwards and remembers whether what passes belongs to a graph."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x):
        self.seen.append(x.requires_grad)
        return x


def test_no_graph_below_the_layer_and_one_forward():
    module = build("torchvision/resnet18")
    module.layer2 = nn.Sequential(module.layer2, Watch())
    module.avgpool = nn.Sequential(module.avgpool, Watch())
    detector = detector_of(module, layers=("layer3",))
    below, above = detector.module.layer2[1], detector.module.avgpool[1]
    pixels = pixels_for(detector)
    below.seen.clear(), above.seen.clear()
    detector.forward_with_gradients(pixels)
    assert (below.seen, above.seen) == ([False], [True])
    below.seen.clear(), above.seen.clear()
    detector.forward_with_gradients(pixels, input_gradient=True)
    assert (below.seen, above.seen) == ([True], [True])
    below.seen.clear(), above.seen.clear()
    detector.log_odds(pixels)
    assert (below.seen, above.seen) == ([False], [False])


def test_one_backward_without_parameter_gradients(monkeypatch):
    calls = []
    original = torch.autograd.grad
    monkeypatch.setattr(
        torch.autograd, "grad", lambda *a, **k: calls.append(1) or original(*a, **k)
    )
    module = build("torchvision/resnet18")
    detector = detector_of(module)
    calls.clear()
    detector.forward_with_gradients(pixels_for(detector), input_gradient=True)
    assert len(calls) == 1
    assert all(weight.grad is None for weight in module.parameters())


def test_no_graph_at_all_where_the_decision_reads_an_average():
    module = build("torchvision/resnet18")
    module.avgpool = nn.Sequential(module.avgpool, Watch())
    detector = detector_of(module)
    above = detector.module.avgpool[1]
    above.seen.clear()
    detector.forward_with_gradients(pixels_for(detector))
    assert above.seen == [False]


def state_of(module):
    hooks = sum(
        len(part._forward_hooks) + len(part._forward_pre_hooks) + len(part._backward_hooks)
        for part in module.modules()
    )
    return (
        hooks,
        [part.training for part in module.modules()],
        [weight.requires_grad for weight in module.parameters()],
        [weight.stride() for weight in module.parameters()],
        [weight.clone() for weight in module.state_dict().values()],
    )


def unchanged(before, after):
    return before[:-1] == after[:-1] and all(map(torch.equal, before[-1], after[-1]))


class Breaks(nn.Module):
    def __init__(self):
        super().__init__()
        self.armed = False

    def forward(self, x):
        if self.armed:
            raise RuntimeError("out of memory")
        return x


def test_the_users_module_is_never_touched_and_no_hook_stays_after_an_exception():
    module = build("torchvision/resnet18").train()
    module.layer1.eval()
    module.fc.weight.requires_grad_(False)
    module.fc = nn.Sequential(Breaks(), module.fc)
    before = state_of(module)
    detector = detector_of(module)
    pixels = pixels_for(detector)
    own = state_of(detector.module)
    detector.forward_with_gradients(pixels, input_gradient=True)
    detector.forward_with_gradients(pixels, precision="bf16")
    detector.log_odds(pixels)
    assert unchanged(before, state_of(module))
    assert unchanged(own, state_of(detector.module))
    detector.module.fc[0].armed = True
    for call in (detector.forward_with_gradients, detector.log_odds):
        with pytest.raises(RuntimeError, match="out of memory"):
            call(pixels)
        assert unchanged(own, state_of(detector.module))
    module.fc[0].armed = True
    with pytest.raises(ModelError, match="out of memory"):
        detector_of(module)
    assert unchanged(before, state_of(module))
    assert torch.is_grad_enabled()
    assert not torch.is_autocast_enabled("cpu")


def test_what_is_done_to_the_users_module_later_changes_nothing():
    module = build("timm/test_resnet")
    detector = detector_of(module)
    pixels = pixels_for(detector)
    before = detector.log_odds(pixels)
    with torch.no_grad():
        for weight in module.parameters():
            weight.zero_()
    module.double().train()
    assert torch.equal(detector.log_odds(pixels), before)


def test_a_module_that_cannot_be_copied_is_refused_with_a_sentence():
    module = Tiny()
    module.kept = module.head.weight * 2  # what the old weight_norm leaves in a module
    with pytest.raises(ModelError, match=r"cannot be copied.*weight_norm"):
        detector_of(module)


class Flat(nn.Module):
    """Reads its features by `view`, which channels-last does not bear."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 8, 8)
        self.relu = nn.ReLU()
        self.head = nn.Linear(4 * 64, 2)

    def forward(self, x):
        return self.head(self.relu(self.conv(x)).view(len(x), -1))


def test_memory_format_is_channels_last_where_the_network_bears_it():
    seen = {}
    for module in (Tiny(), Flat()):
        detector = detector_of(module)
        seen[type(module)] = detector.module.get_submodule(
            "stem" if isinstance(module, Tiny) else "conv"
        ).weight
        pixels = pixels_for(detector)
        shape = (1, 3, 1, 1)
        mean, std = (torch.tensor(IMAGENET[key]).view(shape) for key in ("mean", "std"))
        logits = module((pixels - mean) / std)
        assert close(detector.log_odds(pixels), (logits[:, 1] - logits[:, 0]).detach())
        assert close(
            detector.forward_with_gradients(pixels).gradients[detector.layers[0]],
            detector.forward_with_gradients(pixels, input_gradient=True).gradients[
                detector.layers[0]
            ],
        )
    assert seen[Tiny].is_contiguous(memory_format=torch.channels_last)
    assert seen[Flat].is_contiguous()


AVERAGED = {
    "torchvision/resnet18": True,
    "torchvision/mobilenet_v3_small": True,
    "timm/tf_efficientnet_lite0": True,
    "torchvision/swin_t": True,
    "smp/Unet:resnet18": True,
    "torchvision/densenet121": False,  # a ReLU follows the layer
    "torchvision/vgg11_bn": False,  # flattened, not pooled
    "timm/convnext_atto": False,  # a norm after the pooling
}


@pytest.mark.parametrize(
    ("name", "outputs", "averaged"),
    [
        *((name, 2, averaged) for name, averaged in AVERAGED.items() if name not in SLOW),
        *(
            pytest.param(name, 2, AVERAGED[name], marks=pytest.mark.slow)
            for name in SLOW
            if name in AVERAGED
        ),
        ("timm/test_resnet", 1, True),
        ("timm/test_resnet", 3, True),
    ],
)
def test_gradients_shared_out_from_an_average_equal_those_of_autograd(name, outputs, averaged):
    goods = {"good_index": [1]} if outputs == 3 else {}
    detector = detector_of(
        build(name, outputs=outputs), convention=choose_convention(outputs, **goods)
    )
    assert bool(detector.averages) == averaged
    pixels = pixels_for(detector)
    # With the input's gradient asked for, everything comes from one autograd graph.
    plain, shared = (
        detector.forward_with_gradients(pixels, input_gradient=True),
        detector.forward_with_gradients(pixels),
    )
    (layer,) = detector.layers
    assert plain.gradients[layer].any()
    assert close(shared.gradients[layer], plain.gradients[layer], 1e-5)
    assert close(shared.log_odds, plain.log_odds, 1e-5)
    assert torch.equal(shared.features, plain.features)


class Beside(Tiny):
    """Reads the average, and one cell besides."""

    def forward(self, x):
        x = self.relu(self.conv(self.relu(self.stem(x))))
        return self.head(x.mean((2, 3))) + x[:, :2, 0, 0]


class Half(Tiny):
    """Averages half of the cells: a view and an average, but not of all."""

    def forward(self, x):
        x = self.relu(self.conv(self.relu(self.stem(x))))
        return self.head(x.as_strided((len(x), 4, 128), (1024, 1, 4)).mean(2))


@pytest.mark.parametrize("network", [Beside, Half, Flat])
def test_what_is_not_the_whole_average_is_derived_by_autograd(network):
    detector = detector_of(network(), layers=("relu",))
    pixels = pixels_for(detector)
    plain, bare = (
        detector.forward_with_gradients(pixels, input_gradient=True),
        detector.forward_with_gradients(pixels),
    )
    assert not detector.averages
    assert close(bare.gradients["relu"], plain.gradients["relu"], 1e-6)


def test_the_caller_may_have_switched_gradients_off():
    detector = detector_of(build("timm/test_resnet"))
    pixels = pixels_for(detector)
    with torch.no_grad():
        inside = detector.forward_with_gradients(pixels, input_gradient=True)
    assert close(
        inside.input_gradient,
        detector.forward_with_gradients(pixels, input_gradient=True).input_gradient,
    )
    assert not pixels.requires_grad


def test_threads_do_not_disturb_each_other():
    detector = detector_of(build("timm/test_resnet"))
    batches = [pixels_for(detector, 2, seed) for seed in range(4)]
    wanted = [
        detector.forward_with_gradients(batch).gradients[detector.layers[0]] for batch in batches
    ]
    found = {}

    def work(index):
        found[index] = detector.forward_with_gradients(batches[index]).gradients[detector.layers[0]]

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert all(close(found[index], wanted[index]) for index in range(4))


def test_a_grey_input_is_repeated_for_a_network_that_reads_three_channels():
    module = build("torchvision/resnet18")
    grey = Detector(
        module, Preprocessing((64, 64), channels="grey", **IMAGENET), choose_convention(2)
    )
    rgb = detector_of(module)
    pixels = pixels_for(grey)
    one = grey.forward_with_gradients(pixels, input_gradient=True)
    three = rgb.forward_with_gradients(pixels.expand(-1, 3, -1, -1), input_gradient=True)
    assert close(one.log_odds, three.log_odds)
    assert close(one.input_gradient, three.input_gradient.sum(1, keepdim=True))


def test_double_precision_is_kept_and_half_is_refused():
    detector = detector_of(Tiny().double())
    assert detector.log_odds(pixels_for(detector)).dtype == torch.float64
    with pytest.raises(ModelError, match=r"module.float\(\)"):
        detector_of(Tiny().half())


def test_gradient_checks_out_numerically():
    detector = detector_of(Tiny().double(), size=(8, 8))
    pixels = pixels_for(detector, 1).double()
    gradient = detector.forward_with_gradients(pixels, input_gradient=True).input_gradient
    step = torch.zeros_like(pixels)
    step[0, 1, 3, 4] = 1e-6
    slope = (detector.log_odds(pixels + step) - detector.log_odds(pixels - step)) / 2e-6
    assert gradient[0, 1, 3, 4].item() == pytest.approx(slope.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: detector_of(Tiny()).log_odds(torch.zeros(2, 3, 8, 8)), SettingsError, "64, 64"),
        (lambda: detector_of(Tiny(channels=1)), ModelError, "--channels"),
        (lambda: detector_of(Tiny(3)), ModelError, "convention is for 2"),
        (lambda: detector_of(Tiny(), layers=("rely",)), SettingsError, "Near it: relu"),
        (
            lambda: detector_of(nn.Sequential(nn.Flatten(), nn.Linear(12288, 2))),
            ModelError,
            "nothing to explain",
        ),
    ],
)
def test_what_cannot_be(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()


def test_a_network_that_cuts_its_gradient_is_refused():
    class Cut(Tiny):
        def forward(self, x):
            return super().forward(x.detach())

    with pytest.raises(ModelError, match="no gradient"):
        detector_of(Cut())


def test_resting_restores_after_an_exception():
    module = Tiny().train()

    def fail():
        with eval_mode(module):
            assert not module.training
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert module.training
    assert module.head.weight.requires_grad
