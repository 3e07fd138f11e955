"""Comparison with the user's own predictions: is it really the same detector?

A wrong crop, resampling or normalisation audits another detector without anyone noticing;
predictions that are not reproduced give it away, and the usual ways to prepare an image are tried
to find the one that reproduces them.
"""

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from trust_core.data.images import is_turned
from trust_core.data.samples import Dataset
from trust_core.data.table_paths import match_paths
from trust_core.data.tables import read_numbers, read_table
from trust_core.errors import DataError, SettingsError
from trust_core.messages import Message, amount, joined, option
from trust_core.model.checks.alternatives import NORMALISATIONS
from trust_core.model.checks.findings import LOG_ODDS_TOLERANCE
from trust_core.model.checks.findings import Expectation as Expectation
from trust_core.model.checks.sample_images import readable_pixels
from trust_core.model.detector import Detector
from trust_core.model.preprocessing import Preprocessing
from trust_core.model.recognition.own_head import split_function, with_function

TOLERANCE = 0.01
TRIED = 32  # images that are enough to give a wrong crop or normalisation away
SEARCHED = 8  # of these, the farthest from theirs, on which the usual ways are tried first
ROUNDS, PROMISING = 2, 3  # changes, one on top of the other; of so many of the best
RESAMPLINGS = (
    *(("bilinear", "yes"), ("bicubic", "yes"), ("bilinear", "no"), ("bicubic", "no")),
    *(("area", "yes"), ("nearest", "no"), ("nearest", "yes"), ("lanczos", "yes")),
)
FARTHEST = 10.0  # log-odds; what is farther is simply wrong
CROP = 0.875  # the usual share of the short side that is cut out

SINGLE, TINY = 2e-7, 1e-30  # precision of p near 1; the least p that is told from 0

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Expected:
    """The user's own predictions of images of a data set.

    Attributes:
        name: of the file.
        table: columns `path`, as the data set has it, `p`, and `half`, the half of its last digit;
            a row an image.
        absent: paths of the file that are no images of the data set.
    """

    name: str
    table: pd.DataFrame
    absent: int


def read_expected(file: Path, dataset: Dataset) -> Expected:
    """Read predictions, as a table of samples is read, before anything is computed.

    `file` is a CSV with the columns `path,p`; paths relative, absolute, or bare file names.

    Raises:
        DataError: the file cannot be read as such, or none of its images is in the data set.
    """
    given = read_table(file, ("path", "p"))
    p = read_numbers(given["p"], file.name)
    if not p.between(0, 1).all():
        raise DataError(f"{file.name}: every p must be a number from 0 to 1.")
    paths = match_paths(given["path"].tolist(), dataset.samples["path"].tolist())
    table = pd.DataFrame({"path": paths, "p": p.to_numpy(), "half": _half_digit(given["p"])})
    known = table[table["path"] != ""].reset_index(drop=True)
    if known.empty:
        raise DataError(
            f"{file.name}: of its {amount(len(given), 'path', 'paths')} none is an image of the "
            f"data set, e.g. {given['path'].iloc[0]}; paths are relative to its folder."
        )
    twice = known["path"][known["path"].duplicated()]
    if len(twice):
        raise DataError(
            f"{file.name} has several predictions of {twice.iloc[0]}; keep one row for each image."
        )
    return Expected(file.name, known, len(given) - len(known))


def compare_expected(expected: Expected, table: pd.DataFrame) -> Expectation:
    """Compare p(defective) of an audit with the user's own.

    `table` has the columns `path` and `p_defect`, a row an image; unscored ones are NaN.

    Raises:
        DataError: none of the images was scored.
    """
    ours = table.set_index("path")["p_defect"].reindex(expected.table["path"]).to_numpy(float)
    return _compare(expected, ours)


