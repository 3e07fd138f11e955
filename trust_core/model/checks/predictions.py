"""Comparison with the user's own predictions: is it really the same detector?

A wrong crop or normalisation audits another detector without anyone noticing; predictions that are
not reproduced give it away.
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import torch

from trust_core.data.samples import Dataset
from trust_core.errors import DataError
from trust_core.messages import Message
from trust_core.model.checks.sample_images import readable_pixels
from trust_core.model.detector import Detector

TOLERANCE = 0.01
TRIED = 32  # images that are enough to give a wrong crop or normalisation away


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
    return _compare(file.name, _read(file), table)


def try_expected(
    file: Path, detector: Detector, dataset: Dataset, images: int = TRIED
) -> Expectation:
    """The same for a few of the images in the file, before an audit.

    Args:
        file: as for `compare_expected`.
        detector: the classifier under audit.
        dataset: where the images lie.
        images: how many are tried, spread evenly over those that the file and the data set share.

    Raises:
        DataError: likewise, or none of the images can be read.
    """
    theirs = _read(file)
    shared = theirs[theirs["path"].isin(dataset.samples["path"])]
    few = shared.iloc[:: max(1, -(-len(shared) // images))]
    rows = []
    for path, pixels in readable_pixels(dataset.root, few["path"], detector.preprocessing).items():
        z = detector.log_odds(torch.from_numpy(pixels)[None].float() / 255)
        rows.append((path, float(z.double().sigmoid())))
    if len(few) and not rows:
        raise DataError(f"{file.name}: none of the {len(few)} images tried can be read.")
    table = pd.DataFrame(rows, columns=["path", "p_defect"])
    return _compare(file.name, few if len(few) else theirs, table)


def _read(file: Path) -> pd.DataFrame:
    """The columns `path`, as a data set writes it, and `p`."""
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
    return pd.DataFrame({"path": paths, "p": wanted})


def _compare(name: str, theirs: pd.DataFrame, table: pd.DataFrame) -> Expectation:
    paths, wanted = theirs["path"], theirs["p"]
    ours = table.set_index("path")["p_defect"].dropna().reindex(paths.to_numpy())
    found = ours.notna().to_numpy()
    if not found.any():
        raise DataError(
            f"{name}: none of its {len(paths)} paths is an image of the data set, e.g. "
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
        verdict += absent
    else:
        verdict = Message(
            "Only {reproduced} of {compared} expected predictions are reproduced; the largest "
            "difference is {largest:.3f} at {worst}. Check {size}, {resize}, {mean}, {std} and "
            "what the outputs mean: this may be another detector than yours.{absent}",
            reproduced=reproduced,
            compared=compared,
            largest=largest,
            worst=worst,
            absent=absent,
        )
    return Expectation(compared, reproduced, largest, worst, verdict)
