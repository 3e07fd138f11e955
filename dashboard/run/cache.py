"""Models and data sets as the Run page sees them: opened in a sandbox, kept in bounded number."""

import hashlib
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, BinaryIO, ParamSpec, TypeVar, cast

import pandas as pd
import streamlit as st

from dashboard.cache import FILES, file_key
from trust_core.audit.options import DataOptions
from trust_core.audit.subject import Subject
from trust_core.data import archives, uploads
from trust_core.data.samples import Dataset
from trust_core.model.facts import ModelFacts, ModelOptions
from trust_core.sandbox import GIBIBYTE, OPENING, GivenUp, Limits, Sandbox

Given = ParamSpec("Given")
Found = TypeVar("Found")

HOUR = 3600.0
# What was opened runs, or is as large as the server's own disk: that takes its time and room.
WORK = Limits(
    seconds=900,
    memory=max(2 * GIBIBYTE, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2),
)
LOOKS = "trust_core.audit.looks"
SAMPLE_IMAGES = "trust_core.model.checks.sample_images"
SANDBOX = Sandbox(LOOKS)
"""Where everything foreign is opened, so that neither its weight nor its death is the server's."""


def data_key(data: Dataset) -> str:
    """Changes when anything in the table of samples does."""
    rows = pd.util.hash_pandas_object(data.samples, index=False).to_numpy().tobytes()
    return hashlib.sha256(rows).hexdigest()


KEYS: dict[str | type[Any], Callable[[Any], Any]] = {**FILES, Dataset: data_key}


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


def opening(model: Path) -> Limits:
    """What opening a model file may take: 2 GiB, or what a large one needs to be converted."""
    return Limits(OPENING.seconds, max(OPENING.memory, 4 * _size(model)))


def working(model: Path) -> Limits:
    """What trying a model on images may take."""
    return Limits(WORK.seconds, max(WORK.memory, 4 * _size(model)))


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


@remembered(32, "Recognising the model …")
def facts(path: Path, arch: str | None = None) -> ModelFacts:
    """What a model file is; raises as `read_facts`, or GivenUp."""
    function = "trust_core.model.open:read_facts"
    found = SANDBOX.call(function, path, arch, what=path.name, limits=opening(path))
    return cast(ModelFacts, found)


@remembered(1)
def architectures() -> tuple[str, ...]:
    """Names that may be given for an architecture."""
    function = "trust_core.model.recognition.architectures:architecture_names"
    return cast("tuple[str, ...]", SANDBOX.call(function, what="The list of architectures"))


@st.cache_resource(max_entries=4, ttl=HOUR, show_spinner="Reading the images …", hash_funcs=KEYS)
def dataset(root: Path, reading: DataOptions, look: int = 0) -> Dataset:
    """The data set, listed and hashed; raises as `read_dataset`.

    Args:
        root: its folder.
        reading: how it is read.
        look: another number reads the folder anew.
    """
    function = f"{LOOKS}:read_data"
    return cast(Dataset, SANDBOX.call(function, root, reading, what=root.name, limits=WORK))


@st.cache_data(max_entries=32, ttl=HOUR, show_spinner="Unpacking …", hash_funcs=KEYS)
def unpacked(archive: Path) -> Path:
    """The folder of an archive on the server; a large one is hashed once, not at every look.

    Raises:
        DataError: the archive is refused, with the reason.
    """
    return unpack(archive)


def unpack(archive: Path) -> Path:
    """The data folder that an archive holds, as `uploads.unpack`, in the sandbox."""
    return uploads.unpack(archive, _extract)


def store_model(upload: BinaryIO, name: str) -> Path:
    """Write an uploaded model to disk, as `uploads.store_model`; a zip goes to the sandbox."""
    return uploads.store_model(upload, name, _extract)


def _extract(archive: Path, folder: Path, size: archives.UnpackLimits) -> Path:
    function = "trust_core.data.archives:unpacked"
    found = SANDBOX.call(function, archive, folder, size, what=archive.name, limits=WORK)
    return cast(Path, found)


def subject(model: Path, options: ModelOptions, data: Dataset) -> Subject:
    """What is to be audited, as the sandbox knows it."""
    return Subject(model, options, data, f"{file_key(model)} {data_key(data)}")
