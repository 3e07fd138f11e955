"""Results that pages keep for all sessions, and how an audit counts when they are looked up."""

from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from trust_core.model.facts import ModelOptions
from trust_core.storage.audit_files import Audit

if TYPE_CHECKING:
    from trust_core.model.detector import Detector


def file_key(path: Path) -> tuple[object, ...]:
    """Changes when a file does; a folder, or what is not there, has its name alone."""
    if not path.is_file():
        return (str(path),)
    status = path.stat()
    return str(path), status.st_mtime_ns, status.st_size


# Of `st.cache_data` and `st.cache_resource`: an audit is another one when its key is.
BY_KEY: dict[str | type[Any], Callable[[Any], Any]] = {Audit: attrgetter("key")}
FILES: dict[str | type[Any], Callable[[Any], Any]] = {type(Path()): file_key}


def audited_detector(audit: Audit) -> "Detector":
    """The audited model, opened once for all sessions together.

    Raises:
        ModelError: the file is gone, is another one, or cannot be opened.
    """
    # PyTorch takes seconds to load: only who computes something anew waits for it.
    from trust_core.audit.reopen import reopen_detector

    return reopen_detector(audit, _detector)


@st.cache_resource(max_entries=2, ttl=3600.0, show_spinner="Opening the model …", hash_funcs=FILES)
def _detector(path: Path, options: ModelOptions) -> "Detector":
    """The detector, ready to run; two are kept for all sessions together."""
    from trust_core.model.open import open_detector

    return open_detector(path, options)