def try_expected(
    expected: Expected, detector: Detector, dataset: Dataset, images: int = TRIED
) -> Expectation:
    """Compare predictions on a few of the images, before an audit; and what would reproduce them.

    So many `images` are tried, spread evenly.

    Raises:
        DataError: none of the images can be read.
    """
    few = expected.table.iloc[:: max(1, -(-len(expected.table) // images))].reset_index(drop=True)
    paths = [dataset.root / path for path in few["path"]]
    ours = _answers(detector, paths)
    found = _compare(replace(expected, table=few), ours)
    if found.agrees:
        return found
    remedy = _remedy(detector, paths, few, _distances(ours, few))
    return replace(found, sentence=Message("{found} {remedy}", found=found.sentence, remedy=remedy))


def _compare(expected: Expected, ours: Floats) -> Expectation:
    paths, wanted = expected.table["path"], expected.table["p"].to_numpy(float)
    known = ~np.isnan(ours)
    if not known.any():
        raise DataError(
            f"{expected.name}: of {amount(len(ours), 'image', 'images')} tried, such as "
            f"{paths.iloc[0]}, none can be read."
        )
    gaps = np.abs(ours - wanted)[known]
    worst, largest = paths[known].iloc[int(gaps.argmax())], float(gaps.max())
    reproduced, compared = int((gaps <= TOLERANCE).sum()), int(known.sum())
    lost = expected.absent + len(ours) - compared
    absent = f" {amount(lost, 'of its paths is', 'of its paths are')} not in the data." * bool(lost)
    log_odds = float(_log_odds_gaps(ours, expected.table)[known].max())
    verdict: str
    if reproduced == compared and log_odds > LOG_ODDS_TOLERANCE:
        verdict = Message(
            "The largest Δp of {compared} is {largest:.3f}, but that is because they are near 0 or "
            "1: their log-odds, which rank the parts called good, differ by up to {log_odds:.1f}."
            "{absent}",
            compared=amount(compared, "expected prediction", "expected predictions"),
            largest=largest,
            log_odds=log_odds,
            absent=absent,
        )
    elif reproduced == compared:
        what = (
            "The expected prediction is"
            if compared == 1
            else (f"All {compared:,} expected predictions are")
        )
        verdict = f"{what} reproduced (largest Δp {largest:.3f}).{absent}"
    else:
        verdict = Message(
            "Only {reproduced} of {compared} are reproduced; the largest difference is "
            "{largest:.3f} at {worst}.{absent}",
            reproduced=reproduced,
            compared=amount(compared, "expected prediction", "expected predictions"),
            largest=largest,
            worst=worst,
            absent=absent,
        )
    return Expectation(compared, reproduced, largest, worst, log_odds, verdict)


def _half_digit(cells: pd.Series) -> float:
    """Half of the last digit that a column of numbers is written with."""
    digits = 0
    for cell in cells:
        mantissa, _, power = cell.lower().replace(",", ".").partition("e")
        digits = max(digits, len(mantissa.partition(".")[2]) - int(power or 0))
    return 0.5 * 10.0**-digits


def _log_odds_gaps(ours: Floats, theirs: pd.DataFrame) -> Floats:
    """How far our log-odds are from all that the digits of a file may mean; NaN where unknown."""
    p, half = theirs["p"].to_numpy(float), theirs["half"].to_numpy(float)
    half = np.maximum(half, np.where(p > 0.5, SINGLE, SINGLE * p))  # of single precision
    ours = np.clip(ours, TINY, 1 - SINGLE)
    low, high = np.clip(p - half, TINY, 1 - SINGLE), np.clip(p + half, TINY, 1 - SINGLE)
    z, low, high = (np.log(value) - np.log1p(-value) for value in (ours, low, high))
    return np.maximum(np.maximum(low - z, z - high), 0)


def _remedy(
    detector: Detector, paths: list[Path], theirs: pd.DataFrame, distances: Floats
) -> Message:
    """Which way to prepare an image, or function in an own head, reproduces the predictions.

    A way is tried on the images that are farthest from them now: others may be much the same
    whatever the way. What reproduces those has to reproduce all.
    """
    far_first = np.argsort(-np.nan_to_num(distances, nan=-1.0), kind="stable")
    few = [paths[place] for place in far_first[:SEARCHED]]
    few_theirs = theirs.iloc[far_first[:SEARCHED]]

    def reproduces(other: Detector, answers: Floats, *, swapped: bool = False) -> bool:
        if not _reproduces(1 - answers if swapped else answers, few_theirs):
            return False
        everywhere = _answers(other, paths)
        return _reproduces(1 - everywhere if swapped else everywhere, theirs)

    swap = detector.convention.inverted().option()
    for name in detector.other_heads:
        other_head = copy(detector)
        other_head.module = with_function(detector.module, split_function(name)[1])
        if reproduces(other_head, _answers(other_head, few)):
            arch = option("arch", name)
            return Message("With {options} they are reproduced: say so.", options=arch)
    promising: list[tuple[float, Message, Preprocessing]] = [
        (0.0, Message(""), detector.preprocessing)
    ]
    for _ in range(ROUNDS):
        found = []
        for _, words, start in promising:
            for choice, preprocessing in _others(start, paths):
                other = _prepared(detector, preprocessing)
                answers = _answers(other, few)
                for swapped in (False, True):
                    told = joined(words, choice, *(swap,) * swapped)
                    if reproduces(other, answers, swapped=swapped):
                        return Message("With {options} they are reproduced: say so.", options=told)
                worth = float(np.nanmean(_distances(answers, few_theirs)))
                found.append((worth, joined(words, choice), preprocessing))
        promising = sorted(found, key=lambda each: each[0])[:PROMISING]
    return Message(
        "No usual way to prepare an image reproduces them: resampling ({interpolation}, "
        "{antialias:no} for OpenCV, albumentations and tensors), {resize}, {channels}, {exif}, "
        "{mean} and {std} were tried. Check {size}, these, and what the outputs mean: this may be "
        "another detector than yours.",
    )


def _distances(answers: Floats, theirs: pd.DataFrame) -> Floats:
    """How far each answer is from theirs, in p and in log-odds together; NaN where unknown."""
    gaps = np.abs(answers - theirs["p"].to_numpy(float))
    return np.asarray(gaps + np.minimum(_log_odds_gaps(answers, theirs), FARTHEST) / FARTHEST)


def _reproduces(answers: Floats, theirs: pd.DataFrame) -> bool:
    """Whether all of our answers are those of the file, as far as its digits tell."""
    gaps = np.abs(answers - theirs["p"].to_numpy(float))
    same = np.nanmax(_log_odds_gaps(answers, theirs), initial=0) <= LOG_ODDS_TOLERANCE
    return bool(same and np.nanmax(gaps, initial=0) <= TOLERANCE)


def _others(now: Preprocessing, paths: list[Path]) -> Iterator[tuple[Message, Preprocessing]]:
    """The preprocessing with one thing changed, and the option that changes it; and unchanged."""
    yield Message(""), now
    for interpolation, antialias in RESAMPLINGS:
        changes = {"interpolation": interpolation, "antialias": antialias}
        yield from _changed(now, changes)
    crops = (f"crop:{round(min(now.size) / CROP)}", f"crop:{min(now.size)}")
    for resize in ("stretch", *crops, "letterbox"):
        yield from _changed(now, {"resize": resize})
    if now.input_channels == 3:
        yield from _changed(now, {"channels": "rgb" if now.channels == "bgr" else "bgr"})
    if any(map(is_turned, paths)):
        yield from _changed(now, {"exif": "ignore" if now.exif == "upright" else "upright"})
    for mean, std in NORMALISATIONS:
        if len(mean) <= now.input_channels:
            yield from _changed(now, {"mean": mean, "std": std})


def _changed(
    now: Preprocessing, changes: Mapping[str, Any]
) -> Iterator[tuple[Message, Preprocessing]]:
    new = {name: value for name, value in changes.items() if getattr(now, name) != value}
    if not new:
        return
    try:
        words = joined(*(option(name, _text(value)) for name, value in new.items()))
        yield words, replace(now, **changes)
    except SettingsError:
        return  # of no use with the other settings


def _text(value: object) -> str:
    return ",".join(f"{v:g}" for v in value) if isinstance(value, tuple) else str(value)


def _prepared(detector: Detector, preprocessing: Preprocessing) -> Detector:
    """The detector with another preprocessing."""
    now = detector.preprocessing
    if (now.mean, now.std) != (preprocessing.mean, preprocessing.std):
        return Detector(
            detector.module,
            preprocessing,
            detector.convention,
            detector.layers,
            device=str(detector.device),
        )
    other = copy(detector)
    other.preprocessing = preprocessing
    return other


def _answers(detector: Detector, paths: list[Path]) -> Floats:
    """p(defective) of image files, NaN where one cannot be read."""
    pixels = readable_pixels(Path(), map(str, paths), detector.preprocessing)
    found = np.full(len(paths), np.nan)
    if pixels:
        batch = torch.from_numpy(np.stack(list(pixels.values()))).float() / 255
        known = [place for place, path in enumerate(paths) if str(path) in pixels]
        found[known] = detector.log_odds(batch).double().sigmoid().cpu().numpy()
    return found
