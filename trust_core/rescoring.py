"""Another mask rule for a finished model pass: the kept maps are scored anew, no model runs."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trust_core.scoring import OVERLAP_COLUMNS, overlap_columns
from trust_core.shards import write_table
from trust_core.store import MAPS, SCORES

RESCORE_ROWS = 2048


def rescore(folder: Path, manifest: dict[str, Any], rule: str) -> None:
    """Score the kept maps with another mask rule; no model runs."""
    scores = pd.read_parquet(folder / SCORES)
    names = ["defect", "good", manifest["settings"]["agnostic"][0]]
    files = {e["name"]: folder / MAPS / e["file"] for e in manifest["maps"] if e["name"] in names}
    maps = {name: np.load(path, mmap_mode="r") for name, path in files.items()}
    log_odds = scores["log_odds"].to_numpy()
    pieces = []
    for start in range(0, len(scores), RESCORE_ROWS):
        rows = slice(start, start + RESCORE_ROWS)
        piece = {name: values[rows] for name, values in maps.items()}
        pieces.append(overlap_columns(log_odds[rows], piece, names[2], rule))
    scores[OVERLAP_COLUMNS] = pd.concat(pieces, ignore_index=True)
    write_table(folder / SCORES, scores)
