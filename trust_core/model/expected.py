"""Comparison with the user's own predictions: is it really the same detector?

A wrong crop or normalisation audits another detector without anyone noticing; predictions that are
not reproduced give it away.
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from trust_core.errors import DataError

TOLERANCE = 0.01


@dataclass(frozen=True)
class Expectation:
    """How far a file of predictions is reproduced.

    Attributes:
        compared: images in both.
        reproduced: of these, with |Δp| at most 0.01.
        largest: the largest |Δp|.
        worst: path of the image it belongs to.
        sentence: the finding in words.
    """

    compared: int
    reproduced: int
    largest: float
    worst: str
    sentence: str


def compare_expected(file: Path, table: pd.DataFrame) -> Expectation:
    """Compare p(defective) with the user's own.

    Args:
        file: CSV with the columns `path,p`; paths as in the data set.
        table: with the columns `path` and `p_defect`, a row an image; unscored ones are NaN.

    Raises:
        DataError: the file cannot be read, or none of its images is in the table.
    """
    try:
        theirs = pd.read_csv(file, dtype={"path": str})
    except (OSError, ValueError) as error:
        raise DataError(f"{file.name} cannot be read as CSV: {error}") from error
    if missing := {"path", "p"} - set(theirs.columns):
        raise DataError(
            f"{file.name} has no column {min(missing)}; predictions are given as path,p."
        )
    wanted = pd.to_numeric(theirs["p"], errors="coerce")
    if wanted.isna().any() or not wanted.between(0, 1).all():
        raise DataError(f"{file.name}: every p must be a number from 0 to 1.")
    paths = theirs["path"].map(lambda path: str(PurePosixPath(str(path).replace("\\", "/"))))
    ours = table.set_index("path")["p_defect"].dropna().reindex(paths.to_numpy())
    found = ours.notna().to_numpy()
    if not found.any():
        raise DataError(
            f"{file.name}: none of its {len(paths)} paths is an image of the data set, e.g. "
            f"{paths.iloc[0] if len(paths) else 'none at all'}; paths are relative to its folder."
        )
    gaps = np.abs(ours.to_numpy(dtype=float) - wanted.to_numpy(dtype=float))[found]
    worst, largest = paths[found].iloc[int(gaps.argmax())], float(gaps.max())
    reproduced, compared = int((gaps <= TOLERANCE).sum()), int(found.sum())
    absent = (
        f" {len(found) - compared} of its paths are not in the data." if not found.all() else ""
    )
    if reproduced == compared:
        verdict = f"All {compared} expected predictions are reproduced (largest Δp {largest:.3f})."
    else:
        verdict = (
            f"Only {reproduced} of {compared} expected predictions are reproduced; the largest "
            f"difference is {largest:.3f} at {worst}. Check --size, --resize, --mean, --std and "
            "the class convention: this may be another detector than yours."
        )
    return Expectation(compared, reproduced, largest, worst, verdict + absent)
