"""What it costs to open a model: in the sandbox rather than in the process itself, and on a page.

    python -m benchmarks.opening [--quick] --json

`seconds`: of `read_facts` through a warm sandbox, median by file; `vs_process`: times as long as
in this process without the scan of pickles (as it was before both), the median of rounds that take
turns; `start_seconds`: until a sandbox that nobody has started answers its first call.
`page_seconds`: from dropping a file on the Run page to the name of what was recognised, in a
browser, median by network of files that the server has not seen; `first_page_seconds`: of the
first file a fresh server is given (needs Chromium).
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

import timm
import torch
import torchvision
from playwright.sync_api import Page, sync_playwright
from safetensors.torch import save_file

from benchmarks.machine import machine, versions
from tests.browser.server import launch, serve, settled, visitor
from trust_core.audit.sandbox import Sandbox
from trust_core.model import weights
from trust_core.model.open import read_facts

ROUNDS, QUICK_ROUNDS = 15, 3
NETWORKS, QUICK_NETWORKS = ("resnet18", "resnet50", "mobilenet_v3_small"), ("mobilenet_v3_small",)
DROPS, QUICK_DROPS = 5, 2
SLOWEST = 120_000  # ms
DROPPED = (
    "torchvision/resnet18",
    "torchvision/mobilenet_v3_small",
    "torchvision/efficientnet_b0",
    "timm/tf_efficientnet_lite0",
    "torchvision/convnext_tiny",
)
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


def on_the_page(drops: int) -> tuple[float, dict[str, float]]:
    """Seconds of the first file of a fresh server, and medians by network."""
    found = {}
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder = Path(temporary)
        (folder / "workspace").mkdir()
        page = visitor(launch(playwright), viewport={"width": 1440, "height": 900}).new_page()
        page.set_default_timeout(SLOWEST)
        with serve(folder / "workspace", folder / "log") as server:
            first = _drop(page, server.url, _network(DROPPED[0], folder / "first.safetensors"))
            for name in DROPPED:
                file = folder / f"{name.rpartition('/')[2]}.safetensors"
                found[name] = statistics.median(
                    _drop(page, server.url, _network(name, file)) for _ in range(drops)
                )
    return first, found


def _network(name: str, file: Path) -> Path:
    """A file of new weights, as no other."""
    library, _, short = name.partition("/")
    build = torchvision.models.get_model if library == "torchvision" else timm.create_model
    save_file(build(short, num_classes=2).state_dict(), file)
    return file


def _drop(page: Page, url: str, file: Path) -> float:
    """From the drop of a file to the name of its architecture on the page."""
    page.goto(f"{url}/run")
    settled(page, SLOWEST)
    name = page.get_by_text("Recognised as", exact=True)
    name.wait_for(state="hidden")
    began = time.perf_counter()
    page.locator(".st-key-step-model input[type=file]").set_input_files(file)
    name.wait_for()
    return time.perf_counter() - began


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
    first_page, pages = on_the_page(QUICK_DROPS if quick else DROPS)
    command = [sys.executable, "-c", COLLECTIONS]
    collected = subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our code
    collections = json.loads(collected.stdout)
    print(
        json.dumps(
            {
                "seconds": found,
                "vs_process": ratios,
                "start_seconds": first,
                "page_seconds": pages,
                "first_page_seconds": first_page,
                "collection_ms": collections,
                "machine": machine(),
                "versions": versions("torch", "torchvision", "timm", "streamlit"),
            }
        )
    )


if __name__ == "__main__":
    main()
