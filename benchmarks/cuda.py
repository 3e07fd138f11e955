"""What a GPU is used for, held to the CPU and timed: one command of under eight minutes.

    python -m benchmarks.cuda [--quick] [--section NAME ...] [--out FILE] --json

`demo`: the bundled demo audited on the CPU and on the GPU, row by row. `engine`: pictures in
memory, against the bare passes (in either memory format; the better one is the limit) and the
obvious pipeline, four networks, three precisions. `disk`: whole audits of JPEG and PNG files, and
decoding by itself. `memory`: a batch that does not fit is halved. `evidence`, `training`: on the
GPU against the CPU, the training interrupted and resumed. `cluster`: two Ray actors share the GPU.

Each section is a process of its own with a time of its own, and says so when it failed, ran out of
it, or was skipped for want of a package or a GPU; without a GPU most run on the CPU, small. `FILE`
holds what is known so far, at any moment.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from benchmarks.cuda_sections import SECTIONS, Section
from benchmarks.machine import machine, versions
from trust_core.audit.allocator import keep_freed_memory

PACKAGES = ("torch", "torchvision", "timm", "grad-cam", "ray", "numpy", "pillow", "pandas")
TOTAL_SECONDS = 460.0
REPORTED = 12  # last lines of a failure
INTERRUPTED = "interrupted"


def missing(section: Section) -> str:
    """Why a section cannot run here; "" when it can."""
    if section.gpu and not torch.cuda.is_available():
        return "needs CUDA, skipped"
    packages = [name for name in section.packages if find_spec(name) is None]
    return f"needs the package {', '.join(packages)}, skipped" if packages else ""


def run_section(name: str, part: Path, *, quick: bool) -> None:
    """Run a section in this process; `part` holds what it has found, after every finding."""
    found: dict[str, Any] = {}

    def note(key: str, value: object) -> None:
        found[key] = value
        write(part, found)

    write(part, found)
    try:
        SECTIONS[name].run(note, quick)
    except Exception:
        note("error", traceback.format_exc().splitlines()[-REPORTED:])
        raise


def in_process(name: str, seconds: float, *, quick: bool) -> dict[str, Any]:
    """A section in a process of its own: `status`, `seconds`, and what it found."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        part = Path(place) / "part.json"
        command = [sys.executable, "-m", "benchmarks.cuda", "--one", name, str(part)]
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter, a list, no shell
                command + ["--quick"] * quick,
                timeout=seconds,
                stdout=sys.stderr,
                check=False,
                env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"},  # as the command line has it
            )
            status = "failed" if done.returncode else "done"
            if done.returncode < 0:
                status = f"failed: ended by signal {-done.returncode}"
        except subprocess.TimeoutExpired:
            status = f"stopped after {seconds:.0f} s"
        except KeyboardInterrupt:
            status = INTERRUPTED
        found = json.loads(part.read_text()) if part.exists() else {}
    return {"status": status, "seconds": round(time.monotonic() - began, 1)} | found


def write(path: Path, content: dict[str, Any]) -> None:
    """JSON, whole at any moment."""
    unfinished = path.with_name(f".{path.name}")
    unfinished.write_text(json.dumps(content, indent=1))
    unfinished.replace(path)


def main(words: Sequence[str] | None = None) -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cuda", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small, to see that it runs")
    parser.add_argument("--json", action="store_true", help="the only form there is")
    parser.add_argument("--section", choices=list(SECTIONS), action="append")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also written as it goes")
    parser.add_argument("--seconds", type=float, default=TOTAL_SECONDS, help="for all sections")
    parser.add_argument("--one", nargs=2, metavar=("SECTION", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.one:
        keep_freed_memory()
        run_section(options.one[0], Path(options.one[1]), quick=options.quick)
        return
    ends = time.monotonic() + options.seconds
    result: dict[str, Any] = {"machine": machine(), "versions": versions(*PACKAGES)}
    if torch.cuda.is_available():
        about = torch.cuda.get_device_properties(0)
        result["gpu_memory_gib"] = round(about.total_memory / 2**30, 1)
        result["cuda"] = {"version": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    result["quick"], result["sections"] = options.quick, {}
    for name in options.section or SECTIONS:
        section = SECTIONS[name]
        left = ends - time.monotonic()
        seconds = left if options.quick else min(section.seconds, left)
        why = missing(section) or ("" if seconds > 0 else "no time was left, skipped")
        result["sections"][name] = (
            {"status": why} if why else in_process(name, seconds, quick=options.quick)
        )
        status = result["sections"][name]["status"]
        print(f"{name}: {status}", file=sys.stderr, flush=True)
        if status == INTERRUPTED:
            ends = time.monotonic()
        if options.out:
            write(options.out, result)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
