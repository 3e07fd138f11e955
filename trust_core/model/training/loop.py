"""The training loop: every step follows from the weights, the seed and its own number.

The order of an epoch comes from (seed, epoch), the views and the dropout of a step from (seed,
step). So a checkpoint needs no more than weights, moments and the number of the step, and on a CPU
in fp32, with as many threads, a run that was interrupted anywhere gives the same bytes.

Notation: N images, c channels, H, W input size, P parts.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor

from trust_core.model.modules import device_of, tf32
from trust_core.model.outputs import logits_of, mask_logits_of
from trust_core.model.training.augmentation import augmented, close_ups
from trust_core.model.training.checkpoint import TrainingState, load, save
from trust_core.model.training.epochs import Epoch, best_epoch
from trust_core.model.training.examples import TrainingData, order, reduced
from trust_core.model.training.losses import label_loss, mask_loss
from trust_core.model.training.network import MultiTask
from trust_core.model.training.settings import TrainingSettings
from trust_core.storage.progress import Progress, progress_writer, read_progress, stopwatch

CHECKPOINT = "checkpoint.safetensors"
CHECKPOINT_SECONDS = 30.0
WARM_UP = 0.1

Batch = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class TrainingProgress(Progress):
    """How far a run is, in steps.

    `epoch` counts from 1, of `epochs` in all; `history` are the finished ones.
    """

    epoch: int = 1
    epochs: int = 0
    history: list[Epoch] = field(default_factory=list)


def fit(
    network: MultiTask,
    data: TrainingData,
    settings: TrainingSettings,
    folder: Path,
    progress: Callable[[TrainingProgress], None],
) -> TrainingState:
    """Take every step that is left; the network ends where its last step took it.

    `network` has its first weights, on the device to train on; those of a checkpoint in `folder`
    take their place. `progress` is called after every step.

    Returns:
        Where it ended: the history, and the weights of the best epoch.
    """
    device, rounds = device_of(network), settings.precision == "tf32"
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=settings.weight_decay)
    state = TrainingState(0, [], {}, {})
    if (folder / CHECKPOINT).exists():
        state = load(folder / CHECKPOINT, network, optimizer)
    epochs = settings.close_up_epochs + settings.epochs
    each = max(1, len(data.rows("train")) // settings.batch)
    report = _reporter(folder, progress, epochs, each, state.step)
    saved = time.monotonic()
    for epoch in range(state.step // each, epochs):
        if stops(state.history, settings):
            break
        close_up = epoch < settings.close_up_epochs
        places = close_up or settings.objective == "mask"
        shown = order(data.table, each * settings.batch, (settings.seed, epoch), places=places)
        for rows in shown.reshape(each, -1)[state.step - epoch * each :]:
            rate = learning_rate(settings.lr, state.step, epochs * each)
            with _random_numbers(settings.seed, state.step, device), tf32(device, allowed=rounds):
                losses = _step(
                    network, optimizer, data.batch(rows), settings, rate, close_up=close_up
                )
            sums = {name: state.losses.get(name, 0.0) + value for name, value in losses.items()}
            state = replace(state, step=state.step + 1, losses=sums)
            ends = state.step % each == 0
            if ends:
                state = _close_epoch(network, data, settings, state, each)
            if ends or time.monotonic() - saved > CHECKPOINT_SECONDS:
                save(folder / CHECKPOINT, network, optimizer, state)
                saved = time.monotonic()
            report(state)
    return state


def stops(history: list[Epoch], settings: TrainingSettings) -> bool:
    """Whether the last `patience` epochs, all on whole images, brought nothing better."""
    if not settings.patience or not history:
        return False
    since = max(best_epoch(history).epoch, settings.close_up_epochs)
    return history[-1].epoch - since >= settings.patience


def learning_rate(highest: float, step: int, steps: int) -> float:
    """Learning rate of a step: up in a line for a tenth of them, then down along a cosine to 0."""
    rising = max(1, math.ceil(WARM_UP * steps))
    if step < rising:
        return highest * (step + 1) / rising
    return highest * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising))) / 2


def losses_of(
    output: object, masks: Tensor, labels: Tensor, known: Tensor, settings: TrainingSettings
) -> dict[str, Tensor]:
    """The losses that the objective learns from, by name: "label", "mask" or both.

    `output` is what the network returned for N images; `masks` (N, 1, H, W) are reduced here to the
    grid of its mask; `labels` and `known`, where the place of the defect is known, are (N,).
    """
    losses = {}
    if settings.objective != "mask":
        losses["label"] = label_loss(
            settings.convention.log_odds(logits_of(output).float()), labels
        )
    if settings.objective != "label":
        grid = mask_logits_of(output, settings.convention)
        assert grid is not None
        losses["mask"] = mask_loss(
            grid.float(), reduced(masks, (grid.shape[2], grid.shape[3])), known
        )
    return losses


def total_loss(losses: dict[str, Tensor], settings: TrainingSettings) -> Tensor:
    """0.5·L_seg + 0.5·L_cls, or with the weights of the settings; a single loss as it is."""
    if len(losses) == 1:
        return next(iter(losses.values()))
    return settings.mask_weight * losses["mask"] + settings.label_weight * losses["label"]


def _step(
    network: MultiTask,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    settings: TrainingSettings,
    rate: float,
    *,
    close_up: bool,
) -> dict[str, float]:
    """One batch forward and back, and one step of the optimiser."""
    pixels, masks, labels, known = batch
    if close_up:
        pixels, masks = close_ups(pixels, masks)
    pixels, masks = augmented(pixels, masks)  # on the CPU, so that the views are the same anywhere
    device = device_of(network)
    pixels, masks, labels, known = (x.to(device) for x in (pixels, masks, labels, known))
    network.train()
    with torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
        output = network(_normalised(pixels, settings))
    losses = losses_of(output, masks, labels, known, settings)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    torch.autograd.backward(total_loss(losses, settings))
    optimizer.step()
    return {name: loss.item() for name, loss in losses.items()}


def _close_epoch(
    network: MultiTask,
    data: TrainingData,
    settings: TrainingSettings,
    state: TrainingState,
    each: int,
) -> TrainingState:
    """Add the epoch to the history, and keep its weights when they are the best so far."""
    losses = {name: total / each for name, total in state.losses.items()}
    epoch = finished_epoch(network, data, settings, len(state.history) + 1, losses)
    history, best = [*state.history, epoch], state.best
    if best_epoch(history) is epoch:
        best = {key: tensor.detach().clone() for key, tensor in network.state_dict().items()}
    return TrainingState(state.step, history, {}, best)


def finished_epoch(
    network: MultiTask,
    data: TrainingData,
    settings: TrainingSettings,
    number: int,
    losses: Mapping[str, float],
) -> Epoch:
    """What an epoch gave: the losses of its steps, and what the network now makes of `tune`.

    `number` counts from 1; `losses` are their means over the steps, by "label" and "mask".
    """
    network.eval()
    rows = data.rows("tune")
    answers, weighed = [], []
    device = device_of(network)
    with torch.no_grad(), tf32(device):
        for start in range(0, len(rows), settings.batch):
            batch = data.batch(rows[start : start + settings.batch])
            pixels, masks, labels, known = (x.to(device) for x in batch)
            output = network(_normalised(pixels, settings))
            answers.append(settings.convention.log_odds(logits_of(output)))
            loss = total_loss(losses_of(output, masks, labels, known, settings), settings)
            weighed.append(loss.item() * len(pixels))
    images = data.table.iloc[rows].assign(log_odds=torch.cat(answers).double().cpu().numpy())
    parts = images.groupby("group")[["label", "log_odds"]].max()
    called, defective = parts["log_odds"] >= 0, parts["label"] == 1
    return Epoch(
        epoch=number,
        close_ups=number <= settings.close_up_epochs,
        label_loss=losses.get("label"),
        mask_loss=losses.get("mask"),
        tune_loss=sum(weighed) / len(rows),
        tune_average_precision=float(average_precision_score(defective, parts["log_odds"])),
        tune_caught=int((called & defective).sum()),
        tune_defective=int(defective.sum()),
        tune_false_alarms=int((called & ~defective).sum()),
        tune_good=int((~defective).sum()),
    )


def _normalised(pixels: Tensor, settings: TrainingSettings) -> Tensor:
    """(N, c, H, W) in [0, 1] to what the network reads: three channels, normalised."""
    mean, std = (pixels.new_tensor(v).view(1, -1, 1, 1) for v in (settings.mean, settings.std))
    return (
        ((pixels - mean) / std).expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
    )


@contextmanager
def _random_numbers(seed: int, step: int, device: torch.device) -> Iterator[None]:
    """The random numbers of this step; the caller's generators are left as they were."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        drawn = np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0]
        torch.manual_seed(int(drawn >> np.uint64(1)))
        yield


def _reporter(
    folder: Path,
    progress: Callable[[TrainingProgress], None],
    epochs: int,
    each: int,
    start: int,
) -> Callable[[TrainingState], None]:
    """Reports how far the run is, and twice a second also writes it to a file."""
    measure, note = stopwatch(start, read_progress(folder)), progress_writer(folder)

    def report(state: TrainingState) -> None:
        reached = TrainingProgress(
            **asdict(measure(state.step, epochs * each)),
            epoch=min(state.step // each + 1, epochs),
            epochs=epochs,
            history=state.history,
        )
        progress(reached)
        note(reached)

    return report
