"""Masks whose names have no word for masks: flat pictures beside photographs of the same names."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from trust_core.data.mask_decoding import few_colours
from trust_core.data.names import path_stem

LOOKED_AT = 6  # pairs of a kind, evenly spread
MOST_FOLDERS = 64  # that may hold one name: where each part has a folder, all hold the same names

Pairs = list[tuple[str, str]]  # an image, and what may be its mask
_NO_LETTER = re.compile(r"[\W\d_]+")
_TOKEN = re.compile(r"[^\W\d_]+|\d+|[\W_]")


def unnamed_masks(root: Path, files: Sequence[str]) -> tuple[Pairs, list[str]]:
    """Images and masks among files whose names say nothing of masks; and folders that are unclear.

    Files with one addition to the names of images beside them (`7.png` and `7_roi.png`), or in one
    folder and named as images in another, are masks where all of a few that are decoded have few
    colours, and none of their images has. Folders of such pictures are unclear where images of
    their names lie in several other folders.

    Args:
        root: folder that `files` are relative to.
        files: posix paths of image files, without the masks that their names tell.
    """
    found: Pairs = []
    unclear = []
    for pairs in _beside(files):
        if _flat(root, pairs):
            found += pairs
    taken = {mask for _, mask in found}
    for pairs, others in _folders([path for path in files if path not in taken]):
        if _flat(root, pairs):
            if others:
                unclear.append(pairs[0][1].rpartition("/")[0])
            else:
                found += pairs
    return found, unclear


def _flat(root: Path, pairs: Pairs) -> bool:
    few = pairs[:: max(1, len(pairs) // LOOKED_AT)][:LOOKED_AT]
    colours = []
    for _, mask in few:
        colours.append(few_colours(root / mask))
        if not colours[-1]:
            return False
    # A picture of one colour alone may be that of a camera that failed.
    return max(colours) > 1 and not any(few_colours(root / image) for image, _ in few)


def _beside(files: Sequence[str]) -> Iterator[Pairs]:
    """Files in the folder of an image and named as it but for an addition, by that addition."""
    stems = {path_stem(path): path for path in files}
    fewest: dict[str, int] = {}  # letters in a name of each folder
    for stem in stems:
        folder, _, name = stem.rpartition("/")
        fewest[folder] = min(_letters(name), fewest.get(folder, len(name)))
    pairs: dict[str, Pairs] = defaultdict(list)
    for stem, path in stems.items():
        folder, slash, name = stem.rpartition("/")
        if _letters(name) == fewest[folder]:
            continue  # a name with an addition has more letters than the one without
        for base, addition in _bases(name):
            image = stems.get(folder + slash + base)
            if image:
                pairs[addition].append((image, path))
                break
    yield from pairs.values()


def _letters(name: str) -> int:
    return len(_NO_LETTER.sub("", name))


def _bases(name: str) -> Iterator[tuple[str, str]]:
    """Beginnings and ends of a name, longest first, and the rest of it, which has a letter."""
    tokens = _TOKEN.findall(name)
    for count in range(len(tokens) - 1, 0, -1):
        for base, rest in (tokens[:count], tokens[count:]), (tokens[-count:], tokens[:-count]):
            if any(map(str.isalpha, rest)):
                yield "".join(base), "".join(rest)


def _folders(files: Sequence[str]) -> Iterator[tuple[Pairs, list[str]]]:
    """Folders most of whose names are in another, with the pairs, and further folders as good."""
    folders: dict[str, dict[str, str]] = defaultdict(dict)
    holders: dict[str, list[str]] = defaultdict(list)
    for path in files:
        folder, _, name = path_stem(path).rpartition("/")
        if name not in folders[folder]:
            holders[name].append(folder)
        folders[folder][name] = path
    for folder, names in folders.items():
        common = [name for name in names if 1 < len(holders[name]) <= MOST_FOLDERS]
        shared = Counter(other for name in common for other in holders[name] if other != folder)
        if not shared or 2 * shared.most_common(1)[0][1] < len(names):
            continue
        steps = set(folder.split("/"))
        worth = {
            other: (count, len(steps & set(other.split("/")))) for other, count in shared.items()
        }
        best = max(worth.values())
        first, *others = sorted(other for other in worth if worth[other] == best)
        pairs = [(folders[first][name], names[name]) for name in names if name in folders[first]]
        yield pairs, others
