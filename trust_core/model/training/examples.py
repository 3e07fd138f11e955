"""What a network learns from: images of `train` and `tune` at its input size, with their masks.

Roles are those of the audit, so no part is both learnt from and judged by: `train` fits, `tune`
tells when to stop, `certify` and `test` are not opened. Everything is decoded once, into a cache on
disk that is memory-mapped.

Notation: N images, c channels, H, W the network's input size.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from trust_core.data.mask_decoding import read_masks
from trust_core.data.names import first_few
from trust_core.data.samples import Dataset
from trust_core.errors import DataError, UnreadableImage
from trust_core.messages import Message, amount
from trust_core.model.preprocessing import Preprocessing
from trust_core.storage.atomic import replacing

if TYPE_CHECKING:  # takes seconds to load, and settings, forms and pages need names alone
    from torch import Tensor

USED = ("train", "tune")
PIXELS, MASKS, TABLE = "pixels.npy", "masks.npy", "table.parquet"
FEWEST = 2  # parts of each class to learn from
_SALT = "trust_core training 1:"


@dataclass(frozen=True)
class TrainingData:
    """Images in memory-mapped files, and a table of them.

    Attributes:
        pixels: (N, c, H, W) uint8.
        masks: (N, H, W) uint8, 1 where the defect is.
        table: a row an image: `label`, `role`, `group` and `known` (whether the place of its defect
            is known; a good image has none, which is known).
        notes: sentences the user should read.
    """

    pixels: npt.NDArray[np.uint8]
    masks: npt.NDArray[np.uint8]
    table: pd.DataFrame
    notes: tuple[str, ...]

    def rows(self, role: str) -> npt.NDArray[np.int64]:
        """The images of a role."""
        return np.flatnonzero(self.table["role"] == role)

    def batch(self, rows: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pixels (n, c, H, W) in [0, 1], masks (n, 1, H, W), labels (n,) and known (n,) bool."""
        import torch

        chosen = self.table.iloc[rows]
        return (
            torch.from_numpy(self.pixels[rows]).float() / 255,
            torch.from_numpy(self.masks[rows]).float()[:, None],
            torch.from_numpy(chosen["label"].to_numpy(np.float32)),
            torch.from_numpy(chosen["known"].to_numpy(bool, copy=True)),
        )


def with_train_role(dataset: Dataset) -> Dataset:
    """The data set as it is when it names images to train on; else with half of its parts as such.

    The half hangs on the parts' names alone; the other half keeps its roles.

    Raises:
        DataError: the data set names splits, but nothing to train on.
    """
    samples = dataset.samples
    if (samples["role"] == "train").any():
        return dataset
    if (samples["split"] != "").any():
        raise DataError(
            Message(
                "The data set names splits, but none of its images is train; give the split train "
                "to those that may be learnt from, in the table or by {roles:FILE}."
            )
        )
    digest = (sha256((_SALT + group).encode()).digest()[0] for group in samples["group"])
    learns = np.array([first < 128 for first in digest])
    roles = samples["role"].where(~learns, "train")
    parts = samples["group"][learns].nunique()
    note = (
        f"No split is named: half of the parts ({parts:,} of {samples['group'].nunique():,}) "
        "became train; the others keep the roles of the audit."
    )
    kept = tuple(text for text in dataset.notes if "--roles" not in text)
    return replace(dataset, samples=samples.assign(role=roles), notes=(*kept, note))


