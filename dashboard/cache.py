"""Results that pages keep for all sessions, and how an audit counts when they are looked up."""

import hashlib
import os
import threading
from collections.abc import Callable
from functools import wraps
from operator import attrgetter
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pandas as pd
import streamlit as st

from trust_core.audit.sandbox import GIBIBYTE, OPENING, GivenUp, Limits, Sandbox
from trust_core.audit.subject import Subject
from trust_core.data.samples import Dataset
from trust_core.storage.audit_files import Audit

Given = ParamSpec("Given")
Found = TypeVar("Found")
Keys = dict[str | type[Any], Callable[[Any], Any]]

HOUR = 3600.0
LOOKS = "trust_core.audit.looks"
SANDBOX = Sandbox(LOOKS)
"""Where everything foreign is opened, so that neither its weight nor its death is the server's."""
HALF_MEMORY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
WORKER_LIMITS = Limits(
    seconds=900,
    memory=max(2 * GIBIBYTE, HALF_MEMORY),
    advice="This machine may be too small for it; it is tried again in an hour.",
)
PART_LOOKS = "trust_core.audit.part_looks"
WORKER, BACKGROUND = Sandbox(PART_LOOKS), Sandbox(PART_LOOKS)
"""Where audited models run, and whatever else needs PyTorch: the server has none.

The second one is for what takes long. None is `SANDBOX`: what holds up one must not hold up others.
"""

WARM_AFTER = 3.0  # seconds: the first page of an audit stands by then


@st.cache_resource(show_spinner=False)
def warm_worker() -> None:
    """Have `WORKER` load PyTorch once a page of an audit stands: the first part need not wait.

    Once for a server; where nobody opens a part it ends as it does whenever nobody asks.
    """
    later = threading.Timer(WARM_AFTER, WORKER.start)
    later.daemon = True
    later.start()


def file_key(path: Path) -> tuple[object, ...]:
    """Changes when a file does; a folder, or what is not there, has its name alone."""
    if not path.is_file():
        return (str(path),)
    status = path.stat()
    return str(path), status.st_mtime_ns, status.st_size


def data_key(data: Dataset) -> str:
    """Changes when anything in the table of samples does."""
    rows = pd.util.hash_pandas_object(data.samples, index=False).to_numpy().tobytes()
    return hashlib.sha256(rows).hexdigest()


def subject_key(subject: Subject) -> str:
    """Changes when the model file, what is said of it, or the data set does."""
    return f"{subject.model}\n{subject.options}\n{subject.state}"


# Of `st.cache_data` and `st.cache_resource`: an audit is another one when its key is.
BY_KEY: Keys = {Audit: attrgetter("key")}
KEYS: Keys = {**BY_KEY, type(Path()): file_key, Dataset: data_key, Subject: subject_key}


def opening(file: Path) -> Limits:
    """What opening a file may take: 2 GiB, or what a large one needs to be converted."""
    return Limits(OPENING.seconds, max(OPENING.memory, 4 * bytes_of(file)))


def bytes_of(file: Path) -> int:
    """Bytes of a file; 0 of anything else."""
    return file.stat().st_size if file.is_file() else 0


def remembered(
    entries: int, spinner: str | bool = False
) -> Callable[[Callable[Given, Found]], Callable[Given, Found]]:
    """`st.cache_data` for what a sandbox answers: what was given up is not tried at every move."""

    def decorate(function: Callable[Given, Found]) -> Callable[Given, Found]:
        @wraps(function)
        def told(*given: Given.args, **named: Given.kwargs) -> Found | GivenUp:
            try:
                return function(*given, **named)
            except GivenUp as problem:
                return problem

        keep = st.cache_data(max_entries=entries, ttl=HOUR, show_spinner=spinner, hash_funcs=KEYS)
        kept = keep(told)

        @wraps(function)
        def found(*given: Given.args, **named: Given.kwargs) -> Found:
            answer = kept(*given, **named)
            if isinstance(answer, GivenUp):
                raise answer
            return answer

        return found

    return decorate
