"""The sections of `benchmarks.cuda`: what each runs on a GPU, or small on the CPU.

A section is a function of `note`, which keeps a finding under a name, and of whether to be quick.
"""

import copy
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import timm
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn

from benchmarks.engine import NETWORKS, SETTINGS, SIDE, Ware, ware
from benchmarks.machine import alternate, ratio
from benchmarks.obvious import Obvious, Pixels, bare
from trust_core.audit.cluster import Cluster
from trust_core.audit.decode import Batch, decoding_pool, read_images
from trust_core.audit.demo import NETWORK
from trust_core.audit.engine import Halving, fitting_batch, run_local, upload
from trust_core.audit.run import run_audit
from trust_core.audit.score import score_batch
from trust_core.audit.settings import AuditSettings
from trust_core.data.demo.surfaces import SAMPLES_FILE, generate
from trust_core.data.layouts import read_dataset
from trust_core.data.samples import Dataset
from trust_core.explanation.evidence.audit_gaussian import as_pixels, fit_to_files
from trust_core.explanation.evidence.forms import FORMS, evidence
from trust_core.model.detector import Detector
from trust_core.model.modules import PRECISIONS
from trust_core.model.open import open_detector
from trust_core.model.training.loop import TrainingProgress
from trust_core.model.training.settings import TrainingSettings
from trust_core.model.training.train import train
from trust_core.storage.audit_files import Audit
from trust_core.storage.shards import Shard

Note = Callable[[str, object], None]
Values = npt.NDArray[np.float64]

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MORE: dict[str, Callable[[], nn.Module]] = NETWORKS | {
    "ResNet-50": lambda: torchvision.models.resnet50(num_classes=2),
    "ViT-S/16": lambda: timm.create_model("vit_small_patch16_224", num_classes=2),
}
FORMATS = {"plain": torch.contiguous_format, "channels_last": torch.channels_last}
Z_TOLERANCE, MAP_TOLERANCE = 1e-4, 1e-3  # DESIGN.md, section 6
FLAGGED = 0.1  # of the passed images, the most suspicious at each strength
PHOTO = 320  # pixels a side of a file
GIB = 1 << 30


@dataclass(frozen=True)
class Section:
    """One section.

    Attributes:
        run: what it does.
        seconds: that it may take.
        gpu: whether it means nothing without one.
        packages: that it needs and a machine may lack.
    """

    run: Callable[[Note, bool], None]
    seconds: float
    gpu: bool = False
    packages: tuple[str, ...] = ()


def demo(note: Note, quick: bool) -> None:
    """The bundled demo on the CPU, then on the GPU in each precision, compared row by row."""
    with surfaces(4 if quick else 1100) as dataset, scratch() as folder:
        settings = AuditSettings(strengths=(0, 1, 4)) if quick else AuditSettings()
        reference = timed(
            lambda: run_audit(open_detector(NETWORK, device="cpu"), dataset, settings, folder / "c")
        )
        note("cpu_seconds", reference[0])
        for precision in ("fp32",) if quick else PRECISIONS:
            asked = replace(settings, precision=precision)
            detector = open_detector(NETWORK, device=DEVICE)
            seconds, audit = timed(
                lambda d=detector, a=asked: run_audit(d, dataset, a, folder / a.precision)
            )
            note(precision, {"seconds": seconds} | differences(reference[1], audit))