def check_learnable(samples: pd.DataFrame, *, masks: bool) -> None:
    """Whether this can be learnt from.

    `samples` has columns `label`, `role`, `group` and `mask_path`; `masks`: they are to be learnt.

    Raises:
        DataError: one class only, too few parts, or no masks where masks are to be learnt.
    """
    for role, fewest in (("train", FEWEST), ("tune", 1)):
        part = samples[samples["role"] == role]
        counts = part.groupby("label")["group"].nunique()
        for label, name in ((0, "good"), (1, "defective")):
            found = int(counts.get(label, 0))
            if found < fewest:
                raise DataError(
                    Message(
                        "{role} holds {found} {label} and needs at least {fewest}: the data "
                        "set has too few parts ({parts:,}) for its splits. Add parts, or say by "
                        "{roles:FILE} which are train and which are tune.",
                        role=role,
                        found=found,
                        label=f"{name} part" if found == 1 else f"{name} parts",
                        fewest=fewest,
                        parts=samples["group"].nunique(),
                    )
                )
    learns = samples[samples["role"].isin(USED) & (samples["label"] == 1)]
    if masks and not (learns["mask_path"] != "").any():
        raise DataError(
            Message(
                "None of the {images:,} defective images to learn from has a mask; "
                "{objective:label} learns from the labels alone.",
                images=len(learns),
            )
        )


def prepare_images(
    dataset: Dataset, preprocessing: Preprocessing, folder: Path, *, masks: bool
) -> TrainingData:
    """Decode the images of `train` and `tune`, or open what an earlier run left in `folder`.

    Images that cannot be read are left out, and counted in a note. A defective image without a
    mask, with an empty one or with one that cannot be read teaches its label only. Without `masks`
    they are not opened.

    Raises:
        DataError: a good image has a marked mask, a mask has another size than its image, or
            too little can be read.
    """
    samples = dataset.samples[dataset.samples["role"].isin(USED)].reset_index(drop=True)
    if not masks:
        samples = samples.assign(mask_path="")
    check_learnable(samples, masks=masks)
    if not (folder / TABLE).exists():
        _decode(dataset.root, samples, preprocessing, folder)
    table = pd.read_parquet(folder / TABLE)
    kept = table[table["reason"] == ""].reset_index(drop=True)
    check_learnable(kept, masks=masks)
    shape = (preprocessing.input_channels, *preprocessing.size)
    return TrainingData(
        np.memmap(folder / PIXELS, np.uint8, "r", shape=(len(kept), *shape)),
        np.memmap(folder / MASKS, np.uint8, "r", shape=(len(kept), *shape[1:])),
        kept,
        _notes(table, masks=masks),
    )


def order(
    table: pd.DataFrame, count: int, seed: tuple[int, int], *, places: bool
) -> npt.NDArray[np.int64]:
    """Which images one epoch shows: both classes alike, and within a class every part alike.

    A part that was photographed thirty times weighs as much as one photographed once. Systematic
    sampling: an image that is due 1.4 times comes once or twice, never not at all.

    `table` is as in `TrainingData`; with `places`, images whose defect's place is not known are
    left out.

    Returns:
        (count,) rows of the table.
    """
    rng = np.random.default_rng(seed)
    usable = table["role"] == "train"
    usable &= table["known"] | (not places)
    rows = rng.permutation(np.flatnonzero(usable))
    chosen = table.iloc[rows]
    by_part = chosen.groupby(["label", "group"])["label"].transform("size")
    parts = chosen.groupby("label")["group"].transform("nunique")
    share = np.cumsum(1 / (by_part * parts).to_numpy())
    places_drawn = (np.arange(count) + rng.random()) / count * share[-1]
    drawn = rows[np.searchsorted(share, places_drawn, side="right").clip(max=len(rows) - 1)]
    return rng.permutation(drawn)


def reduced(masks: Tensor, grid: tuple[int, int]) -> Tensor:
    """Masks on another grid: a cell is marked when any of its pixels is, so thin defects survive.

    `masks` are (N, 1, H, W) 0 or 1.
    """
    from torch.nn.functional import adaptive_max_pool2d

    return adaptive_max_pool2d(masks, grid)


@dataclass(frozen=True)
class _Decoded:
    pixels: npt.NDArray[np.uint8] | None
    mask: npt.NDArray[np.uint8]
    known: bool
    reason: str = ""
    mask_reason: str = ""
    size: str = ""  # what is wrong with the size of the mask
    marked: bool = False


