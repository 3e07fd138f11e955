"""The patch Gaussian of an audit's own images: fitted once, kept with the audit.

Only images of `train` and `tune` are read: sealed roles stay sealed.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from trust_core.data.samples import Dataset
from trust_core.errors import DataError, StoreError, UnreadableImage
from trust_core.explanation.evidence.evidence_maps import PAD, evidence_window
from trust_core.explanation.evidence.patch_gaussian import PatchGaussian, fit_patch_gaussian
from trust_core.model.preprocessing import Preprocessing, noted_preprocessing
from trust_core.storage.atomic import replacing
from trust_core.storage.audit_files import EVIDENCE, Audit

UNSEALED_ROLES = ("train", "tune")
MOST_FITTED_IMAGES = 1000  # where evidence shapes scores
MOST_AWAITED_IMAGES = 250  # where somebody waits for it: reading takes longer than fitting
PIXELS = 256 * 256  # of larger images fewer are read: all are held at once
READERS = 4
GAUSSIAN_ARRAYS = ("mean", "covariance", "low", "high")
LARGEST_WINDOW = 24  # one fit serves every smaller window


def as_pixels(preprocessing: Preprocessing, path: Path) -> Tensor:
    """An image file as the detector sees it, (c, H, W) in [0, 1].

    Raises:
        UnreadableImage: it cannot be decoded.
    """
    return torch.from_numpy(preprocessing.pixels(preprocessing.read(path))).float() / 255


def fit_to_files(
    root: Path,
    paths: list[str],
    preprocessing: Preprocessing,
    most: int = MOST_FITTED_IMAGES,
) -> PatchGaussian:
    """Fit to the first of these images, at most `most`; unreadable ones are left out.

    Raises:
        DataError: not one can be read.
    """
    height, width = preprocessing.size
    most = min(most, max(1, most * PIXELS // (height * width)))
    with ThreadPoolExecutor(READERS) as pool:
        read = pool.map(lambda path: _readable(preprocessing, root / path), paths[:most])
        images = [image for image in read if image is not None]
    if not images:
        raise DataError(
            f"Evidence learns what surroundings look like from images of train and tune, and of "
            f"{len(paths)} in {root} none can be read; put the images back, or check the roles."
        )
    window = min(LARGEST_WINDOW, min(preprocessing.size) - 2 * PAD)
    return fit_patch_gaussian(images, window=window, pad=PAD)


def _readable(preprocessing: Preprocessing, path: Path) -> Tensor | None:
    with suppress(UnreadableImage):  # the audit says which, and why
        return as_pixels(preprocessing, path)
    return None


def unsealed_paths(samples: pd.DataFrame) -> list[str]:
    """Images of the open roles in `sample_id` order: ids are hashes, so the first are any."""
    chosen = samples[samples["role"].isin(UNSEALED_ROLES)].sort_values("sample_id")
    return chosen["path"].tolist()


def audit_patch_gaussian(audit: Audit, window: int = 10) -> PatchGaussian:
    """What windows look like from their surroundings in the images of an audit.

    Read from the audit's folder; fitted, and kept there, when it is not there yet.

    Raises:
        DataError: no image of `train` or `tune` can be read.
        SettingsError: no such window.
        StoreError: the kept file is damaged.
    """
    root = Path(audit.manifest.data.root)
    samples = audit.query("SELECT sample_id, path, role FROM samples")
    return _patch_gaussian(
        audit.folder,
        root,
        unsealed_paths(samples),
        noted_preprocessing(audit.manifest.model.preprocessing),
        window,
        MOST_AWAITED_IMAGES,
    )


def running_patch_gaussian(
    folder: Path, dataset: Dataset, preprocessing: Preprocessing
) -> PatchGaussian:
    """The patch Gaussian for the evidence maps of an audit that is about to run in `folder`."""
    window = evidence_window(preprocessing.size)
    paths = unsealed_paths(dataset.samples)
    return _patch_gaussian(folder, dataset.root, paths, preprocessing, window, MOST_FITTED_IMAGES)


def _patch_gaussian(
    folder: Path, root: Path, paths: list[str], preprocessing: Preprocessing, window: int, most: int
) -> PatchGaussian:
    """The Gaussian in an audit folder, cut to a window; fitted to images when it is not there."""
    path = folder / EVIDENCE
    if not path.exists():
        found = fit_to_files(root, paths, preprocessing, most)
        try:
            save_patch_gaussian(found, path)
        except OSError:  # a folder that may only be read is no reason to show nothing
            return found.cut(window)
    # Also what was just fitted is read back: its numbers are those that any later run will see.
    return _kept(path, path.stat().st_mtime_ns, window)


def save_patch_gaussian(found: PatchGaussian, path: Path) -> None:
    """Write a Gaussian as `.npz`, in float32, atomically."""
    arrays = {name: getattr(found, name).astype(np.float32) for name in GAUSSIAN_ARRAYS}
    with replacing(path) as unfinished, unfinished.open("wb") as file:
        np.savez(file, window=found.window, pad=found.pad, **arrays)


def load_patch_gaussian(path: Path) -> PatchGaussian:
    """Read a Gaussian that `save_patch_gaussian` wrote.

    Raises:
        StoreError: the file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as kept:
            arrays = {name: kept[name].astype(np.float64) for name in GAUSSIAN_ARRAYS}
            return PatchGaussian(int(kept["window"]), int(kept["pad"]), **arrays)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise StoreError(f"{path} is damaged; delete it, it is made anew when needed.") from error


@lru_cache(maxsize=8)
def _kept(path: Path, changed: int, window: int) -> PatchGaussian:
    return load_patch_gaussian(path).cut(window)
