"""The same parts, the same decisions: an audit, its torch guard, its ONNX guard and its server.

    python -m benchmarks.guard_decisions AUDIT... [--indicator NAME...] [--strength E] [--json]

For every image of `test` and some indicators, each at the threshold that flags a fifth of the
passed images. Give finished audits whose model and photographs are where they were. Where no ONNX
graph can be written, its sentence stands in the place of the count.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.guard_load import Server, serving
from trust_core.decision.curves import scored
from trust_core.deploy.export import export_guard
from trust_core.deploy.guard import Guard
from trust_core.deploy.onnx_guard import load_onnx_guard
from trust_core.deploy.operating_point import DeployedPoint
from trust_core.deploy.policy import DEFECTIVE, GOOD, RE_INSPECT
from trust_core.errors import ModelError
from trust_core.storage.audit_files import Audit, open_audit

INDICATORS = ("iou_difference", "p_defect", "probe_combination", "consensus")
FLAGGED = 0.2


def compare(audit: Audit, indicator: str, strength: float) -> dict[str, object]:
    """How many decisions of guards and server differ from those of the audit."""
    table = scored(audit, ["test"], indicator, strength)
    threshold = float(np.nanquantile(table["indicator"], 1 - FLAGGED))
    every = audit.query("SELECT path, role, outcome FROM samples ORDER BY sample_id")
    values = dict(zip(table["place"], table["indicator"], strict=True))
    test = every[(every["role"] == "test") & (every["outcome"] != "")]
    wanted = [
        DEFECTIVE if place not in values else GOOD if values[place] < threshold else RE_INSPECT
        for place in test.index
    ]
    scores = [values.get(place, np.nan) for place in test.index]
    files = [audit.data_file(path) for path in test["path"]]
    point = DeployedPoint(indicator, strength, threshold, "benchmark")
    with tempfile.TemporaryDirectory() as place:
        folder, graph = Path(place) / "guard", Path(place) / "graph"
        policy = export_guard(audit, folder, point)
        given = {"torch": [_told(part.as_json()) for part in Guard.load(folder).inspect(files)]}
        with serving(folder) as server:
            given["server"] = _served(server, files)
        why_no_graph = ""
        try:
            export_guard(audit, graph, point, onnx=True)
            found = load_onnx_guard(graph).inspect(files)
            given["onnx"] = [_told(part.as_json()) for part in found]
            with serving(graph, "--onnx") as server:
                given["server of the graph"] = _served(server, files)
        except ModelError as error:
            why_no_graph = str(error)
    return {
        "images": len(files),
        "decisions": dict(Counter(wanted)),
        "threshold": threshold,
        "tolerance": policy.tolerance,
        "differ": {name: _differences(wanted, scores, parts) for name, parts in given.items()},
        "no_graph": why_no_graph,
    }


def _told(part: dict[str, Any]) -> tuple[str, float | None]:
    return part["decision"], part["indicator"]


def _served(server: Server, files: Sequence[Path]) -> list[tuple[str, float | None]]:
    found = []
    for file in files:
        status, told = server.ask("POST", "/inspect", file.read_bytes())
        if status != 200:
            raise RuntimeError(f"{file}: the server said {status}, {told}")
        found += [_told(part) for part in told["parts"]]
    return found


def _differences(
    wanted: Sequence[str], scores: Sequence[float], parts: Sequence[tuple[str, float | None]]
) -> dict[str, object]:
    """How many differ, how far apart the indicators are at most, and the parts that differ."""
    apart = [abs(a - b) for a, (_, b) in zip(scores, parts, strict=True) if b is not None]
    others = [
        {"audit": want, "audit_indicator": score, "guard": decision, "guard_indicator": value}
        for want, score, (decision, value) in zip(wanted, scores, parts, strict=True)
        if want != decision
    ]
    return {"count": len(others), "indicator_apart": float(np.nanmax(apart)), "parts": others}


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard_decisions")
    parser.add_argument("audits", type=Path, nargs="+", metavar="AUDIT")
    parser.add_argument("--indicator", nargs="+", default=INDICATORS)
    parser.add_argument("--strength", type=float, default=0.0)
    parser.add_argument("--json", action="store_true", help="the only form there is")
    options = parser.parse_args()
    audits = {str(folder): open_audit(folder) for folder in options.audits}
    found = {
        name: {
            indicator: compare(audit, indicator, options.strength)
            for indicator in options.indicator
        }
        for name, audit in audits.items()
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
