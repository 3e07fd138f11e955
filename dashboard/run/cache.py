"""Models and data sets that the Run page has opened, kept for a while and in bounded number."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import streamlit as st

from trust_core.audit.options import DataOptions
from trust_core.data import uploads
from trust_core.data.layouts import read_dataset
from trust_core.data.samples import Dataset
from trust_core.errors import ModelError
from trust_core.model.detector import Detector
from trust_core.model.open import ModelOptions, open_detector, open_for_audit, read_card
from trust_core.model.outputs import Convention, choose_convention
from trust_core.model.preprocessing import Preprocessing
from trust_core.model.recognition.architectures import torchvision_names

HOUR = 3600.0


@dataclass(frozen=True)
class Facts:
    """What a model file is, before anything is said about its input.

    Attributes:
        architecture: full name.
        outputs: K.
        convention: what the outputs mean by rule; None when the user has to say.
        preprocessing: of the input, by rule.
        layer: the explanation layer by rule.
        layers: every layer that can be explained, with its channels and grid (C, h, w).
        notes: sentences the user should read.
    """

    architecture: str
    outputs: int
    convention: Convention | None
    preprocessing: Preprocessing
    layer: str
    layers: dict[str, tuple[int, int, int]]
    notes: tuple[str, ...]


def facts(path: Path, arch: str | None = None) -> Facts:
    """Recognise a model file.

    Raises:
        ModelError: it cannot be opened safely, recognised or explained.
    """
    return _facts(path, arch, _stamp(path))


def detector(path: Path, options: ModelOptions) -> Detector:
    """The detector, ready to run; two are kept for all sessions together.

    Raises:
        ModelError: the file cannot be opened, recognised or explained.
        SettingsError: an option means nothing for this network.
    """
    return _detector(path, options, _stamp(path))


def audit_detector(path: Path, options: ModelOptions, data: Dataset) -> Detector:
    """The detector that an audit of this data set would have.

    Raises:
        ModelError: as `detector`.
        SettingsError: as `detector`.
        DataError: as `open_for_audit`.
    """
    return _audit_detector(path, options, _stamp(path), data_key(data), data)


def dataset(root: Path, reading: DataOptions, look: int = 0) -> Dataset:
    """The data set, listed and hashed.

    Args:
        root: its folder.
        reading: how it is read.
        look: another number reads the folder anew.

    Raises:
        DataError: it cannot be audited as it is; `LabelsNeeded` when the user has to say more.
    """
    tables = (reading.samples, reading.roles)
    stamp = tuple(number for table in tables if table for number in _stamp(table))
    return _dataset(root, reading, stamp, look)


def unpacked(archive: Path) -> Path:
    """The folder of an archive on the server; a large one is hashed once, not at every look.

    Raises:
        DataError: the archive is refused, with the reason.
    """
    return _unpacked(archive, _stamp(archive))


def data_key(data: Dataset) -> str:
    """Changes when anything in the table of samples does."""
    rows = pd.util.hash_pandas_object(data.samples, index=False).to_numpy().tobytes()
    return hashlib.sha256(rows).hexdigest()


@st.cache_data(max_entries=32, ttl=HOUR, show_spinner="Recognising the model …")
def _facts(path: Path, arch: str | None, stamp: Sequence[int]) -> Facts:
    card = read_card(path)
    rule = card.convention if card else None
    try:
        found = open_detector(path, ModelOptions(arch=arch))
        rule = rule or choose_convention(found.convention.outputs)
    except ModelError as problem:
        # More than two outputs have to be told apart by the user: any choice shows how many.
        try:
            found = open_detector(path, ModelOptions(arch=arch, good_index=(0,)))
        except ModelError:
            raise problem from None
    return Facts(
        architecture=found.architecture,
        outputs=found.convention.outputs,
        convention=rule,
        preprocessing=found.preprocessing,
        layer=found.layers[0],
        layers=found.layer_grids(),
        notes=found.notes,
    )


@st.cache_resource(max_entries=2, ttl=HOUR, show_spinner="Opening the model …")
def _detector(path: Path, options: ModelOptions, stamp: Sequence[int]) -> Detector:
    return open_detector(path, options)


@st.cache_resource(max_entries=2, ttl=HOUR, show_spinner="Opening the model …")
def _audit_detector(
    path: Path, options: ModelOptions, stamp: Sequence[int], key: str, _data: Dataset
) -> Detector:
    return open_for_audit(path, options, _data, detector)


@st.cache_resource(max_entries=4, ttl=HOUR, show_spinner="Reading the images …")
def _dataset(root: Path, reading: DataOptions, stamp: Sequence[int], look: int) -> Dataset:
    return read_dataset(root, **vars(reading))


def _stamp(path: Path) -> tuple[int, ...]:
    """Changes when the file does; empty for one that is not there, which opening will say."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_size


@st.cache_data(max_entries=32, ttl=HOUR, show_spinner="Unpacking …")
def _unpacked(archive: Path, stamp: Sequence[int]) -> Path:
    return uploads.unpack(archive)


@st.cache_data(show_spinner=False)
def architecture_names() -> list[str]:
    """Names that may be given for an architecture, torchvision's first."""
    import timm

    plain = sorted(torchvision_names())
    return [f"torchvision/{name}" for name in plain] + [f"timm/{n}" for n in timm.list_models()]
