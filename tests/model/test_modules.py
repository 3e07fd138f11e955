"""Arithmetic of a network: what belongs to the process is as before."""

import pytest
import torch

from trust_core.model.modules import tf32


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
