"""The model and the images of an audit, opened again for what a page computes on demand."""

import torch
from torch import Tensor

from trust_core.audit.reopen import reopened
from trust_core.data.images import read_image
from trust_core.figures.thumbnails import source
from trust_core.model.detector import Detector
from trust_core.storage.audit_files import Audit


def audited_detector(audit: Audit) -> Detector:
    """The audited model, opened once for all sessions together and kept for a while.

    Raises:
        ModelError: the file is gone, is another one, or cannot be opened.
    """
    from dashboard.run import cache  # Streamlit's: a worker does without

    return reopened(audit, cache.detector)


def network_input(audit: Audit, detector: Detector, path: str) -> Tensor:
    """What the detector sees of a photograph of the audit, `(c, H, W)` in [0, 1].

    Raises:
        UnreadableImage: the file is gone or cannot be decoded.
    """
    pixels = detector.preprocessing.pixels(read_image(source(audit, path)))
    return (torch.from_numpy(pixels).float() / 255).to(detector.device)
