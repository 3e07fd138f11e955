"""An audit with many overlaps."""

import pytest

from tests.small import small_dataset, small_detector
from trust_core.audit.run import run_audit
from trust_core.audit.settings import AuditSettings
from trust_core.storage.audit_files import Audit

SETTINGS = AuditSettings(
    strengths=(0, 2),
    specific=("gradcam", "layercam"),
    agnostic=("gradient", "eigen"),
    mask="otsu",
    decision_threshold=0.999,  # most images are passed
)


@pytest.fixture(scope="package")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """Two layers, two pairs of each kind, of a small network."""
    folder = tmp_path_factory.mktemp("autotune")
    detector = small_detector(layers=("3", "1"))
    return run_audit(detector, small_dataset(folder / "images", 80), SETTINGS, folder / "audit")
