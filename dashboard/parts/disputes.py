"""Lists of parts to take away as CSV, and labels that somebody called wrong."""

import pandas as pd

from dashboard.csv_export import csv
from trust_core.decision.journal import LABEL_DISPUTED, append, entries
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.part_filter import Filters, listed
from trust_core.storage.audit_files import Audit


def parts_csv(audit: Audit, point: OperatingPoint, filters: Filters) -> bytes:
    """The parts that the filters leave, with the settings that flagged them in every row."""
    table = listed(audit, point, filters).rename(columns={"p_defect": "p"})
    table = table.assign(
        indicator_name=point.indicator, strength=point.strength, threshold=point.threshold
    )
    return _signed(audit, table)


def disputes(audit: Audit) -> list[dict[str, str]]:
    """Labels that somebody called wrong, oldest first: `when, who, sample_id, note`."""
    return [
        {name: str(entry.get(name, "")) for name in ("when", "who", "sample_id", "note")}
        for entry in entries(audit)
        if entry.get("what") == LABEL_DISPUTED
    ]


def dispute(audit: Audit, sample_id: str, note: str) -> None:
    """Note that a label is wrong. The label itself stays: only the data set can change it."""
    append(audit, LABEL_DISPUTED, sample_id=sample_id, note=note.strip())


def disputes_csv(audit: Audit) -> bytes:
    """All disputed labels with the part they are about."""
    table = pd.DataFrame(disputes(audit), columns=["when", "who", "sample_id", "note"])
    parts = audit.query(
        'SELECT sample_id, path, label, kind, "group", outcome, p_defect AS p FROM samples '
        "WHERE list_contains($1, sample_id)",
        [table["sample_id"].tolist()],
    )
    return _signed(audit, parts.merge(table, on="sample_id").sort_values(["when", "sample_id"]))


def _signed(audit: Audit, table: pd.DataFrame) -> bytes:
    """The table as CSV, with what it was measured on in every row."""
    manifest = audit.manifest
    return csv(
        table.assign(
            audit=audit.id,
            model_sha256=manifest["model"]["sha256"],
            data_sha256=manifest["data"]["sha256"],
        )
    )
