"""The engine against the obvious pipeline and against the least that any could do.

    python -m benchmarks.engine [--quick] --json

Images are in memory, at 224 x 224, and all are passed, so every strength is scored on each. Maps
are `gradcam` for both classes and `eigen`, because the package grad-cam has both. The same threads,
the same allocator; in each round everything runs once, in turn, and ratios are of one round.

`vs_obvious`: times faster than the obvious pipeline, the worse of the networks, in fp32;
`vs_obvious_fast`: the same with `--precision bf16`; `vs_shared_gradient`: than one that takes the
FGSM gradient once for all strengths; `vs_limit`: times what the bare passes take.
`delta_agreement`: Δ of the obvious pipeline and of the engine's maps, brought to the same grid, by
the same masks, with a principal component that is clipped and signed as the package has it; at
ε = 0, and at ε > 0, where the two enhanced images differ in those few pixels whose gradient is so
near 0 that another order of summation turns its sign.
"""

import argparse
import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import timm
import torch
import torchvision
from torch import nn

from benchmarks.machine import alternate, machine, ratio, versions
from benchmarks.obvious import MEAN, STD, Floats, Obvious, Pixels, bare, differences
from trust_core.audit.allocator import keep_freed_memory
from trust_core.audit.decode import Batch
from trust_core.audit.score import score_batch
from trust_core.audit.settings import AuditSettings
from trust_core.data.demo.surfaces import render_part
from trust_core.explanation.overlap import to_comparison_grid
from trust_core.model.detector import Detector
from trust_core.model.outputs import choose_convention
from trust_core.model.preprocessing import Preprocessing
from trust_core.storage.shards import Shard

SIDE, BATCH = 224, 32
STRENGTHS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "ResNet-18": lambda: torchvision.models.resnet18(num_classes=2),
    "EfficientNet-Lite0": lambda: timm.create_model("tf_efficientnet_lite0", num_classes=2),
}
SETTINGS = AuditSettings(strengths=STRENGTHS, specific=("gradcam",), agnostic=("eigen",))
FAST = replace(SETTINGS, precision="bf16")
WORST = {"vs_obvious": min, "vs_obvious_fast": min, "vs_shared_gradient": min, "vs_limit": max}


@dataclass(frozen=True)
class Ware:
    """What both sides get: one network, each its own copy, and the same images."""

    module: nn.Module
    detector: Detector
    images: Pixels
    batch: int


def ware(build: Callable[[], nn.Module], images: Pixels, batch: int, device: str = "cpu") -> Ware:
    """A network with random weights that calls all images good, BatchNorm fitted to them."""
    torch.manual_seed(0)
    module = build()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None  # the plain average over what it sees
    x = (torch.from_numpy(images[:32]).float() / 255 - MEAN) / STD
    with torch.no_grad():
        module.train()(x)
        *_, head = (part for part in module.modules() if isinstance(part, nn.Linear))
        logits = module.eval()(x)
        head.bias -= torch.tensor([0.0, 2.0]) * (logits[:, 1] - logits[:, 0]).abs().max()
    mean, std = (tuple(x.flatten().tolist()) for x in (MEAN, STD))
    detector = Detector(
        copy.deepcopy(module),
        Preprocessing((images.shape[2], images.shape[3]), mean=mean, std=std),
        choose_convention(2),
        device=device,
    )
    return Ware(module, detector, images, batch)


def audit(given: Ware, settings: AuditSettings) -> list[Shard]:
    """The engine: all batches through the audit's batch function."""
    shards = []
    for start in range(0, len(given.images), given.batch):
        pixels = given.images[start : start + given.batch]
        ids = np.array([f"{start + i:06d}" for i in range(len(pixels))], dtype=object)
        unread = np.full(len(ids), "", dtype=object)
        shards.append(
            score_batch(given.detector, settings, Batch(ids, unread, pixels, unread != ""))
        )
    return shards


