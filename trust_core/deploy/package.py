"""A guard as one file to be carried to the line, exported by a process of its own."""

import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from trust_core.decision.certificate import Demand
from trust_core.errors import StoreError
from trust_core.storage.audit_files import Audit


def guard_zip(audit: Audit, demand: Demand, audit_rate: float, *, onnx: bool = False) -> bytes:
    """The zip file of the guard of the last noted operating point, its files in a folder `guard`.

    `guard export` runs as a process of its own: loading PyTorch would hold up a server for long.
    The other arguments are those of `export_guard`.

    Raises:
        StoreError: the export failed; in the sentence it ended with.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "guard"
        words = [
            *("guard", "export", str(audit.folder), "--out", str(folder)),
            *(f"--recall={demand.recall}", f"--confidence={demand.confidence}"),
            f"--audit-rate={audit_rate}",
            *(["--onnx"] if onnx else []),
        ]
        done = subprocess.run(  # noqa: S603 - our own program, words of ours
            [sys.executable, "-m", "trust_core", *words],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StoreError((done.stderr.strip().splitlines() or ["The export failed."])[-1])
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(folder.iterdir()):
                archive.write(path, f"guard/{path.name}")
    return content.getvalue()


def open_zip(content: bytes, folder: Path) -> Path:
    """Unpack what `guard_zip` made; the folder of the guard."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)
    return folder / "guard"
