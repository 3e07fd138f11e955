"""Tables of samples (CSV): labels, masks, groups, splits, kinds and roles of the images."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence, Sized
from pathlib import Path

import pandas as pd

from trust_core.data.files import check_folder, is_image, list_files
from trust_core.data.folders import class_folders, kind_of_folder
from trust_core.data.label_columns import label_headers, read_label_column, says_labels
from trust_core.data.mask_decoding import SEPARATOR, is_ground, mask_paths
from trust_core.data.mask_labels import check_masks
from trust_core.data.masks import pair_masks
from trust_core.data.names import first_few, normalised_name, role_of_split
from trust_core.data.samples import LabelTable, sample_table
from trust_core.data.table_paths import image_paths, resolve_paths
from trust_core.errors import DataError, SettingsError
from trust_core.messages import Message, amount

ALIASES = {
    "path": (
        *("path", "imagepath", "filepath", "image", "file", "filename", "imagename", "imagefile"),
        *("imagefilename", "imageid", "img", "imgpath", "imgname", "photo", "picture"),
    ),
    "mask_path": ("mask", "maskpath", "groundtruth", "gt", "maskfile"),
    "group": ("group", "groupid"),
    "split": ("split", "subset"),
    "kind": ("kind", "defecttype", "defectkind"),
    "role": ("role",),
    "p": (
        *("p", "pdefect", "pdefective", "probability", "prob", "proba", "score", "prediction"),
        *("pred", "confidence"),
    ),
}
"""Headers by the name that a column has here, without case and separators."""

SEPARATORS = ",;\t|"
_ENCODINGS = ("utf-8-sig", "cp1252")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # how a file in UTF-16 begins, Excel's "Unicode text"


def samples_of_csv(
    root: Path, file: Path, good: Sequence[str], group_column: str | None
) -> LabelTable:
    """Read a table `path,label[,mask,group,split,kind,role]`; for labels see `label_columns`.

    Without a column of masks, masks are found by their names; without one of kinds, class folders
    are the kinds of defect. `file` is also found when its path is relative to `root`; `good` are
    labels the user said are good, when labels are class names; `group_column` names the group,
    instead of `group`.

    Raises:
        DataError: the table cannot be read as such, or names files that are not there.
        LabelsNeeded: labels are class names, none of which is known to mean good, or the header
            does not say which of 0 and 1 is.
        SettingsError: there is no column `group_column`.
    """
    check_folder(root)
    if not file.exists() and (root / file).exists():
        file = root / file
    given = read_table(file, ("path", "label"))
    paths, notes = image_paths(root, given, file)
    read = read_label_column(given, good, file.name)
    labels, kinds = read.labels, read.kinds
    notes += read.notes
    if good and not read.good:
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
        columns["mask_path"], how = _given_masks(root, given["mask_path"], file)
        notes += how
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
    columns["mask_path"], doubts = check_masks(root, columns["mask_path"], labels)
    notes += doubts
    table = sample_table(paths, labels, kind=kinds, **columns)
    return LabelTable(table, "CSV", read.good, tuple(notes))


def override_roles(root: Path, table: pd.DataFrame, file: Path) -> tuple[list[str], list[str]]:
    """The role column of `table` with the roles of a file `path,role` laid over it, and notes.

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
    paths, notes = image_paths(root, given, file)
    stray = sorted(set(paths).difference(table["path"]))
    if stray:
        raise DataError(
            f"{file.name} names {amount(len(stray), 'image', 'images')} not part of the data set "
            f"({first_few(stray, 3)})."
        )
    over = dict(zip(paths, given["role"], strict=True))
    own = zip(table["path"], table["role"], strict=True)
    return [over.get(path, role) for path, role in own], notes


def read_table(path: Path, needed: Sequence[str]) -> pd.DataFrame:
    """Read a CSV as text, separated by comma, semicolon, tab or pipe.

    `needed` columns, keys of `ALIASES` or "label", have to be there; other known columns may be
    absent.

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
    by_name = {normalised_name(name): name for name in reversed(header)}
    known = {
        name: next(by_name[alias] for alias in aliases if alias in by_name)
        for name, aliases in ALIASES.items()
        if not by_name.keys().isdisjoint(aliases)
    }
    there = {*known, *(["label"] if label_headers(header) else [])}
    lacking = [name for name in needed if name not in there]
    if lacking and any(map(is_image, header)):
        raise DataError(
            f"{path.name} begins with a row ({first_few(header, 3)}) in the place of headers; put "
            f"a line with {','.join(needed)} above it."
        )
    if lacking:
        raise DataError(
            f"{path.name} has no column {lacking[0]}; its columns are {first_few(header, 12)}."
        )
    if not rows:
        raise DataError(f"{path.name} holds no rows below its header.")
    columns |= {name: columns[own] for name, own in known.items()}
    return pd.DataFrame(columns, index=lines[1:], dtype="str")


def label_tables(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Those of the CSV files that say a path and a label for each image; those that may do so.

    A column `status` or `ok` may hold labels, or what a machine decided.
    """
    columns = {path: _columns(path, ("path", "label")) for path in paths}
    sure = [path for path in paths if says_labels(columns[path])]
    return sure, [path for path in paths if columns[path] and path not in sure]


def group_columns(path: Path) -> list[str]:
    """The columns of a table that may name a group; none when it cannot be read."""
    return [name for name in _columns(path, ("path",)) if name not in ("path", "label")]


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


def _given_masks(root: Path, cells: pd.Series, file: Path) -> tuple[list[str], list[str]]:
    """The masks that a column names, several for one image separated by `SEPARATOR`; notes.

    Beside them may stand the colour of their background (`mask_decoding.with_ground`).
    """
    each = cells.str.split(SEPARATOR, regex=False).explode().str.strip()
    grounds = each.map(is_ground)
    paths, notes = resolve_paths(root, each.mask(grounds, ""), file, what="masks")
    resolved = each.where(grounds, pd.Series(paths, index=each.index))
    return resolved.groupby(level=0, sort=False).agg(SEPARATOR.join).tolist(), notes


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


def _rows(path: Path) -> tuple[list[int], list[list[str]]]:
    """Line numbers and cells of the rows that are not empty, each as long as the first."""
    text = _text(path)
    told = re.match(r"\"?sep=(.)\"?\r?\n", text)  # a line for Excel alone
    text = text[told.end() :] if told else text
    first = re.sub(r'"[^"]*"', "", text.lstrip().partition("\n")[0])
    separator = told[1] if told else max(SEPARATORS, key=first.count)
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
                    f"{amount(len(rows[0]), 'column', 'columns')}; put cells that hold a "
                    f"{separator!r} in quotes."
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


def _text(path: Path) -> str:
    """What a table holds, in UTF-8, UTF-16 or as Windows writes it in the west."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"The table {path} cannot be read: {error.strerror}.") from error
    if content.startswith(b"PK\3\4"):
        raise DataError(f"{path.name} is an Excel workbook; save its sheet as CSV.")
    encodings = ("utf-16",) if content.startswith(_UTF_16) else _ENCODINGS
    if b"\0" in content[:2]:  # UTF-16 of a program that does not say so
        encodings = ("utf-16-be" if content[0] == 0 else "utf-16-le",)
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeError:
            continue
    raise DataError(f"{path.name} is not a table in UTF-8 text; save it as CSV.")


def _columns(path: Path, needed: Sequence[str]) -> list[str]:
    try:
        return list(read_table(path, needed))
    except DataError:
        return []
