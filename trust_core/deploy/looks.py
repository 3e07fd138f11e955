"""What the page Deploy has computed: a try-out of a guard, and the report; asked in a sandbox.

As `trust_core.audit.part_looks`: PyTorch and onnxruntime are loaded in a process of their own.
"""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from trust_core.deploy.guard import Guard
from trust_core.deploy.inspection import Inspection, Inspector
from trust_core.deploy.onnx_guard import load_onnx_guard
from trust_core.deploy.pictures import inspection_pictures
from trust_core.deploy.policy import ONNX_GUARD
from trust_core.deploy.report.content import ReportSettings
from trust_core.deploy.report.write import make_report
from trust_core.errors import UnreadableImage
from trust_core.storage.audit_files import Audit

KEPT = 2  # guards


def try_guard(folder: Path, name: str, content: bytes, side: int) -> tuple[Inspection, list[bytes]]:
    """What a guard says of an image, and shows of it.

    Args:
        folder: of the guard; it does not change. Its ONNX graph decides where it has one.
        name: of the image.
        content: of its file.
        side: pixels along the longer side of a picture.

    Returns:
        The inspection without its maps, and the pictures of `inspection_pictures`; none where the
        image cannot be read.

    Raises:
        GuardRefused, StoreError, ModelError: as `Guard.load`.
    """
    guard = _guard(folder)
    inspection = guard.inspect([content], [name], maps=True)[0]
    try:
        photo = guard.policy.model_preprocessing.read(Path(name), content)
    except UnreadableImage:
        return inspection, []  # the reason stands in the inspection
    pictures = inspection_pictures(guard, inspection, photo, side)
    return replace(inspection, maps=None), pictures


def report_page(audit: Audit, settings: ReportSettings) -> bytes:
    """The report on an audit as an HTML file; raises as `make_report`."""
    return make_report(audit, settings).page


@lru_cache(KEPT)
def _guard(folder: Path) -> Inspector:
    graph = (folder / ONNX_GUARD).is_file()
    return load_onnx_guard(folder) if graph else Guard.load(folder)
