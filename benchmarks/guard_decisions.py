"""The same parts, the same decisions: an audit, its torch guard and its ONNX guard, counted.

For every image of `test` and some indicators at ε = 0, each at the threshold that flags a fifth of
the passed images. Give finished audits whose model and photographs are where they were.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from trust_core.decision.curves import scored
from trust_core.deploy.export import export_guard
from trust_core.deploy.guard import Guard
from trust_core.deploy.onnx_guard import load_onnx_guard
from trust_core.deploy.operating_point import DeployedPoint
from trust_core.deploy.policy import DEFECTIVE, GOOD, RE_INSPECT
from trust_core.storage.audit_files import Audit, open_audit

INDICATORS = ("iou_difference", "p_defect", "probe_combination", "consensus")
FLAGGED = 0.2


def compare(audit: Audit, indicator: str) -> dict[str, object]:
    """How many decisions of the guards differ from those of the audit."""
    table = scored(audit, ["test"], indicator, 0.0)
    threshold = float(np.nanquantile(table["indicator"], 1 - FLAGGED))
    every = audit.query("SELECT path, role, outcome FROM samples ORDER BY sample_id")
    values = dict(zip(table["place"], table["indicator"], strict=True))
    test = every[(every["role"] == "test") & (every["outcome"] != "")]
    wanted = [
        DEFECTIVE if place not in values else GOOD if values[place] < threshold else RE_INSPECT
        for place in test.index
    ]
    files = [audit.data_file(path) for path in test["path"]]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "guard"
        export_guard(
            audit, folder, DeployedPoint(indicator, 0.0, threshold, "benchmark"), onnx=True
        )
        guards = {"torch": Guard.load(folder), "onnx": load_onnx_guard(folder)}
        given = {name: guard.inspect(files) for name, guard in guards.items()}
    differ = {
        name: sum(part.decision != want for part, want in zip(parts, wanted, strict=True))
        for name, parts in given.items()
    }
    return {"images": len(files), "decisions": {w: wanted.count(w) for w in set(wanted)}, **differ}


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard_decisions")
    parser.add_argument("audits", type=Path, nargs="+", metavar="AUDIT")
    parser.add_argument("--indicator", nargs="+", default=INDICATORS)
    options = parser.parse_args()
    audits = {str(folder): open_audit(folder) for folder in options.audits}
    found = {
        name: {indicator: compare(audit, indicator) for indicator in options.indicator}
        for name, audit in audits.items()
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
