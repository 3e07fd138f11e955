"""The server never loads PyTorch: a walk over all pages, with all that they have computed."""

import io
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.dashboard.ware import write_audit, write_zip
from tests.fakes import random_parts
from trust_core.decision.journal import decide
from trust_core.deploy.export import export_guard
from trust_core.deploy.operating_point import DeployedPoint

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_no_page_loads_pytorch(workspace: Path, tmp_path: Path) -> None:
    audit = write_audit(workspace / "walked", random_parts(140, strengths=1))
    decide(audit, "iou_difference", 0.1, 0.0, "try", "Jane")
    data = workspace / "uploads" / "data"
    folder, packed = tmp_path / "guard", io.BytesIO()
    export_guard(audit, folder, DeployedPoint("iou_difference", 0.0, 0.1, "a test"))
    with zipfile.ZipFile(packed, "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"guard/{path.name}")
    guard = tmp_path / "guard.zip"
    guard.write_bytes(packed.getvalue())
    shutil.unpack_archive(write_zip(tmp_path / "parts.zip", {"good": 4, "crack": 3}), data)
    words = ("walked", str(guard), audit.manifest.model.path, str(data))
    walked = subprocess.run(
        [sys.executable, "-m", "tests.dashboard.walk", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert walked.returncode == 0, walked.stderr[-3000:]
