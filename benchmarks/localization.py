"""What the metrics of localization cost: counting the pixels once, then each move of the slider.

    python -m benchmarks.localization [--quick] --json

`images_per_second`: counting made-up parts of 320 × 240 pixels with masks, at all thresholds.
`slider_ms`: all metrics with their intervals from the kept counts, by number of images; the least
and the most of the moves beside it.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.machine import machine, versions
from tests.fakes import random_parts, write_fake_audit
from trust_core.decision.localization.audit_masks import Images, image_masks
from trust_core.decision.localization.metrics import THRESHOLDS, localize
from trust_core.decision.localization.pixel_counts import (
    AREA,
    MASK_HEAD,
    TRUE,
    MaskCounts,
    make_counts,
)

SIZES, QUICK_SIZES = (1_000, 100_000, 1_000_000), (1_000, 20_000)
PARTS, MOVES = 1000, 15
WIDE, HIGH = 320, 240


def counting(folder: Path, parts: int) -> float:
    """Images counted a second."""
    audit = write_fake_audit(folder / "audit", random_parts(parts), mask_head=True)
    root = Path(audit.manifest.data.root)
    for path in root.rglob("*.png"):
        Image.open(path).resize((WIDE, HIGH)).save(path)
    began = time.perf_counter()
    make_counts(audit, MASK_HEAD)
    return parts / (time.perf_counter() - began)


def moving(folder: Path, images: int) -> list[float]:
    """Milliseconds of each move, with five photographs of a part, one part in twenty defective."""
    draw = np.random.default_rng(0)
    rows = 2 * len(THRESHOLDS) + 2
    table = np.lib.format.open_memmap(folder / "counts.npy", "w+", np.int32, (rows, images))
    defective = np.repeat(draw.random(-(-images // 5)) < 0.05, 5)[:images]
    table[TRUE] = draw.integers(10, 8000, images) * defective
    table[AREA] = WIDE * HIGH
    columns = range(40, 40 + MOVES)
    for column in columns:
        table[column] = draw.integers(1, 4000, images) * (draw.random(images) < 0.1)
        table[len(THRESHOLDS) + column] = np.minimum(table[column], table[TRUE]) // 2
    table.flush()
    kept = MaskCounts(MASK_HEAD, np.load(folder / "counts.npy", mmap_mode="r"))
    all_ = Images(np.arange(images), defective, defective, np.arange(images) // 5)
    taken = []
    for column in columns:
        began = time.perf_counter()
        localize(image_masks(kept, all_, float(THRESHOLDS[column])).truth)
        taken.append(1000 * (time.perf_counter() - began))
    return taken[1:]  # the first draws the resamples, which are kept


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer images")
    parser.add_argument("--json", action="store_true", help="the only form there is")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        print("counting", file=sys.stderr)
        speed = counting(Path(folder), PARTS // 5 if quick else PARTS)
        moves = {n: moving(Path(folder), n) for n in (QUICK_SIZES if quick else SIZES)}
    result = {
        "images_per_second": round(speed),
        "slider_ms": {n: round(statistics.median(all_), 1) for n, all_ in moves.items()},
        "range_ms": {n: [round(min(all_), 1), round(max(all_), 1)] for n, all_ in moves.items()},
        "machine": machine(),
        "versions": versions("numpy", "scipy", "pillow"),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
