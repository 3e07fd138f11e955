"""Are the numbers of a line those of the audit? A test that may be looked at after every image.

A conformal test martingale (Vovk, Nouretdinov, Gammerman, "Testing exchangeability on-line",
ICML 2003): each new number gets the share of all earlier ones, those of the audit first, that lie
above it. While line and audit are exchangeable these shares are independent and uniform, whatever
the distribution and however small the audit. A gambler who bets that they are not multiplies the
stake by b(u), ∫ b = 1, and ever holds 1/α times it with probability α at most (Ville's inequality).

The gambler is a Simple Jumper (Vovk et al., "Retrain or not retrain", COPA 2021) over bets that
numbers got higher, lower, more or less spread out, each mildly or boldly, and none at all; a small
part of the stake changes hands at every step, so that a change may come late.

Notation: `R` numbers of the audit, `N` of the line, `B` bets.
"""

from bisect import bisect_left, bisect_right, insort

import numpy as np
import numpy.typing as npt

from trust_core.decision.tradeoff import Floats

BOLDNESS = (-0.9, -0.3, 0.3, 0.9)  # of a bet: 1 ± this is what it pays at the ends
JUMP = 0.003  # share of the stake that changes hands at each step


def conformal_shares(reference: Floats, line: Floats, draws: Floats) -> Floats:
    """Share of what came before that lies above each number of the line, `(N,)` in [0, 1].

    Uniform and independent where reference and line are exchangeable. Equal numbers are put in
    order by chance.

    Args:
        reference: numbers of the audit, in any order, `(R,)`; +∞ is a number like others.
        line: in the order they came, `(N,)`.
        draws: uniform in [0, 1], `(N,)`.
    """
    before: list[float] = sorted(reference.tolist())
    shares = np.empty(len(line))
    for index, (value, draw) in enumerate(zip(line.tolist(), draws.tolist(), strict=True)):
        low, high = bisect_left(before, value), bisect_right(before, value)
        above, equal = len(before) - high, high - low + 1  # itself among the equal ones
        shares[index] = (above + draw * equal) / (len(before) + 1)
        insort(before, value)
    return shares


def wealth(shares: Floats) -> Floats:
    """What the gambler holds after each share, of a stake of 1, `(N,)`."""
    pays = _payments(shares)
    bets = pays.shape[1]
    held = np.full(bets, 1 / bets)
    found = np.empty(len(shares))
    total = 1.0
    for index, pay in enumerate(pays):
        held = ((1 - JUMP) * held + JUMP / bets) * pay
        step = held.sum()
        total *= step
        held /= step
        found[index] = total
    return found


def _payments(shares: Floats) -> npt.NDArray[np.float64]:
    """What each bet pays at each share, `(N, B)`; 1 on average where the shares are uniform."""
    higher = 1 - 2 * shares
    spread = 2 * np.abs(higher) - 1
    columns = [1 + bold * bent for bent in (higher, spread) for bold in BOLDNESS]
    return np.stack([np.ones(len(shares)), *columns], axis=1)
