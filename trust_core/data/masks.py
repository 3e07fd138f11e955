"""Pairing of images and masks by name, never by folder order."""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trust_core.data.mask_decoding import SEPARATOR, looks_like_mask
from trust_core.data.names import (
    IMAGE_FOLDERS,
    first_few,
    image_stem,
    mask_stems,
    path_stem,
    role_of_split,
    without_mask_words,
    without_number,
)
from trust_core.data.unnamed_masks import unnamed_masks
from trust_core.errors import DataError
from trust_core.messages import amount

_LOSSY = frozenset((".jpg", ".jpeg", ".jfif", ".webp"))
_LOOKED_AT = 16  # pairs of files that differ in format only
_FEW_OF_FOLDER = 6
Steps = tuple[str, ...]


@dataclass(frozen=True)
class Pairing:
    """The image files and the mask files of a data set.

    `masks` are paths by image path, joined by `SEPARATOR`, for images that have any;
    `ground_truth`: there is a separate folder of them, as in MVTec.
    """

    images: list[str]
    masks: dict[str, str]
    ground_truth: bool
    notes: list[str] = field(default_factory=list)


def pair_masks(root: Path, files: Sequence[str]) -> Pairing:
    """Tell masks from images among the image files of a data set.

    Three ways to name a mask are known: in a folder of masks (`ground_truth/crack/1_mask.png`, or
    `ground_truth/crack/1/0.png`), beside its image with a word for masks before or behind the name
    (`1_label.bmp`, `1-seg.png`, `mask_1.png`), beside its image with the same stem and another
    format (`1.jpg` and `1.png`). Words mislead, so a few files of each folder and ending are
    decoded: photographs are no masks, whatever they are called. Other names are told by looks alone
    (`unnamed_masks`). An image may have several masks.

    Args:
        root: folder that `files` are relative to.
        files: posix paths of all image files.

    Raises:
        DataError: the path of a mask holds what separates several.
    """
    rest, in_folder, lone, notes = _mask_folders(root, files)
    beside, alone = _pair_by_word(root, rest)
    lone += alone
    used = {mask for masks in beside.values() for mask in masks}
    rest = sorted(set(rest).difference(used, lone))
    same_stem, alike = _pair_by_stem(root, rest)
    rest = sorted(set(rest).difference(same_stem.values(), alike))
    unnamed, unclear = unnamed_masks(root, rest)
    images = sorted(set(rest).difference(mask for _, mask in unnamed))
    lone += alike
    masks = {image: [mask] for image, mask in same_stem.items()}
    for image, mask in unnamed:
        masks.setdefault(image, []).append(mask)
    masks |= beside
    masks |= {image: found for image, found in in_folder.items() if image not in masks}
    if same_stem:
        files = amount(len(same_stem), "black-and-white file", "black-and-white files")
        notes.append(f"{files} beside an image of the same name taken as its mask.")
    if unnamed:
        image, mask = unnamed[0]
        was = "picture was taken as a mask", "pictures were taken as masks"
        notes.append(
            f"{amount(len(unnamed), *was)} by few colours and the names of photographs, e.g. "
            f"{mask} of {image}."
        )
    notes += [
        f"Look at {folder}: its pictures have few colours, as masks have, and the names of images "
        "in several folders; they count as parts. If they are masks, call the folder masks."
        for folder in unclear
    ]
    several = sum(len(found) > 1 for found in masks.values())
    if several:
        has = amount(several, "image has several masks", "images have several masks")
        notes.append(f"{has}; all that they mark counts.")
    if lone:
        belong = amount(len(lone), "mask belongs to no image", "masks belong to no image")
        notes.append(f"Left out: {belong} ({first_few(sorted(lone), 3)}).")
    split = next((mask for found in masks.values() for mask in found if SEPARATOR in mask), "")
    if split:
        raise DataError(
            f"{split}: {SEPARATOR} separates the names of several masks of an image, so no path of "
            "a mask can hold it; rename the file."
        )
    joined = {image: SEPARATOR.join(sorted(found)) for image, found in masks.items()}
    return Pairing(images, joined, bool(in_folder), notes)


def _mask_folders(
    root: Path, files: Sequence[str]
) -> tuple[list[str], dict[str, list[str]], list[str], list[str]]:
    """Files outside of folders of masks, masks by image, masks without an image, and notes.

    A folder whose name has a word for masks is one where its files pair with images and look like
    masks. Where they do neither, it is a class like any other; where they only look like masks,
    their images are missing; photographs of the names of images are neither.
    """
    by_root: dict[str, list[str]] = defaultdict(list)
    rest: list[str] = []
    for path in files:
        candidate = _mask_root(path)
        (by_root[candidate] if candidate else rest).append(path)
    masks: dict[str, list[str]] = {}
    lone: list[str] = []
    notes: list[str] = []
    candidates = sorted(by_root.items(), key=lambda item: item[0].count("/"))
    everywhere = [folder for folder, _ in candidates] if not rest else []
    for folder, inside in candidates:
        like_masks = _like_masks(root, inside, _FEW_OF_FOLDER)
        others = rest if folder not in everywhere else []
        found, paired = _pair_by_folder(others, inside, by_name=bool(like_masks))
        mostly = len(paired) >= len(inside) / 2
        informative = like_masks and not (others and _like_masks(root, others, _FEW_OF_FOLDER))
        if (mostly and like_masks is not False) or informative:
            for image, added in found.items():
                masks.setdefault(image, []).extend(added)
            lone += sorted(set(inside) - paired)
        elif mostly:
            notes.append(
                f"{amount(len(inside), 'picture', 'pictures')} in {folder} have the names of "
                "images, but are no masks (too many colours); they were left out."
            )
        else:
            rest = [*rest, *inside]
    return rest, masks, lone, notes


