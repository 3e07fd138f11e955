"""Paths in a table, and the files of a data set that they name."""

import os
import posixpath
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path

import pandas as pd

from trust_core.data.files import is_image, list_files
from trust_core.data.masks import pair_masks
from trust_core.data.names import first_few
from trust_core.errors import DataError
from trust_core.messages import amount

Resolved = tuple[list[str], list[str]]
"""Posix paths below the data folder, "" where none was given; and notes on how they were read."""


def image_paths(root: Path, table: pd.DataFrame, file: Path) -> Resolved:
    """The column `path` of a table, resolved; every row has one and none is there twice.

    Raises:
        DataError: as `resolve_paths`; a row without a path; an image in two rows.
    """
    empty = table.index[table["path"] == ""]
    if len(empty):
        rows = amount(len(empty), "row", "rows")
        raise DataError(f"{file.name}, line {empty[0]}: no path (in {rows}).")
    paths, notes = resolve_paths(root, table["path"], file, what="images")
    twice = [path for path, count in Counter(paths).items() if count > 1]
    if twice:
        raise DataError(
            f"{file.name} names {amount(len(twice), 'image', 'images')} more than once "
            f"({first_few(twice, 3)}); keep one row for each."
        )
    return paths, notes


def resolve_paths(root: Path, paths: pd.Series, table: Path, *, what: str) -> Resolved:
    """The paths of a table as posix paths below `root` ("" stays), each checked to be a file.

    Backslashes are read as slashes, absolute paths below `root` are made relative, and names that
    differ only in Unicode normalisation are found. Where not all are there so, all are once more
    tried without the folders that they have in common (those of another machine), from the folder
    of the table, and by what only one image is called; a note says so. `table` is the file, and
    `what` the paths are of ("images" or "masks"), for sentences.

    Raises:
        DataError: files that are not there, or that lie outside `root`.
    """
    base = root.absolute().as_posix().rstrip("/") + "/"
    resolved = [
        posixpath.normpath(path.replace("\\", "/").removeprefix(base)) if path else ""
        for path in paths
    ]
    found = [None if _outside(path) else _as_on_disk(base, path) for path in resolved]
    if None not in found:
        return [path or "" for path in found], []
    given = [path for path in resolved if path]
    for others, note in _other_readings(root, given, table, what):
        rest = iter(others)
        return [next(rest) if path else "" for path in resolved], [note]
    outside = [path for path in resolved if _outside(path)]
    if outside:
        raise DataError(
            f"{table.name} names {amount(len(outside), what[:-1], what)} outside of {root} "
            f"({first_few(outside, 3)}); "
            "paths have to be relative to the data folder."
        )
    missing = [path for path, there in zip(resolved, found, strict=True) if there is None]
    raise DataError(
        f"{len(missing):,} of {amount(len(given), what[:-1], what)} that {table.name} "
        f"names {'is' if len(missing) == 1 else 'are'} not "
        f"in {root} ({first_few(missing, 3)}); paths have to be relative to the data folder."
    )


def match_paths(given: Sequence[str], known: Sequence[str]) -> list[str]:
    r"""Paths as another program wrote them, as a data set has them; "" where that is not clear.

    Absolute paths of another machine end like one of the data set, and a bare file name is one that
    only one image has.

    >>> match_paths([r"C:\parts\a\1.png", "2.png", "9.png"], ["a/1.png", "b/1.png", "b/2.png"])
    ['a/1.png', 'b/2.png', '']
    """
    by_name: dict[str, list[tuple[list[str], str]]] = {}
    for path in known:
        steps = _steps(path)
        by_name.setdefault(steps[-1], []).append((steps, path))
    found = []
    for path in given:
        steps = _steps(path)
        near = by_name.get(steps[-1], [])
        ends = {
            own
            for own_steps, own in near
            if (least := min(len(steps), len(own_steps))) and steps[-least:] == own_steps[-least:]
        }
        exact = [own for own_steps, own in near if own_steps == steps]
        longest = max((len(_steps(own)) for own in ends), default=0)
        ends = {own for own in ends if len(_steps(own)) == longest}
        found.append((exact or (list(ends) if len(ends) == 1 else [""]))[0])
    return found


def _steps(path: str) -> list[str]:
    normal = unicodedata.normalize("NFC", posixpath.normpath(path.replace("\\", "/")))
    return normal.split("/")


def _outside(path: str) -> bool:
    return path.startswith(("../", "/")) or path == ".."


def _other_readings(
    root: Path, given: Sequence[str], table: Path, what: str
) -> Iterator[tuple[list[str], str]]:
    """Readings of paths that give a file for every one, with what to tell of them."""
    base = root.absolute().as_posix().rstrip("/") + "/"
    levels = zip(*(path.split("/")[:-1] for path in given), strict=False)
    common = [level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels)]
    for length in range(1, len(common) + 1):
        absolute = common[0] == "" or common[0].endswith(":")
        if not absolute and common[length - 1].casefold() != root.name.casefold():
            continue
        if found := _all_there(base, ["/".join(path.split("/")[length:]) for path in given]):
            prefix = "/".join(common[:length]) or "/"
            yield found, f"The folder {prefix} of {table.name} was taken to be the data folder."
    folder = table.absolute().parent.as_posix()
    if folder.startswith(base) and (
        found := _all_there(base, [posixpath.join(folder[len(base) :], path) for path in given])
    ):
        yield found, f"Paths of {what} were taken from the folder of {table.name}."
    files = [path for path in list_files(root) if is_image(path)]
    images = pair_masks(root, files).images
    names = _by_name(images if what == "images" else sorted(set(files).difference(images)))
    by_name = [names.get(_key(path), []) for path in given]
    if all(len(found) == 1 for found in by_name):
        yield (
            [found[0] for found in by_name],
            f"Names of {what} in {table.name} are no paths; each was found as the only such name.",
        )


def _all_there(base: str, paths: Sequence[str]) -> list[str]:
    """All paths as they are on disk; none where one is not there."""
    found = []
    for path in paths:
        own = posixpath.normpath(path)
        there = None if _outside(own) else _as_on_disk(base, own)
        if there is None:
            return []
        found.append(there)
    return found


def _by_name(files: Sequence[str]) -> dict[str, list[str]]:
    """Files by their path and by their bare name, each also without its ending, without case."""
    names: dict[str, list[str]] = {}
    for file in files:
        own = _key(file)
        bare = own.rpartition("/")[2]
        for name in {own, posixpath.splitext(own)[0], bare, posixpath.splitext(bare)[0]}:
            names.setdefault(name, []).append(file)
    return names


def _key(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def _as_on_disk(base: str, path: str) -> str | None:
    """The spelling under which the file is there, None when it is not."""
    if not path or os.path.isfile(base + path):  # noqa: PTH113 (100,000 times)
        return path
    if not path.isascii():
        for other in (unicodedata.normalize("NFC", path), unicodedata.normalize("NFD", path)):
            if os.path.isfile(base + other):  # noqa: PTH113
                return other
    return None
