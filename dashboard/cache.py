"""Results that pages keep for all sessions, and how an audit counts when they are looked up."""

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from trust_core.storage.audit_files import Audit

if TYPE_CHECKING:
    from trust_core.model.detector import Detector

# Of `st.cache_data` and `st.cache_resource`: an audit is another one when its key is.
BY_KEY: dict[str | type[Any], Callable[[Any], Any]] = {Audit: attrgetter("key")}


def audited_detector(audit: Audit) -> "Detector":
    """The audited model, opened once for all sessions together.

    Raises:
        ModelError: the file is gone, is another one, or cannot be opened.
    """
    # PyTorch takes seconds to load: only who computes something anew waits for it.
    from dashboard.run import cache
    from trust_core.audit.reopen import reopen_detector

    return reopen_detector(audit, cache.detector)
