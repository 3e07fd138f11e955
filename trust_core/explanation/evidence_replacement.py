"""Evidence by replacing windows: prediction difference analysis and its cheaper forms.

z is the network's log-odds, so z / ln 2 is evidence in bits.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from trust_core.explanation.evidence_question import BITS, Patch, Question

LAPLACE_N = 1_000_000  # as for ImageNet; how many images it has learnt from, a network does not say
LAPLACE_K = 2
BLOCK_SIDES = (4, 2, 1)  # windows along a side of the blocks of the coarse-to-fine form
KEPT = 0.5  # share of the blocks of a level that are split


def prediction_difference(question: Question) -> Tensor:
    """PDA: log₂ odds(p) − log₂ odds(p̄), p̄ the mean over `samples` draws of each window.

    Zintgraf et al., ICLR 2017, equations 2 to 5, with their Laplace correction
    p ← (pN + 1)/(N + K). (R, C) bits.
    """
    found = question.empty()
    question.expect(found.numel() * question.samples + 1)
    p = question.replaced(_draws(question)).sigmoid().view(*found.shape, question.samples)
    own = torch.tensor(question.own, dtype=torch.float64).sigmoid()
    return odds(own) - odds(p.mean(2))


def plug_in(question: Question) -> Tensor:
    """E2, z(x) − z(x with w ← μ): one forward a window instead of one a draw. (R, C) bits."""
    found = question.empty()
    question.expect(found.numel() + 1)
    answers = question.replaced(question.windows())
    return (question.own - answers.view_as(found)) * BITS


def coarse_to_fine(question: Question) -> Tensor:
    """E4: plug-in evidence of blocks of windows, split where it is large. (R, C) bits.

    All windows of a block are replaced at once. Of the blocks of a level, the `KEPT` share with
    the most evidence, for or against, is split into four, down to single windows, which are those
    of the plug-in form. The windows of a block that is not split share its evidence by area.
    Evidence of both signs within a block can hide in its sum.
    """
    found, k = question.empty(), question.window
    contents = question.contents(question.rows, question.columns)
    together = question.filled(question.rows, question.columns)
    regions = [(range(len(question.rows)), range(len(question.columns)))]
    question.expect(1)
    for side in BLOCK_SIDES:
        blocks = [
            (down[i : i + side], across[j : j + side])
            for down, across in regions
            for i in range(0, len(down), side)
            for j in range(0, len(across), side)
        ]
        patches: list[Patch] = []
        for down, across in blocks:
            top, left = question.rows[down[0]], question.columns[across[0]]
            bottom, right = question.rows[down[-1]] + k, question.columns[across[-1]] + k
            whole = together[:, top:bottom, left:right]
            patches.append((top, left, contents[down[0], across[0]] if side == 1 else whole))
        question.expect(len(blocks))
        evidence = question.own - question.replaced(patches)
        for (down, across), (_, _, patch), bits in zip(blocks, patches, evidence, strict=True):
            share = k * k / (patch.shape[1] * patch.shape[2])
            found[down.start : down.stop, across.start : across.stop] = bits * share
        order = evidence.abs().argsort(descending=True)[: math.ceil(KEPT * len(blocks))]
        regions = [blocks[i] for i in order.tolist()]
    return found * BITS


def odds(p: Tensor) -> Tensor:
    """log₂ odds of probabilities, with the Laplace correction."""
    corrected = (p * LAPLACE_N + 1) / (LAPLACE_N + LAPLACE_K)
    return torch.log2(corrected / (1 - corrected))


def _draws(question: Question) -> Iterator[Patch]:
    """`samples` draws of each window, window by window."""
    noise = torch.Generator().manual_seed(question.seed)
    for row, column, mean in question.windows():
        for patch in question.drawn(row, column, mean, question.noise(noise, question.samples)):
            yield row, column, patch
