"""An audit or a training run as the words of the command that does it, and the worker that runs it.

A page shows this command and a worker process runs it: the very same list.
"""

import hashlib
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from trust_core.audit import jobs
from trust_core.audit.options import OPTIONS, DataOptions, data_options
from trust_core.audit.settings import AuditSettings, Identity
from trust_core.cli.main import build_parser
from trust_core.errors import SettingsError, StoreError
from trust_core.model.facts import ModelOptions
from trust_core.storage.manifest import read_manifest
from trust_core.storage.workspace import NETWORKS, workspace_folder

PROGRAM = ("python", "-m", "trust_core")
PATIENCE = 8  # epochs without a better one, after which a training run ends


@dataclass(frozen=True)
class AuditRequest:
    """An audit to be made.

    `expect` are the user's own predictions, to be compared with.
    """

    model: Path
    data: Path
    out: Path
    model_options: ModelOptions = field(default_factory=ModelOptions)
    data_options: DataOptions = field(default_factory=DataOptions)
    settings: AuditSettings = field(default_factory=AuditSettings)
    expect: Path | None = None


@dataclass(frozen=True)
class TrainingRequest:
    """A network to be trained.

    `out` is the `.safetensors` file; `objective` "joint", "mask" or "label". It takes `epochs` at
    most, and stops when `PATIENCE` of them bring nothing better; `imagenet` starts from ImageNet
    weights.
    """

    data: Path
    out: Path
    objective: str
    encoder: str
    size: int
    epochs: int
    imagenet: bool = False
    data_options: DataOptions = field(default_factory=DataOptions)


def audit_command(request: AuditRequest) -> list[str]:
    """What follows `python -m trust_core` to audit; what is as by default is left out."""
    usual, settings = vars(AuditSettings()), vars(request.settings)
    values = {
        **vars(request.model_options),
        **vars(request.data_options),
        **{name: value for name, value in settings.items() if value != usual[name]},
        "argmax": request.settings.decision_threshold is None,
        "expect": request.expect,
    }
    words = ["audit", str(request.model), str(request.data), *_words(values, *OPTIONS)]
    return [*words, f"--out={request.out}", "--json"]


def training_command(request: TrainingRequest) -> list[str]:
    """What follows `python -m trust_core` to train."""
    values = vars(request) | {"patience": PATIENCE}
    values["weights"] = "imagenet" if request.imagenet else None
    words = _words(values, "network", "input", "training")
    words = ["train", str(request.data), *words, *_words(vars(request.data_options), "data")]
    return [*words, f"--out={request.out}", "--json"]


def audit_of_trained(training: Sequence[str], out: Path) -> list[str]:
    """The audit of what a training command makes, on the same data, with the roles it learnt by.

    `training` are the words of `training_command`.
    """
    values = vars(build_parser().parse_args(training))
    model: Path = values["out"]
    reading = replace(data_options(values), roles=model.with_suffix(".roles.csv"))
    return audit_command(AuditRequest(model, Path(values["data"]), out, data_options=reading))


def _words(values: Mapping[str, Any], *groups: str) -> list[str]:
    """What says these values, by name, of the options of some groups; each once."""
    options = {option.name: option for group in groups for option in OPTIONS[group]}
    return [
        word
        for name, option in options.items()
        if name in values
        for word in option.words(values[name])
    ]


def start_audit(words: Sequence[str], folder: Path, identity: Identity) -> Path:
    """Start the worker of an audit, unless it runs already or the very audit is finished.

    `words` are those of `audit_command`.

    Returns:
        The audit folder; another one where the same audit is being made already.

    Raises:
        StoreError: the worker cannot be started.
        SettingsError: the folder holds something else.
    """
    finished = False
    if folder.exists() and any(folder.iterdir()):
        manifest = read_manifest(folder)
        if not _started(words, folder) or manifest.model_pass != identity.model_pass:
            raise SettingsError(
                f"The name {folder.name} is taken by another audit; choose another name."
            )
        finished = jobs.state(folder).phase == jobs.DONE and manifest.table == identity.table
    if not finished and jobs.state(folder).phase != jobs.RUNNING:
        return jobs.start(words, folder).folder
    return folder


def start_training(words: Sequence[str], network: Path) -> None:
    """Start the worker of a training run, unless it runs already or the very network is there.

    `words` are those of `training_command`.

    Raises:
        StoreError: the worker cannot be started, or the file is another network.
    """
    folder = training_folder(network)
    if network.exists() and not _started(words, folder):
        raise StoreError(f"The name {network.stem} is taken; choose another name.")
    if not network.exists() and training_state(folder).phase != jobs.RUNNING:
        jobs.start(words, folder)


def start_audit_of_trained(folder: Path) -> Path:
    """Start the audit of a trained network on its own data, unless it was started already.

    Args:
        folder: of the training run, which is finished.

    Returns:
        The audit folder, named like the network.

    Raises:
        StoreError: the worker cannot be started, or it is not known how the run was.
    """
    job = jobs.read_job(folder)
    if job is None:
        raise StoreError(f"It is not known how {folder.stem} was trained; set its audit up.")
    for number in count(1):
        name = folder.stem if number == 1 else f"{folder.stem}-{number}"
        out = workspace_folder().resolve() / name
        words = audit_of_trained(job.arguments, out)
        if _started(words, out) or not out.exists():
            break
    if jobs.state(out).phase not in (jobs.DONE, jobs.RUNNING):
        return jobs.start(words, out).folder
    return out


def _started(words: Sequence[str], folder: Path) -> bool:
    """Whether the worker of a folder was started with the same words, in whatever order."""
    job = jobs.read_job(folder)
    return job is not None and sorted(job.arguments) == sorted(words)


def shell_command(words: Iterable[str]) -> str:
    """The command to copy into a terminal."""
    return shlex.join([*PROGRAM, *words])


def audit_name(model: Path, data: Path, identity: Identity, mask: str) -> str:
    """A readable folder name that is the same for the same audit and for no other.

    >>> audit_name(Path("Lite 0.pth"), Path("tiles"), Identity("a", "b", "c"), "half")
    'lite-0-tiles-abbcbc'
    """
    digest = hashlib.sha256("\n".join((identity.model_pass, identity.table, mask)).encode())
    return "-".join([slug(model.stem), slug(data.name), digest.hexdigest()[:6]])


def network_file(name: str) -> Path:
    """Where a network of this name is kept."""
    return workspace_folder().resolve() / NETWORKS / f"{slug(name)}.safetensors"


def training_folder(network: Path) -> Path:
    """What the worker writes while a network is trained."""
    return network.with_suffix(".training")


def training_state(folder: Path) -> jobs.JobState:
    """How the training run of a folder stands."""
    network = folder.with_suffix(".safetensors")
    found = jobs.state(folder, lambda place: network.exists() and not place.exists())
    if found.phase == jobs.RUNNING and network.exists() and not folder.exists():
        return jobs.JobState(phase=jobs.DONE)  # all is written; its process has only to end
    return found


def slug(name: str, longest: int = 40) -> str:
    """Lower-case letters, digits and dashes, fit for a folder and an address."""
    return re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:longest].strip("-") or "audit"
