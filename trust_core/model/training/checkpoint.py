"""Checkpoints of a training run: one file without code, tensors with JSON in its header."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from trust_core.model.training.epochs import Epoch as Epoch
from trust_core.storage.atomic import replacing

NETWORK, BEST, OPTIMIZER = "network/", "best/", "optimizer/"


@dataclass(frozen=True)
class TrainingState:
    """How far training is, besides weights and moments.

    Attributes:
        step: steps taken; order, views and dropout of the next one follow from it and the seed.
        history: the finished epochs.
        losses: sums over the steps of the unfinished epoch, by name.
        best: the network's state after its best epoch; empty before the first has ended.
    """

    step: int
    history: list[Epoch]
    losses: dict[str, float]
    best: dict[str, Tensor]


def save(
    path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, state: TrainingState
) -> None:
    """Write all that the next step depends on; the file appears whole, by one rename."""
    moments = optimizer.state_dict()["state"]
    tensors = {
        **_under(NETWORK, network.state_dict()),
        **_under(BEST, state.best),
        **{f"{OPTIMIZER}{i}/{k}": t for i, entry in moments.items() for k, t in entry.items()},
    }
    words = {
        "step": state.step,
        "history": [asdict(epoch) for epoch in state.history],
        "losses": state.losses,
    }
    with replacing(path, locked=True) as unfinished:
        save_file(
            {name: tensor.contiguous() for name, tensor in tensors.items()},
            unfinished,
            {"standing": json.dumps(words)},
        )


def load(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer) -> TrainingState:
    """Put network and optimiser where `save` found them."""
    with safe_open(path, "pt") as file:
        words = json.loads(file.metadata()["standing"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    network.load_state_dict(_of(NETWORK, tensors))
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _of(OPTIMIZER, tensors).items():
        index, _, entry = name.partition("/")
        moments.setdefault(int(index), {})[entry] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
    history = [Epoch(**epoch) for epoch in words["history"]]
    return TrainingState(words["step"], history, words["losses"], _of(BEST, tensors))


def _under(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def _of(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}
