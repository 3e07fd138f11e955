"""What a guard decided on a line, from its log or from a file of decisions, and returned labels."""

from pathlib import Path

import pandas as pd
import pyarrow as pa

from trust_core.data.label_columns import read_label_column
from trust_core.data.tables import read_table
from trust_core.deploy.inspection import AUDIT_SAMPLE
from trust_core.deploy.log import NUMBERS, policy_hash, read_log
from trust_core.errors import DataError, LabelsNeeded, SettingsError, StoreError

NEEDED = ("path", "decision", "p_defect", "indicator", "reason")


def read_line(path: Path, guard: Path | None = None) -> pd.DataFrame:
    """The parts that a guard decided on, in order.

    Args:
        path: the log of a guard, or the `.csv` or `.parquet` file that `guard run --out` wrote.
        guard: the folder of the guard; parts that another one decided on are left out. None
            takes all.

    Returns:
        `path, decision, audit_sample` and `NUMBERS`; NaN where a part has no number, and for
        brightness and sharpness in a file of decisions, which has none.

    Raises:
        StoreError: the file cannot be read.
        SettingsError: it is the log of another guard.
    """
    if path.suffix.lower() in (".csv", ".parquet"):
        return _decisions(path)
    log = read_log(path)
    if guard is None:
        return log
    mine = log["policy"] == policy_hash(guard)
    if len(log) and not mine.any():
        raise SettingsError(
            f"{path} is the log of another guard than the one in {guard}; name the folder of the "
            "guard that wrote it."
        )
    return log[mine].reset_index(drop=True)


def _decisions(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path) if path.suffix.lower() == ".csv" else pd.read_parquet(path)
        table = table[list(NEEDED)].assign(audit_sample=table["reason"] == AUDIT_SAMPLE)
        table = table.reindex(columns=[*dict.fromkeys((*table.columns, *NUMBERS))])
        for name in NUMBERS:
            table[name] = pd.to_numeric(table[name])
        table = table.astype({"path": str})
        return table[["path", "decision", "audit_sample", *NUMBERS]]
    except OSError as error:
        raise StoreError(f"Cannot read {path}: {error.strerror or error}.") from error
    except (ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise StoreError(
            f"{path} is no file of decisions; give the decisions or the log that a guard wrote."
        ) from error


def returned_labels(path: Path) -> dict[str, bool]:
    """Labels that came back: a table `path,label`, with 0 or good, 1 or defective.

    It is read as tables of a data set are (`data/tables.py`), but names of classes mean nothing.

    Returns:
        True for a defective part, by its path in the log.

    Raises:
        DataError: the file cannot be read, a column is missing, or a label means nothing.
    """
    table = read_table(path, ("path", "label"))
    says = '{} has the label "{}"; write 0 or good, 1 or defective.'
    try:
        found = read_label_column(table, (), path.name)
    except LabelsNeeded as error:
        raise DataError(says.format(path, min(error.folders))) from error
    if unknown := sorted(filter(None, found.kinds)):
        raise DataError(says.format(path, unknown[0]))
    return dict(zip(table["path"], map(bool, found.labels), strict=True))
