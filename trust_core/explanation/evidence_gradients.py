"""Evidence from gradients: the first-order form, its average along a path, and its two limits.

With g = ∂z/∂x and μ the mean of a window given its surroundings, a Taylor expansion of
z(x) − z(x with w ← μ) around x begins with Σ_{i∈w} g_i (x_i − μ_i). Inferred from the abstract of
arXiv 1801.01693, which links its fast form to gradient-based visualisation; their own equations
were not available to us.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from trust_core.explanation.conditional import Block
from trust_core.explanation.evidence_question import Question, starts, weighed

GREY_STEP = 1 / 255


def first_order(question: Question) -> Tensor:
    """E1, Σ_{i∈w} g_i (x_i − μ_i): one forward and one backward in all. (R, C) bits."""
    question.expect(1)
    return along(question, question.slope())


def path(question: Question) -> Tensor:
    """E3: g averaged along the straight line from x with every window at μ to x.

    The midpoints of `samples` equal steps, a forward and a backward each. With g so averaged,
    Σ_i g_i (x_i − μ_i) over the whole image is z(x) − z(x ← μ), as in integrated gradients
    (Sundararajan et al., ICML 2017) from that baseline.
    """
    size, window, steps = question.seen.shape[1:], question.window, question.samples
    question.expect(steps)
    base = question.filled(*(starts(length, window, window) for length in size))
    way = (torch.arange(steps, device=base.device, dtype=base.dtype) + 0.5) / steps
    total = torch.zeros_like(base)
    for first in range(0, steps, question.batch):
        part = way[first : first + question.batch].view(-1, 1, 1, 1)
        images = base + part * (question.seen - base)
        total += question.slopes(images)[1].sum(0)
    return along(question, total / steps)


def black(question: Question, rows: Sequence[int], columns: Sequence[int]) -> Iterator[Block]:
    """Against μ = 0 the first-order form is gradient×input."""
    for block in question.conditional.blocks(question.seen, rows, columns, marginal=True):
        k = question.window
        view = question.seen.unfold(1, k, 1).unfold(2, k, 1)[:, block.top, block.left]
        yield replace(block, difference=view.permute(0, 3, 4, 1, 2))


def one_step(question: Question, rows: Sequence[int], columns: Sequence[int]) -> Iterator[Block]:
    """Against a constant x − μ, one grey step, the first-order form is plain saliency."""
    for block in question.conditional.blocks(question.seen, rows, columns, marginal=True):
        yield replace(block, difference=torch.full_like(block.difference, GREY_STEP))


def along(question: Question, gradient: Tensor) -> Tensor:
    """Σ over each window of gradient times difference, (R, C) bits."""
    blocks = question.blocks(question.rows, question.columns)
    return weighed(gradient, blocks, question.rows, question.columns)