def differences(one: Audit, two: Audit) -> dict[str, Any]:
    """What two audits of the same images say differently; the first is the reference.

    Returns:
        `decisions_changed`; for the clean and the enhanced rows, of those in both: how many, the
        largest and the share within `Z_TOLERANCE` of |Δz|/(1+|z|), the same of the maps by their
        largest value (`MAP_TOLERANCE`), |Δ(IoU difference)|; and of the `FLAGGED` most suspicious
        passed images at each strength how many (`of`) are the `same`.
    """
    samples, scores = (
        [audit.query(f"SELECT * FROM {table}") for audit in (one, two)]  # noqa: S608
        for table in ("samples", "scores")
    )
    keys = ["sample_id", "strength"]
    answers = samples[0].merge(samples[1], on="sample_id", suffixes=("", "_two"))
    both = scores[0].merge(scores[1], on=keys, suffixes=("", "_two"))
    passed = set(answers["sample_id"][answers["predicted"] == 0])
    z = ((both["log_odds"] - both["log_odds_two"]).abs() / (1 + both["log_odds"].abs())).to_numpy()
    maps = np.zeros(len(both))
    for entry in one.manifest.maps:
        name = entry.name
        kept = [
            np.asarray(audit.maps(name)[both[f"row{end}"].to_numpy()], dtype=np.float64)
            * both[f"scale_{name}{end}"].to_numpy()[:, None, None]
            for audit, end in ((one, ""), (two, "_two"))
        ]
        largest = np.abs(kept[0]).max((1, 2))
        apart = np.abs(kept[0] - kept[1]).max((1, 2)) / np.where(largest > 0, largest, 1)
        maps = np.maximum(maps, apart)
    delta = (both["iou_difference"] - both["iou_difference_two"]).abs().to_numpy()
    same = of = 0
    for _, part in both[both["sample_id"].isin(passed)].groupby("strength"):
        count = max(1, round(FLAGGED * len(part)))
        flagged = [
            set(part.nlargest(count, column)["sample_id"])
            for column in ("iou_difference", "iou_difference_two")
        ]
        same, of = same + len(flagged[0] & flagged[1]), of + count
    found: dict[str, Any] = {
        "images": len(answers),
        "rows": [len(scores[0]), len(scores[1])],
        "decisions_changed": int((answers["predicted"] != answers["predicted_two"]).sum()),
        "flagged": {"same": same, "of": of},
    }
    for name, rows in (("clean", both["strength"] == 0), ("enhanced", both["strength"] > 0)):
        found[name] = {
            "rows": int(rows.sum()),
            "z": within(z[rows], Z_TOLERANCE),
            "maps": within(maps[rows], MAP_TOLERANCE),
            "iou_difference": within(delta[rows], 0.01),
        }
    return found


def within(apart: Values, tolerance: float) -> dict[str, float]:
    """Median, largest, and the share within a tolerance; of none all is 0."""
    apart = apart[np.isfinite(apart)] if np.isfinite(apart).any() else np.zeros(1)
    return {
        "median": float(np.median(apart)),
        "largest": float(apart.max()),
        "tolerance": tolerance,
        "share_within": float((apart <= tolerance).mean()),
    }


def engine(note: Note, quick: bool) -> None:
    """Pictures in memory: the engine, the bare passes in either memory format, the obvious way."""
    side, count, few, rounds = (32, 4, 2, 1) if quick else (SIDE, 512, 8, 2)
    images = photographs(count, side)
    settings = replace(SETTINGS, strengths=(0.0, 1.0, 4.0)) if quick else SETTINGS
    for name, build in ({"ResNet-18": MORE["ResNet-18"]} if quick else MORE).items():
        plain = ware(build, images, 1)
        given = ware(build, images, 1, DEVICE)
        given = replace(given, batch=min(fitting_batch(given.detector), count))
        found: dict[str, Any] = {"layer": given.detector.layers[0], "batch": given.batch}
        for precision in ("fp32",) if quick else PRECISIONS:
            asked = replace(settings, precision=precision)
            found[precision] = against_bare(plain.module, given, asked, rounds)
            note(name, found)
        try:
            found |= against_obvious(plain.module, given, settings, few)
        except ImportError as error:
            found["obvious"] = f"skipped: {error}"
        note(name, found)
        torch.cuda.empty_cache()


def against_bare(
    module: nn.Module, given: Ware, settings: AuditSettings, rounds: int
) -> dict[str, Any]:
    """Ratio of the engine to the bare passes of the better memory format."""
    strengths = len(settings.strengths) - 1
    limits = {
        form: bare(
            copy.deepcopy(module),
            given.images,
            given.batch,
            device=DEVICE,
            memory_format=memory_format,
            precision=settings.precision,
        )
        for form, memory_format in FORMATS.items()
    }
    jobs: dict[str, Callable[[], Any]] = {
        form: (lambda limit=limit: limit(strengths)) for form, limit in limits.items()
    }
    jobs["engine"] = lambda: audit_in_memory(given, settings)
    alternate(jobs, 1)  # what a first run prepares is nobody's time
    times, results = alternate(jobs, rounds)
    limit = [min(pair) for pair in zip(times["plain"], times["channels_last"], strict=True)]
    scored = sum(int((shard.samples["predicted"] == 0).sum()) for shard in results["engine"])
    return {
        "passed": f"{scored} of {len(given.images)}",
        "seconds": {job: round(min(taken), 4) for job, taken in times.items()},
        "images_per_second": round(len(given.images) / min(times["engine"]), 1),
        "vs_limit": ratio(times["engine"], limit),
    }


