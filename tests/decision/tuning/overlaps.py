"""Overlaps drawn at random."""

import numpy as np
import pandas as pd

from trust_core.decision.tuning.candidates import OverlapTable
from trust_core.decision.tuning.mask_grid import Recipe


def random_overlaps(
    signal: float = 0.0,
    *,
    parts: int = 60,
    recipes: int = 40,
    seed: int = 0,
    missed_parts: int = 20,
) -> OverlapTable:
    """Overlaps drawn at random; the last recipe tells missed defects by `signal` deviations."""
    draw = np.random.default_rng(seed)
    count = 2 * parts
    missed = np.arange(count) // 2 < missed_parts
    defect, good = draw.normal(0.5, 0.1, (2, 1, count, recipes))
    defect[0, :, -1] += 0.1 * signal * missed
    z = draw.normal(-2, 1, (1, count))
    table = pd.DataFrame(
        {
            "sample_id": [f"{i:04d}" for i in range(count)],
            "outcome": np.where(missed, "FN", "TN"),
            "role": np.where(np.arange(count) // 2 % 4 == 3, "test", "tune"),
            "group": [str(i // 2) for i in range(count)],
            "p_defect": 1 / (1 + np.exp(-z[0])),
        }
    )
    names = tuple(
        Recipe("layer", "gradcam", "gradient", f"top:0.{i + 1:03d}") for i in range(recipes)
    )
    return OverlapTable(table, (0.0,), names, z, defect, good)
