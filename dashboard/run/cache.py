"""Models and data sets that the Run page has opened, kept for a while and in bounded number."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from trust_core.audit.options import DataOptions
from trust_core.data import uploads
from trust_core.data.layouts import read_dataset
from trust_core.data.samples import Dataset
from trust_core.model.detector import Detector
from trust_core.model.open import (
    ModelFacts,
    ModelOptions,
    open_detector,
    open_for_audit,
    read_facts,
)

HOUR = 3600.0


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


KEYS: dict[str | type[Any], Callable[[Any], Any]] = {type(Path()): file_key, Dataset: data_key}


@st.cache_data(max_entries=32, ttl=HOUR, show_spinner="Recognising the model …", hash_funcs=KEYS)
def facts(path: Path, arch: str | None = None) -> ModelFacts:
    """What a model file is; raises as `read_facts`."""
    return read_facts(path, arch)


@st.cache_resource(max_entries=2, ttl=HOUR, show_spinner="Opening the model …", hash_funcs=KEYS)
def detector(path: Path, options: ModelOptions) -> Detector:
    """The detector, ready to run; two are kept for all sessions together.

    Raises:
        ModelError: the file cannot be opened, recognised or explained.
        SettingsError: an option means nothing for this network.
    """
    return open_detector(path, options)


@st.cache_resource(max_entries=2, ttl=HOUR, show_spinner="Opening the model …", hash_funcs=KEYS)
def audit_detector(path: Path, options: ModelOptions, data: Dataset) -> Detector:
    """The detector that an audit of this data set would have; raises as `open_for_audit`."""
    return open_for_audit(path, options, data, detector)


@st.cache_resource(max_entries=4, ttl=HOUR, show_spinner="Reading the images …", hash_funcs=KEYS)
def dataset(root: Path, reading: DataOptions, look: int = 0) -> Dataset:
    """The data set, listed and hashed; raises as `read_dataset`.

    Args:
        root: its folder.
        reading: how it is read.
        look: another number reads the folder anew.
    """
    return read_dataset(root, **vars(reading))


@st.cache_data(max_entries=32, ttl=HOUR, show_spinner="Unpacking …", hash_funcs=KEYS)
def unpacked(archive: Path) -> Path:
    """The folder of an archive on the server; a large one is hashed once, not at every look.

    Raises:
        DataError: the archive is refused, with the reason.
    """
    return uploads.unpack(archive)