def against_obvious(
    module: nn.Module, given: Ware, settings: AuditSettings, few: int
) -> dict[str, Any]:
    """How many times faster an image is than by the obvious pipeline, which gets a few."""
    layer = given.detector.layers[0]
    height, width = given.detector.grids[layer]

    def grid(tokens: Tensor) -> Tensor:
        cells = tokens[:, tokens.shape[1] - height * width :].transpose(1, 2)
        return cells.reshape(len(tokens), -1, height, width)

    flat = isinstance(module, timm.models.VisionTransformer)
    rival = Obvious(copy.deepcopy(module), layer, device=DEVICE, grid=grid if flat else None)
    rival(given.images[:2], settings.strengths[:2])
    taken, _ = timed(lambda: rival(given.images[:few], settings.strengths))
    ours, _ = timed(lambda: audit_in_memory(given, settings))
    faster = (taken / few) / (ours / len(given.images))
    return {"obvious_images_per_second": round(few / taken, 2), "vs_obvious": round(faster, 1)}


def audit_in_memory(given: Ware, settings: AuditSettings) -> list[Shard]:
    """All batches as an audit runs them: the next is uploaded while one is scored."""
    detector = given.detector

    def load(start: int) -> Batch:
        pixels: Any = given.images[start : start + given.batch]
        ids = np.array([f"{start + i:06d}" for i in range(len(pixels))], dtype=object)
        if DEVICE == "cuda":
            pixels = torch.from_numpy(pixels).pin_memory()
        batch = Batch(ids, np.full(len(ids), "", dtype=object), pixels, np.zeros(len(ids), bool))
        return upload(batch, detector.device) if DEVICE == "cuda" else batch

    starts = range(0, len(given.images), given.batch)
    return list(run_local(starts, load, lambda batch: score_batch(detector, settings, batch)))


def disk(note: Note, quick: bool) -> None:
    """Whole audits of files, against the bare passes of as many images; and decoding alone."""
    count, side, rounds = (16, 32, 1) if quick else (2048, SIDE, 1)
    images = photographs(min(count, 512), side)
    settings = replace(SETTINGS, strengths=(0.0, 1.0, 4.0)) if quick else SETTINGS
    with scratch() as folder:
        sets = write_files(folder, count)
        for name in ("ResNet-18",) if quick else NETWORKS:
            plain = ware(MORE[name], images, 1)
            given = ware(MORE[name], images, 1, DEVICE)
            given = replace(given, batch=fitting_batch(given.detector))
            if name == "ResNet-18":
                for kind, dataset in sets.items():
                    note(f"decoding_{kind}", decoding(dataset, given.detector))
            for precision in ("fp32",) if quick else ("fp32", "bf16"):
                asked = replace(settings, precision=precision)
                limit = against_bare(plain.module, given, asked, 1)["seconds"]
                seconds = min(limit[form] for form in FORMATS) * count / len(images)
                found: dict[str, Any] = {"bare_seconds": round(seconds, 3), "batch": given.batch}
                for kind, dataset in sets.items():
                    where = folder / f"{name}-{precision}-{kind}"
                    found[kind] = from_disk(given.detector, dataset, asked, where, rounds)
                    for key, of in (("seconds", "end_to_end"), ("scoring_seconds", "scoring")):
                        found[kind][f"{of}_vs_limit"] = round(found[kind][key] / seconds, 3)
                    note(f"{name}, {precision}", found)


def from_disk(
    detector: Detector, dataset: Dataset, settings: AuditSettings, where: Path, rounds: int
) -> dict[str, float]:
    """Seconds of a whole audit, and of its scoring alone: without rivals and labels."""
    runs = [
        timed(lambda out=where / str(index): run_audit(detector, dataset, settings, out))
        for index in range(rounds)
    ]
    seconds = min(taken for taken, _ in runs)
    return {
        "seconds": seconds,
        "scoring_seconds": round(min(a.manifest.timings.seconds for _, a in runs), 3),
        "images_per_second": round(len(dataset.samples) / seconds, 1),
    }


