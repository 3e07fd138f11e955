"""Networks whose last step is a softmax or sigmoid give the log-odds of their bare logits."""

import pytest
import torch
from torch import nn

from tests.model.networks import Tiny
from trust_core.errors import ModelError
from trust_core.model.detector import Detector
from trust_core.model.open import ModelOptions, open_detector
from trust_core.model.outputs import choose_convention
from trust_core.model.preprocessing import Preprocessing

SIZE = (32, 32)


class Ends(nn.Module):
    """A network with something behind its logits."""

    def __init__(self, step, outputs=2, scale=1.0):
        super().__init__()
        self.tiny = Tiny(outputs)
        with torch.no_grad():
            self.tiny.head.weight *= scale
            self.tiny.head.bias += torch.randn(outputs)
        self.step = step

    def forward(self, x):
        return self.step(self.tiny(x))


def detector_of(module, outputs):
    return Detector(module, Preprocessing(SIZE), choose_convention(outputs))


def difference(logits):
    return logits[:, 1] - logits[:, 0]


TWO = {
    "module": nn.Softmax(1),
    "negative dim": nn.Softmax(-1),
    "function": lambda x: nn.functional.softmax(x, dim=1),
    "method": lambda x: x.softmax(1),
    "keyword": lambda x: torch.softmax(input=x, dim=1),
    "view": lambda x: x[:, :, None, None].softmax(1).flatten(1),
    "average": lambda x: torch.stack([x.softmax(1), x.softmax(1)]).mean(0),
    "by hand": lambda x: x.exp() / x.exp().sum(1, keepdim=True),
    "exp of log": lambda x: x.log_softmax(1).exp(),
    "log": lambda x: x.log_softmax(1),
    "nothing": lambda x: x,
    "mapping": lambda x: {
        "logits": x.softmax(1),
        "features": x[:, :, None, None].expand(-1, -1, 2, 2),
    },
    "label beside": lambda x: (x.softmax(1), x.argmax(1)),
}


@pytest.mark.parametrize("name", TWO)
def test_two_outputs(name):
    module = Ends(TWO[name])
    detector = detector_of(module, 2)
    pixels = torch.rand(5, 3, *SIZE)
    with torch.no_grad():
        wanted = difference(module.tiny(pixels))
    assert (detector.log_odds(pixels) - wanted).abs().max() < 1e-4
    response = detector.forward_with_gradients(pixels, input_gradient=True)
    assert (response.log_odds - wanted).abs().max() < 1e-4
    x = pixels.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(difference(module.tiny(x)).sum(), x)
    assert torch.allclose(response.input_gradient, gradient, atol=1e-5, rtol=1e-3)
    said = any("ends in a softmax" in n or "probabilities" in n for n in detector.notes)
    assert said == (name not in ("log", "nothing"))


ONE = {
    "module": nn.Sigmoid(),
    "function": torch.sigmoid,
    "method": lambda x: x.sigmoid(),
    "in place": lambda x: (x * 1).sigmoid_(),
    "squeezed": lambda x: x.sigmoid().squeeze(1),
    "average": lambda x: (x.sigmoid() + x.sigmoid()) / 2,
    "nothing": lambda x: x,
}


@pytest.mark.parametrize("name", ONE)
def test_one_output(name):
    module = Ends(ONE[name], 1)
    detector = detector_of(module, 1)
    pixels = torch.rand(5, 3, *SIZE)
    with torch.no_grad():
        wanted = module.tiny(pixels)[:, 0]
    assert (detector.log_odds(pixels) - wanted).abs().max() < 1e-4
    said = any("ends in a sigmoid" in n or "probabilities" in n for n in detector.notes)
    assert said == (name != "nothing")


def test_one_column_of_a_softmax():
    module = Ends(lambda x: x.softmax(1)[:, 1])
    pixels = torch.rand(5, 3, *SIZE)
    with torch.no_grad():
        wanted = difference(module.tiny(pixels))
    assert (detector_of(module, 1).log_odds(pixels) - wanted).abs().max() < 1e-4


def test_a_saturated_softmax_loses_nothing():
    module = Ends(nn.Softmax(1), scale=9000.0)
    pixels = torch.rand(5, 3, *SIZE)
    with torch.no_grad():
        wanted = difference(module.tiny(pixels))
    assert wanted.abs().max() > 120  # the smaller probability is 0 in float32
    assert torch.allclose(detector_of(module, 2).log_odds(pixels), wanted, rtol=1e-4)


def test_softmaxes_inside_stay_as_they_are():
    class Gated(Tiny):
        def forward(self, x):
            out = super().forward(x)
            return out * out.softmax(1)

    module = Gated()
    pixels = torch.rand(5, 3, *SIZE)
    with torch.no_grad():
        wanted = difference(module(pixels))
    detector = detector_of(module, 2)
    assert (detector.log_odds(pixels) - wanted).abs().max() < 1e-5
    assert not any("softmax" in note for note in detector.notes)


def test_logits_that_happen_to_lie_between_0_and_1_are_logits():
    module = Ends(lambda x: x * 1e-3 + 0.4)
    pixels = torch.rand(5, 3, *SIZE)
    with torch.no_grad():
        wanted = difference(module(pixels))
    assert torch.allclose(detector_of(module, 2).log_odds(pixels), wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("step", "outputs", "sentence"),
    [
        (nn.Sigmoid(), 3, "sigmoid for each of its 3 outputs"),
        (nn.Softmax(0), 2, "does not run over its outputs"),
        (nn.Softmax(1), 1, "always 1"),
        (nn.Hardsigmoid(), 1, "clipped value"),
        (lambda x: x.clamp(0, 1), 1, "clipped value"),
        (lambda x: x.sigmoid() * 2 - 1, 1, "cannot be undone"),
        (lambda x: x.argmax(1).float(), 1, "no gradient"),
    ],
)
def test_what_cannot_be_undone_is_refused(step, outputs, sentence):
    convention = choose_convention(outputs, good_index=[0] if outputs > 2 else ())
    with pytest.raises(ModelError, match=sentence):
        Detector(Ends(step, outputs), Preprocessing(SIZE), convention)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("step", "outputs"), [(nn.Softmax(1), 2), (nn.Sigmoid(), 1)])
def test_in_an_onnx_file(tmp_path, step, outputs):
    module = Ends(step, outputs).eval()
    free = {"input_names": ["x"], "dynamic_axes": {"x": {0: "n"}}}
    torch.onnx.export(
        module, (torch.zeros(1, 3, *SIZE),), str(tmp_path / "n.onnx"), dynamo=False, **free
    )
    pixels = torch.rand(5, 3, *SIZE)
    with torch.no_grad():
        logits = module.tiny(pixels)
    detector = open_detector(tmp_path / "n.onnx", ModelOptions(mean=(0.0,), std=(1.0,)))
    wanted = difference(logits) if outputs == 2 else logits[:, 0]
    assert (detector.log_odds(pixels) - wanted).abs().max() < 1e-4
    assert any("ends in a" in note for note in detector.notes)
