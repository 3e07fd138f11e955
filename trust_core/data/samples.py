"""The sample table of a data set: one row an image, whatever its layout."""

import hashlib
import posixpath
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

SAMPLE_COLUMNS = (
    "sample_id",
    "path",
    "sha256",
    "label",
    "kind",
    "split",
    "role",
    "group",
    "mask_path",
)


@dataclass(frozen=True)
class Dataset:
    """A labelled data set, ready to be audited.

    Attributes:
        root: folder that `path` and `mask_path` are relative to (posix strings).
        samples: one row an image, columns `SAMPLE_COLUMNS`, sorted by `sample_id`. `label` is int8
            (0 good, 1 defective); `kind` is the kind of defect, "" for good or unknown; `split` is
            as given, `role` as used; `sha256` is "" when the file cannot be read; missing text "".
        layout: "class folders", "MVTec", "image beside mask" or "CSV".
        good: the class names taken as good (empty for a CSV of 0 and 1).
        notes: sentences the user should read: roles derived, groups merged, files left out.
        source: address that `root` was copied from (`trust_core.data.remote`), "" when it was not.
    """

    root: Path
    samples: pd.DataFrame
    layout: str
    good: tuple[str, ...]
    notes: tuple[str, ...]
    source: str = ""


@dataclass(frozen=True)
class LabelTable:
    """The images of a data set with their labels, before groups, hashes and roles.

    `table` has `path`, `label`, `kind`, `split`, `role`, `group`, `mask_path`, missing text ""; all
    else is as in `Dataset`.
    """

    table: pd.DataFrame
    layout: str
    good: tuple[str, ...]
    notes: tuple[str, ...]


def sample_id(path: str) -> str:
    r"""16 hex digits that name an image by its relative path, the same on every machine.

    The path is normalised first: forward slashes, no `.` steps, Unicode NFC (a Mac writes file
    names decomposed).

    >>> sample_id("good/1.png") == sample_id("good\\./1.png")
    True
    """
    normal = unicodedata.normalize("NFC", posixpath.normpath(path.replace("\\", "/")))
    return hashlib.sha256(normal.encode()).hexdigest()[:16]


def sample_table(
    path: Sequence[str], label: Sequence[int], **columns: Sequence[str]
) -> pd.DataFrame:
    """Rows of a `LabelTable`: `path`, `label` and the text columns, "" where not given."""
    table = pd.DataFrame({"path": pd.Series(path, dtype="str"), "label": label})
    for name in ("kind", "split", "role", "group", "mask_path"):
        table[name] = pd.Series(columns.get(name, [""] * len(path)), dtype="str")
    return table
