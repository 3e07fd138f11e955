"""What an audit is: the hashes that identify it and the manifest that describes it."""

import hashlib
import json
import os
import platform
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import pandas as pd

from trust_core.data.samples import Dataset
from trust_core.model.detector import Detector
from trust_core.scoring import map_key
from trust_core.settings import AuditSettings
from trust_core.store import SCHEMA_VERSION

LIBRARIES = ("torch", "torchvision", "timm", "numpy", "pandas", "pillow")
OUTCOMES = {(1, 1): "TP", (1, 0): "FN", (0, 0): "TN", (0, 1): "FP"}  # (label, predicted)


@dataclass(frozen=True)
class Identity:
    """The hashes that say what was audited (hex sha256).

    Attributes:
        model_pass: model, pixels, preprocessing, layers, maps, strengths, decision rule.
        table: labels, kinds, groups, roles, masks.
        data: paths and bytes of the images.
    """

    model_pass: str
    table: str
    data: str


def identify(detector: Detector, dataset: Dataset, settings: AuditSettings) -> Identity:
    """The hashes of an audit, before it runs."""
    images = dataset.samples[["sample_id", "sha256"]].to_numpy().tolist()
    data = _digest(dataset.samples[["path", "sha256"]].to_numpy().tolist())
    asked = asdict(settings)
    del asked["mask"]  # applied to the kept maps, whenever
    model_pass = _digest([SCHEMA_VERSION, describe(detector), list(detector.layers), asked, images])
    columns = ["sample_id", "label", "kind", "split", "role", "group", "mask_path"]
    return Identity(model_pass, _digest(dataset.samples[columns].to_numpy().tolist()), data)


def describe(detector: Detector) -> dict[str, Any]:
    """What makes two detectors the same: weights, architecture, convention, preprocessing."""
    return {
        "architecture": detector.architecture,
        "sha256": detector.sha256,
        "convention": asdict(detector.convention),
        "preprocessing": asdict(detector.preprocessing),
    }


def describe_audit(
    detector: Detector, dataset: Dataset, settings: AuditSettings, identity: Identity
) -> dict[str, Any]:
    """The manifest as far as it is known before the run."""
    maps = [
        {
            "name": map_key(detector, layer, name),
            "layer": layer,
            "map": name,
            "file": f"{layer}.{name}.npy",
            "grid": list(detector.grids[layer]),
        }
        for layer in detector.layers
        for name in settings.map_names
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "model_pass": identity.model_pass,
        "table": identity.table,
        "mask": settings.mask,
        "settings": asdict(settings),
        "model": describe(detector) | {"notes": list(detector.notes)},
        "layer": detector.layers[0],
        "grid": list(detector.grids[detector.layers[0]]),
        "maps": maps,
        "data": {
            "root": str(dataset.root.resolve()),
            "sha256": identity.data,
            "layout": dataset.layout,
            "good": list(dataset.good),
            "notes": list(dataset.notes),
        },
        "libraries": {"python": platform.python_version()} | {n: version(n) for n in LIBRARIES},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {detector.device}",
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def count_outcomes(samples: pd.DataFrame) -> dict[str, int]:
    """Numbers of TP, FN, TN and FP."""
    return {name.lower(): int((samples["outcome"] == name).sum()) for name in OUTCOMES.values()}


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
