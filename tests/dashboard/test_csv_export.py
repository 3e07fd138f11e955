"""Tables as CSV, read back as a spreadsheet would."""

import pandas as pd

from dashboard.csv_export import csv


def test_csv_cells_that_begin_a_formula_are_harmless():
    table = pd.DataFrame({"path": ["=cmd()", "+1", "-a", "@x", "good/1.png"], "label": [-1] * 5})
    assert csv(table).decode().splitlines() == [
        "path,label",
        "'=cmd(),-1",
        "'+1,-1",
        "'-a,-1",
        "'@x,-1",
        "good/1.png,-1",
    ]
