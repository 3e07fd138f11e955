"""What draws of a window do beyond their mean: the second-order term, from a few gradients.

The mean of a window given its surroundings is smooth; draws of it are textured, and networks answer
to texture. With μ the mean, Σ the covariance and H the Hessian of z, the mean over draws s is

    E z(x with w ← s) ≈ z(x with w ← μ) + ½ tr(H Σ),

which the plug-in and first-order forms leave out. Here ½ tr(H Σ) of many windows at once is
measured on pairs of images, every second window of a tiling drawn as μ + e in one and μ − e in the
other: the difference of their gradients along e is eᵀHe. Our own addition to the forms of arXiv
1801.01693.
"""

import torch
from torch import Tensor

from trust_core.explanation.evidence_gradients import along
from trust_core.explanation.evidence_question import BITS, Question
from trust_core.explanation.evidence_replacement import plug_in


def second_order(question: Question) -> Tensor:
    """Both Taylor terms and the draws': Σ ½(g(x) + ḡ)_i (x_i − μ_i) − ½ tr(H Σ). (R, C) bits.

    ḡ, the mean gradient where windows are drawn, stands for that at μ: half of the two is exact
    where z is quadratic.
    """
    question.expect(2 * _pairs(question) + 1)
    slope = question.slope()
    traces, usual = _half_traces(question)
    return along(question, (slope + usual) / 2) - traces


def corrected_plug_in(question: Question) -> Tensor:
    """The plug-in form with the second-order term of the draws. (R, C) bits."""
    question.expect(2 * _pairs(question))
    return plug_in(question) - _half_traces(question)[0]


def _pairs(question: Question) -> int:
    """Pairs of gradients: as many as make `samples`, and one for either half of the windows."""
    return max(2, -(-question.samples // 2))


def _half_traces(question: Question) -> tuple[Tensor, Tensor]:
    """½ tr(H Σ) of each window, (R, C) bits, and the mean gradient at the draws, (c, H, W).

    `samples` gradients, two a pair.
    """
    generator = torch.Generator().manual_seed(question.seed)
    bent, slope, count = (torch.zeros_like(question.seen) for _ in range(3))
    for pair in range(_pairs(question)):
        if pair % 2 == 0:  # the next pair draws the other half of the same tiling
            shifts = torch.randint(question.window, (2,), generator=generator).tolist()
        up, down = _mirrored(question, shifts, pair % 2, generator)
        drawn = up != down
        above, below = question.slopes(torch.stack([up, down]))[1]
        bent += (above - below) * (up - down) / 8
        slope += torch.where(drawn, (above + below) / 2, 0)
        count += drawn
    count = count.clamp(min=1)
    field = (bent / count).sum(0).cpu().double()
    return _sums(field, question) * BITS, slope / count


def _mirrored(
    question: Question, shifts: list[int], parity: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The image with half of its windows drawn, as μ + e and as μ − e, each (c, H, W).

    A draughtboard: windows side by side would change each other's curvature. Its tiling begins
    anywhere, so that its seams do not show.
    """
    k = question.window
    rows, columns = (
        sorted({0, *range(shift, length - k, k), length - k})
        for shift, length in zip(shifts, question.seen.shape[1:], strict=True)
    )
    contents = question.contents(rows, columns)
    up, down = question.seen.clone(), question.seen.clone()
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            if (i + j) % 2 == parity:
                noise = question.noise(generator, 1)
                mirrored = question.drawn(row, column, contents[i, j], torch.cat([noise, -noise]))
                place = (..., slice(row, row + k), slice(column, column + k))
                up[place], down[place] = mirrored
    return up, down


def _sums(field: Tensor, question: Question) -> Tensor:
    """Sums of a field (H, W) over each window, (R, C), by differences of its integral."""
    integral = torch.nn.functional.pad(field, (1, 0, 1, 0)).cumsum(0).cumsum(1)
    rows, columns = (torch.tensor(starts) for starts in (question.rows, question.columns))
    below = integral[rows + question.window] - integral[rows]
    return below[:, columns + question.window] - below[:, columns]
