"""Tables as CSV that a spreadsheet opens without running anything."""

import pandas as pd

from trust_core.storage.audit_files import Audit
from trust_core.storage.csv_text import csv_text


def csv(table: pd.DataFrame) -> bytes:
    """The table as CSV (UTF-8); text that begins like a formula gets an apostrophe before it."""
    return csv_text(table).encode("utf-8")


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
