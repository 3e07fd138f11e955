"""FGSM and PGD: by hand, against plain autograd, and their bounds."""

from collections.abc import Callable

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from tests.explanation.networks import TinyResNet, make
from trust_core.explanation.perturbation import (
    DIRECTIONS,
    PIXEL_STEPS,
    one_channel_for_grey,
    perturb,
)

ROUNDING = 1e-6

pixel_arrays = hnp.arrays(np.float32, (2, 3, 3, 4), elements=st.floats(0, 1, width=32))
slope_arrays = hnp.arrays(np.float32, (2, 3, 3, 4), elements=st.floats(-2, 2, width=32))


def never(_: Tensor) -> Tensor:
    raise AssertionError("one step needs no further gradient")


def fgsm(pixels: Tensor, gradient: Tensor, strength: float, direction: str) -> Tensor:
    (moved,) = perturb(pixels, gradient, [strength], direction, steps=1, gradient_at=never)
    return moved


def pgd(
    pixels: Tensor,
    gradient: Tensor,
    strength: float,
    direction: str,
    steps: int,
    gradient_at: Callable[[Tensor], Tensor],
) -> Tensor:
    (moved,) = perturb(
        pixels, gradient, [strength], direction, steps=steps, gradient_at=gradient_at
    )
    return moved


def test_fgsm_by_hand():
    pixels = torch.tensor([0.5, 0.5, 0.5, 0.001, 0.999]).view(1, 1, 1, 5)
    gradient = torch.tensor([3.0, -0.1, 0.0, -1.0, 1e-9]).view(1, 1, 1, 5)
    moved = fgsm(pixels, gradient, 2, "toward_defect").flatten()
    step = 2 / 255
    torch.testing.assert_close(moved, torch.tensor([0.5 + step, 0.5 - step, 0.5, 0.0, 1.0]))
    back = fgsm(pixels, gradient, 2, "toward_good").flatten()
    torch.testing.assert_close(
        back, torch.tensor([0.5 - step, 0.5 + step, 0.5, 0.001 + step, 0.999 - step])
    )


def test_strength_is_in_steps_of_one_of_255():
    moved = fgsm(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2), 1, "toward_defect")
    torch.testing.assert_close(moved * 255, torch.ones(1, 1, 2, 2))


