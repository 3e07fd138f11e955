"""The chart that holds still: where its library lies, and what it is told."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard import chart
from trust_core.errors import StoreError


@pytest.fixture
def static(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(chart, "STATIC", tmp_path)
    chart.library_address.clear()
    yield tmp_path
    chart.library_address.clear()


def test_plotly_is_put_where_pages_load_it_once(static: Path) -> None:
    address = chart.library_address()
    (path,) = static.iterdir()
    assert address == f"app/static/{path.name}"
    assert path.read_text(encoding="utf-8").lstrip().startswith("/**\n* plotly.js")
    path.write_text("kept")
    chart.library_address.clear()
    chart.library_address()
    assert path.read_text() == "kept"


def test_a_folder_that_cannot_be_written_is_told(
    static: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chart, "STATIC", static / "missing")
    with pytest.raises(StoreError, match=r"Cannot write .*plotly.*: No such file"):
        chart.library_address()
