"""Reading a data set, whatever its layout: a folder of images becomes one sample table."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from trust_core.data.duplicates import copies_across_splits
from trust_core.data.files import check_links, hash_files
from trust_core.data.folders import samples_of_folders
from trust_core.data.groups import groups_by_pattern, merge_identical
from trust_core.data.names import first_few
from trust_core.data.roles import assign_roles
from trust_core.data.samples import SAMPLE_COLUMNS, Dataset, sample_id
from trust_core.data.tables import override_roles, samples_of_csv
from trust_core.errors import DataError, SettingsError
from trust_core.messages import Message, amount


def read_dataset(
    source: Path,
    *,
    good: Sequence[str] = (),
    samples: Path | None = None,
    group_column: str | None = None,
    group_pattern: str | None = None,
    roles: Path | None = None,
    certify: str | None = None,
) -> Dataset:
    """Read a labelled data set from a folder; images are listed and hashed, not decoded.

    Args:
        source: folder with the images.
        good: class names of good parts; needed when no name is known to mean good. When given,
            nothing else is taken as good.
        samples: CSV `path,label[,mask,group,split,kind,role]` with paths relative to `source`.
        group_column: column of `samples` that names the group, instead of its column `group`.
        group_pattern: regular expression that names the group, searched in the path; it was asked
            for and so comes before a column `group`, too.
        roles: CSV `path,role` that overrides the split of the images it lists.
        certify: what of `tune` becomes `certify` where the data names none, of `roles.CUTS`; `auto`
            when None.

    Raises:
        LabelsNeeded: the folder names do not tell which parts are good.
        DataError: no images, one class only, files that are missing, splits that mean nothing.
        SettingsError: group settings that contradict each other or cannot be read.
    """
    if group_column and group_pattern:
        raise SettingsError(
            Message(
                "Give either {group_column} or {group_pattern}, not both.",
                "{group_column} Give a column or a piece of the path, not both.",
            )
        )
    if group_column and samples is None:
        raise SettingsError(Message("{group_column} names a column of a table: add {samples:CSV}."))
    if samples is None:
        labelled = samples_of_folders(source, good)
    else:
        labelled = samples_of_csv(source, samples, good, group_column)
        named = labelled.table[["path", "mask_path"]].to_numpy().ravel()
        check_links(source, (path for path in named if path))
    table = labelled.table
    table["sample_id"] = [sample_id(path) for path in table["path"]]
    _check(source, table)
    table["sha256"] = hash_files(source, table["path"].tolist())
    grouped = _group(table, group_pattern)
    table["group"], merged = merge_identical(table)
    if roles is not None:
        table["role"], how = override_roles(source, table, roles)
        grouped += how
    copies = copies_across_splits(table)
    try:
        table, derived = assign_roles(table, certify or "auto")
    except DataError as error:
        raise DataError(" ".join(filter(None, (copies, str(error))))) from error
    table = table.sort_values("sample_id", ignore_index=True)[list(SAMPLE_COLUMNS)]
    return Dataset(
        root=source,
        samples=table.astype({"label": "int8"}),
        layout=labelled.layout,
        good=labelled.good,
        notes=(*([copies] if copies else []), *labelled.notes, *grouped, *merged, *derived),
    )


def _check(root: Path, table: pd.DataFrame) -> None:
    """One class only, and two paths that normalise to one, cannot be audited."""
    twice = table.loc[table["sample_id"].duplicated(keep=False), "path"]
    if len(twice):
        raise DataError(
            f"{root} holds file names that differ only in spelling "
            f"({first_few([ascii(path) for path in twice], 2)}); rename one."
        )
    if table["label"].nunique() < 2:
        which = "defective" if table["label"].any() else "good"
        raise DataError(
            f"{_all(len(table))} of {root} {'is' if len(table) == 1 else 'are'} {which}; an audit "
            "needs good and defective ones."
        )


def _all(images: int) -> str:
    return "The only image" if images == 1 else f"All {images:,} images"


def _group(table: pd.DataFrame, pattern: str | None) -> list[str]:
    """Fill the column `group`, in place; images without one are a group of their own."""
    notes = []
    if pattern:
        if (table["group"] != "").any():
            notes.append("The group pattern was used instead of the groups the data set names.")
        table["group"] = groups_by_pattern(table["path"].tolist(), pattern)
        unmatched = int((table["group"] == "").sum())
        if unmatched:
            notes.append(
                f"The group pattern is not found in {unmatched:,} of "
                f"{amount(len(table), 'path', 'paths')}; each of these images is a group of its "
                "own."
            )
    elif (table["group"] == "").all():
        notes.append(
            Message(
                "No groups are given, so every image counts as a part of its own; if several show "
                "one part, name it with {group_pattern} or {group_column}.",
                "No groups are given, so every image counts as a part of its own; if several show "
                "one part, say so at {group_column}",
            )
        )
    table["group"] = table["group"].where(table["group"] != "", table["sample_id"])
    return notes
