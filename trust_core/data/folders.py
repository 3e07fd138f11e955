"""Labels from class folders or, where no folder names a class, from masks."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from trust_core.data.files import IMAGE_SUFFIXES, UNREAD_SUFFIXES, is_image, list_files
from trust_core.data.groups import groups_by_pattern
from trust_core.data.mask_labels import check_masks, defective_by_mask
from trust_core.data.masks import Pairing, pair_masks
from trust_core.data.names import IMAGE_FOLDERS, choose_good, first_few, is_good, role_of_split
from trust_core.data.samples import LabelTable, sample_table
from trust_core.errors import DataError
from trust_core.messages import Message, amount

_ANNOTATIONS = frozenset((".json", ".jsonl", ".xml", ".txt"))
_KOLEKTOR_PART = r"(?:^|/)(kos\d+)/"


@dataclass(frozen=True)
class ClassFolder:
    """What a folder names: the `split` verbatim, the `name` of a class; "" where it names none."""

    split: str
    name: str


def samples_of_folders(root: Path, good: Sequence[str]) -> LabelTable:
    """Read labels from class folders or, where no folder tells them, from masks.

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
            f"{amount(len(files), 'file', 'files')}."
        )
    unread = [path for path in files if PurePosixPath(path).suffix.lower() in UNREAD_SUFFIXES]
    folders = class_folders(images, good)
    classes = Counter(folder.name for folder in folders if folder.name)
    if pairing.masks and not good and not any(map(is_good, classes)):
        unmasked = [path for path in images if path not in pairing.masks]
        if not unmasked:
            return _by_mask(root, pairing, folders, _left_out(files))
        if not classes:
            raise DataError(
                Message(
                    "{unmasked} no mask ({some}) and no folder tells "
                    "their class; add empty masks for good parts, or give labels in a table "
                    "({samples:CSV}).",
                    unmasked=_share(len(unmasked), len(images), "has", "have"),
                    some=first_few(unmasked, 3),
                )
            )
    if not classes and not good:
        raise DataError(
            Message(
                "{root} has no class folders and no masks, so nothing tells which of {images} "
                "in it are good; sort them into folders, or give their labels in a "
                "table ({samples:CSV}).{unread}",
                root=root,
                unread=_annotations(files),
                images=amount(len(images), "image", "images"),
            )
        )
    if len(classes) == 1 and unread:
        raise DataError(
            f"Only {next(iter(classes))} of the folders in {root} holds images that are read; "
            f"{_unread(unread)} not: save them as PNG."
        )
    return _by_class(root, pairing, folders, classes, choose_good(classes, good), _left_out(files))


def class_folders(paths: Iterable[str], good: Sequence[str] = ()) -> list[ClassFolder]:
    """Split and class that the folder of each path names.

    The class is the first folder level, below a wrapping folder, a level of splits (`train/`,
    `test/`) and neutral ones (`images/`), unless a name of good parts appears first at a deeper
    level. What is nested below a class folder belongs to it. Names are compared without case; the
    spelling that sorts first stands for all. `good` are class names the user said are good.

    Raises:
        DataError: some folders of a level are named like splits and others are not.
    """
    folders = [path.rpartition("/")[0] for path in paths]
    neutral = IMAGE_FOLDERS | {""}
    levels = {
        folder: [part for part in folder.split("/") if part.casefold() not in neutral]
        for folder in dict.fromkeys(folders)
    }
    named = {folder: names for folder, names in levels.items() if names}
    _unwrap(named, good)
    splits = _take_splits(named, good)
    level = _class_level([names for names in named.values() if names], good)
    spelling: dict[str, str] = {}
    for name in sorted(names[level] for names in named.values() if len(names) > level):
        spelling.setdefault(name.casefold(), name)
    found = {
        folder: ClassFolder(
            splits.get(folder, ""),
            spelling[names[level].casefold()] if len(names) > level else "",
        )
        for folder, names in levels.items()
    }
    return [found[folder] for folder in folders]


def kind_of_folder(labels: Sequence[int], names: Sequence[str]) -> list[str]:
    """Class folders as kinds of defect of the defective images in them.

    A folder is a kind where more than half of its images are defective and it is not the only one;
    a folder of mostly good parts is a lot or a camera.

    >>> kind_of_folder([1, 1, 0, 0], ["crack", "crack", "lot", "lot"])
    ['crack', 'crack', '', '']
    """
    images = Counter(names)
    defective: Counter[str] = Counter()
    for name, label in zip(names, labels, strict=True):
        defective[name] += label
    kinds = {name for name in images if 2 * defective[name] > images[name] and len(images) > 1}
    return [
        name if label and name in kinds else "" for name, label in zip(names, labels, strict=True)
    ]


def _by_class(
    root: Path,
    pairing: Pairing,
    folders: Sequence[ClassFolder],
    classes: Mapping[str, int],
    good: frozenset[str],
    left_out: Sequence[str],
) -> LabelTable:
    inside = [
        (path, folder) for path, folder in zip(pairing.images, folders, strict=True) if folder.name
    ]
    labels = [int(folder.name.casefold() not in good) for _, folder in inside]
    taken = tuple(sorted(name for name in classes if name.casefold() in good))
    bad = [f"{name} ({classes[name]:,})" for name in sorted(classes) if name not in taken]
    notes = [f"Taken as good: {', '.join(taken)}; as defective: {first_few(bad, 20) or 'none'}."]
    outside = [
        path for path, folder in zip(pairing.images, folders, strict=True) if not folder.name
    ]
    if outside:
        notes.append(
            f"{amount(len(outside), 'image lies', 'images lie')} outside of the class folders and "
            f"{'was' if len(outside) == 1 else 'were'} left out ({first_few(outside, 3)})."
        )
    table = sample_table(
        [path for path, _ in inside],
        labels,
        kind=[
            folder.name if label else "" for (_, folder), label in zip(inside, labels, strict=True)
        ],
        split=[folder.split for _, folder in inside],
        mask_path=[pairing.masks.get(path, "") for path, _ in inside],
    )
    table["mask_path"], doubts = check_masks(root, table["mask_path"].tolist(), labels)
    notes += doubts
    mvtec = pairing.ground_truth and any(folder.split for folder in folders)
    layout = "MVTec" if mvtec else "class folders"
    return LabelTable(table, layout, taken, (*notes, *pairing.notes, *left_out))


