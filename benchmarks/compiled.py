"""Would `torch.compile` pay? The bare passes of an audit, compiled and as they are.

    python -m benchmarks.compiled [--quick] --json

The limit of `benchmarks.engine` (E + 1 forwards and one input gradient of ready tensors), 8
strengths, 224 x 224. `faster`: times, rounds in turn; `compile_seconds`: what the first batch costs
more; `pays_after`: images of an audit from which compiling has earned its time back.
"""

import argparse
import copy
import json
import time
from typing import Any

import numpy as np
import torch

from benchmarks.engine import BATCH, NETWORKS, SIDE, STRENGTHS, Pixels, ware
from benchmarks.machine import alternate, machine, ratio, versions
from benchmarks.obvious import bare
from trust_core.audit.allocator import keep_freed_memory
from trust_core.data.demo.surfaces import render_part


def measure(name: str, images: Pixels, rounds: int) -> dict[str, Any]:
    """What compiling costs and saves with one network."""
    module = ware(NETWORKS[name], images, BATCH).module.requires_grad_(False)
    plain = bare(module, images, BATCH)
    compiled = bare(torch.compile(copy.deepcopy(module)), images, BATCH)
    strengths = len(STRENGTHS) - 1
    plain(1)
    began = time.perf_counter()
    compiled(strengths)
    first = time.perf_counter() - began
    jobs = {"plain": lambda: plain(strengths), "compiled": lambda: compiled(strengths)}
    times, _ = alternate(jobs, rounds)
    seconds = {job: min(taken) for job, taken in times.items()}
    cost = first - seconds["compiled"]
    saved = (seconds["plain"] - seconds["compiled"]) / len(images)
    return {
        "faster": ratio(times["plain"], times["compiled"]),
        "seconds": {job: round(value, 3) for job, value in seconds.items()},
        "compile_seconds": round(cost, 1),
        "pays_after": round(cost / saved) if saved > 0 else None,
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compiled", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--json", action="store_true", help="the only form there is")
    options = parser.parse_args()
    keep_freed_memory()
    photos = [render_part(1, part, photos=1, size=SIDE).photos for part in range(BATCH)]
    images = np.repeat(np.stack(photos), 3, axis=1)
    rounds = 1 if options.quick else 5
    found = {name: measure(name, images, rounds) for name in NETWORKS}
    sizes = {"images": BATCH, "side": SIDE, "strengths": STRENGTHS, "rounds": rounds}
    about = {"machine": machine(), "versions": versions("torch", "torchvision", "timm")}
    print(json.dumps({"networks": found} | sizes | about))


if __name__ == "__main__":
    main()
