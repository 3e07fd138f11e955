"""The exact trade-off curve against `sklearn.metrics.roc_curve` on a million scores.

    python -m benchmarks.sweep [--quick] --json

`vs_sklearn`: how many times faster ours is, both run in turns: median, smallest and largest. Two
inputs, `distinct` (no two scores alike) and `tied` (as many values as Δ has, about 10,000);
`vs_sklearn` is the slower of the two. Before any timing both curves are held to each other,
every threshold, every count.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_curve

from trust_core.decision.tradeoff import curve

IMAGES, QUICK_IMAGES = 1_000_000, 50_000
MISSED_SHARE, STEPS, TURNS = 0.03, 10_000, 15

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def simulated(images: int, *, tied: bool) -> tuple[Floats, Flags]:
    """Scores and which images are missed defects."""
    draw = np.random.default_rng(0)
    missed = draw.random(images) < MISSED_SHARE
    scores = draw.normal(-0.2 + 0.35 * missed, 0.2)
    return (np.round(scores * STEPS / 2) / STEPS * 2 if tied else scores), missed


def check_equal(scores: Floats, missed: Flags) -> None:
    """Raise when the two curves differ anywhere."""
    ours = curve(scores, missed)
    loss, recall, thresholds = roc_curve(missed, scores, drop_intermediate=False)
    np.testing.assert_array_equal(ours.thresholds, thresholds)
    np.testing.assert_array_equal(ours.flagged_fn, np.rint(recall * ours.fn))
    np.testing.assert_array_equal(ours.flagged_tn, np.rint(loss * ours.tn))


def ratios(scores: Floats, missed: Flags, turns: int) -> list[float]:
    """Time of scikit-learn over ours, in each of some turns; who is first alternates."""
    sides: list[Callable[[], object]] = [
        lambda: curve(scores, missed),
        lambda: roc_curve(missed, scores, drop_intermediate=False),
    ]
    found = []
    for turn in range(1 + turns):
        taken = {}
        for side in (0, 1) if turn % 2 else (1, 0):
            began = time.perf_counter()
            sides[side]()
            taken[side] = time.perf_counter() - began
        found.append(taken[1] / taken[0])
    return found[1:]


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer scores")
    parser.add_argument("--json", action="store_true", help="the only form there is")
    images = QUICK_IMAGES if parser.parse_args().quick else IMAGES
    found = {}
    for name, tied in (("distinct", False), ("tied", True)):
        scores, missed = simulated(images, tied=tied)
        check_equal(scores, missed)
        turns = ratios(scores, missed, TURNS)
        found[name] = [round(v, 2) for v in (statistics.median(turns), min(turns), max(turns))]
    result = {
        "vs_sklearn": min(median for median, *_ in found.values()),
        **found,
        "images": images,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ("numpy", "scikit-learn")},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
