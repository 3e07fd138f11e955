"""Thresholds that can be read: the fewest decimals that still flag exactly the same parts."""

import numpy as np

from trust_core.decision.tradeoff import Curve, Floats

DIGITS = 17  # no two floats agree to more decimals than that below 1


def roundest(below: Floats, upto: Floats) -> Floats:
    """The number of fewest decimals in each interval (below, upto], the largest of those."""
    found = upto.copy()
    wanting = np.ones(len(upto), dtype=bool)
    for digits in range(DIGITS):
        scaled = np.floor(upto * 10.0**digits)
        candidate = np.array([round(s / 10.0**digits, digits) for s in scaled.tolist()])
        fits = wanting & (candidate > below) & (candidate <= upto)
        found[fits] = candidate[fits] + 0.0  # -0.0 becomes 0.0
        wanting &= ~fits
        if not wanting.any():
            break
    return found


def readable(points: Curve, index: int) -> float:
    """The roundest threshold that flags exactly what a point of the curve flags."""
    below = np.append(points.thresholds, -np.inf)[index + 1 : index + 2]
    return float(roundest(below, points.thresholds[index : index + 1])[0])
