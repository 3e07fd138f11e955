"""A small detector and a small data set that several tests audit."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from trust_core.data.layouts import read_dataset
from trust_core.data.samples import Dataset
from trust_core.model.detector import Detector
from trust_core.model.outputs import choose_convention
from trust_core.model.preprocessing import Preprocessing
from trust_core.storage.progress import Progress

SIDE = 32


def small_network(outputs: int = 2, seed: int = 0) -> nn.Module:
    """A network that calls about half of `write_images` defective."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(8, 12, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, outputs),
    )
    rng = np.random.default_rng(seed)
    usual = np.stack([_noise(rng) for _ in range(32)])
    pixels = torch.from_numpy(usual).float()[:, None].expand(-1, 3, -1, -1) / 255
    with torch.no_grad():
        network[6].weight *= 100
        answers = network((nn.functional.interpolate(pixels, (SIDE, SIDE)) - 0.5) / 0.25)
        network[6].bias -= answers.median(0).values
    return network


def small_detector(outputs: int = 2, seed: int = 0, **choices: object) -> Detector:
    preprocessing = Preprocessing((SIDE, SIDE), mean=(0.5,) * 3, std=(0.25,) * 3)
    convention = choose_convention(outputs, **({"one_logit": "defect"} if outputs == 1 else {}))
    return Detector(small_network(outputs, seed), preprocessing, convention, **choices)


def _noise(rng: np.random.Generator) -> np.ndarray:
    coarse = rng.integers(60, 140, (10, 10))
    return np.kron(coarse, np.ones((4, 4), dtype=int))


def write_images(folder: Path, count: int = 40, seed: int = 0) -> Path:
    """Grey noise with a bright blot on every second image, in groups of two, and a CSV."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "samples.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "group", "split", "kind"])
        for index in range(count):
            pixels = _noise(rng)
            label = index // 2 % 2
            if label:
                row, column = rng.integers(0, 30, 2)
                pixels[row : row + 8, column : column + 8] += rng.integers(20, 110)
            name = f"part{index // 2:03d}_{index % 2}.png"
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name)
            split = ("train", "tune", "tune", "test")[index // 4 % 4]
            writer.writerow([name, label, f"part{index // 2:03d}", split, "blot" if label else ""])
    return folder


def small_dataset(folder: Path, count: int = 40, seed: int = 0) -> Dataset:
    write_images(folder, count, seed)
    return read_dataset(folder, samples=folder / "samples.csv")


class Stop(BaseException):
    """Ends a run in the middle. Not an Exception: nothing in between may catch it."""


def stopped_after(done: int) -> Callable[[Progress], None]:
    """What is called with the progress of a run, and stops it when so much is done."""

    def stop(state: Progress) -> None:
        if state.done >= done:
            raise Stop

    return stop
