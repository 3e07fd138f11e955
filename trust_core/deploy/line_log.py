"""What a guard decided on a line, from its log or from a file of decisions, and returned labels."""

from pathlib import Path

import pandas as pd
import pyarrow as pa

from trust_core.deploy.inspection import AUDIT_SAMPLE
from trust_core.deploy.log import NUMBERS, policy_hash, read_log
from trust_core.errors import DataError, SettingsError, StoreError

NEEDED = ("path", "decision", "p_defect", "indicator", "reason")
LABELS = {"0": False, "good": False, "1": True, "defective": True}


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


def read_labels(path: Path) -> dict[str, bool]:
    """Labels that came back: a CSV `path,label`, with 0 or good, 1 or defective.

    Returns:
        True for a defective part, by its path in the log.

    Raises:
        StoreError: the file cannot be read.
        DataError: a column is missing, or a label means nothing.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except OSError as error:
        raise StoreError(f"Cannot read {path}: {error.strerror or error}.") from error
    except ValueError as error:
        raise DataError(f"{path} is no CSV; write one with the columns path and label.") from error
    if missing := [name for name in ("path", "label") if name not in table.columns]:
        raise DataError(f"{path} has no column {' and '.join(missing)}; write path,label.")
    words = table["label"].str.strip().str.lower()
    if unknown := sorted(set(words) - LABELS.keys()):
        raise DataError(f'{path} has the label "{unknown[0]}"; write 0 or good, 1 or defective.')
    return dict(zip(table["path"], words.map(LABELS), strict=True))
