"""Models and data sets as the Run page sees them: opened in a sandbox, kept in bounded number."""

from pathlib import Path
from typing import BinaryIO, cast

import streamlit as st

from dashboard.cache import (
    HALF_MEMORY,
    HOUR,
    KEYS,
    LOOKS,
    SANDBOX,
    bytes_of,
    data_key,
    file_key,
    opening,
    remembered,
)
from trust_core.audit.options import DataOptions
from trust_core.audit.sandbox import GIBIBYTE, OPENING, Limits
from trust_core.audit.subject import Subject
from trust_core.data import archives, uploads
from trust_core.data.duplicates import MOST_LOOKED_AT
from trust_core.data.files import list_files
from trust_core.data.roles import ROLES
from trust_core.data.samples import Dataset
from trust_core.errors import TrustError
from trust_core.model.facts import ModelFacts, ModelOptions

# Seconds of processor time beyond those of `OPENING`, several times what was measured.
A_FILE, A_BYTE, A_MEGABYTE = 0.001, 1e-8, 0.1  # listed; hashed; unpacked
A_PICTURE, A_PASS = 0.5, 4.0  # decoded; decoded and put through a network several times
LOOKED_AT, TRIED, COMPARED = 10, 32, 100  # pictures of a look, a trial, a comparison
NORMALISATIONS, SIZES = 4, 10  # that a trial is made with
SAMPLE_IMAGES = "trust_core.model.checks.sample_images"


def working(model: Path, pictures: int) -> Limits:
    """What putting so many pictures through a model may take."""
    memory = max(2 * GIBIBYTE, HALF_MEMORY, 4 * bytes_of(model))
    return Limits(OPENING.seconds + round(A_PASS * pictures), memory)


def listing(root: Path) -> Limits:
    """What listing and hashing a data folder may take."""
    files = list_files(root)
    seconds = A_FILE * len(files) + A_BYTE * sum(bytes_of(root / name) for name in files)
    return Limits(OPENING.seconds + round(seconds), OPENING.memory + 4096 * len(files))


def comparing(pictures: int) -> Limits:
    """What looking for pictures that are nearly the same may take."""
    most = min(pictures, MOST_LOOKED_AT * len(ROLES))
    return Limits(OPENING.seconds + round(A_PICTURE * most))


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


@st.cache_resource(max_entries=4, ttl=HOUR, show_spinner="Reading the photos …", hash_funcs=KEYS)
def dataset(root: Path, reading: DataOptions, look: int = 0) -> Dataset:
    """The data set, listed and hashed; raises as `read_dataset`.

    Args:
        root: its folder.
        reading: how it is read.
        look: another number reads the folder anew.
    """
    function, limits = f"{LOOKS}:read_data", listing(root)
    return cast(Dataset, SANDBOX.call(function, root, reading, what=root.name, limits=limits))


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
    """Write an uploaded model to disk, as `uploads.store_model`; a zip goes to the sandbox.

    Raises:
        TrustError: also where the file cannot be opened at all; it is deleted then. One that is
            only not recognised stays, for its architecture can be named.
    """
    path = uploads.store_model(upload, name, _extract)
    try:
        facts(path)
    except TrustError:
        try:
            check = "trust_core.model.open:check_file"
            SANDBOX.call(check, path, what=path.name, limits=opening(path))
        except TrustError:
            uploads.remove(path)
            raise
    return path


def _extract(archive: Path, folder: Path, size: archives.UnpackLimits) -> Path:
    function = "trust_core.data.archives:unpacked"
    limits = Limits(OPENING.seconds + round(A_MEGABYTE * archive.stat().st_size / 1e6))
    found = SANDBOX.call(function, archive, folder, size, what=archive.name, limits=limits)
    return cast(Path, found)


def subject(model: Path, options: ModelOptions, data: Dataset) -> Subject:
    """What is to be audited, as the sandbox knows it."""
    return Subject(model, options, data, f"{file_key(model)} {data_key(data)}")
