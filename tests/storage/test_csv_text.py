"""CSV that no spreadsheet executes, in whichever language it was set up."""

import csv
import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trust_core.data.samples import sample_id
from trust_core.storage.csv_text import csv_text, harmless, harmless_path

SIGNS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("before", ["", " ", "\n", "\r\n", "\t", "a;", "a; ", "a\n", "a\t"])
def test_whatever_a_spreadsheet_would_make_a_cell_of_begins_with_no_sign(sign: str, before: str):
    assert_harmless(str(harmless(f"{before}{sign}cmd()")))


@given(st.text(alphabet=[*SIGNS, ";", "\n", "\t", "\r", " ", "a", "'"], max_size=12))
def test_of_any_text(text: str):
    assert_harmless(str(harmless(text)))
    assert str(harmless(text)).replace("'", "") == text.replace("'", "")


def assert_harmless(cell: str) -> None:
    for separator in ("\r", "\n", "\t"):
        cell = cell.replace(separator, ";")
    for part in cell.split(";"):
        assert not part.strip().startswith(SIGNS)


@pytest.mark.parametrize("text", ["good/1.png", "a - b", "2026-05-04", "x=1", "a,-b", "", "é;b"])
def test_plain_text_stays(text: str):
    assert harmless(text) == text


def test_names_of_columns_too_and_numbers_stay():
    rows = list(csv.reader(io.StringIO(csv_text(pd.DataFrame({"=x": ["ok", "@y"], "n": [-1, 2]})))))
    assert rows == [["'=x", "n"], ["ok", "-1"], ["'@y", "2"]]


@pytest.mark.parametrize("path", ["=1.png", "@a/b.png", "a;=1.png", "good/1.png"])
def test_a_path_names_the_same_image(path: str):
    assert sample_id(harmless_path(path)) == sample_id(path)
    assert not harmless_path(path).startswith(SIGNS)
