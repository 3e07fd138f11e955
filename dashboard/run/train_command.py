"""What the Train section has been told, as the commands that do it: train, and then audit."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

import pandas as pd

from dashboard.run.command import DataOptions, Order, arguments, slug
from trust_core.data.samples import Dataset
from trust_core.storage.workspace import NETWORKS, workspace_folder

OBJECTIVES = {
    "joint": "label and mask together",
    "mask": "the mask alone: a part is defective when any pixel is",
    "label": "the label alone",
}
ENCODERS = {
    "tu-tf_efficientnet_lite0": "EfficientNet-Lite0, the usual choice",
    "tu-test_efficientnet": "a tiny one, to try it out in minutes",
}
PATIENCE = 8


@dataclass(frozen=True)
class TrainOrder:
    """A network to be trained.

    Attributes:
        data: the data folder.
        out: the `.safetensors` file.
        objective: a key of `OBJECTIVES`.
        encoder: a key of `ENCODERS`.
        size: height and width of the input.
        epochs: at most; it stops when `PATIENCE` of them bring nothing better.
        imagenet: start from ImageNet weights.
        reading: of the data.
    """

    data: Path
    out: Path
    objective: str
    encoder: str
    size: int
    epochs: int
    imagenet: bool = False
    reading: DataOptions = field(default_factory=DataOptions)


def train_arguments(order: TrainOrder) -> list[str]:
    """What follows `python -m trust_core` to train."""
    words = ["train", str(order.data), f"--objective={order.objective}", f"--out={order.out}"]
    words += [f"--encoder={order.encoder}", f"--size={order.size}", f"--epochs={order.epochs}"]
    words += [f"--patience={PATIENCE}", *(["--weights=imagenet"] if order.imagenet else [])]
    return [*words, *_of_data(order.data, order.reading), "--json"]


def audit_arguments(training: Sequence[str], out: Path) -> list[str]:
    """The audit of what a training command makes, on the same data, with the roles it learnt by.

    Args:
        training: the words of `train_arguments`.
        out: the audit folder.
    """
    model = network_of(training)
    roles = f"--roles={model.with_suffix('.roles.csv')}"
    reading = _reading_words(training)
    return ["audit", str(model), training[1], *reading, roles, f"--out={out}", "--json"]


def network_of(training: Sequence[str]) -> Path:
    """The file that a training command makes."""
    return Path(next(w.removeprefix("--out=") for w in training if w.startswith("--out=")))


def network_file(name: str) -> Path:
    """Where a network of this name is kept."""
    return workspace_folder().resolve() / NETWORKS / f"{slug(name)}.safetensors"


def run_folder(model: Path) -> Path:
    """What the worker writes while a network is trained."""
    return model.with_suffix(".training")


def what_is_learnt(samples: pd.DataFrame) -> str:
    """What the roles mean for a training run, in a sentence with its counts."""
    counts = {
        role: (len(part), part["group"].nunique())
        for role, part in samples.groupby("role", sort=False)
    }
    learns, stops = (counts.get(role, (0, 0)) for role in ("train", "tune"))
    closed = sum(counts.get(role, (0, 0))[0] for role in ("certify", "test"))
    return (
        f"It learns from {learns[0]:,} images of {learns[1]:,} parts and keeps the epoch that is "
        f"best on {stops[0]:,} others of {stops[1]:,} parts. {closed:,} images stay unseen, for "
        "the audit."
    )


def marked(data: Dataset) -> int:
    """How many defective images come with a mask."""
    samples = data.samples
    return int(((samples["label"] == 1) & (samples["mask_path"] != "")).sum())


def _of_data(data: Path, reading: DataOptions) -> list[str]:
    """How the data are read, in the words that an audit of them would have."""
    words = arguments(Order(Path(), data, Path(), reading=reading))
    return [*_reading_words(words), *(word for word in words if word.startswith("--roles="))]


def _reading_words(words: Sequence[str]) -> list[str]:
    """What a command says of the data, but for the roles."""
    flags = ("--samples=", "--group-column=", "--group-pattern=")
    kept = [word for word in words if word.startswith(flags)]
    if "--good" in words:
        names = words[words.index("--good") + 1 :]
        kept += ["--good", *takewhile(lambda word: not word.startswith("--"), names)]
    return kept
