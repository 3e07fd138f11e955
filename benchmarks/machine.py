"""What a figure was measured on, and how two things are timed against each other."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

Times = dict[str, list[float]]


def machine() -> dict[str, object]:
    """Cores, instruction set and threads."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def versions(*names: str) -> dict[str, str]:
    """Of Python and some packages; "none" of one that is not installed."""
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def alternate(jobs: Mapping[str, Callable[[], Any]], rounds: int) -> tuple[Times, dict[str, Any]]:
    """All jobs once a round, in turn: what disturbs one disturbs all.

    Returns:
        Seconds of each job, a value a round, and what it gave last.
    """
    taken: Times = {name: [] for name in jobs}
    given: dict[str, Any] = {}
    for _ in range(rounds):
        for name, job in jobs.items():
            began = time.perf_counter()
            given[name] = job()
            taken[name].append(time.perf_counter() - began)
    return taken, given


def ratio(over: list[float], under: list[float]) -> dict[str, float]:
    """Median, minimum and maximum of the rounds' ratios."""
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    found = {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}
    return {name: round(value, 3) for name, value in found.items()}


def _processor() -> str:
    """The model name where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{platform.machine()}, {next(named, 'unnamed')}"
