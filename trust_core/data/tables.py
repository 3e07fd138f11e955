"""Tables of samples (CSV): labels, masks, groups, splits, kinds and roles of the images."""

import csv
import io
import os
import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence, Sized
from pathlib import Path

import pandas as pd

from trust_core.data.files import check_folder, is_image, list_files
from trust_core.data.folders import class_folders, kind_of_folder
from trust_core.data.mask_decoding import SEPARATOR, mask_paths
from trust_core.data.masks import mask_notes, pair_masks
from trust_core.data.names import (
    DEFECTIVE_NAMES,
    choose_good,
    first_few,
    is_good,
    normalised_name,
    role_of_split,
)
from trust_core.data.samples import LabelTable, sample_table
from trust_core.errors import DataError, SettingsError
from trust_core.messages import Message, amount

ALIASES = {
    "path": (
        "path",
        "image_path",
        "file_path",
        "filepath",
        "image",
        "file",
        "filename",
        "image_name",
    ),
    "label": ("label", "is_defective", "defective", "target", "class"),
    "mask_path": ("mask", "mask_path", "ground_truth", "gt", "mask_file"),
    "group": ("group", "group_id"),
    "split": ("split", "subset"),
    "kind": ("kind", "defect_type", "defect_kind"),
    "role": ("role",),
    "p": (
        *("p", "p_defect", "p_defective", "probability", "prob", "proba", "score", "prediction"),
        *("pred", "confidence"),
    ),
}
_NUMBERS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}
_ENCODINGS = ("utf-8-sig", "cp1252")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # how a file in UTF-16 begins, Excel's "Unicode text"


def samples_of_csv(
    root: Path, file: Path, good: Sequence[str], group_column: str | None
) -> LabelTable:
    """Read a table `path,label[,mask,group,split,kind,role]`.

    Without a column of masks, masks are found by their names; without one of kinds, class folders
    are the kinds of defect. `file` is also found when its path is relative to `root`; `good` are
    labels the user said are good, when labels are class names; `group_column` names the group,
    instead of `group`.

    Raises:
        DataError: the table cannot be read as such, or names files that are not there.
        LabelsNeeded: labels are class names, none of which is known to mean good.
        SettingsError: there is no column `group_column`.
    """
    check_folder(root)
    if not file.exists() and (root / file).exists():
        file = root / file
    given = read_table(file, ("path", "label"))
    paths = image_paths(root, given, file.name)
    labels, kinds, taken = read_label_column(given["label"], good, file.name)
    notes: list[str] = []
    if good and not taken:
        notes.append(
            Message(
                "{good} {names} was not used: the table says what is good.",
                "“{names}” as the names of good parts was not used: the table says what is good.",
                names=" ".join(good),
            )
        )
    if group_column and group_column not in given:
        raise SettingsError(
            Message(
                "{group_column} {column}: {table} has no such column; it has {columns}.",
                "{table}, which should name the part in “{column}”, has no such column; it has "
                "{columns}.",
                column=group_column,
                table=file.name,
                columns=first_few(list(given.columns), 12),
            )
        )
    columns = {name: given[name].tolist() for name in ("split", "role", "group") if name in given}
    if group_column:
        columns["group"] = given[group_column].tolist()
    if "mask_path" in given:
        columns["mask_path"] = _given_masks(root, given["mask_path"], file.name)
    else:
        columns["mask_path"] = found = _masks_by_name(root, paths)
        if any(found):
            number = amount(sum(map(bool, found)), "image", "images")
            notes.append(f"Masks were found by their names for {number}.")
    if "kind" in given:
        kinds = given["kind"].tolist()
    elif not any(kinds):
        kinds = kind_of_folder(labels, _folder_names(paths))
    kinds = [kind if label else "" for kind, label in zip(kinds, labels, strict=True)]
    notes += mask_notes(root, columns["mask_path"], labels)
    table = sample_table(paths, labels, kind=kinds, **columns)
    return LabelTable(table, "CSV", taken, tuple(notes))


def override_roles(root: Path, table: pd.DataFrame, file: Path) -> list[str]:
    """The role column of `table` with the roles of a file `path,role` laid over it.

    Raises:
        DataError: the file cannot be read as such, or names images that are not in `table`.
    """
    given = read_table(file, ("path", "role"))
    unknown = sorted({role for role in given["role"] if role_of_split(role) is None})
    if unknown:
        raise DataError(
            f"{file.name}: unknown role {first_few([repr(role) for role in unknown])}; "
            "use train, tune, certify or test."
        )
    paths = image_paths(root, given, file.name)
    stray = sorted(set(paths).difference(table["path"]))
    if stray:
        raise DataError(
            f"{file.name} names {amount(len(stray), 'image', 'images')} not part of the data set "
            f"({first_few(stray, 3)})."
        )
    over = dict(zip(paths, given["role"], strict=True))
    return [over.get(path, role) for path, role in zip(table["path"], table["role"], strict=True)]