def agreement(found: Floats, shards: list[Shard], side: int = SIDE) -> dict[str, object]:
    """Δ of the package's maps against Δ of ours, by the package's own grid, masks and clipping.

    Args:
        found: of the obvious pipeline, `(N, E + 1)`.
        shards: of the engine.
        side: of the input, on whose grid the package has its maps.
    """

    def maps(name: str) -> torch.Tensor:
        joined = np.concatenate([shard.maps[name] for shard in shards])
        return torch.from_numpy(joined).float()

    def sized(values: torch.Tensor) -> Floats:
        return to_comparison_grid(values.relu(), side).numpy()

    defect, good = sized(maps("defect")), sized(maps("good"))
    either = [differences(defect, good, sized(sign * maps("eigen"))) for sign in (1, -1)]
    apart = np.abs(np.stack(either) - found.ravel())
    turned = (apart[1] < apart[0]).mean()
    distance = apart.min(0).reshape(found.shape)

    def summary(values: Floats) -> dict[str, float]:
        return {
            "compared": values.size,
            "median": round(float(np.median(values)), 5),
            "within_0.01": round(float((values <= 0.01).mean()), 4),
            "largest": round(float(values.max()), 4),
        }

    found_at = {"clean": summary(distance[:, 0]), "enhanced": summary(distance[:, 1:])}
    return found_at | {"component_turned": round(float(turned), 3)}


def measure(name: str, images: Pixels, rounds: int) -> dict[str, Any]:
    """Ratios of one network."""
    given = ware(NETWORKS[name], images, BATCH)
    rival = copy.deepcopy(given.module)
    layer = given.detector.layers[0]
    obvious, shared = Obvious(rival, layer), Obvious(rival, layer, shared_gradient=True)
    limit = bare(given.module, images, BATCH)
    clean = replace(SETTINGS, strengths=(0.0,))
    jobs: dict[str, Callable[[], object]] = {
        "obvious": lambda: obvious(images, STRENGTHS),
        "shared_gradient": lambda: shared(images, STRENGTHS),
        "limit": lambda: limit(len(STRENGTHS) - 1),
        "engine": lambda: audit(given, SETTINGS),
        "fast": lambda: audit(given, FAST),
        "obvious_clean": lambda: obvious(images, (0.0,)),
        "limit_clean": lambda: limit(0),
        "engine_clean": lambda: audit(given, clean),
    }
    few = images[:4]
    obvious(few, (0.0, 1.0))  # what a first run prepares is nobody's time
    limit(1)
    audit(given, SETTINGS)
    audit(given, FAST)
    times, given_back = alternate(jobs, rounds)
    return {
        "layer": layer,
        "delta_agreement": agreement(given_back["obvious"], given_back["engine"]),
        "seconds": {job: round(min(taken), 3) for job, taken in times.items()},
        "vs_obvious": ratio(times["obvious"], times["engine"]),
        "vs_obvious_fast": ratio(times["obvious"], times["fast"]),
        "vs_shared_gradient": ratio(times["shared_gradient"], times["engine"]),
        "vs_limit": ratio(times["engine"], times["limit"]),
        "clean_vs_obvious": ratio(times["obvious_clean"], times["engine_clean"]),
        "clean_vs_limit": ratio(times["engine_clean"], times["limit_clean"]),
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer images, one round")
    parser.add_argument("--json", action="store_true", help="the only form there is")
    parser.add_argument("--network", choices=list(NETWORKS), action="append")
    options = parser.parse_args()
    count, rounds = (16, 1) if options.quick else (32, 3)
    keep_freed_memory()
    photos = [render_part(1, part, photos=1, size=SIDE).photos for part in range(count)]
    images = np.repeat(np.stack(photos), 3, axis=1)
    found = {name: measure(name, images, rounds) for name in options.network or NETWORKS}
    worst = {
        key: pick(result[key]["median"] for result in found.values()) for key, pick in WORST.items()
    }
    sizes = {"images": count, "side": SIDE, "strengths": STRENGTHS, "batch": BATCH}
    about = {"machine": machine(), "versions": versions("torch", "torchvision", "timm", "grad-cam")}
    print(json.dumps(worst | {"networks": found, "rounds": rounds} | sizes | about))


if __name__ == "__main__":
    main()
