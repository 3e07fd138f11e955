"""Checksums of files: what was written can be told from what lies there now."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from trust_core.errors import StoreError

SUMS = "sha256.json"  # of the other files of a folder that is written once


def file_sha256(path: str | Path) -> str:
    """The sha256 of a file as hex digits."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 (100,000 times)
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_sums(folder: Path) -> None:
    """Note the sha256 of every file in a folder, in the folder."""
    sums = {path.name: file_sha256(path) for path in sorted(folder.iterdir())}
    (folder / SUMS).write_text(json.dumps(sums) + "\n", encoding="utf-8")


def check_sums(folder: Path, names: Iterable[str]) -> None:
    """Compare files of a folder with their noted sha256; a folder without any note is not judged.

    Raises:
        StoreError: a file is not what was noted, or is not noted.
        OSError, ValueError: a file or the note cannot be read.
    """
    if not (folder / SUMS).exists():  # of a program that noted none
        return
    sums = json.loads((folder / SUMS).read_text(encoding="utf-8"))
    for name in names:
        if not isinstance(sums, dict) or sums.get(name) != file_sha256(folder / name):
            raise StoreError(f"{folder / name} is not what was written there.")
