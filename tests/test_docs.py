"""The documents: every file and every page that they name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
FILE = re.compile(r"`((?:\w+/)+\w+\.(?:py|js|css))`")
LINK = re.compile(r"\]\(([\w./-]+)(?:#[\w-]+)?\)")
PLACES = ("", "trust_core", "dashboard")
EXAMPLES = {"pages/name.py"}  # what a newcomer would make


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_names_is_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    files = set(FILE.findall(text)) - EXAMPLES
    assert [name for name in files if not any((ROOT / p / name).exists() for p in PLACES)] == []
    assert [to for to in LINK.findall(text) if not (document.parent / to).exists()] == []


def test_there_are_documents_with_names_and_links() -> None:
    text = "".join(document.read_text(encoding="utf-8") for document in DOCUMENTS)
    assert len(FILE.findall(text)) > 30
    assert len(LINK.findall(text)) > 30
