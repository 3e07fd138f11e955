"""Arithmetic of a network leaves the process as it was; wrappers come off, or are refused."""

import gc
import weakref

import pytest
import torch
from torch import nn

from tests.model.networks import Tiny
from trust_core.errors import ModelError
from trust_core.model.detector import Detector
from trust_core.model.modules import graph_bytes, tf32
from trust_core.model.outputs import choose_convention
from trust_core.model.preprocessing import Preprocessing


def compiled_inside(module: nn.Module) -> nn.Module:
    module.conv = torch.compile(module.conv)
    return module


def rounded() -> tuple[bool, bool]:
    """Whether convolutions and products of a GPU may be rounded to TF32."""
    flags = torch.backends.cudnn.conv, torch.backends.cuda.matmul
    convolutions, products = (each.fp32_precision == "tf32" for each in flags)
    return convolutions, products


def fail_inside(device: str, allowed: bool, expected: tuple[bool, bool]) -> None:
    with tf32(torch.device(device), allowed=allowed):
        assert rounded() == expected
        raise KeyError


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("before", [(True, False), (False, True)])
def test_tf32_is_as_told_inside_and_as_before_afterwards(before, allowed, request):
    usual = rounded()

    def set_flags(convolutions: bool, products: bool) -> None:
        torch.backends.cudnn.allow_tf32 = convolutions
        torch.backends.cuda.matmul.allow_tf32 = products

    request.addfinalizer(lambda: set_flags(*usual))
    set_flags(*before)
    for device, expected in (("cpu", before), ("cuda", (allowed, allowed))):
        with pytest.raises(KeyError):
            fail_inside(device, allowed, expected)
        assert rounded() == before


@pytest.mark.parametrize("wrap", [torch.compile, nn.DataParallel, compiled_inside])
def test_a_wrapped_network_has_the_gradients_of_the_bare_one(wrap):
    bare = Tiny()
    pixels = torch.rand(2, 3, 32, 32)
    wanted, found = (
        Detector(module, Preprocessing((32, 32)), choose_convention(2)).forward_with_gradients(
            pixels, input_gradient=True
        )
        for module in (bare, wrap(Tiny()))
    )
    assert torch.equal(found.input_gradient, wanted.input_gradient)
    assert wanted.input_gradient.abs().max() > 0
    assert found.gradients.keys() == wanted.gradients.keys()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda m: torch.jit.trace(m, torch.zeros(1, 3, 32, 32)), "is TorchScript"),
        (lambda m: torch.ao.quantization.quantize_dynamic(m, {nn.Linear}), "is quantised"),
    ],
)
def test_what_has_no_gradients_is_refused(change, sentence):
    with pytest.raises(ModelError, match=sentence):
        Detector(change(Tiny().eval()), Preprocessing((32, 32)), choose_convention(2))


def test_counting_the_bytes_of_a_graph_keeps_none_of_it_in_memory():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())  # a ReLU's graph holds its own output
    with graph_bytes(network) as blocks:
        output = network(torch.rand(1, 3, 8, 8))
    assert output.nbytes in blocks.values()
    left = weakref.ref(output)
    del output
    gc.collect()
    assert left() is None
