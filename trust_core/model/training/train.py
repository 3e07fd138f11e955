"""Training of a multi-task network on a data set, into a file that an audit opens."""

import json
import math
import shutil
import time
from collections.abc import Callable
from csv import QUOTE_NONNUMERIC
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from trust_core.data.files import file_sha256
from trust_core.data.samples import Dataset
from trust_core.errors import ModelError, StoreError, TrustError, file_errors
from trust_core.messages import Message
from trust_core.model.detector import Detector
from trust_core.model.open import write_model
from trust_core.model.training.epochs import Epoch, best_epoch
from trust_core.model.training.examples import prepare_images, with_train_role
from trust_core.model.training.loop import CHECKPOINT, TrainingProgress, fit
from trust_core.model.training.network import MultiTask
from trust_core.model.training.pretrained import load_encoder, weights_file
from trust_core.model.training.settings import TrainingSettings
from trust_core.storage.csv_text import harmless_path
from trust_core.storage.locks import LOCK, writer_lock
from trust_core.storage.progress import read_progress

IDENTITY = "run.json"
RARE = 0.02  # share of defective pixels that a mask begins with


@dataclass(frozen=True)
class TrainingResult:
    """What a run left.

    `model` is the `.safetensors` file, its card beside it; `best` the epoch whose weights these
    are; `roles` a CSV of `path,role`, for an audit of the same data; `seconds` are of all runs
    together.
    """

    model: Path
    history: list[Epoch]
    best: Epoch
    roles: Path
    notes: tuple[str, ...]
    seconds: float


def train(
    dataset: Dataset,
    settings: TrainingSettings,
    out: Path,
    *,
    progress: Callable[[TrainingProgress], None] = lambda _: None,
    device: str | None = None,
) -> TrainingResult:
    """Train a network and write it with its card; goes on where an interrupted run ended.

    Beside `NAME.safetensors` and its card `NAME.json` stand `NAME.history.csv` (a row an epoch) and
    `NAME.roles.csv` (which images it has learnt from: the audit's `--roles`). While it runs, all is
    in the folder `NAME.training`.

    Args:
        dataset: with masks, for `joint` and `mask`. Without any split, half of its parts are used
            to train on.
        settings: what to do.
        out: `NAME.safetensors`.
        progress: called after every step.
        device: "cpu", "cuda", ...; when None, CUDA if there is any.

    Raises:
        DataError: the data cannot be learnt from.
        SettingsError: first weights that are not there.
        ModelError: an encoder that cannot be built, or first weights that do not fit.
        StoreError: `out` cannot be written, exists, or an interrupted run of other settings or data
            lies beside it.
    """
    began = time.monotonic()
    folder = _make_folder(out)
    with file_errors(f"{folder} cannot be written"):
        busy = f"{out} is being trained by another run; wait, or stop it."
        with writer_lock(folder / LOCK, busy):
            earlier = read_progress(folder).seconds
            try:
                dataset = with_train_role(dataset)
                _check_identity(folder, dataset, settings)
                network = first_network(settings)
                layer = explained_layer(settings)
                data = prepare_images(
                    dataset, settings.preprocessing, folder, masks=settings.needs_masks
                )
                network = network.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
                end = fit(network, data, settings, folder, progress)
                network.load_state_dict(end.best)
                roles = out.with_suffix(".roles.csv")
                table = dataset.samples[["path", "role"]]
                table = table.assign(path=table["path"].map(harmless_path))
                table.to_csv(roles, index=False, quoting=QUOTE_NONNUMERIC)
                pd.DataFrame(end.history).to_csv(out.with_suffix(".history.csv"), index=False)
                write_model(out, network, settings.card(layer))
            except TrustError:
                if not (folder / CHECKPOINT).exists():
                    shutil.rmtree(folder, ignore_errors=True)  # nothing to go on from
                raise
            shutil.rmtree(folder)
    notes = (*dataset.notes, *data.notes)
    best, seconds = best_epoch(end.history), earlier + time.monotonic() - began
    return TrainingResult(out, end.history, best, roles, notes, seconds)


def first_network(settings: TrainingSettings) -> MultiTask:
    """The network before its first step; of one seed, all objectives begin with the same weights.

    Raises:
        ModelError: an encoder that cannot be built, or first weights that do not fit.
        SettingsError: first weights that are not there.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        first = replace(settings, objective="joint").blueprint.build().state_dict()
        network = settings.blueprint.build()
    assert isinstance(network, MultiTask)
    network.load_state_dict({key: first[key] for key in network.state_dict()})
    if network.segmentation_head is not None:
        # Defects are rare, so begin there, not at a half (Lin et al., "Focal loss", 2017).
        nn.init.constant_(
            network.get_parameter("segmentation_head.0.bias"), -math.log((1 - RARE) / RARE)
        )
    if settings.weights:
        load_encoder(network.encoder, settings.weights, settings.encoder)
    return network.to(memory_format=torch.channels_last)


def explained_layer(settings: TrainingSettings) -> str:
    """Where the network is explained: the deepest layer of the shared encoder.

    It is what the detector's rule takes of the classification branch. A `mask` network by itself
    would be explained at the full size of its mask; so all objectives are at the same place.
    """
    branch = replace(settings, objective="label")
    with torch.random.fork_rng(devices=[]):
        network = branch.blueprint.build()
    return Detector(network, branch.preprocessing, branch.convention).layers[0]


def _make_folder(out: Path) -> Path:
    """The folder of the run beside `out`, made where it is not there.

    Raises:
        StoreError: another ending than `.safetensors`, a file that is there already, no rights.
    """
    if out.suffix != ".safetensors":
        raise StoreError(Message("{out} {file}: name a file that ends in .safetensors.", file=out))
    folder = out.with_suffix(".training")
    if out.exists() and not folder.exists():
        raise StoreError(
            Message("{file} is there already; choose another name ({out}), or delete it.", file=out)
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LOCK).touch()
    except OSError as error:
        raise StoreError(
            Message(
                "{file} cannot be written: {reason}; make room there, see to the rights, or choose "
                "another place ({out}).",
                file=out,
                reason=error.strerror,
            )
        ) from error
    return folder


def _check_identity(folder: Path, dataset: Dataset, settings: TrainingSettings) -> None:
    """Make sure that what lies in the folder is of these settings and this data.

    Raises:
        StoreError: it is of others.
        ModelError: the file of first weights is not there.
    """
    weights = weights_file(settings.weights, settings.encoder) if settings.weights else None
    if weights and not weights.is_file():
        raise ModelError(f"There is no file of weights {weights}.")
    columns = ["path", "sha256", "label", "role", "group", "mask_path"]
    content = [
        asdict(settings),
        file_sha256(weights) if weights else "",
        dataset.samples[columns].to_numpy().tolist(),
    ]
    digest = sha256(json.dumps(content).encode()).hexdigest()
    place = folder / IDENTITY
    if place.exists() and json.loads(place.read_text())["sha256"] != digest:
        raise StoreError(
            Message(
                "{folder} holds an interrupted run of other settings or data; give the same "
                "command to go on, delete the folder to begin anew, or choose another name "
                "({out}).",
                folder=folder,
            )
        )
    place.write_text(json.dumps({"sha256": digest}))
