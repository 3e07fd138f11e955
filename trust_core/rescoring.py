"""Another mask rule for a finished model pass: the kept maps are scored anew, no model runs."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from trust_core.scoring import OVERLAP_COLUMNS, overlap_columns
from trust_core.storage.audit_files import MAPS, SCORES
from trust_core.storage.shards import TableWriter

RESCORE_ROWS = 2048


def rescore(folder: Path, manifest: dict[str, Any], rule: str) -> None:
    """Score the kept maps with another mask rule, some rows at a time; no model runs."""
    names = ["defect", "good", manifest["settings"]["agnostic"][0]]
    files = {e["name"]: folder / MAPS / e["file"] for e in manifest["maps"] if e["name"] in names}
    maps = {name: np.load(path, mmap_mode="r") for name, path in files.items()}
    start = 0
    with pq.ParquetFile(folder / SCORES) as before, TableWriter(folder / SCORES) as after:
        for batch in before.iter_batches(RESCORE_ROWS):
            scores = batch.to_pandas()
            rows = slice(start, start + len(scores))
            piece = {name: np.array(values[rows]) for name, values in maps.items()}
            found = overlap_columns(scores["log_odds"].to_numpy(), piece, names[2], rule)
            scores[OVERLAP_COLUMNS] = pd.DataFrame(found)
            after.write(scores)
            start += len(scores)
