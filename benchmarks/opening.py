"""What it costs to open a model in the sandbox rather than in the process itself.

    python -m benchmarks.opening [--quick] --json

`seconds`: of `read_facts` through a warm sandbox, median by file; `vs_process`: times as long as
in this process without the scan of pickles (as it was before both), the median of rounds that take
turns; `start_seconds`: until a sandbox that nobody has started answers its first call.
`collection_ms`: what a collection of all garbage takes, as Streamlit makes one after every move:
in a server without PyTorch, with it, and with what is loaded frozen.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import torch
import torchvision
from safetensors.torch import save_file

from benchmarks.machine import machine, versions
from trust_core.model import weights
from trust_core.model.open import read_facts
from trust_core.sandbox import Sandbox

ROUNDS, QUICK_ROUNDS = 15, 3
NETWORKS, QUICK_NETWORKS = ("resnet18", "resnet50", "mobilenet_v3_small"), ("mobilenet_v3_small",)
COLLECTIONS = """
import gc, json, statistics, time
import dashboard.shell

def milliseconds():
    took = []
    for _ in range(9):
        start = time.perf_counter()
        gc.collect()
        took.append(1000 * (time.perf_counter() - start))
    return statistics.median(took)

found = {"without": milliseconds()}
import trust_core.audit.looks
found["with"] = milliseconds()
gc.freeze()
found["frozen"] = milliseconds()
print(json.dumps(found))
"""


def seconds(function: Callable[[], object]) -> float:
    """Of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def compare(sandbox: Sandbox, file: Path, rounds: int) -> tuple[float, float]:
    """Median seconds in the sandbox, and how many times those in this process."""

    def inside() -> None:
        sandbox.call("trust_core.model.open:read_facts", file, None, what=file.name)

    def here() -> None:
        with mock.patch.object(weights, "scan", return_value=None):
            read_facts(file)

    inside(), here()
    pairs = [(seconds(inside), seconds(here)) for _ in range(rounds)]
    return statistics.median(a for a, _ in pairs), statistics.median(a / b for a, b in pairs)


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.opening", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one network, few rounds")
    parser.add_argument("--json", action="store_true", help="the only form there is")
    quick = parser.parse_args().quick
    sandbox = Sandbox("trust_core.audit.looks")
    names = "trust_core.model.recognition.architectures:torchvision_names"
    first = seconds(lambda: sandbox.call(names, what="The list of names"))
    found: dict[str, float] = {}
    ratios: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in QUICK_NETWORKS if quick else NETWORKS:
            state = torchvision.models.get_model(name, weights=None, num_classes=2).state_dict()
            for suffix in (".pt", ".safetensors"):
                file = Path(folder, name + suffix)
                torch.save(state, file) if suffix == ".pt" else save_file(state, file)
                rounds = QUICK_ROUNDS if quick else ROUNDS
                found[file.name], ratios[file.name] = compare(sandbox, file, rounds)
    sandbox.close()
    command = [sys.executable, "-c", COLLECTIONS]
    collected = subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our code
    collections = json.loads(collected.stdout)
    print(
        json.dumps(
            {
                "seconds": found,
                "vs_process": ratios,
                "start_seconds": first,
                "collection_ms": collections,
                "machine": machine(),
                "versions": versions("torch", "streamlit"),
            }
        )
    )


if __name__ == "__main__":
    main()
