"""Adversarial enhancement: push an image, within ε, towards (or away from) *defective*.

Strength ε is L∞, in steps of 1/255 of the pixel range, on the resized network input in [0, 1],
before normalisation. arXiv 2604.19206 names an adversarial enhancement without its form; ours is
FGSM (Goodfellow et al., ICLR 2015, section 4) or, on request, PGD (Madry et al., ICLR 2018, eq. 3).

Notation: pixels `x` `(N, c, H, W)` in [0, 1]; `∂z/∂x` has the same shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # takes seconds to load, and settings, forms and pages need names alone
    from torch import Tensor


DIRECTIONS = {"toward_defect": 1.0, "toward_good": -1.0}
PIXEL_STEPS = 255.0
PGD_REACH = 2.5  # step = 2.5·ε/steps, so that every point of the ball can be reached (Madry et al.)


def one_channel_for_grey(pixels: Tensor, gradient: Tensor) -> Tensor:
    """The gradient of a grey image as one channel, repeated.

    A grey image is shown to the network as equal channels, all fed by one number. The derivative
    for that number is the sum over the channels, so that the enhanced image stays grey.
    """
    import torch

    if pixels.shape[1] == 1:
        return gradient
    grey = (pixels == pixels[:, :1]).flatten(1).all(1).view(-1, 1, 1, 1)
    return torch.where(grey, gradient.sum(1, keepdim=True), gradient)


def perturb(
    pixels: Tensor,
    gradient: Tensor,
    strengths: Iterable[float],
    direction: str,
    *,
    steps: int,
    gradient_at: Callable[[Tensor], Tensor],
) -> Iterator[Tensor]:
    """x_ε for each of some strengths.

    One step is FGSM, x_ε = clip(x ± ε/255 · sign(∂z/∂x), 0, 1): one gradient serves every ε. More
    steps are PGD inside the ε ball, starting at x, without a random start: `steps − 1` further
    forward and backward passes for each strength.

    Args:
        pixels: clean images.
        gradient: ∂z/∂x at `pixels`.
        strengths: ε in steps of 1/255.
        direction: a key of `DIRECTIONS`.
        steps: at least 1.
        gradient_at: ∂z/∂x at any images of the same shape.
    """
    import torch

    first = one_channel_for_grey(pixels, gradient).sign()
    for strength in strengths:
        ball = strength / PIXEL_STEPS
        step = DIRECTIONS[direction] * min(ball, PGD_REACH * ball / steps)
        moved = torch.add(pixels, first, alpha=step)
        if steps > 1:
            moved = _inside(moved, pixels, ball)
        for _ in range(steps - 1):
            signs = one_channel_for_grey(pixels, gradient_at(moved)).sign()
            moved = _inside(moved + step * signs, pixels, ball)
        yield moved.clamp_(0, 1)


def _inside(moved: Tensor, pixels: Tensor, ball: float) -> Tensor:
    """The nearest images inside the ball and the range of pixels."""
    return (pixels + (moved - pixels).clamp(-ball, ball)).clamp(0, 1)
