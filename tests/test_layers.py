"""Imports go one way: no layer of the core knows one above it, and none knows Streamlit."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import trust_core

CORE = Path(trust_core.__file__).parent
LAYERS = (
    *("storage", "data", "model", "explanation", "decision"),
    *("figures", "audit", "deploy", "cli"),
)
SHARED = {"errors", "messages", "registry"}  # every layer may use them; they use none


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layers_of(names: Iterator[str]) -> set[str]:
    """The parts of the core that these modules belong to."""
    return {name.split(".")[1] for name in names if name.startswith("trust_core.")}


def test_every_folder_of_the_core_is_a_known_layer():
    folders = {path.name for path in CORE.iterdir() if (path / "__init__.py").exists()}
    assert folders <= set(LAYERS)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_from_below(layer: str):
    below = {*SHARED, *LAYERS[: LAYERS.index(layer) + 1]}
    for path in (CORE / layer).rglob("*.py"):
        above = {name for name in layers_of(imported(path)) if name in LAYERS} - below
        assert not above, f"{path.relative_to(CORE)} imports {', '.join(sorted(above))}"


def test_what_every_layer_uses_uses_none():
    for name in SHARED:
        assert layers_of(imported(CORE / f"{name}.py")) <= SHARED


def test_the_core_knows_no_page():
    for path in CORE.rglob("*.py"):
        known = {name.split(".")[0] for name in imported(path)}
        assert not known & {"streamlit", "dashboard", "pages", "app"}, path


def modules() -> dict[str, Path]:
    """Every module of the program by its dotted name."""
    root = CORE.parent
    files = [path for place in ("trust_core", "dashboard") for path in (root / place).rglob("*.py")]
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for path in files
    }


def test_no_circle_of_modules():
    known = modules()
    arrows = {
        name: {target for target in imported(path) if target in known and target != name}
        for name, path in known.items()
    }
    while leaves := [name for name, targets in arrows.items() if not targets & arrows.keys()]:
        for name in leaves:
            del arrows[name]
    assert not arrows, f"modules that need each other: {', '.join(sorted(arrows))}"
