"""The engine from files on disk: against the limit, over the number of parts, and its memory.

    python -m benchmarks.engine_disk [--quick] [--scaling | --parts 100000] --json

`end_to_end`: times what the bare passes of the same images take, for a whole audit of PNG files:
decoding, resizing, scoring, writing, merging, rivals; all images passed. `half_passed`: the same
where the network calls half of the images defective, as a user's does for some of them: these are
scored without enhancement only. `vs_obvious`, `half_passed_vs_obvious`: what a user waits for, in
times faster than the obvious pipeline, which reads its files first and enhances every image; it
takes a quarter of the files, and the ratio is of seconds an image.
`--scaling` instead: audits of 1,000, 2,000, 4,000 and 8,000 small images, each in a process of its
own. `slope`: seconds for each further image from 2,000 to 4,000, over those from 1,000 to 2,000;
`memory`: peak of the process at 8,000 images over that at 1,000. `--parts N`: one such audit.
"""

import argparse
import copy
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import nn

from benchmarks.engine import BATCH, NETWORKS, SETTINGS, SIDE, STRENGTHS, Ware, ware
from benchmarks.machine import alternate, machine, ratio, versions
from benchmarks.obvious import Obvious, bare
from trust_core.audit.allocator import keep_freed_memory
from trust_core.audit.decode import read_batch
from trust_core.audit.run import run_audit
from trust_core.audit.settings import AuditSettings
from trust_core.data.demo.surfaces import SAMPLES_FILE, generate
from trust_core.data.layouts import read_dataset
from trust_core.data.samples import Dataset
from trust_core.model.detector import Detector
from trust_core.model.outputs import choose_convention
from trust_core.model.preprocessing import Preprocessing

OBVIOUS_SHARE = 4  # one of so many files; all would take half an hour
PHOTO = 320  # pixels a side of a file: it is decoded and resized
SMALL, COUNTS = 64, (1000, 2000, 4000, 8000)
FEW = AuditSettings(strengths=(0.0, 1.0))


