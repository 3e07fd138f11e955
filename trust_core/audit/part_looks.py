"""What an open part shows beyond what its audit keeps: asked by a page, answered in a sandbox.

These functions open and run the audited model in a process of their own (`audit.sandbox`), so
that a server never loads PyTorch; their arguments and results are plain values that cross to it. A
process keeps the last detectors that it has opened: the next part, or the next form of evidence,
opens none.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from trust_core.audit import evidence_job
from trust_core.audit.evidence_store import evidence_scale
from trust_core.audit.gradcam_check import GradcamCheck, check_maps, package_form
from trust_core.audit.probe_explanation import ProbeExplanation, explain_probe
from trust_core.audit.reopen import network_input, reopen_detector
from trust_core.explanation.evidence.audit_gaussian import audit_patch_gaussian
from trust_core.explanation.evidence.forms import evidence, occlude_all
from trust_core.explanation.evidence.windows import Evidence
from trust_core.figures.part_maps import PartMaps, maps_of, with_map
from trust_core.model.detector import Detector
from trust_core.model.facts import ModelOptions
from trust_core.model.open import open_detector
from trust_core.storage.audit_files import Audit

KEPT = 2  # detectors


def part_heatmaps(audit: Audit, scores: Sequence[Mapping[str, Any]]) -> list[PartMaps]:
    """The kept maps of rows of `scores.parquet`, with the masks of the score; opens no model."""
    return [maps_of(audit, score) for score in scores]


def learn(audit: Audit, window: int) -> None:
    """Have what surroundings let expect fitted and kept, where it is not; as `part_evidence`."""
    audit_patch_gaussian(audit, window)


def part_evidence(audit: Audit, path: str, form: str, window: int, stride: int | None) -> Evidence:
    """One form of evidence of one part, without its check.

    Args:
        audit: the audit.
        path: of the part in its sample table.
        form: a key of `FORMS`.
        window: k.
        stride: from window to window; the usual one of the form when None.

    Raises:
        ModelError: the model is gone, or another.
        UnreadableImage: the photograph is.
        DataError: no image is left to learn from.
    """
    detector = _detector(audit)
    pixels = network_input(audit, detector, path)
    surroundings = audit_patch_gaussian(audit, window)
    return evidence(detector, pixels, surroundings, form, window=window, stride=stride, check=False)


def lost(audit: Audit, path: str, form: str, window: int) -> float:
    """What is lost when all windows of that evidence are replaced at once, in bits; raises so."""
    detector = _detector(audit)
    pixels = network_input(audit, detector, path)
    return occlude_all(detector, pixels, audit_patch_gaussian(audit, window), form, window=window)


def scale(audit: Audit, form: str, window: int) -> float:
    """Bits at the end of the colours of a form and window; raises as `evidence_scale`."""
    return evidence_scale(audit, _detector(audit), audit_patch_gaussian(audit, window), form)


def pass_seconds(audit: Audit) -> float:
    """Seconds that an image takes through the network here."""
    return evidence_job.pass_seconds(_detector(audit))


def compare_gradcam(
    audit: Audit, path: str, score: Mapping[str, Any]
) -> tuple[GradcamCheck, PartMaps, dict[str, PartMaps]]:
    """The kept maps against grad-cam, with their masks: ours, and by side with the package's map.

    Args:
        audit: the audit.
        path: of the part in its sample table.
        score: its row of `scores.parquet` at ε = 0.

    Raises:
        SettingsError, ModelError, UnreadableImage: as `check_maps`.
    """
    package_form(audit)  # or there is nothing to open the model for
    ours = maps_of(audit, score)
    check = check_maps(audit, _detector(audit), path, ours.raw)
    theirs = {side: with_map(audit, ours, side, values) for side, values in check.theirs.items()}
    return check, ours, theirs


def second_reading(audit: Audit, sample_id: str, path: str) -> ProbeExplanation:
    """The map of the probe at the depth that speaks loudest; raises as `explain_probe`."""
    return explain_probe(audit, _detector(audit), sample_id, path)


def _detector(audit: Audit) -> Detector:
    """The audited model, ready to run; the last ones are kept."""

    def opening(path: Path, options: ModelOptions) -> Detector:
        status = path.stat()
        return _opened(path, status.st_mtime_ns, status.st_size, options)

    return reopen_detector(audit, opening)


@lru_cache(KEPT)
def _opened(path: Path, changed: int, size: int, options: ModelOptions) -> Detector:
    """The detector of a file as it is now; `changed` and `size` tell it from what it was."""
    return open_detector(path, options)
