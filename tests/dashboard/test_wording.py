"""The core's sentences on a page: no command-line option and no layer type is left in them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import trust_core
from dashboard.wording import worded

ROOMS = ("data", "model", "explanation")
PACKAGE = Path(trust_core.__file__).parent
JARGON = re.compile(r"(?<![\w/.-])--[a-z]|BatchNorm")


def sentences() -> Iterator[str]:
    """Every text of the core that speaks of an option or of such a layer, values left open."""
    files = [path for room in ROOMS for path in (PACKAGE / room).rglob("*.py")]
    for path in [*files, PACKAGE / "audit" / "run.py", PACKAGE / "audit" / "settings.py"]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        pieces = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}  # docstrings
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                pieces.update(map(id, node.values))
                parts = [v.value if isinstance(v, ast.Constant) else "0.5" for v in node.values]
                text = "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and id(node) not in pieces:
                text = str(node.value)
            else:
                continue
            if JARGON.search(text) and len(text.split()) > 4:
                yield text


def test_there_are_such_sentences():
    assert len(list(sentences())) > 30


@pytest.mark.parametrize("sentence", sorted(set(sentences())))
def test_every_sentence_of_the_core_is_put_into_words_of_the_page(sentence: str):
    assert not JARGON.search(worded(sentence))


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("check --size, --mean", "Check “Size”, “Mean”."),
        (
            "The class convention looks inverted: 3 of 10 images are right as it is, 7 the other "
            "way round; try --defect-index 0.",
            "The outputs look swapped: 3 of 10 images are right as it is, 7 the other way round; "
            "change in step 1 what they mean.",
        ),
        (
            "The BatchNorm statistics agree clearly better with --mean 0.5 --std 0.25: 0.10 "
            "standard deviations from training instead of 0.90.",
            "The images fit the network clearly better with “Mean” 0.5 and “Standard deviation” "
            "0.25: 0.10 away from what it was trained on, instead of 0.90.",
        ),
        ("All of /srv/uploads/0123456789abcdef/tiles are good.", "All of tiles are good."),
        ('b.pt\n    torch.save(x, "a.pth")', 'b.pt\n    torch.save(x, "a.pth")'),
        ("mask.png is empty", "mask.png is empty."),
        ("mask rule 'x': write half", "Mask rule 'x': write half."),
        ("demo is running already", "demo is running already."),
        ("--std must not be (0.0,)", "“Standard deviation” must not be (0.0,)."),
        ("--std cannot be (0.0,).", "“Standard deviation” cannot be 0.0."),
        ("/data/my--size/a.png is no image.", "/data/my--size/a.png is no image."),
        ("--unknown stays.", "--unknown stays."),
    ],
)
def test_options_become_the_fields_of_the_page(said: str, shown: str):
    assert worded(said) == shown
