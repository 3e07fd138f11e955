"""The model and the images of an audit, opened again for what a page computes on demand."""

from trust_core.audit.reopen import reopened
from trust_core.model.detector import Detector
from trust_core.storage.audit_files import Audit


def audited_detector(audit: Audit) -> Detector:
    """The audited model, opened once for all sessions together and kept for a while.

    Raises:
        ModelError: the file is gone, is another one, or cannot be opened.
    """
    from dashboard.run import cache  # Streamlit's: a worker does without

    return reopened(audit, cache.detector)