def _mask_root(path: str) -> str:
    """The outermost folder whose name has a word for masks; "" for none."""
    folders = path.split("/")[:-1]
    for depth, name in enumerate(folders, 1):
        if without_mask_words(name) is not None:
            return "/".join(folders[:depth])
    return ""


def _like_masks(root: Path, files: Sequence[str], most: int) -> bool | None:
    """Whether most of a few of the files, decoded, look like masks; None where none can be read."""
    few = files[:: max(1, len(files) // most)][:most]
    looks = [looks_like_mask(root / path) for path in few]
    seen = [look for look in looks if look is not None]
    return sum(seen) * 2 >= len(seen) if seen else None


def _pair_by_folder(
    images: Iterable[str], masks: Sequence[str], *, by_name: bool
) -> tuple[dict[str, list[str]], set[str]]:
    """Masks by image when masks lie in folders that mirror those of the images; paired masks.

    Folders such as `images` and `masks` do not count. `ground_truth/crack/1_mask.png` belongs to
    `test/crack/1.png`: where masks are not told apart by split, they are of the test images. With
    `by_name` also a name that only one image has is taken, wherever both lie.
    """
    places: dict[Steps, list[str]] = defaultdict(list)
    names: dict[str, list[str]] = defaultdict(list)
    for image in images:
        steps = _steps(image)
        no_test = (*(part for part in steps[:-1] if role_of_split(part) != "test"), steps[-1])
        for place in dict.fromkeys((steps, no_test)):
            for stem in dict.fromkeys((place[-1], image_stem(place[-1]))):
                places[(*place[:-1], stem)].append(image)
        names[steps[-1]].append(image)
    found: dict[str, list[str]] = defaultdict(list)
    paired = set()
    for mask in masks:
        *folders, stem = _steps(mask)
        stems = [stem, *mask_stems(stem), without_number(stem)]
        tried = [(*folders, name) for name in stems if name]
        if folders:  # one folder of masks for each image
            tried += [tuple(folders), (*folders[:-1], *mask_stems(folders[-1])[:1])]
        own = next((places[steps] for steps in tried if steps and steps in places), [])
        if not own and by_name:
            own = next((names[name] for name in stems if len(names.get(name, ())) == 1), [])
        for image in own:
            found[image].append(mask)
            paired.add(mask)
    return found, paired


def _steps(path: str) -> Steps:
    """The folders of a file and its stem, without folders such as `images` and `masks`."""
    *folders, name = path_stem(path).split("/")
    bare = (without_mask_words(part) for part in folders)
    named = (part if left is None else left for part, left in zip(folders, bare, strict=True))
    return (*(part for part in named if part and part not in IMAGE_FOLDERS), name)


def _by_stem(files: Iterable[str]) -> dict[str, list[str]]:
    by_stem: dict[str, list[str]] = defaultdict(list)
    for path in files:
        by_stem[path_stem(path)].append(path)
    return by_stem


def _pair_by_word(root: Path, files: Iterable[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Masks by image, of those beside it with a word for masks; and masks whose image is missing.

    A word without a partner makes a mask only where the same word has one elsewhere: the photo
    `bottle_label.jpg` shows a label.
    """
    by_stem = _by_stem(files)
    images: dict[str, list[str]] = defaultdict(list)
    for stem, paths in by_stem.items():
        folder, slash, name = stem.rpartition("/")
        for known in dict.fromkeys((name, image_stem(name))):
            images[folder + slash + known] += paths
    by_word: dict[str, list[tuple[str, list[str]]]] = defaultdict(list)  # mask, its images
    for stem, paths in by_stem.items():
        folder, slash, name = stem.rpartition("/")
        bases = mask_stems(name)
        if not bases:
            continue
        places = [folder + slash + base for base in bases]
        own = next((images[place] for place in places if place in images), [])
        own = [image for image in own if image not in paths]
        word = without_number(name.replace(bases[0], "", 1)) or name.replace(bases[0], "", 1)
        by_word[word] += [(path, own) for path in paths]
    masks: dict[str, list[str]] = defaultdict(list)
    lone = []
    for found in by_word.values():
        with_image = [mask for mask, own in found if own]
        if not with_image or _like_masks(root, with_image, _FEW_OF_FOLDER) is False:
            continue
        for mask, own in found:
            for image in own:
                masks[image].append(mask)
            if not own:
                lone.append(mask)
    return masks, lone


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
        few = candidates[:: max(1, len(candidates) // _LOOKED_AT)][:_LOOKED_AT]
        if all(looks_like_mask(root / mask) for _, mask in few) and not all(
            looks_like_mask(root / image) for image, _ in few
        ):
            masks.update(candidates)
            endings.add(ending)
    alone = [
        paths[0] for paths in by_stem.values() if len(paths) == 1 and _ending(paths[0]) in endings
    ]
    return masks, [path for path in alone if looks_like_mask(root / path)]


def _ending(path: str) -> str:
    return os.path.splitext(path)[1].lower()  # noqa: PTH122 (100,000 times)
