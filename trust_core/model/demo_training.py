"""Trains the network that the bundled demo audits: `python -m trust_core.model.demo_training`.

A timm `test_efficientnet` (0.1 million weights) from random weights, on parts of the demo surfaces
of seed `TRAINING_SEED`; the audited parts are of another seed, so none has been seen. Two phases:
first on close-ups a quarter of the area, which a CPU gets through four times faster, a defective
part's close-up holding its defect; then on whole photographs, which is what is audited. Plain
cross-entropy on clean labels throughout: what it misses, it misses because it is faint.
"""

import argparse
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from torch import Tensor, nn

from trust_core.data.surfaces import render_part
from trust_core.model.card import ModelCard, write_model
from trust_core.model.convention import Convention
from trust_core.model.preprocessing import Preprocessing

ARCHITECTURE = "test_efficientnet"
INPUT = 256
CLOSE_UP = 128
TRAINING_SEED = 7
PARTS = 4000
CLOSE_UP_EPOCHS = 20
EPOCHS = 3
BATCH = 32
LEARNING_RATE = 4e-3
WEIGHT_DECAY = 0.02
MEAN = STD = 0.5
CARD = ModelCard(
    f"timm/{ARCHITECTURE}",
    Preprocessing((INPUT, INPUT), mean=(MEAN,) * 3, std=(STD,) * 3),
    Convention(2, defect=(1,), good=(0,)),
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingSet:
    """One photograph of each of `N` parts, at the size of the network input.

    Attributes:
        pixels: `(N, 1, H, W)` uint8.
        labels: `(N,)` int64, 0 good, 1 defective.
        centres: `(N, 2)` float32, the middle (y, x) of the defect in pixels; anywhere when good.
    """

    pixels: Tensor
    labels: Tensor
    centres: Tensor


def training_set(parts: int, *, seed: int = TRAINING_SEED) -> TrainingSet:
    """Render parts 0 to `parts` - 1 of the series `seed`, in memory."""
    pixels = np.empty((parts, 1, INPUT, INPUT), np.uint8)
    labels = np.empty(parts, np.int64)
    centres = np.random.default_rng(seed).uniform(0, INPUT, (parts, 2)).astype(np.float32)
    for k in range(parts):
        part = render_part(seed, k, photos=1)
        image = Image.fromarray(part.photos[0])
        pixels[k] = CARD.preprocessing.pixels(image)[:1]
        labels[k] = bool(part.kind)
        if part.kind:
            mask = part.masks[0]
            centres[k] = np.argwhere(mask).mean(axis=0) * INPUT / len(mask)
    return TrainingSet(*map(torch.from_numpy, (pixels, labels, centres)))


def normalised(pixels: Tensor) -> Tensor:
    """uint8 `(N, 1, H, W)` to the float32 `(N, 3, H, W)` the network sees."""
    return ((pixels.float() / 255 - MEAN) / STD).expand(-1, 3, -1, -1)


def train(
    data: TrainingSet,
    *,
    close_up_epochs: int = CLOSE_UP_EPOCHS,
    epochs: int = EPOCHS,
    seed: int = TRAINING_SEED,
) -> nn.Module:
    """Fit the network with AdamW, one learning-rate cycle over both phases, and random flips.

    Args:
        data: what it learns from; at least `BATCH` photographs.
        close_up_epochs: passes over the close-ups.
        epochs: passes over the whole photographs.
        seed: of the weights, the order, the flips and the close-ups.

    Returns:
        The network in eval mode: normalised `(N, 3, H, W)` to logits `(N, 2)`, good and defective.
    """
    torch.manual_seed(seed)
    network: nn.Module = timm.create_model(ARCHITECTURE, num_classes=2)
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        LEARNING_RATE,
        total_steps=(close_up_epochs + epochs) * (len(data.labels) // BATCH),
        pct_start=0.2,
    )
    network.train()
    views = [_close_ups] * close_up_epochs + [_whole] * epochs
    for number, view in enumerate(views, start=1):
        started, losses = time.monotonic(), []
        for pixels, labels in _batches(data, view):
            loss = nn.functional.cross_entropy(network(normalised(pixels)), labels)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        seconds = time.monotonic() - started
        log.info("pass %d of %d: loss %.4f, %.0f s", number, len(views), np.mean(losses), seconds)
    return network.eval()


def _batches(
    data: TrainingSet, view: Callable[[TrainingSet, Tensor], Tensor]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of equal size in random order, each flipped as a whole; the remainder is left out."""
    order = torch.randperm(len(data.labels))
    for rows in order[: len(order) // BATCH * BATCH].reshape(-1, BATCH):
        flips = [axis for axis in (2, 3) if torch.rand(()) < 0.5]
        yield view(data, rows).flip(flips), data.labels[rows]


def _whole(data: TrainingSet, rows: Tensor) -> Tensor:
    return data.pixels[rows]


def _close_ups(data: TrainingSet, rows: Tensor) -> Tensor:
    """Windows `(N, 1, CLOSE_UP, CLOSE_UP)` with the centre somewhere in their middle half."""
    place = CLOSE_UP * (0.25 + 0.5 * torch.rand(len(rows), 2))
    corners = (data.centres[rows] - place).long().clamp(0, INPUT - CLOSE_UP)
    return torch.stack(
        [
            data.pixels[row, :, y : y + CLOSE_UP, x : x + CLOSE_UP]
            for row, (y, x) in zip(rows, corners.tolist(), strict=True)
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, then write the network and its card beside it."""
    parser = argparse.ArgumentParser(prog="trust_core.model.demo_training", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the .safetensors file to write")
    parser.add_argument("--parts", type=int, default=PARTS)
    parser.add_argument("--close-up-epochs", type=int, default=CLOSE_UP_EPOCHS)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    data = training_set(options.parts)
    network = train(data, close_up_epochs=options.close_up_epochs, epochs=options.epochs)
    write_model(options.out, network, CARD)


if __name__ == "__main__":
    main()