def _by_mask(
    root: Path, pairing: Pairing, folders: Sequence[ClassFolder], left_out: Sequence[str]
) -> LabelTable:
    given = [pairing.masks[path] for path in pairing.images]
    defective, masks, doubts = defective_by_mask(root, given)
    labels = [int(marked) for marked in defective]
    table = sample_table(
        pairing.images,
        labels,
        kind=kind_of_folder(labels, [folder.name for folder in folders]),
        split=[folder.split for folder in folders],
        group=groups_by_pattern(pairing.images, _KOLEKTOR_PART),
        mask_path=masks,
    )
    note = (
        f"Labels come from the masks: {_share(sum(labels), len(labels), 'has', 'have')} a mask "
        f"that is not empty and {'is' if sum(labels) == 1 else 'are'} defective."
    )
    return LabelTable(table, "image beside mask", (), (note, *doubts, *pairing.notes, *left_out))


def _share(part: int, whole: int, one: str, several: str) -> str:
    """`1 of 6 images has`, `3 of 6 images have`."""
    return f"{part:,} of {amount(whole, 'image', 'images')} {one if part == 1 else several}"


def _unread(paths: Sequence[str]) -> str:
    """Pictures in formats that are not decoded: `8 pictures in .gif are`."""
    endings = sorted({PurePosixPath(path).suffix.lower() for path in paths})
    return amount(
        len(paths), f"picture in {first_few(endings)} is", f"pictures in {first_few(endings)} are"
    )


def _annotations(files: Sequence[str]) -> str:
    """What to do about files that look like annotations; "" where there is none."""
    found = [path for path in files if PurePosixPath(path).suffix.lower() in _ANNOTATIONS]
    if not found:
        return ""
    endings = first_few(sorted({PurePosixPath(path).suffix.lower() for path in found}))
    return (
        f" Annotations in {endings} files (e.g. {found[0]}) are not read; export them as masks, or "
        "as a table of paths and labels."
    )


def _left_out(files: Sequence[str]) -> list[str]:
    """Notes on files that are no images: tables, which --samples would read, and all others."""
    other = [path for path in files if not is_image(path)]
    tables = [path for path in other if path.lower().endswith(".csv")]
    notes: list[str] = []
    if tables:
        notes.append(
            Message(
                "Tables beside the images were not read ({tables}); {samples} can take the labels, "
                "splits and groups of one.",
                tables=first_few(tables, 3),
            )
        )
    unread = [path for path in other if PurePosixPath(path).suffix.lower() in UNREAD_SUFFIXES]
    if unread:
        notes.append(f"{_unread(unread)} not read and were left out; save them as PNG.")
    rest = Counter(
        PurePosixPath(path).suffix.lower() or "no ending"
        for path in set(other).difference(tables, unread)
    )
    if rest:
        kinds = ", ".join(f"{ending} {count:,}" for ending, count in sorted(rest.items())[:8])
        notes.append(f"Files that are no images were left out ({kinds}).")
    return notes


def _tells(name: str, good: Sequence[str]) -> bool:
    """Whether a folder name means something by itself: a split or good parts."""
    return _names_good(name, good) or role_of_split(name) is not None


def _names_good(name: str, good: Sequence[str]) -> bool:
    if good:
        return name.casefold() in {word.casefold() for word in good}
    return is_good(name)


def _unwrap(named: Mapping[str, list[str]], good: Sequence[str]) -> None:
    """Drop, in place, leading levels with one folder only that wrap the whole data set."""
    while named and all(len(names) > 1 for names in named.values()):
        first = {names[0] for names in named.values()}
        if len(first) > 1 or _tells(next(iter(first)), good):
            return
        for names in named.values():
            del names[0]


def _take_splits(named: Mapping[str, list[str]], good: Sequence[str]) -> dict[str, str]:
    """Remove, in place, the level whose folders are all named like splits; return the names."""
    depth = min((len(names) for names in named.values()), default=0)
    for level in range(depth):
        found = {names[level] for names in named.values()}
        splits = {name for name in found if role_of_split(name) and not _names_good(name, good)}
        if splits == found:
            return {folder: names.pop(level) for folder, names in named.items()}
        if splits:
            raise DataError(
                Message(
                    "Some folders are named like splits ({splits}) and others beside them are not "
                    "({others}); use train, tune, certify, test, or give the splits in a table "
                    "({samples:CSV}).",
                    splits=first_few(sorted(splits)),
                    others=first_few(sorted(found - splits)),
                )
            )
    return {}


def _class_level(paths: Iterable[Sequence[str]], good: Sequence[str]) -> int:
    levels: list[set[str]] = []
    for names in paths:
        for level, name in enumerate(names):
            if level == len(levels):
                levels.append(set())
            levels[level].add(name)
    for level, found in enumerate(levels):
        several = level == 0 or len({name.casefold() for name in found}) > 1
        if (several or good) and any(_names_good(name, good) for name in found):
            return level
    return 0
