"""CSV that a spreadsheet opens without running anything."""

import re

import pandas as pd

# What begins a formula, also in full width, at the beginning of a cell or of what a spreadsheet
# would make a cell of: behind a semicolon, a tab or a new line.
_FORMULA = re.compile(r"(^\s*|[;\t\r\n]\s*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")
_CONTROL = ("\t", "\r", "\n")


def csv_text(table: pd.DataFrame) -> str:
    """The table as CSV; an apostrophe stands before whatever would begin a formula."""
    text = table.select_dtypes(include=["object", "string", "category"]).columns
    safe = {name: table[name].astype(object).map(harmless) for name in text}
    return table.assign(**safe).rename(columns=harmless).to_csv(index=False)


def harmless(cell: object) -> object:
    """A cell or a name of a column, such that no spreadsheet takes it for a formula.

    >>> harmless("=1+1"), harmless("a;=1+1"), harmless("plain - text")
    ("'=1+1", "a;'=1+1", 'plain - text')
    """
    if not isinstance(cell, str):
        return cell
    cell = _FORMULA.sub(r"\1'", cell)
    return f"'{cell}" if cell.startswith(_CONTROL) else cell


def harmless_path(path: str) -> str:
    """A path that names the same file and is no formula; for tables that a program reads again.

    >>> harmless_path("=1.png"), harmless_path("good/1.png")
    ('./=1.png', 'good/1.png')
    """
    return path if harmless(path) == path else f"./{path}"
