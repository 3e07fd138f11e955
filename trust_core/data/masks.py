"""Pairing of images and masks by name, never by folder order."""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trust_core.data.images import read_image, read_mask
from trust_core.data.names import (
    IMAGE_FOLDERS,
    MASK_FOLDERS,
    MASK_SUFFIXES,
    first_few,
    role_of_split,
)
from trust_core.errors import DataError, UnreadableImage

_LOSSY = frozenset((".jpg", ".jpeg", ".jfif", ".webp"))
_DECODED_PAIRS = 16


@dataclass(frozen=True)
class Pairing:
    """The image files and the mask files of a data set.

    Attributes:
        images: paths of the images, sorted.
        masks: mask path by image path, for images that have one.
        ground_truth: whether there is a separate folder of masks, as in MVTec.
        notes: sentences for the user.
    """

    images: list[str]
    masks: dict[str, str]
    ground_truth: bool
    notes: list[str] = field(default_factory=list)


def pair_masks(root: Path, files: Sequence[str]) -> Pairing:
    """Tell masks from images among the image files of a data set.

    Three ways to name a mask are known: in a folder of masks (`ground_truth/crack/1_mask.png`),
    beside its image with a suffix (`1_label.bmp`, `1_GT.png`, `1_mask.png`), beside its image with
    the same stem and another format (`1.jpg` and `1.png`); the last is believed only when a few
    of them, decoded, are black and white.

    Args:
        root: folder that `files` are relative to.
        files: posix paths of all image files.
    """
    in_folder = [path for path in files if _in_mask_folder(path)]
    rest = [path for path in files if not _in_mask_folder(path)]
    if not rest:
        rest, in_folder = in_folder, []
    masks, lone = _pair_by_suffix(rest)
    rest = sorted(set(rest).difference(masks.values(), lone))
    same_stem, alike = _pair_by_stem(root, rest)
    masks = same_stem | masks
    images = sorted(set(rest).difference(same_stem.values(), alike))
    masks = _pair_by_folder(images, in_folder) | masks
    lone += alike + sorted(set(in_folder).difference(masks.values()))
    notes = []
    if same_stem:
        notes.append(
            f"{len(same_stem):,} black-and-white files beside an image of the same name were taken "
            "as its mask."
        )
    if lone:
        notes.append(
            f"{len(lone):,} masks belong to no image and were left out ({first_few(lone, 3)})."
        )
    return Pairing(images, masks, bool(in_folder), notes)


def defective_by_mask(root: Path, masks: Sequence[str]) -> list[bool]:
    """Whether each mask marks anything.

    Raises:
        DataError: a mask cannot be read, so that its image would have no label.
    """

    def marks(path: str) -> bool:
        try:
            return bool(read_mask(root / path).any())
        except UnreadableImage as error:
            raise DataError(
                f"The label of an image comes from its mask, and {path} cannot be read: {error}"
            ) from error

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(marks, masks, chunksize=64))


def _in_mask_folder(path: str) -> bool:
    return not MASK_FOLDERS.isdisjoint(path.casefold().split("/")[:-1])


def _stem(path: str) -> str:
    """The path without its ending, case-folded: what an image and its mask share."""
    return os.path.splitext(path)[0].casefold()  # noqa: PTH122 (100,000 times)


def _by_stem(files: Iterable[str]) -> dict[str, list[str]]:
    by_stem: dict[str, list[str]] = defaultdict(list)
    for path in files:
        by_stem[_stem(path)].append(path)
    return by_stem


def _without_suffix(stem: str) -> tuple[str, str]:
    for suffix in MASK_SUFFIXES:
        if stem.endswith(suffix):
            return stem.removesuffix(suffix), suffix
    return stem, ""


def _pair_by_suffix(files: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Masks by image, and masks whose image is missing.

    A suffix without a partner is a mask only where the same suffix has one elsewhere: the photo
    `bottle_label.jpg` shows a label.
    """
    by_stem = _by_stem(files)
    masks: dict[str, str] = {}
    lone: list[tuple[str, list[str]]] = []
    used = set()
    for stem, paths in by_stem.items():
        base, suffix = _without_suffix(stem)
        if suffix and base in by_stem:
            used.add(suffix)
            masks.update((image, paths[0]) for image in by_stem[base])
        elif suffix:
            lone.append((suffix, paths))
    return masks, [path for suffix, paths in lone if suffix in used for path in paths]


def _pair_by_stem(root: Path, files: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Masks by image for files that differ in format only, and masks whose image is missing."""
    by_stem = _by_stem(files)
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for paths in by_stem.values():
        if len(paths) == 2:
            for image, mask in (paths, paths[::-1]):
                if _ending(mask) not in _LOSSY:
                    pairs[_ending(image), _ending(mask)].append((image, mask))
    masks: dict[str, str] = {}
    endings = set()
    for (_, ending), candidates in pairs.items():
        few = candidates[:: max(1, len(candidates) // _DECODED_PAIRS)][:_DECODED_PAIRS]
        if all(_looks_like_mask(root / mask) for _, mask in few) and not all(
            _looks_like_mask(root / image) for image, _ in few
        ):
            masks.update(candidates)
            endings.add(ending)
    alone = [
        paths[0] for paths in by_stem.values() if len(paths) == 1 and _ending(paths[0]) in endings
    ]
    return masks, [path for path in alone if _looks_like_mask(root / path)]


def _ending(path: str) -> str:
    return os.path.splitext(path)[1].lower()  # noqa: PTH122 (100,000 times)


def _looks_like_mask(path: Path) -> bool:
    """Whether at least nine of ten pixels are nearly black or nearly white."""
    try:
        pixels = np.asarray(read_image(path).convert("L"))
    except UnreadableImage:
        return False
    return bool(((pixels < 26) | (pixels > 229)).mean() >= 0.9)


def _pair_by_folder(images: Iterable[str], masks: Iterable[str]) -> dict[str, str]:
    """Masks by image when masks lie in folders of their own that mirror those of the images.

    Folders such as `images` and `masks` do not count. `ground_truth/crack/1_mask.png` belongs to
    `test/crack/1.png`: where masks are not told apart by split, they are of the test images.
    """
    by_steps: dict[tuple[str, ...], str] = {}
    for mask in masks:
        *folders, name = _steps(mask)
        by_steps.setdefault((*folders, _without_suffix(name)[0]), mask)
    found: dict[str, str] = {}
    for image in images if by_steps else ():
        steps = _steps(image)
        no_test = tuple(part for part in steps[:-1] if role_of_split(part) != "test")
        mask_path = by_steps.get(steps) or by_steps.get((*no_test, steps[-1]))
        if mask_path:
            found[image] = mask_path
    return found


def _steps(path: str) -> tuple[str, ...]:
    """The folders of a file and its stem, without folders such as `images` and `masks`."""
    *folders, name = _stem(path).split("/")
    return (*(part for part in folders if part not in IMAGE_FOLDERS | MASK_FOLDERS), name)