def test_strength_zero_changes_nothing():
    pixels, gradient = torch.rand(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    assert torch.equal(fgsm(pixels, gradient, 0, "toward_defect"), pixels)


def test_fgsm_is_a_plain_autograd_transcription():
    """Of the paper's formula, on the network itself, one image at a time."""
    torch.manual_seed(0)
    network = TinyResNet().eval()
    detector = make(network)
    pixels = torch.rand(3, 3, 32, 32)
    gradient = detector.forward_with_gradients(pixels, input_gradient=True).input_gradient
    for direction, sign in (("toward_defect", 1), ("toward_good", -1)):
        moved = fgsm(pixels, gradient, 4, direction)
        for image, ours in zip(pixels, moved, strict=True):
            x = image[None].clone().requires_grad_()
            logits = network(x)[0]
            (logits[1] - logits[0]).backward()
            wanted = torch.clip(image + sign * 4 / 255 * x.grad[0].sign(), 0, 1)
            torch.testing.assert_close(ours, wanted)
        z = detector.log_odds(moved) - detector.log_odds(pixels)
        assert (sign * z > 0).all()


def test_a_grey_image_in_a_batch_with_colour_is_perturbed_as_one_channel():
    grey = torch.full((1, 3, 1, 2), 0.5)
    colour = torch.tensor([0.5, 0.5, 0.4, 0.5, 0.5, 0.5]).view(1, 3, 1, 2)
    gradient = torch.tensor([3.0, 1.0, -1.0, 1.0, -1.0, -3.0]).view(1, 3, 1, 2).repeat(2, 1, 1, 1)
    moved = fgsm(torch.cat([grey, colour]), gradient, 255 / 10, "toward_defect")
    torch.testing.assert_close(moved[0], torch.tensor([[[0.6, 0.4]]]).repeat(3, 1, 1))
    torch.testing.assert_close(moved[1], torch.tensor([[[0.6, 0.6]], [[0.3, 0.6]], [[0.4, 0.4]]]))


def test_one_channel_for_grey_is_the_derivative_for_the_one_number_behind_three_channels():
    torch.manual_seed(1)
    network, value = TinyResNet().eval(), torch.rand(1, 1, 32, 32, requires_grad=True)
    three = value.detach().repeat(1, 3, 1, 1).requires_grad_()
    (wanted,) = torch.autograd.grad(network(value.repeat(1, 3, 1, 1))[0, 0], value)
    (gradient,) = torch.autograd.grad(network(three)[0, 0], three)
    ours = one_channel_for_grey(three.detach(), gradient)
    torch.testing.assert_close(ours, wanted.expand_as(ours))


def test_a_network_of_one_channel_takes_the_gradient_as_it_is():
    gradient = torch.randn(2, 1, 3, 3)
    assert one_channel_for_grey(torch.rand(2, 1, 3, 3), gradient) is gradient


def run_pgd(pixels: Tensor, weights: Tensor, strength: float, direction: str, steps: int) -> Tensor:
    """PGD on z = Σ w·sin(2x): its gradient changes sign on the way."""
    slope = lambda x: weights * 2 * torch.cos(2 * x)  # noqa: E731
    return pgd(pixels, slope(pixels), strength, direction, steps=steps, gradient_at=slope)


@given(pixel_arrays, slope_arrays, st.integers(1, 4))
def test_every_strength_is_as_it_is_alone(pixels, slopes, steps: int):
    x, w = torch.from_numpy(pixels), torch.from_numpy(slopes)
    slope = lambda at: w * torch.cos(at)  # noqa: E731
    together = perturb(x, w, [0.5, 8, 2], "toward_good", steps=steps, gradient_at=slope)
    for strength, moved in zip([0.5, 8, 2], together, strict=True):
        assert torch.equal(moved, pgd(x, w, strength, "toward_good", steps, slope))


@given(
    pixel_arrays,
    slope_arrays,
    st.floats(0, 255),
    st.sampled_from(list(DIRECTIONS)),
    st.integers(1, 12),
)
def test_enhancement_stays_in_the_ball_and_in_the_pixel_range(
    pixels, slopes, strength, direction, steps
):
    x = torch.from_numpy(pixels)
    moved = run_pgd(x, torch.from_numpy(slopes), strength, direction, steps)
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert (moved - x).abs().max() <= strength / PIXEL_STEPS + ROUNDING


@given(pixel_arrays, slope_arrays, st.floats(0, 64), st.integers(2, 12))
def test_pgd_reaches_what_fgsm_reaches_where_the_network_is_linear(pixels, slopes, strength, steps):
    x, w = torch.from_numpy(pixels), torch.from_numpy(slopes)
    for direction, sign in DIRECTIONS.items():
        once = fgsm(x, w, strength, direction)
        often = pgd(x, w, strength, direction, steps=steps, gradient_at=lambda _: w)
        gain = sign * ((often - once) * w).double().sum()
        assert gain >= -ROUNDING * w.abs().double().sum()


def test_pgd_goes_further_than_fgsm_where_the_gradient_turns():
    """z = −(x − 0.55)²: one step of 0.2 from 0.5 overshoots the top, small ones do not."""
    x = torch.full((1, 1, 1, 1), 0.5)
    slope = lambda at: -2 * (at - 0.55)  # noqa: E731
    height = lambda at: -((at - 0.55) ** 2).item()  # noqa: E731
    once = fgsm(x, slope(x), 51, "toward_defect")
    often = pgd(x, slope(x), 51, "toward_defect", steps=20, gradient_at=slope)
    assert height(often) > height(once)


def test_pgd_asks_for_the_gradient_where_it_stands():
    asked: list[Tensor] = []

    def gradient_at(x: Tensor) -> Tensor:
        asked.append(x)
        return torch.ones_like(x)

    x = torch.full((1, 1, 2, 2), 0.5)
    moved = pgd(x, torch.ones_like(x), 5.1, "toward_defect", steps=5, gradient_at=gradient_at)
    wanted = [0.51, 0.52, 0.52, 0.52]  # steps of 2.5·0.02/5, held at the ball's edge
    assert [round(float(point.mean()), 6) for point in asked] == wanted
    torch.testing.assert_close(moved, torch.full_like(x, 0.52))


def test_pgd_keeps_grey_images_grey():
    torch.manual_seed(2)
    grey = torch.rand(2, 1, 4, 4).repeat(1, 3, 1, 1)
    moved = run_pgd(grey, torch.randn(2, 3, 4, 4), 8, "toward_defect", 6)
    assert torch.equal(moved, moved[:, :1].repeat(1, 3, 1, 1))
    assert not torch.equal(moved, grey)
