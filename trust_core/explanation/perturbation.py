"""Adversarial enhancement: push an image, within ε, towards (or away from) *defective*.

Strength ε is L∞, in steps of 1/255 of the pixel range, on the resized network input in [0, 1],
before normalisation. arXiv 2604.19206 names an adversarial enhancement without its form; ours is
FGSM (Goodfellow et al., ICLR 2015, section 4) or, on request, PGD (Madry et al., ICLR 2018, eq. 3).

Notation: pixels `x` `(N, c, H, W)` in [0, 1]; `∂z/∂x` has the same shape.
"""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

DIRECTIONS = {"toward_defect": 1.0, "toward_good": -1.0}
PIXEL_STEPS = 255.0
PGD_REACH = 2.5  # step = 2.5·ε/steps, so that every point of the ball can be reached (Madry et al.)


def one_channel_for_grey(pixels: Tensor, gradient: Tensor) -> Tensor:
    """The gradient of a grey image as one channel, repeated.

    A grey image is shown to the network as equal channels, all fed by one number. The derivative
    for that number is the sum over the channels, so that the enhanced image stays grey.
    """
    if pixels.shape[1] == 1:
        return gradient
    grey = (pixels == pixels[:, :1]).flatten(1).all(1).view(-1, 1, 1, 1)
    return torch.where(grey, gradient.sum(1, keepdim=True), gradient)


def fgsm(pixels: Tensor, gradient: Tensor, strength: float, direction: str) -> Tensor:
    """x_ε = clip(x ± ε/255 · sign(∂z/∂x), 0, 1). One gradient serves every ε."""
    signs = one_channel_for_grey(pixels, gradient).sign()
    return _step(pixels, signs, strength, direction)


def pgd(
    pixels: Tensor,
    gradient: Tensor,
    strength: float,
    direction: str,
    *,
    steps: int,
    gradient_at: Callable[[Tensor], Tensor],
) -> Tensor:
    """Projected gradient steps inside the ε ball, starting at x, without a random start.

    Costs `steps − 1` further forward and backward passes for each strength: the first step uses
    the gradient of the clean pass.

    Args:
        pixels: clean images.
        gradient: ∂z/∂x at `pixels`.
        strength: ε in steps of 1/255.
        direction: a key of `DIRECTIONS`.
        steps: number of steps, at least 1; one step is FGSM.
        gradient_at: ∂z/∂x at any images of the same shape.
    """
    if steps == 1:
        return fgsm(pixels, gradient, strength, direction)
    ball = strength / PIXEL_STEPS
    step = DIRECTIONS[direction] * min(ball, PGD_REACH * ball / steps)
    moved = pixels
    for index in range(steps):
        slope = gradient if index == 0 else gradient_at(moved)
        moved = moved + step * one_channel_for_grey(pixels, slope).sign()
        moved = (pixels + (moved - pixels).clamp(-ball, ball)).clamp(0, 1)
    return moved


def perturb(
    pixels: Tensor,
    gradient: Tensor,
    strengths: Iterable[float],
    direction: str,
    *,
    steps: int,
    gradient_at: Callable[[Tensor], Tensor],
) -> Iterator[Tensor]:
    """x_ε for each of some strengths; what FGSM shares between them is computed once.

    Args:
        pixels: clean images.
        gradient: ∂z/∂x at `pixels`.
        strengths: ε in steps of 1/255.
        direction: a key of `DIRECTIONS`.
        steps: number of steps, at least 1; one step is FGSM.
        gradient_at: ∂z/∂x at any images of the same shape.
    """
    if steps > 1:
        for strength in strengths:
            yield pgd(pixels, gradient, strength, direction, steps=steps, gradient_at=gradient_at)
        return
    signs = one_channel_for_grey(pixels, gradient).sign()
    for strength in strengths:
        yield _step(pixels, signs, strength, direction)


def _step(pixels: Tensor, signs: Tensor, strength: float, direction: str) -> Tensor:
    step = DIRECTIONS[direction] * strength / PIXEL_STEPS
    return torch.add(pixels, signs, alpha=step).clamp_(0, 1)
