"""What probes cost: seconds of an audit, seconds and memory of the fit, bytes on disk.

    python -m benchmarks.probe_cost [--quick] --json

`audit`: times what the same audit takes without probes, for whole audits of PNG files by two
networks with random weights that pass half of the images, nine strengths; in each round both run
once, in turn, and a ratio is of one round; `processor` is that of its seconds of the processor,
which other work on the machine disturbs less. `fit`: at 10,000 generated images. `memory`: peak of
a process that holds the samples of 100,000 and of 1,000,000 generated images, then fits and scores,
then proposes, in megabytes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn

from benchmarks.engine import BATCH, NETWORKS, SETTINGS, SIDE, ware
from benchmarks.machine import machine, ratio, versions
from benchmarks.proposals import proposed
from trust_core.audit.allocator import keep_freed_memory
from trust_core.audit.decode import read_batch
from trust_core.audit.run import run_audit
from trust_core.data.demo.surfaces import SAMPLES_FILE, generate
from trust_core.data.layouts import read_dataset
from trust_core.data.samples import Dataset
from trust_core.decision.indicators.probes import Probes, fit_activations
from trust_core.model.depths import STATISTICS
from trust_core.model.preprocessing import Preprocessing

IMAGES, MANY = 10_000, (100_000, 1_000_000)
CHANNELS = {  # at the depths that are read
    "ResNet-18": (64, 64, 128, 256, 512, 512),
    "EfficientNet-Lite0": (24, 40, 80, 112, 320, 1280),
}
NARROW = (32, 32, 64, 64)  # of a million images, to spare the disk: 1.2 GB
SHARES = {"train": 0.4, "tune": 0.3, "test": 0.3}
CHUNK = 50_000

Half = npt.NDArray[np.float16]


def audits(name: str, dataset: Dataset, folder: Path, rounds: int) -> dict[str, Any]:
    """An audit with probes against one without."""
    images = read_batch(dataset, Preprocessing((SIDE, SIDE)), slice(0, None)).pixels
    detector = ware(NETWORKS[name], images, BATCH).detector
    with torch.no_grad():
        *_, head = (part for part in detector.module.modules() if isinstance(part, nn.Linear))
        parts = (images[start : start + BATCH] for start in range(0, len(images), BATCH))
        z = torch.cat([detector.log_odds(torch.from_numpy(x).float() / 255) for x in parts])
        head.bias += torch.tensor([0.0, 1.0]) * -z.median()
    depths = detector.depths
    taken: dict[str, list[list[float]]] = {"clock": [[], []], "processor": [[], []]}
    fitted = size = 0
    for turn in range(rounds):
        for with_probes in (False, True):
            detector.depths = depths if with_probes else ()
            out = folder / f"{name}-{turn}-{with_probes}"
            clock, processor = time.perf_counter(), time.process_time()
            audit = run_audit(detector, dataset, SETTINGS, out)
            taken["clock"][with_probes].append(time.perf_counter() - clock)
            taken["processor"][with_probes].append(time.process_time() - processor)
            if with_probes:
                fitted += "probe_combination" in audit.stored_indicators
                kept = audit.activations()
                assert kept is not None
                size = kept.itemsize * kept.shape[1]
    ratios = {what: ratio(after, before) for what, (before, after) in taken.items()}
    return {**ratios, "bytes_per_image": size, "rounds_fitted": fitted, "images": len(images)}


def generated(
    images: int, channels: Sequence[int], folder: Path | None = None
) -> tuple[Half, pd.DataFrame]:
    """Activations, on disk where a folder is given, and samples of so many images, two a part."""
    draw = np.random.default_rng(0)
    label = np.repeat(draw.random(-(-images // 2)) < 0.3, 2)[:images]
    log_odds = draw.normal(size=images) - 2 + 2 * label
    shape = (images, len(STATISTICS) * sum(channels))
    values: Half = (
        np.empty(shape, np.float16)
        if folder is None
        else np.lib.format.open_memmap(folder / f"{images}.npy", "w+", np.float16, shape)
    )
    lift = 0.3 * draw.random(shape[1], dtype=np.float32)
    for start in range(0, images, CHUNK):
        part = slice(start, start + CHUNK)
        noise = draw.standard_normal((len(label[part]), shape[1]), dtype=np.float32)
        values[part] = np.abs(noise) + lift * label[part, None]
    names = np.array([["TN", "FP"], ["FN", "TP"]])
    roles = draw.choice(list(SHARES), -(-images // 2), p=list(SHARES.values()))
    samples = pd.DataFrame(
        {
            "label": label.astype(np.int8),
            "outcome": pd.Categorical(names[label.astype(int), (log_odds > 0).astype(int)]),
            "log_odds": log_odds,
            "p_defect": 1 / (1 + np.exp(-log_odds)),
            "role": pd.Categorical(np.repeat(roles, 2)[:images]),
            "group": np.arange(images) // 2,
        }
    )
    return values, samples


def fit(channels: Sequence[int]) -> dict[str, float]:
    """Seconds of a fit to 10,000 images, all of them scored that are passed."""
    values, samples = generated(IMAGES, channels)
    clock, processor = time.perf_counter(), time.process_time()
    assert _fit(values, samples, channels) is not None
    taken = time.perf_counter() - clock, time.process_time() - processor
    return {"clock": round(taken[0], 2), "processor": round(taken[1], 2)}


def _fit(values: Half, samples: pd.DataFrame, channels: Sequence[int]) -> Probes | None:
    widths = tuple(len(STATISTICS) * count for count in channels)
    return fit_activations(values, samples, tuple(map(str, range(len(widths)))), widths)


def peak(images: int, folder: Path) -> dict[str, float]:
    """Peak megabytes and seconds of a fit and a proposal, in a process of its own."""
    values, samples = generated(images, NARROW, folder)
    del values
    samples.to_parquet(folder / f"{images}.parquet")
    command = [sys.executable, "-m", "benchmarks.probe_cost", "--one", str(images), str(folder)]
    done = subprocess.run(  # noqa: S603 - our own interpreter, a list, no shell
        command, check=True, capture_output=True, text=True
    )
    (folder / f"{images}.npy").unlink()
    return json.loads(done.stdout)


def one(images: int, folder: Path) -> dict[str, float]:
    """What `peak` measures, in this process."""
    samples = pd.read_parquet(folder / f"{images}.parquet")
    found = {"samples_mb": _peak_megabytes()}
    began = time.perf_counter()
    probes = _fit(np.load(folder / f"{images}.npy", mmap_mode="r"), samples, NARROW)
    assert probes is not None
    found |= {"fit_mb": _peak_megabytes(), "fit_seconds": round(time.perf_counter() - began, 1)}
    began = time.perf_counter()
    proposed(samples, probes, {})
    proposal = round(time.perf_counter() - began, 1)
    return found | {"proposal_mb": _peak_megabytes(), "proposal_seconds": proposal}


def _peak_megabytes() -> float:
    """Of this process so far; pages of a mapped file, which the system takes back, count too."""
    lines = Path("/proc/self/status").read_text().splitlines()  # rusage counts the parent as well
    return round(int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024)


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.probe_cost", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer images and rounds")
    parser.add_argument("--json", action="store_true", help="the only form there is")
    parser.add_argument("--part", choices=("audit", "fit", "memory"), action="append")
    parser.add_argument("--one", nargs=2, metavar=("COUNT", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    keep_freed_memory()
    if options.one:
        print(json.dumps(one(int(options.one[0]), Path(options.one[1]))))
        return
    parts = options.part or ("audit", "fit", "memory")
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if "audit" in parts:
            images, rounds = (64, 2) if options.quick else (128, 3)
            photos = generate(folder / "photos", parts=images, photos=1, size=SIDE)
            dataset = read_dataset(photos, samples=photos / SAMPLES_FILE)
            result["audit"] = {n: audits(n, dataset, folder, rounds) for n in NETWORKS}
        if "fit" in parts:
            result["fit"] = {name: fit(channels) for name, channels in CHANNELS.items()}
        if "memory" in parts:
            counts = MANY[:1] if options.quick else MANY
            result["memory"] = {str(count): peak(count, folder) for count in counts}
    about = {"machine": machine(), "versions": versions("torch", "numpy", "scipy")}
    print(json.dumps(result | about))


if __name__ == "__main__":
    main()