def measure(name: str, dataset: Dataset, folder: Path, rounds: int) -> dict[str, Any]:
    """Ratios of one network."""
    images = read_batch(dataset, Preprocessing((SIDE, SIDE)), slice(0, None)).pixels
    passing = ware(NETWORKS[name], images, BATCH)
    mixed = ware(NETWORKS[name], images, BATCH)
    with torch.no_grad():
        *_, head = (part for part in mixed.detector.module.modules() if isinstance(part, nn.Linear))
        z = torch.cat(
            [mixed.detector.log_odds(torch.from_numpy(x).float() / 255) for x in _split(images)]
        )
        head.bias += torch.tensor([0.0, 1.0]) * -z.median()
    runs = iter(range(10_000))

    def audit(given: Ware) -> float:
        out = folder / f"{name}-{next(runs)}"
        return float(run_audit(given.detector, dataset, SETTINGS, out).manifest.counts.tn)

    rival = Obvious(copy.deepcopy(passing.module), passing.detector.layers[0])
    few = dataset.samples["path"].iloc[: max(len(images) // OBVIOUS_SHARE, 1)]

    def obvious() -> None:
        sized = (
            Image.open(dataset.root / path).resize((SIDE, SIDE)).convert("RGB") for path in few
        )
        rival(np.stack([np.asarray(image) for image in sized]).transpose(0, 3, 1, 2), STRENGTHS)

    limit = bare(passing.module, images, BATCH)
    limit(1)
    jobs = {
        "obvious": obvious,
        "limit": lambda: limit(len(STRENGTHS) - 1),
        "audit": lambda: audit(passing),
        "half_passed": lambda: audit(mixed),
    }
    times, _ = alternate(jobs, rounds)
    times["obvious"] = [seconds * len(images) / len(few) for seconds in times["obvious"]]
    return {
        "seconds": {job: round(min(taken), 3) for job, taken in times.items()},
        "images_per_second": {
            job: round(len(images) / min(taken), 2) for job, taken in times.items()
        },
        "vs_obvious": ratio(times["obvious"], times["audit"]),
        "half_passed_vs_obvious": ratio(times["obvious"], times["half_passed"]),
        "end_to_end": ratio(times["audit"], times["limit"]),
        "half_passed": ratio(times["half_passed"], times["limit"]),
    }


def _split(images: np.ndarray[Any, np.dtype[np.uint8]]) -> list[np.ndarray[Any, Any]]:
    return [images[start : start + BATCH] for start in range(0, len(images), BATCH)]


def write_small(folder: Path, count: int) -> None:
    """Small noise images and their table."""
    draw = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.fromarray(draw.integers(0, 255, (SMALL, SMALL), np.uint8)).save(
            folder / f"{index:05d}.png", compress_level=1
        )


def one_run(folder: Path, count: int) -> dict[str, float]:
    """Seconds, CPU seconds and peak megabytes of one audit, in this process."""
    table = pd.DataFrame({"path": [f"{index:05d}.png" for index in range(count)]})
    table["label"] = np.arange(count) % 2
    samples = folder.parent / f"{count}.csv"
    table.to_csv(samples, index=False)
    dataset = read_dataset(folder, samples=samples)
    torch.manual_seed(0)
    preprocessing = Preprocessing((SMALL, SMALL), mean=(0.5,), std=(0.25,))
    detector = Detector(NETWORKS["ResNet-18"](), preprocessing, choose_convention(2))
    began, used = time.perf_counter(), time.process_time()
    run_audit(detector, dataset, FEW, folder.parent / f"audit-{count}", batch_size=64)
    return {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - used,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def runs_of(folder: Path, counts: Sequence[int]) -> dict[int, dict[str, float]]:
    """Audits of so many images, each in its own process."""
    write_small(folder / "images", max(counts))
    found = {}
    for count in counts:
        command = [sys.executable, "-m", "benchmarks.engine_disk", "--one", str(count)]
        done = subprocess.run(  # noqa: S603 - our own interpreter, a list, no shell
            [*command, str(folder / "images")], check=True, capture_output=True, text=True
        )
        found[count] = json.loads(done.stdout)
    return found


def scaling(folder: Path, counts: tuple[int, int, int, int]) -> dict[str, Any]:
    """How time and memory grow with the number of images."""
    found = runs_of(folder, counts)
    one, two, four, eight = counts

    def slope(key: str) -> float:
        late = (found[four][key] - found[two][key]) / (four - two)
        early = (found[two][key] - found[one][key]) / (two - one)
        return round(late / early, 3)

    return {
        "slope": slope("seconds"),
        "slope_cpu": slope("cpu_seconds"),
        "memory": round(found[eight]["peak_mb"] / found[one]["peak_mb"], 3),
        "runs": found,
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine_disk", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer images, one round")
    parser.add_argument("--json", action="store_true", help="the only form there is")
    parser.add_argument("--scaling", action="store_true", help="over the number of parts")
    parser.add_argument("--parts", type=int, metavar="N", help="one audit of so many small images")
    parser.add_argument("--network", choices=list(NETWORKS), action="append")
    parser.add_argument("--one", nargs=2, metavar=("COUNT", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    keep_freed_memory()
    if options.one:
        print(json.dumps(one_run(Path(options.one[1]), int(options.one[0]))))
        return
    result: dict[str, Any]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if options.parts:
            result = {"runs": runs_of(folder, [options.parts])}
        elif options.scaling:
            one, two, four, eight = (n // 10 if options.quick else n for n in COUNTS)
            result = scaling(folder, (one, two, four, eight))
        else:
            parts, rounds = (32, 1) if options.quick else (128, 3)
            photos = generate(folder / "photos", parts=parts, photos=1, size=SIDE)
            for path in photos.glob("images/*/*.png"):
                Image.open(path).resize((PHOTO, PHOTO)).save(path, compress_level=1)
            dataset = read_dataset(photos, samples=photos / SAMPLES_FILE)
            names = options.network or NETWORKS
            found = {name: measure(name, dataset, folder, rounds) for name in names}
            worst = max(each["end_to_end"]["median"] for each in found.values())
            result = {"end_to_end": worst, "networks": found, "images": parts, "file_side": PHOTO}
            result |= {"side": SIDE, "strengths": STRENGTHS, "rounds": rounds}
    about = {"machine": machine(), "versions": versions("torch", "torchvision", "timm", "pillow")}
    print(json.dumps(result | about))


if __name__ == "__main__":
    main()
