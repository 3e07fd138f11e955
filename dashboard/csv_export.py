"""Tables as CSV that a spreadsheet opens without running anything."""

import pandas as pd

from trust_core.storage.audit_files import Audit

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what begins a formula


def csv(table: pd.DataFrame) -> bytes:
    """The table as CSV (UTF-8); text that begins like a formula gets an apostrophe before it."""
    text = table.select_dtypes(include=["object", "string", "category"]).columns
    safe = {name: table[name].astype(object).map(_harmless) for name in text}
    content: str = table.assign(**safe).to_csv(index=False)
    return content.encode("utf-8")


def audit_csv(audit: Audit, table: pd.DataFrame) -> bytes:
    """The table as CSV, with what it was measured on in every row."""
    manifest = audit.manifest
    return csv(
        table.assign(
            audit=audit.id,
            model_sha256=manifest.model.sha256,
            data_sha256=manifest.data.sha256,
        )
    )


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
