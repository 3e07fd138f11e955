"""Small grey pictures with a bright blot and its mask, to train tiny networks on."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from trust_core.data.layouts import read_dataset
from trust_core.data.samples import Dataset

SIDE = 80
SPLITS = ("train", "train", "train", "tune", "certify", "test")


def write_parts(
    folder: Path, parts: int = 36, *, photos: int = 1, splits: bool = True, masks: bool = True
) -> Path:
    """Every second part is defective; six splits in turn, so that each has both classes."""
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    with (folder / "samples.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "mask", "group", "split"])
        for number in range(parts * photos):
            part, label = number // photos, number // photos % 2
            pixels = rng.integers(60, 110, (SIDE, SIDE))
            mask = np.zeros((SIDE, SIDE), dtype=bool)
            if label:
                y, x = rng.integers(10, SIDE - 20, 2)
                mask[y : y + 10, x : x + 10] = True
                pixels[mask] += 120
            name = f"{number:03d}.png"
            Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / name)
            if label:
                Image.fromarray(mask).save(folder / "masks" / name)
            writer.writerow(
                [
                    f"images/{name}",
                    label,
                    f"masks/{name}" if label and masks else "",
                    f"part{part:03d}",
                    SPLITS[part // 2 % 6] if splits else "",
                ]
            )
    return folder


def parts_dataset(folder: Path, parts: int = 36, **options: object) -> Dataset:
    write_parts(folder, parts, **options)
    return read_dataset(folder, samples=folder / "samples.csv")
