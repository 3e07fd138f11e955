"""Samples of a data set whose labels, groups and roles stand in a table."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from trust_core.data.csv_table import image_paths, read_labels, read_table, resolve_paths
from trust_core.data.files import check_folder, is_image, list_files
from trust_core.data.folders import kind_of_folder, locate
from trust_core.data.masks import pair_masks
from trust_core.data.names import role_of_split, some
from trust_core.data.samples import Source, sample_table
from trust_core.errors import DataError, SettingsError


def samples_of_csv(root: Path, csv: Path, good: Sequence[str], group_column: str | None) -> Source:
    """Read a table `path,label[,mask,group,split,kind,role]`.

    Without a column of masks, masks are found by their names; without one of kinds, class folders
    are the kinds of defect.

    Args:
        root: the data folder, which paths are relative to.
        csv: the table; also found when its path is relative to `root`.
        good: labels the user said are good, when labels are class names.
        group_column: column that names the group, instead of `group`.

    Raises:
        DataError: the table cannot be read as such, or names files that are not there.
        LabelsNeeded: labels are class names, none of which is known to mean good.
        SettingsError: there is no column `group_column`.
    """
    check_folder(root)
    if not csv.exists() and (root / csv).exists():
        csv = root / csv
    given = read_table(csv, ("path", "label"))
    paths = image_paths(root, given, csv.name)
    labels, kinds, taken = read_labels(given["label"], good, csv.name)
    notes = []
    if good and not taken:
        notes.append(f"--good {' '.join(good)} was not used: the table says what is good.")
    if group_column and group_column not in given:
        raise SettingsError(
            f"--group-column {group_column}: {csv.name} has no such column; it has "
            f"{some(list(given.columns), 12)}."
        )
    columns = {name: given[name].tolist() for name in ("split", "role", "group") if name in given}
    if group_column:
        columns["group"] = given[group_column].tolist()
    if "mask_path" in given:
        columns["mask_path"] = resolve_paths(root, given["mask_path"], csv.name, what="masks")
    else:
        columns["mask_path"] = found = _masks_by_name(root, paths)
        if any(found):
            notes.append(f"Masks were found by their names for {sum(map(bool, found)):,} images.")
    if "kind" in given:
        kinds = given["kind"].tolist()
    elif not any(kinds):
        kinds = kind_of_folder(labels, _folder_names(paths))
    kinds = [kind if label else "" for kind, label in zip(kinds, labels, strict=True)]
    table = sample_table(paths, labels, kind=kinds, **columns)
    return Source(table, "CSV", taken, tuple(notes))


def _masks_by_name(root: Path, paths: Sequence[str]) -> list[str]:
    """The mask found for each path, "" for none; what the table lists as an image is no mask."""
    masks = pair_masks(root, [path for path in list_files(root) if is_image(path)]).masks
    listed = set(paths)
    found = [masks.get(path, "") for path in paths]
    return [mask if mask not in listed else "" for mask in found]


def _folder_names(paths: Sequence[str]) -> list[str]:
    """The class each path's folder names; "" where folders name none."""
    folders = [path.rpartition("/")[0] for path in paths]
    try:
        places = locate(Counter(folders))
    except DataError:  # folders mix splits and others: no matter, the table tells the splits
        return [""] * len(paths)
    return [places[folder].name for folder in folders]


def override_roles(root: Path, table: pd.DataFrame, csv: Path) -> list[str]:
    """The role column of `table` with the roles of a file `path,role` laid over it.

    Raises:
        DataError: the file cannot be read as such, or names images that are not in `table`.
    """
    given = read_table(csv, ("path", "role"))
    unknown = sorted({role for role in given["role"] if role_of_split(role) is None})
    if unknown:
        raise DataError(
            f"{csv.name}: unknown role {some([repr(role) for role in unknown])}; "
            "use train, tune, certify or test."
        )
    paths = image_paths(root, given, csv.name)
    stray = sorted(set(paths).difference(table["path"]))
    if stray:
        raise DataError(
            f"{csv.name} names {len(stray):,} images that are not part of the data set "
            f"({some(stray, 3)})."
        )
    over = dict(zip(paths, given["role"], strict=True))
    return [over.get(path, role) for path, role in zip(table["path"], table["role"], strict=True)]
