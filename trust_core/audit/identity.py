"""The hashes that identify an audit, and its manifest before the run."""

import hashlib
import json
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

import pandas as pd

from trust_core.audit.score import map_key
from trust_core.audit.settings import AuditSettings
from trust_core.audit.settings import Identity as Identity
from trust_core.data.remote import shown
from trust_core.data.samples import Dataset
from trust_core.explanation.evidence.audit_gaussian import MOST_FITTED_IMAGES, unsealed_paths
from trust_core.explanation.map_forms import EVIDENCE_FORM, map_forms
from trust_core.explanation.overlap import COMPARISON_GRID
from trust_core.model.detector import Detector
from trust_core.model.preprocessing import Preprocessing
from trust_core.storage.manifest import (
    RUNNING,
    SCHEMA_VERSION,
    Manifest,
    OutcomeCounts,
    as_record,
)

DIGEST_ROWS = 20_000
LATER_SETTINGS = ("antialias", "bits", "exif")
LIBRARIES = ("torch", "torchvision", "timm", "numpy", "pandas", "pillow")
OUTCOMES = {(1, 1): "TP", (1, 0): "FN", (0, 0): "TN", (0, 1): "FP"}  # (label, predicted)


def identify(detector: Detector, dataset: Dataset, settings: AuditSettings) -> Identity:
    """The hashes of an audit, before it runs."""
    images = dataset.samples[["sample_id", "sha256"]]
    data = _digest(dataset.samples[["path", "sha256"]])
    scoring = asdict(settings)
    del scoring["mask"]  # applied to the kept maps, whenever
    content = [
        SCHEMA_VERSION,
        _described_for_hash(detector),
        list(detector.layers),
        scoring,
        images,
    ]
    if settings.evidence:  # its maps depend on the images that surroundings are learnt from
        content.append(unsealed_paths(dataset.samples)[:MOST_FITTED_IMAGES])
    model_pass = _digest(content)
    columns = ["sample_id", "label", "kind", "split", "role", "group", "mask_path"]
    return Identity(model_pass, _digest(dataset.samples[columns]), data)


def describe(detector: Detector) -> dict[str, Any]:
    """What makes two detectors the same: weights, architecture, convention, preprocessing."""
    return {
        "architecture": detector.architecture,
        "sha256": detector.sha256,
        "convention": asdict(detector.convention),
        "preprocessing": asdict(detector.preprocessing),
    }


def _described_for_hash(detector: Detector) -> dict[str, Any]:
    """The same without settings that came later and say nothing: older audits keep their hash."""
    found = describe(detector)
    later = {f.name: f.default for f in fields(Preprocessing) if f.name in LATER_SETTINGS}
    found["preprocessing"] = {
        name: value
        for name, value in found["preprocessing"].items()
        if name not in later or value != later[name]
    }
    return found


def describe_audit(
    detector: Detector,
    dataset: Dataset,
    settings: AuditSettings,
    identity: Identity,
    origin: Mapping[str, Any],
    command: Sequence[str] = (),
) -> Manifest:
    """The manifest as far as it is known before the run.

    `origin` is how the model was opened: `path` and `options`, or nothing; `command` the words of
    the command line that asks for the audit, if one does.
    """
    maps = [
        {
            "name": map_key(detector, layer, name),
            "layer": layer,
            "map": name,
            "file": quote(f"{layer}.{name}.npy", safe=""),  # a layer may be called "a/b"
            "grid": [COMPARISON_GRID] * 2 if form == EVIDENCE_FORM else list(detector.grids[layer]),
        }
        for layer in detector.layers
        for name, form in map_forms(settings.specific, settings.agnostic)
    ]
    content = {
        "schema_version": SCHEMA_VERSION,
        "status": RUNNING,
        "model_pass": identity.model_pass,
        "table": identity.table,
        "mask": settings.mask,
        "precision": None,
        "settings": asdict(settings),
        "model": describe(detector) | {"notes": list(detector.notes), **origin},
        "layer": detector.layers[0],
        "grid": list(detector.grids[detector.layers[0]]),
        "maps": maps,
        "depths": [
            {"layer": depth.name, "channels": depth.channels, "grid": list(depth.grid)}
            for depth in detector.depths
        ],
        "mask_head": {"grid": list(detector.mask_grid)} if detector.mask_grid else None,
        "data": {
            "root": str(dataset.root.resolve()),
            "source": shown(dataset.source),
            "sha256": identity.data,
            "layout": dataset.layout,
            "good": list(dataset.good),
            "notes": list(dataset.notes),
        },
        "libraries": {"python": platform.python_version()} | {n: version(n) for n in LIBRARIES},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {detector.device}",
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": list(command),
    }
    return as_record(Manifest, content)


def count_outcomes(samples: pd.DataFrame) -> OutcomeCounts:
    """Numbers of TP, FN, TN and FP."""
    counts = {name: int((samples["outcome"] == name).sum()) for name in OUTCOMES.values()}
    return OutcomeCounts(tp=counts["TP"], fn=counts["FN"], tn=counts["TN"], fp=counts["FP"])


def _digest(content: object) -> str:
    """The sha256 of content as JSON; a table in it is the list of its rows, made some at a time."""
    found = hashlib.sha256()
    for piece in _pieces(content):
        found.update(piece.encode())
    return found.hexdigest()


def _pieces(content: object) -> Iterator[str]:
    if isinstance(content, pd.DataFrame):
        yield "["
        for start in range(0, len(content), DIGEST_ROWS):
            rows = content.iloc[start : start + DIGEST_ROWS].to_numpy().tolist()
            yield (", " if start else "") + json.dumps(rows, default=str)[1:-1]
        yield "]"
    elif isinstance(content, list) and any(isinstance(part, pd.DataFrame) for part in content):
        for index, part in enumerate(content):
            yield ", " if index else "["
            yield from _pieces(part)
        yield "]"
    else:
        yield json.dumps(content, sort_keys=True, default=str)
