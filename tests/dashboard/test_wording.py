"""The core's sentences on a page: no command-line option and no layer type is left in them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

import trust_core
from dashboard.wording import page_text
from trust_core.audit.options import OPTIONS
from trust_core.errors import SettingsError
from trust_core.messages import Message, option

PACKAGE = Path(trust_core.__file__).parent
TERMINAL = (
    "cli",
    "audit/cluster.py",
    "deploy/line_images.py",
    "deploy/readme.py",
)  # what only a command line can meet
JARGON = re.compile(r"(?<![\w/.-])--[a-z]|BatchNorm")
NO_FIELD = {"tta"}  # options that a page has no field for, and names by their flag
NAMES = {name for group in OPTIONS.values() for o in group for name in (o.name, o.flag)}
OTHERS = {"why", "role"}  # of jobs on a finished audit


def files() -> Iterator[Path]:
    for path in PACKAGE.rglob("*.py"):
        if not path.relative_to(PACKAGE).as_posix().startswith(TERMINAL):
            yield path


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Where a message is made."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Message":
            yield node


def messages() -> Iterator[tuple[str, str, frozenset[str]]]:
    """Every message of the core: its two texts and the names of its fields."""
    for path in files():
        if path.name == "messages.py":
            continue
        for call in calls(ast.parse(path.read_text(encoding="utf-8"))):
            texts = [ast.literal_eval(argument) for argument in call.args]
            fields = frozenset(str(keyword.arg) for keyword in call.keywords)
            yield texts[0], texts[-1], fields


ALL = sorted(set(messages()), key=lambda each: each[:2])


def test_there_are_such_sentences():
    assert len(ALL) > 50


@pytest.mark.parametrize(("text", "plain", "fields"), ALL, ids=[text[:40] for text, *_ in ALL])
def test_a_page_says_every_message_of_the_core_in_its_own_words(text, plain, fields):
    names = {name for part in (text, plain) for _, name, _, _ in Formatter().parse(part) if name}
    assert fields <= names, "a field that no text says"
    options = names - fields
    assert options <= NAMES | OTHERS
    message = Message(text, plain, **dict.fromkeys(fields, 1))
    assert "{" not in message
    if not options & NO_FIELD:
        assert not JARGON.search(page_text(message))


@pytest.mark.parametrize("path", sorted(files()), ids=lambda path: path.stem)
def test_nothing_but_a_message_speaks_of_options(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    left_out = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}  # docstrings
    left_out |= {id(part) for call in calls(tree) for part in ast.walk(call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            speaks = JARGON.search(node.value) and len(node.value.split()) > 2
            assert not speaks or id(node) in left_out, node.value


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (Message("Check {size}, {mean}."), "Check “Size”, “Mean”."),
        (Message("Add {samples:CSV} or {tta}."), "Add “Labels come from” or --tta."),
        (Message("Leave it out or say {channels:grey}."), "Leave it out or say “grey”."),
        (Message("{mean:0.5} is odd."), "“Mean” 0.5 is odd."),
        (Message("{objective:label} learns."), "“the label alone” learns."),
        (
            Message(
                "Try {choice}: {n:.2f}.",
                "It fits with {choice}: {n:.2f}.",
                n=2,
                choice=option("arch", "x"),
            ),
            "It fits with “Take it as another architecture” x: 2.00.",
        ),
        (Message("{file} is {{odd}}.", file="{size} --size"), "{size} --size is {odd}."),
        ("All of /srv/uploads/0123456789abcdef/tiles are good.", "All of tiles are good."),
        (
            Message("All of {root} are good.", root="/srv/uploads/0123456789abcdef/tiles"),
            "All of tiles are good.",
        ),
        ('b.pt\n    torch.save(x, "a.pth")', 'b.pt\n    torch.save(x, "a.pth")'),
        ("demo is running already.", "demo is running already."),
    ],
)
def test_options_become_the_fields_of_the_page(said: str, shown: str):
    assert page_text(said) == page_text(SettingsError(said)) == shown


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Check --size and --mean.", "Check “Size” and “Mean”."),
        (
            "No space left; choose another folder (--out).",
            "No space left; choose another folder (“Name”).",
        ),
        ("/data/my--size/a.png is no image.", "/data/my--size/a.png is no photo."),
        ("--unknown stays.", "--unknown stays."),
        ("Images: 2 images of /data/images.", "Photos: 2 photos of /data/images."),
        ("A mask beside an image. An image.", "A mask beside a photo. A photo."),
    ],
)
def test_what_a_worker_said_on_its_terminal_is_worded_too(said: str, shown: str):
    """And so are the notes of audits that were made when they were plain text."""
    assert page_text(said) == shown
