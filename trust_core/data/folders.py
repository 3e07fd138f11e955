"""What the folders of a data set say: the split and the class of the images in them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from trust_core.data.names import IMAGE_FOLDERS, is_good, role_of_split, some
from trust_core.errors import DataError


@dataclass(frozen=True)
class Place:
    """What one folder says: `split` verbatim, `name` of the class; "" where it says nothing."""

    split: str
    name: str


def locate(counts: Mapping[str, int], good: Sequence[str] = ()) -> dict[str, Place]:
    """Read split and class of every folder that holds images.

    The class is the first folder level, below a wrapping folder, a level of splits (`train/`,
    `test/`) and neutral ones (`images/`), unless a name of good parts appears first at a deeper
    level. What is nested below a class folder belongs to it. Names are compared without case; the
    spelling that sorts first stands for all.

    Args:
        counts: number of images by folder (posix, relative; "" is the root).
        good: class names the user said are good.

    Raises:
        DataError: some folders of a level are named like splits and others are not.
    """
    neutral = IMAGE_FOLDERS | {""}
    parts = {
        folder: [part for part in folder.split("/") if part.casefold() not in neutral]
        for folder in counts
    }
    named = {folder: names for folder, names in parts.items() if names}
    _unwrap(named, good)
    splits = _take_splits(named, good)
    level = _class_level([names for names in named.values() if names], good)
    spelling: dict[str, str] = {}
    for name in sorted(names[level] for names in named.values() if len(names) > level):
        spelling.setdefault(name.casefold(), name)
    return {
        folder: Place(
            splits.get(folder, ""),
            spelling[names[level].casefold()] if len(names) > level else "",
        )
        for folder, names in parts.items()
    }


def class_counts(counts: Mapping[str, int], places: Mapping[str, Place]) -> dict[str, int]:
    """Number of images by class name, without the images that no class folder holds."""
    total: Counter[str] = Counter()
    for folder, count in counts.items():
        if places[folder].name:
            total[places[folder].name] += count
    return dict(total)


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
                f"Some folders are named like splits ({some(sorted(splits))}) and others beside "
                f"them are not ({some(sorted(found - splits))}); use train, tune, certify, test, "
                "or give the splits in a table with --samples CSV."
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