def read_table(path: Path, needed: Sequence[str]) -> pd.DataFrame:
    """Read a CSV as text, separated by comma, semicolon or tab.

    `needed` columns, keys of `ALIASES`, have to be there; other known columns may be absent.

    Returns:
        Strings without surrounding spaces, "" where a cell is empty, indexed by line number. All
        columns of the file, and known ones under the names of `ALIASES`.

    Raises:
        DataError: no such file, no table, or a needed column is missing.
    """
    lines, (header, *rows) = _rows(path)
    twice = [name for name, count in Counter(header).items() if count > 1 and name]
    if twice:
        raise DataError(f"{path.name} has several columns {twice[0]}; rename all but one.")
    columns = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else {}
    by_name = {name.casefold(): name for name in reversed(header)}
    for name, aliases in ALIASES.items():
        alias = next((alias for alias in aliases if alias in by_name), None)
        if alias is not None and rows:
            columns[name] = columns[by_name[alias]]
        elif alias is None and name in needed:
            raise DataError(
                f"{path.name} has no column {name}; its columns are {first_few(header, 12)}."
            )
    if not rows:
        raise DataError(f"{path.name} holds no rows below its header.")
    return pd.DataFrame(columns, index=lines[1:], dtype="str")


def label_tables(paths: Sequence[Path]) -> list[Path]:
    """Those of the CSV files that say a path and a label for each image."""
    return [path for path in paths if _columns(path, ("path", "label"))]


def group_columns(path: Path) -> list[str]:
    """The columns of a table that may name a group; none when it cannot be read."""
    return [name for name in _columns(path, ("path",)) if name not in ("path", "label")]


def read_label_column(
    values: pd.Series, good: Sequence[str], table: str
) -> tuple[list[int], list[str], tuple[str, ...]]:
    """Labels (0 good, 1 defective) and kinds of defect from a label column.

    Numbers 0 and 1, true and false, words for good and defective; or class names, of which those
    that `good` names, or that are known to mean good, are good and the others kinds of defect.

    Returns:
        Label and kind ("" where the label is no kind) of each row, and the names taken as good
        ("" is none: plain labels need no choice).

    Raises:
        DataError: a label that is empty, or a number other than 0 and 1.
        LabelsNeeded: class names none of which is known to mean good.
    """
    counts = values.str.casefold().value_counts().to_dict()
    meaning = {word: _plain_meaning(word) for word in counts}
    chosen: frozenset[str] = frozenset()
    if any(name.casefold() in counts for name in good):
        chosen = choose_good(counts, good, what="label")
    elif any(label is None for label in meaning.values()):
        _refuse_numbers(values, meaning, table)
        chosen = choose_good(counts, good, what="label")
    if chosen:
        label = {word: int(word not in chosen) for word in counts}
    else:
        label = {word: known for word, known in meaning.items() if known is not None}
    kind = {word: word if label[word] and _plain_meaning(word) is None else "" for word in counts}
    spelled = {word.casefold(): word for word in sorted(set(values), reverse=True)}
    folded = values.str.casefold()
    return (
        [label[word] for word in folded],
        [kind[word] and spelled[word] for word in folded],
        tuple(sorted(spelled[word] for word in chosen)),
    )


def image_paths(root: Path, table: pd.DataFrame, name: str) -> list[str]:
    """The column `path` of a table, resolved; every row has one and none is there twice.

    Raises:
        DataError: as `resolve_paths`; a row without a path; an image in two rows.
    """
    empty = table.index[table["path"] == ""]
    if len(empty):
        raise DataError(f"{name}, line {empty[0]}: no path (in {_rows_of(empty)}).")
    paths = resolve_paths(root, table["path"], name, what="images")
    twice = [path for path, count in Counter(paths).items() if count > 1]
    if twice:
        raise DataError(
            f"{name} names {amount(len(twice), 'image', 'images')} more than once "
            f"({first_few(twice, 3)}); keep one "
            "row for each."
        )
    return paths


def resolve_paths(root: Path, paths: pd.Series, table: str, *, what: str) -> list[str]:
    """The paths of a table as posix paths below `root` ("" stays), each checked to be a file.

    Backslashes are read as slashes, absolute paths below `root` are made relative, and names that
    differ only in Unicode normalisation are found. The name of the `table`, and `what` the paths
    are of ("images" or "masks"), are for sentences.

    Raises:
        DataError: files that are not there, or that lie outside `root`.
    """
    base = root.absolute().as_posix().rstrip("/") + "/"
    resolved = [
        posixpath.normpath(path.replace("\\", "/").removeprefix(base)) if path else ""
        for path in paths
    ]
    outside = [path for path in resolved if path.startswith(("../", "/")) or path == ".."]
    if outside:
        raise DataError(
            f"{table} names {amount(len(outside), what[:-1], what)} outside of {root} "
            f"({first_few(outside, 3)}); "
            "paths have to be relative to the data folder."
        )
    found = [_as_on_disk(base, path) for path in resolved]
    missing = [path for path, there in zip(resolved, found, strict=True) if there is None]
    if missing:
        raise DataError(
            f"{len(missing):,} of {amount(sum(map(bool, resolved)), what[:-1], what)} that {table} "
            f"names {'is' if len(missing) == 1 else 'are'} not "
            f"in {root} ({first_few(missing, 3)}); paths have to be relative to the data folder."
        )
    return [path or "" for path in found]


