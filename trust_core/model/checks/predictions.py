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
from trust_core.data.tables import match_paths, read_numbers, read_table
from trust_core.errors import DataError, SettingsError
from trust_core.messages import Message, amount, option
from trust_core.model.checks.alternatives import NORMALISATIONS
from trust_core.model.checks.sample_images import readable_pixels
from trust_core.model.detector import Detector
from trust_core.model.preprocessing import Preprocessing

TOLERANCE = 0.01
TRIED = 32  # images that are enough to give a wrong crop or normalisation away
SEARCHED = 8  # of these, on which the usual ways are tried
ROUNDS, PROMISING = 2, 3  # changes, one on top of the other; of so many of the best
RESAMPLINGS = (
    *(("bilinear", "yes"), ("bicubic", "yes"), ("bilinear", "no"), ("bicubic", "no")),
    *(("area", "yes"), ("nearest", "no"), ("nearest", "yes"), ("lanczos", "yes")),
)
CROP = 0.875  # the usual share of the short side that is cut out

Floats = npt.NDArray[np.float64]


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


@dataclass(frozen=True)
class Expected:
    """The user's own predictions of images of a data set.

    Attributes:
        name: of the file.
        table: columns `path`, as the data set has it, and `p`; a row an image.
        absent: paths of the file that are no images of the data set.
    """

    name: str
    table: pd.DataFrame
    absent: int


def read_expected(file: Path, dataset: Dataset) -> Expected:
    """Read predictions, as a table of samples is read, before anything is computed.

    Args:
        file: CSV with the columns `path,p`; paths relative, absolute, or bare file names.
        dataset: whose images they are of.

    Raises:
        DataError: the file cannot be read as such, or none of its images is in the data set.
    """
    given = read_table(file, ("path", "p"))
    p = read_numbers(given["p"], file.name)
    if not p.between(0, 1).all():
        raise DataError(f"{file.name}: every p must be a number from 0 to 1.")
    paths = match_paths(given["path"].tolist(), dataset.samples["path"].tolist())
    table = pd.DataFrame({"path": paths, "p": p.to_numpy()})
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

    Args:
        expected: the user's own.
        table: with the columns `path` and `p_defect`, a row an image; unscored ones are NaN.

    Raises:
        DataError: none of the images was scored.
    """
    ours = table.set_index("path")["p_defect"].reindex(expected.table["path"]).to_numpy(float)
    return _compare(expected, ours)


def try_expected(
    expected: Expected, detector: Detector, dataset: Dataset, images: int = TRIED
) -> Expectation:
    """The same for a few of the images, before an audit; and what would reproduce them.

    Args:
        expected: the user's own.
        detector: the classifier under audit.
        dataset: where the images lie.
        images: how many are tried, spread evenly.

    Raises:
        DataError: none of the images can be read.
    """
    few = expected.table.iloc[:: max(1, -(-len(expected.table) // images))].reset_index(drop=True)
    paths = [dataset.root / path for path in few["path"]]
    found = _compare(replace(expected, table=few), _answers(detector, paths))
    if found.reproduced == found.compared:
        return found
    remedy = _remedy(detector, paths, few["p"].to_numpy(float))
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
    if reproduced == compared:
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
    return Expectation(compared, reproduced, largest, worst, verdict)


def _remedy(detector: Detector, paths: list[Path], wanted: Floats) -> Message:
    """Which of the usual ways to prepare an image reproduces the predictions, in a sentence."""
    few = slice(None, None, max(1, -(-len(paths) // SEARCHED)))
    paths, wanted = paths[few], wanted[few]
    swap = detector.convention.inverted().option()
    promising: list[tuple[float, Message, Preprocessing]] = [
        (0.0, Message(""), detector.preprocessing)
    ]
    for _ in range(ROUNDS):
        found = []
        for _, words, start in promising:
            for choice, other in _others(start, paths):
                ours = _answers(_prepared(detector, other), paths)
                for answers, swapped in ((ours, ()), (1 - ours, (swap,))):
                    gaps = np.abs(answers - wanted)
                    told = _joined(words, choice, *swapped)
                    if np.nanmax(gaps, initial=0) <= TOLERANCE:
                        return Message("With {options} they are: say so.", options=told)
                    if not swapped:
                        found.append((float(np.nanmean(gaps)), told, other))
        promising = sorted(found, key=lambda each: each[0])[:PROMISING]
    return Message(
        "No usual way to prepare an image reproduces them: resampling ({interpolation}, "
        "{antialias:no} for OpenCV, albumentations and tensors), {resize}, {channels}, {exif}, "
        "{mean} and {std} were tried. Check {size}, these, and what the outputs mean: this may be "
        "another detector than yours.",
    )


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
        words = _joined(*(option(name, _text(value)) for name, value in new.items()))
        yield words, replace(now, **changes)
    except SettingsError:
        return  # of no use with the other settings


def _text(value: object) -> str:
    return ",".join(f"{v:g}" for v in value) if isinstance(value, tuple) else str(value)


def _joined(*choices: Message) -> Message:
    given = [choice for choice in choices if choice]
    names = {f"choice{number}": choice for number, choice in enumerate(given)}
    return Message(" ".join(f"{{{name}}}" for name in names), **names)


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
