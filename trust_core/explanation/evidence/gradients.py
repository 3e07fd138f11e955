"""Evidence by gradients: to the first order, along a path, and with a second-order term.

The second-order term is what draws of a window do beyond their mean. The mean of a window given its
surroundings is smooth; draws of it are textured, and networks answer
to texture. With μ the mean, Σ the covariance and H the Hessian of z, the mean over draws s is

    E z(x with w ← s) ≈ z(x with w ← μ) + ½ tr(H Σ),

which the plug-in and first-order forms leave out. Here ½ tr(H Σ) of many windows at once is
measured on pairs of images, every second window of a tiling drawn as μ + e in one and μ − e in the
other: the difference of their gradients along e is eᵀHe. Our own addition to the forms of arXiv
1801.01693.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from trust_core.explanation.evidence.occlusion import (
    BITS_PER_NAT,
    Occlusion,
    gradient_times_difference,
    plug_in,
)
from trust_core.explanation.evidence.patch_gaussian import WindowBlock
from trust_core.explanation.evidence.windows import window_starts

GREY_STEP = 1 / 255


def first_order(occlusion: Occlusion) -> Tensor:
    """E1, Σ_{i∈w} g_i (x_i − μ_i): one forward and one backward in all. (R, C) bits."""
    occlusion.expect(1)
    return along(occlusion, occlusion.gradient())


def path(occlusion: Occlusion) -> Tensor:
    """E3: g averaged along the straight line from x with every window at μ to x.

    The midpoints of `samples` equal steps, a forward and a backward each. With g so averaged,
    Σ_i g_i (x_i − μ_i) over the whole image is z(x) − z(x ← μ), as in integrated gradients
    (Sundararajan et al., ICML 2017) from that baseline.
    """
    size, window, steps = occlusion.pixels.shape[1:], occlusion.window, occlusion.samples
    occlusion.expect(steps)
    base = occlusion.replace_all(*(window_starts(length, window, window) for length in size))
    way = (torch.arange(steps, device=base.device, dtype=base.dtype) + 0.5) / steps
    total = torch.zeros_like(base)
    for first in range(0, steps, occlusion.batch_size):
        part = way[first : first + occlusion.batch_size].view(-1, 1, 1, 1)
        images = base + part * (occlusion.pixels - base)
        total += occlusion.gradients(images)[1].sum(0)
    return along(occlusion, total / steps)


def black(
    occlusion: Occlusion, rows: Sequence[int], columns: Sequence[int]
) -> Iterator[WindowBlock]:
    """Against μ = 0 the first-order form is gradient×input."""
    for block in occlusion.surroundings.blocks(occlusion.pixels, rows, columns, marginal=True):
        k = occlusion.window
        view = occlusion.pixels.unfold(1, k, 1).unfold(2, k, 1)[:, block.top, block.left]
        yield replace(block, difference=view.permute(0, 3, 4, 1, 2))


def one_step(
    occlusion: Occlusion, rows: Sequence[int], columns: Sequence[int]
) -> Iterator[WindowBlock]:
    """Against a constant x − μ, one grey step, the first-order form is plain saliency."""
    for block in occlusion.surroundings.blocks(occlusion.pixels, rows, columns, marginal=True):
        yield replace(block, difference=torch.full_like(block.difference, GREY_STEP))


def along(occlusion: Occlusion, gradient: Tensor) -> Tensor:
    """Σ over each window of gradient times difference, (R, C) bits."""
    blocks = occlusion.blocks(occlusion.rows, occlusion.columns)
    return gradient_times_difference(gradient, blocks, occlusion.rows, occlusion.columns)


def second_order(occlusion: Occlusion) -> Tensor:
    """Both Taylor terms and the draws': Σ ½(g(x) + ḡ)_i (x_i − μ_i) − ½ tr(H Σ). (R, C) bits.

    ḡ, the mean gradient where windows are drawn, stands for that at μ: half of the two is exact
    where z is quadratic.
    """
    occlusion.expect(2 * _pairs(occlusion) + 1)
    slope = occlusion.gradient()
    traces, usual = _half_traces(occlusion)
    return along(occlusion, (slope + usual) / 2) - traces


def corrected_plug_in(occlusion: Occlusion) -> Tensor:
    """The plug-in form with the second-order term of the draws. (R, C) bits."""
    occlusion.expect(2 * _pairs(occlusion))
    return plug_in(occlusion) - _half_traces(occlusion)[0]


def _pairs(occlusion: Occlusion) -> int:
    """Pairs of gradients: as many as make `samples`, and one for either half of the windows."""
    return max(2, -(-occlusion.samples // 2))


def _half_traces(occlusion: Occlusion) -> tuple[Tensor, Tensor]:
    """½ tr(H Σ) of each window, (R, C) bits, and the mean gradient at the draws, (c, H, W).

    `samples` gradients, two a pair.
    """
    generator = torch.Generator().manual_seed(occlusion.seed)
    bent, slope, count = (torch.zeros_like(occlusion.pixels) for _ in range(3))
    for pair in range(_pairs(occlusion)):
        if pair % 2 == 0:  # the next pair draws the other half of the same tiling
            shifts = torch.randint(occlusion.window, (2,), generator=generator).tolist()
        up, down = _mirrored(occlusion, shifts, pair % 2, generator)
        drawn = up != down
        above, below = occlusion.gradients(torch.stack([up, down]))[1]
        bent += (above - below) * (up - down) / 8
        slope += torch.where(drawn, (above + below) / 2, 0)
        count += drawn
    count = count.clamp(min=1)
    field = (bent / count).sum(0).cpu().double()
    return _sums(field, occlusion) * BITS_PER_NAT, slope / count


def _mirrored(
    occlusion: Occlusion, shifts: list[int], parity: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The image with half of its windows drawn, as μ + e and as μ − e, each (c, H, W).

    A draughtboard: windows side by side would change each other's curvature. Its tiling begins
    anywhere, so that its seams do not show.
    """
    k = occlusion.window
    rows, columns = (
        sorted({0, *range(shift, length - k, k), length - k})
        for shift, length in zip(shifts, occlusion.pixels.shape[1:], strict=True)
    )
    contents = occlusion.replacements(rows, columns)
    up, down = occlusion.pixels.clone(), occlusion.pixels.clone()
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            if (i + j) % 2 == parity:
                noise = occlusion.noise(generator, 1)
                mirrored = occlusion.draws(row, column, contents[i, j], torch.cat([noise, -noise]))
                place = (..., slice(row, row + k), slice(column, column + k))
                up[place], down[place] = mirrored
    return up, down


def _sums(field: Tensor, occlusion: Occlusion) -> Tensor:
    """Sums of a field (H, W) over each window, (R, C), by differences of its integral."""
    integral = torch.nn.functional.pad(field, (1, 0, 1, 0)).cumsum(0).cumsum(1)
    rows, columns = (torch.tensor(starts) for starts in (occlusion.rows, occlusion.columns))
    below = integral[rows + occlusion.window] - integral[rows]
    return below[:, columns + occlusion.window] - below[:, columns]
