"""A model and a data set that are to be audited, and what a first look at them shows."""

from dataclasses import dataclass
from pathlib import Path

from trust_core.data.samples import Dataset
from trust_core.model.checks.findings import Preview
from trust_core.model.facts import ModelOptions
from trust_core.model.outputs import Convention


@dataclass(frozen=True)
class Subject:
    """What is to be audited, and how the model is opened.

    Attributes:
        model: the model file.
        options: what is said of it.
        data: the data set.
        state: changes when the file or the data set does.
    """

    model: Path
    options: ModelOptions
    data: Dataset
    state: str


@dataclass(frozen=True)
class Look:
    """The detector that an audit would have, and what it makes of a few images.

    Attributes:
        architecture: full name.
        convention: what the outputs mean.
        notes: sentences the user should read.
        previews: a few images with the detector's answer.
    """

    architecture: str
    convention: Convention
    notes: tuple[str, ...]
    previews: list[Preview]