def _decode(root: Path, samples: pd.DataFrame, preprocessing: Preprocessing, folder: Path) -> None:
    """Write the cache; its table comes last, so that a cache with a table is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[_Decoded] = []
    with (folder / PIXELS).open("wb") as pixels, (folder / MASKS).open("wb") as masks:
        for found in _read(root, samples, preprocessing):
            if found.pixels is not None:
                pixels.write(found.pixels.tobytes())
                masks.write(found.mask.tobytes())
            rows.append(replace(found, pixels=None, mask=found.mask[:0]))
    table = samples[["path", "label", "role", "group", "mask_path"]].assign(
        known=[row.known for row in rows],
        reason=[row.reason for row in rows],
        mask_reason=[row.mask_reason for row in rows],
    )
    _refuse([(p, row.size) for p, row in zip(table["path"], rows, strict=True) if row.size])
    marked = np.array([row.marked for row in rows])
    good = table["path"][marked & (table["label"] == 0)].tolist()
    if good:
        raise DataError(
            f"{amount(len(good), 'image labelled good has', 'images labelled good have')} a mask "
            "that marks a defect "
            f"({first_few(good, 2)}); correct the label, or take the mask away."
        )
    with replacing(folder / TABLE, locked=True) as unfinished:
        table.to_parquet(unfinished, index=False)


def _refuse(wrong: list[tuple[str, str]]) -> None:
    if wrong:
        path, size = wrong[0]
        raise DataError(
            f"{amount(len(wrong), 'mask has', 'masks have')} another size than the image, e.g. "
            f"that of {path}: {size}. Save each mask at the size of its image."
        )


def _read(root: Path, samples: pd.DataFrame, preprocessing: Preprocessing) -> Iterator[_Decoded]:
    import torch

    def read(place: tuple[str, str, int]) -> _Decoded:
        path, mask_path, label = place
        none = np.zeros(preprocessing.size, np.uint8)
        try:
            image = preprocessing.read(root / path)
        except UnreadableImage as error:
            return _Decoded(None, none, known=False, reason=str(error))
        pixels = preprocessing.pixels(image)
        if not mask_path:
            return _Decoded(pixels, none, known=not label)
        try:
            mask = read_masks(root, mask_path)
        except UnreadableImage as error:
            return _Decoded(pixels, none, known=not label, mask_reason=str(error))
        if mask.shape != (image.height, image.width):
            size = f"{mask.shape[1]}x{mask.shape[0]}, not {image.width}x{image.height}"
            return _Decoded(pixels, none, known=False, size=size)
        small = reduced(torch.from_numpy(mask).float()[None, None], preprocessing.size)
        marked = bool(mask.any())
        return _Decoded(
            pixels, small[0, 0].numpy().astype(np.uint8), known=marked or not label, marked=marked
        )

    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="read") as pool:
        yield from pool.map(read, samples[["path", "mask_path", "label"]].to_numpy().tolist())


def _notes(table: pd.DataFrame, *, masks: bool) -> tuple[str, ...]:
    notes = []
    lost = table[table["reason"] != ""]
    if len(lost):
        notes.append(
            f"{len(lost):,} of {amount(len(table), 'image', 'images')} cannot be read and "
            f"{'was' if len(lost) == 1 else 'were'} left out "
            f"(the first: {lost['reason'].iloc[0]})."
        )
    broken = table[table["mask_reason"] != ""]
    if len(broken):
        notes.append(
            f"{amount(len(broken), 'mask', 'masks')} cannot be read (the first: "
            f"{broken['mask_reason'].iloc[0]})."
        )
    unknown = int((~table["known"] & (table["reason"] == "")).sum())
    if masks and unknown:
        notes.append(
            f"{amount(unknown, 'defective image has', 'defective images have')} no mask that marks "
            f"anything: {'it teaches' if unknown == 1 else 'they teach'} the label and not the "
            "place."
        )
    return tuple(notes)
