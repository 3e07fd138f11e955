"""Samples of a data set whose folders and masks tell the labels."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from trust_core.data.files import IMAGE_SUFFIXES, is_image, list_files
from trust_core.data.folders import Place, class_counts, kind_of_folder, locate
from trust_core.data.groups import groups_by_pattern
from trust_core.data.masks import Pairing, defective_by_mask, pair_masks
from trust_core.data.names import choose_good, is_good, some
from trust_core.data.samples import Source, sample_table
from trust_core.errors import DataError

_KOLEKTOR_PART = r"(?:^|/)(kos\d+)/"


def samples_of_folders(root: Path, good: Sequence[str]) -> Source:
    """Read labels from class folders or, where no folder tells them, from masks.

    Args:
        root: the data folder.
        good: class names the user said are good.

    Raises:
        LabelsNeeded: class folders, none of which is known to hold good parts.
        DataError: no images, or nothing that tells their labels.
    """
    files = list_files(root)
    pairing = pair_masks(root, [path for path in files if is_image(path)])
    images = pairing.images
    if not images:
        raise DataError(
            f"{root} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}) among its "
            f"{len(files):,} files."
        )
    folders = [path.rpartition("/")[0] for path in images]
    counts = Counter(folders)
    by_folder = locate(counts, good)
    classes = class_counts(counts, by_folder)
    places = [by_folder[folder] for folder in folders]
    if pairing.masks and not good and not any(map(is_good, classes)):
        unmasked = [path for path in images if path not in pairing.masks]
        if not unmasked:
            return _by_mask(root, pairing, places, _left_out(files))
        if not classes:
            raise DataError(
                f"{len(unmasked):,} of {len(images):,} images have no mask ({some(unmasked, 3)}) "
                "and no folder tells their class; add empty masks for good parts, or give labels "
                "with --samples CSV."
            )
    if not classes and not good:
        raise DataError(
            f"{root} has no class folders and no masks, so nothing tells which of its "
            f"{len(images):,} images are good; sort them into folders or give --samples CSV."
        )
    return _by_class(pairing, places, classes, choose_good(classes, good), _left_out(files))


def _by_class(
    pairing: Pairing,
    places: Sequence[Place],
    classes: dict[str, int],
    good: frozenset[str],
    left_out: Sequence[str],
) -> Source:
    inside = [
        (path, place) for path, place in zip(pairing.images, places, strict=True) if place.name
    ]
    labels = [int(place.name.casefold() not in good) for _, place in inside]
    taken = tuple(sorted(name for name in classes if name.casefold() in good))
    bad = [f"{name} ({classes[name]:,})" for name in sorted(classes) if name not in taken]
    notes = [f"Taken as good: {', '.join(taken)}; as defective: {some(bad, 20) or 'none'}."]
    outside = [path for path, place in zip(pairing.images, places, strict=True) if not place.name]
    if outside:
        notes.append(
            f"{len(outside):,} images lie outside of the class folders and were left out "
            f"({some(outside, 3)})."
        )
    table = sample_table(
        [path for path, _ in inside],
        labels,
        kind=[
            place.name if label else "" for (_, place), label in zip(inside, labels, strict=True)
        ],
        split=[place.split for _, place in inside],
        mask_path=[pairing.masks.get(path, "") for path, _ in inside],
    )
    mvtec = pairing.ground_truth and any(place.split for place in places)
    layout = "MVTec" if mvtec else "class folders"
    return Source(table, layout, taken, (*notes, *pairing.notes, *left_out))


def _by_mask(
    root: Path, pairing: Pairing, places: Sequence[Place], left_out: Sequence[str]
) -> Source:
    masks = [pairing.masks[path] for path in pairing.images]
    labels = [int(defective) for defective in defective_by_mask(root, masks)]
    table = sample_table(
        pairing.images,
        labels,
        kind=kind_of_folder(labels, [place.name for place in places]),
        split=[place.split for place in places],
        group=groups_by_pattern(pairing.images, _KOLEKTOR_PART),
        mask_path=masks,
    )
    note = (
        f"Labels come from the masks: {sum(labels):,} of {len(labels):,} images have a mask that "
        "is not empty and are defective."
    )
    return Source(table, "image beside mask", (), (note, *pairing.notes, *left_out))


def _left_out(files: Sequence[str]) -> list[str]:
    """Notes on files that are no images: tables, which --samples would read, and all others."""
    other = [path for path in files if not is_image(path)]
    tables = [path for path in other if path.lower().endswith(".csv")]
    notes = []
    if tables:
        notes.append(
            f"Tables beside the images were not read ({some(tables, 3)}); --samples uses the "
            "labels, splits and groups of one."
        )
    rest = Counter(
        PurePosixPath(path).suffix.lower() or "no ending" for path in set(other).difference(tables)
    )
    if rest:
        kinds = ", ".join(f"{ending} {count:,}" for ending, count in sorted(rest.items())[:8])
        notes.append(f"Files that are no images were left out ({kinds}).")
    return notes
