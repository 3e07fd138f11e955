"""Files that appear whole: written beside their place, brought to disk, renamed into it."""

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path, *, durable: bool = True, locked: bool = False) -> Iterator[Path]:
    """A path to write to, a file or a folder, that takes the place of `path` when the block ends.

    When the block fails, `path` is as it was and nothing is left beside it.

    Args:
        path: a file, there or not, or a folder that is not there; in a folder that is.
        durable: wait until the content is on disk, so that a power cut leaves the old or the new.
            Not for caches and progress, which may be lost.
        locked: nobody else writes `path` meanwhile, so what a killed process left of it is
            overwritten. Several may write without.
    """
    unfinished = path.with_name(
        f".{path.name}{'' if locked else f'.{uuid.uuid4().hex}'}.unfinished"
    )
    if locked:
        _remove(unfinished)
    try:
        yield unfinished
        if durable:
            publish(unfinished, path)
        else:
            unfinished.replace(path)
    except BaseException:
        _remove(unfinished)
        raise


def publish(unfinished: Path, path: Path) -> None:
    """Bring a file or a folder to disk, then rename it to `path`, in the same folder."""
    for part in (*unfinished.rglob("*"), unfinished):
        _sync(part)
    unfinished.replace(path)
    _sync(path.parent)


def remove_unfinished(folder: Path) -> list[str]:
    """Remove what killed processes left in a folder and those in it; nobody must be writing there.

    Returns:
        Names of the files and folders that are gone.
    """
    found = sorted([*folder.glob(".*.unfinished"), *folder.glob("[!.]*/.*.unfinished")])
    for path in found:
        _remove(path)
    return [path.name for path in found]


def write_json(path: Path, content: object, *, durable: bool = True) -> None:
    """Write JSON, never NaN; `durable` as in `replacing`."""
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    with replacing(path, durable=durable) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty where there is no such file, or something else in it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