def read_numbers(values: pd.Series, table: str) -> pd.Series:
    """A column of numbers, with decimal points or commas.

    Raises:
        DataError: a cell that is no number.
    """
    numbers = pd.to_numeric(values.str.replace(",", ".", regex=False), errors="coerce")
    wrong = values.index[numbers.isna()]
    if len(wrong):
        raise DataError(
            f"{table}, line {wrong[0]}: {values[wrong[0]]!r} is no number (in {_rows_of(wrong)})."
        )
    return numbers


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


def _given_masks(root: Path, cells: pd.Series, table: str) -> list[str]:
    """The masks that a column names, several for one image separated by `SEPARATOR`."""
    each = cells.str.split(SEPARATOR, regex=False).explode().str.strip()
    resolved = pd.Series(resolve_paths(root, each, table, what="masks"), index=each.index)
    return resolved.groupby(level=0, sort=False).agg(SEPARATOR.join).tolist()


def _masks_by_name(root: Path, paths: Sequence[str]) -> list[str]:
    """The mask found for each path, "" for none; what the table lists as an image is no mask."""
    masks = pair_masks(root, [path for path in list_files(root) if is_image(path)]).masks
    listed = set(paths)
    found = [masks.get(path, "") for path in paths]
    return [mask if listed.isdisjoint(mask_paths(mask)) else "" for mask in found]


def _rows_of(rows: Sized) -> str:
    return amount(len(rows), "row", "rows")


def _folder_names(paths: Sequence[str]) -> list[str]:
    """The class each path's folder names; "" where folders name none."""
    try:
        return [folder.name for folder in class_folders(paths)]
    except DataError:  # folders mix splits and others: no matter, the table tells the splits
        return [""] * len(paths)


def _plain_meaning(word: str) -> int | None:
    if word in _NUMBERS:
        return _NUMBERS[word]
    if is_good(word):
        return 0
    return 1 if normalised_name(word) in DEFECTIVE_NAMES else None


def _refuse_numbers(values: pd.Series, meaning: Mapping[str, int | None], table: str) -> None:
    """Numbers that mean nothing must not pass as class names."""
    for word, label in meaning.items():
        if label is None and (not word or not any(map(str.isalpha, word))):
            rows = values.index[values.str.casefold() == word]
            raise DataError(
                f"{table}, line {rows[0]}: the label {word!r} (in {_rows_of(rows)}) is "
                "neither 0 (good) nor 1 (defective)."
            )


def _as_on_disk(base: str, path: str) -> str | None:
    """The spelling under which the file is there, None when it is not."""
    if not path or os.path.isfile(base + path):  # noqa: PTH113 (100,000 times)
        return path
    if not path.isascii():
        for other in (unicodedata.normalize("NFC", path), unicodedata.normalize("NFD", path)):
            if os.path.isfile(base + other):  # noqa: PTH113
                return other
    return None


def _rows(path: Path) -> tuple[list[int], list[list[str]]]:
    """Line numbers and cells of the rows that are not empty, each as long as the first."""
    for encoding in ("utf-16", *_ENCODINGS):
        try:
            content = path.read_bytes()
            if encoding == "utf-16" and not content.startswith(_UTF_16):
                continue
            text = content.decode(encoding)
            break
        except UnicodeError:
            continue
        except OSError as error:
            raise DataError(f"The table {path} cannot be read: {error.strerror}.") from error
    else:
        raise DataError(f"{path.name} is not a table in UTF-8 text; save it as CSV.")
    first, _, others = text.partition("\n")
    if re.fullmatch(r"sep=.", first.strip("\r")):  # a line for Excel alone
        first, text = others.partition("\n")[0], others
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    lines: list[int] = []
    rows: list[list[str]] = []
    try:
        for cells in reader:
            row = [cell.strip() for cell in cells]
            if not any(row):
                continue
            short = len(rows[0]) - len(row) if rows else 0
            if short < 0 and any(row[short:]):
                raise DataError(
                    f"{path.name}, line {reader.line_num}: {len(row)} cells, but "
                    f"{len(rows[0])} columns; put cells that hold a {separator!r} in quotes."
                )
            lines.append(reader.line_num)
            rows.append((row + [""] * short)[: len(rows[0]) if rows else None])
    except csv.Error as error:
        raise DataError(
            f"{path.name}, line {reader.line_num}, is not readable CSV: {error}."
        ) from error
    if not rows:
        raise DataError(f"{path.name} is empty.")
    return lines, rows


def _columns(path: Path, needed: Sequence[str]) -> list[str]:
    try:
        return list(read_table(path, needed))
    except DataError:
        return []