def decoding(dataset: Dataset, detector: Detector) -> dict[str, float]:
    """Images a second by one thread, by threads and by the processes of the pool."""
    paths = dataset.samples["path"].tolist()
    workers = max(2, (os.cpu_count() or 1) - 1)

    def read(part: list[str]) -> Batch:
        return read_images(dataset.root, part, part, detector.preprocessing)

    one, _ = timed(lambda: read(paths[: len(paths) // 8]))
    with ThreadPoolExecutor(workers) as threads:
        parts = [paths[start : start + 16] for start in range(0, len(paths), 16)]
        many, _ = timed(lambda: list(threads.map(read, parts)))
    with decoding_pool() as pool:
        read_images(dataset.root, paths[:64], paths[:64], detector.preprocessing, pool=pool)
        pooled, _ = timed(
            lambda: read_images(dataset.root, paths, paths, detector.preprocessing, pool=pool)
        )
        size = pool.size
    rates = {
        "one_thread": len(paths) // 8 / one,
        f"{workers}_threads": len(paths) / many,
        f"{size}_processes": len(paths) / pooled,
    }
    return {name: round(rate, 1) for name, rate in rates.items()}


def memory(note: Note, quick: bool) -> None:
    """A batch that does not fit is halved, and its scores are those of the whole batch."""
    images = photographs(32 if quick else 128, SIDE)
    given = ware(MORE["ResNet-50"], images, len(images), DEVICE)
    ids = np.array([f"{i:06d}" for i in range(len(images))], dtype=object)
    batch = Batch(ids, np.full(len(ids), "", dtype=object), images, np.zeros(len(ids), bool))
    settings = replace(SETTINGS, strengths=(0.0, 1.0, 4.0))
    note("fitting_batch", fitting_batch(given.detector))
    whole = score_batch(given.detector, settings, batch)
    note("peak_gib", round(torch.cuda.max_memory_allocated() / GIB, 2))
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    allowed = torch.cuda.memory_allocated() + (torch.cuda.max_memory_allocated() // 3)
    sizes: list[int] = []

    def score(part: Batch) -> Shard:
        sizes.append(len(part.sample_ids))
        return score_batch(given.detector, settings, part)

    torch.cuda.set_per_process_memory_fraction(allowed / total)
    try:
        found = Halving(score)(batch)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    note("allowed_gib", round(allowed / GIB, 2))
    note("batches_tried", sizes)
    note("halved", len(sizes) > 1 and len(found.samples) == len(images))
    z = whole.samples["log_odds"].to_numpy()
    apart = np.abs(z - found.samples["log_odds"].to_numpy()) / (1 + np.abs(z))
    note("z", within(apart, Z_TOLERANCE))


def evidence_forms(note: Note, quick: bool) -> None:
    """Every form of evidence for one image, and evidence as the maps of an audit."""
    parts = 4 if quick else 12
    with surfaces(parts, train=parts // 2) as dataset, scratch() as folder:
        detectors = {place: open_detector(NETWORK, device=place) for place in {"cpu", DEVICE}}
        preprocessing = detectors["cpu"].preprocessing
        paths = dataset.samples["path"].tolist()
        surroundings = fit_to_files(dataset.root, paths, preprocessing)
        pixels = as_pixels(preprocessing, dataset.root / paths[0])
        for form in ("first-order",) if quick else FORMS:
            results = {
                place: evidence(
                    detector, pixels, surroundings, form, window=10, stride=8, samples=4
                )
                for place, detector in detectors.items()
            }
            reference, found = results["cpu"].bits, results[DEVICE].bits
            apart = np.abs(reference - found) / max(float(np.abs(reference).max()), 1e-12)
            note(
                form,
                {place: round(result.seconds, 3) for place, result in results.items()}
                | {"bits": within(apart.astype(np.float64), MAP_TOLERANCE)},
            )
        settings = AuditSettings(strengths=(0, 1), specific=("evidence",))
        audits = {
            place: run_audit(detector, dataset, settings, folder / place)
            for place, detector in detectors.items()
        }
        note("audit", differences(audits["cpu"], audits[DEVICE]))


def training(note: Note, quick: bool) -> None:
    """Two epochs, interrupted in the second and resumed; the first one's losses on the CPU too."""
    settings = TrainingSettings(size=(64, 64), epochs=2, batch=8)
    parts = 24 if quick else 160
    with surfaces(parts, train=parts // 2) as dataset, scratch() as folder:
        seen: list[int] = []

        def stop(progress: TrainingProgress) -> None:
            if progress.epoch == 2 and progress.done > progress.total // 2:
                raise KeyboardInterrupt

        def count(progress: TrainingProgress) -> None:
            seen.append(progress.done)

        out = folder / "network.safetensors"
        try:
            train(dataset, settings, out, progress=stop)
        except KeyboardInterrupt:
            note("interrupted", True)
        seconds, trained = timed(lambda: train(dataset, settings, out, progress=count))
        note("resumed_at_step", seen[0])
        note("seconds_of_the_rest", seconds)
        note("device", DEVICE)
        if DEVICE == "cuda":
            note("gpu_peak_gib", round(torch.cuda.max_memory_allocated() / GIB, 3))
        note("history", [asdict(epoch) for epoch in trained.history])
        note("opens", open_detector(trained.model).layers[0])
        if DEVICE == "cuda":
            other = train(dataset, settings, folder / "cpu.safetensors", device="cpu")
            note("history_on_the_cpu", [asdict(epoch) for epoch in other.history])


def cluster(note: Note, quick: bool) -> None:
    """Two Ray actors that share the GPU, against a local run of the same."""
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    with surfaces(4 if quick else 300) as dataset, scratch() as folder:
        settings = AuditSettings(strengths=(0, 1, 4))
        detector = open_detector(NETWORK, device=DEVICE)
        seconds, local = timed(lambda: run_audit(detector, dataset, settings, folder / "local"))
        note("local_seconds", seconds)
        actors = Cluster(None, workers=2, gpus=0.5 if DEVICE == "cuda" else 0)
        seconds, far = timed(
            lambda: run_audit(
                detector, dataset, settings, folder / "ray", batch_size=32, cluster=actors
            )
        )
        note("actors_seconds", seconds)
        note("differences", differences(local, far))


SECTIONS = {  # what shows that it is right comes first
    "demo": Section(demo, 110),
    "memory": Section(memory, 40, gpu=True),
    "evidence": Section(evidence_forms, 80),
    "training": Section(training, 60),
    "engine": Section(engine, 190, packages=("timm",)),
    "disk": Section(disk, 150, packages=("timm",)),
    "cluster": Section(cluster, 90, packages=("ray",)),
}


def timed(job: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of a job, all of the GPU's work included, and what it gave."""
    began = time.perf_counter()
    given = job()
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return round(time.perf_counter() - began, 3), given


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for a while."""
    with tempfile.TemporaryDirectory() as place:
        yield Path(place)


@contextmanager
def surfaces(parts: int, train: int = 0) -> Iterator[Dataset]:
    """The demo's surfaces, so many of its parts."""
    with scratch() as folder:
        made = generate(folder / "surfaces", parts=parts, train=train)
        yield read_dataset(made, samples=made / SAMPLES_FILE)


def photographs(count: int, side: int) -> Pixels:
    """Smooth noise in colour, `(count, 3, side, side)`, of the same kind at any number and size."""
    draw = np.random.default_rng(0)

    def photograph(seed: np.random.Generator) -> Pixels:
        coarse = seed.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((side, side)), dtype=np.int16)
        grain = seed.integers(-12, 13, (side, side, 3), dtype=np.int16)
        return (smooth + grain).clip(0, 255).astype(np.uint8).transpose(2, 0, 1)

    with ThreadPoolExecutor() as threads:
        return np.stack(list(threads.map(photograph, draw.spawn(count))))


def write_files(folder: Path, count: int) -> dict[str, Dataset]:
    """The same photographs of `PHOTO` pixels a side as JPEG and as PNG files, with their tables."""
    kinds: dict[str, dict[str, Any]] = {"jpg": {"quality": 90}, "png": {"compress_level": 1}}
    for kind in kinds:
        (folder / kind).mkdir()

    def save(index: int, pixels: Pixels) -> None:
        image = Image.fromarray(pixels.transpose(1, 2, 0))
        for kind, options in kinds.items():
            image.save(folder / kind / f"{index:05d}.{kind}", **options)

    with ThreadPoolExecutor() as threads:
        list(threads.map(save, range(count), photographs(count, PHOTO)))
    found = {}
    for kind in kinds:
        table = pd.DataFrame({"path": [f"{index:05d}.{kind}" for index in range(count)]})
        table.assign(label=np.arange(count) % 2).to_csv(folder / f"{kind}.csv", index=False)
        found[kind] = read_dataset(folder / kind, samples=folder / f"{kind}.csv")
    return found
