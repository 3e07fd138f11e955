"""Opening the model of an audit again, as it was audited."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trust_core.data.images import audited_bytes
from trust_core.errors import ModelError
from trust_core.model.detector import Detector
from trust_core.model.open import ModelOptions, open_detector
from trust_core.model.preprocessing import noted_preprocessing
from trust_core.storage.audit_files import Audit


def model_path(audit: Audit) -> Path:
    """Where the audited model lies.

    Raises:
        ModelError: the audit does not say, or the file has moved.
    """
    model = audit.manifest.model
    if not model.path:
        raise ModelError(
            "This audit does not say where its model file lies; run the audit again to compute "
            "more with it."
        )
    path = Path(model.path)
    if not path.is_file():
        raise ModelError(f"The model file has moved: {path} is not there. Put it back and retry.")
    return path


def audited_options(audit: Audit) -> ModelOptions:
    """How the audited model was opened, what was taken by rule included."""
    seen = asdict(noted_preprocessing(audit.manifest.model.preprocessing))
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in audit.manifest.model.options.items()
    }
    return ModelOptions(**given | seen | {"layers": (audit.manifest.layer,)})


def reopen_detector(
    audit: Audit,
    opening: Callable[[Path, ModelOptions], Detector] = open_detector,
    path: Path | None = None,
) -> Detector:
    """The audited model, in the architecture it was audited in.

    `path` is where the file lies now; where the audit says when None.

    Raises:
        ModelError: the file is gone, is another one, or cannot be opened.
    """
    path = model_path(audit) if path is None else path
    options, model = audited_options(audit), audit.manifest.model
    detector = opening(path, options)
    if detector.sha256 != model.sha256:
        raise ModelError(
            f"{path.name} is not the file that was audited (its sha256 differs), so what it "
            "computes would say nothing of this audit; put the audited file back, or audit this "
            "one."
        )
    if detector.architecture != model.architecture:  # the weights fit several; the images chose
        detector = opening(path, replace(options, arch=model.architecture))
    return detector


def network_input(audit: Audit, detector: Detector, path: str) -> Tensor:
    """What the detector sees of a photograph of the audit, `(c, H, W)` in [0, 1].

    Raises:
        UnreadableImage: the file is gone, has changed since, or cannot be decoded.
    """
    file, rule = audit.data_file(path), detector.preprocessing
    pixels = rule.pixels(rule.read(file, audited_bytes(file, audit.listed_sha256(path))))
    return (torch.from_numpy(pixels).float() / 255).to(detector.device)
