"""Does pixel evidence serve the IoU difference? The two detectors beside the project.

    python -m benchmarks.evidence_audit [--tiles AUDIT] [--solar AUDIT] [--json]

Audits with `--specific gradcam,evidence --agnostic gradient,evidence` are made when they are not
there. AUROC of missed defects against good parts among those called good, mask `half`: of Δ with
each pair of maps at each strength, of the concentration of the evidence, and of p.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.results import Pair, pairs
from trust_core.audit.run import run_audit
from trust_core.audit.settings import AuditSettings
from trust_core.data.layouts import read_dataset
from trust_core.decision.curves import tradeoff
from trust_core.decision.tradeoff import curve
from trust_core.decision.tuning.mask_grid import Recipe, overlaps
from trust_core.model.open import open_for_audit
from trust_core.storage.audit_files import Audit

SETTINGS = AuditSettings(
    strengths=(0.0, 0.1, 0.5, 1.0),
    specific=("gradcam", "evidence"),
    agnostic=("gradient", "evidence"),
)
ROLES = ("tune", "test")


def audited(pair: Pair, folder: Path) -> Audit:
    """The audit in a folder; what is not there of it is made."""
    print(f"auditing {pair.name} ...", file=sys.stderr)
    dataset = read_dataset(pair.data, samples=pair.samples, certify="half")
    detector = open_for_audit(pair.model, replace(pair.options, layers=()), dataset)
    return run_audit(detector, dataset, SETTINGS, folder)


def areas(audit: Audit, role: str) -> dict[str, dict[str, float]]:
    """AUROC by indicator and strength."""
    passed = audit.passed([role])
    layer = audit.manifest.layer
    recipes = [
        Recipe(layer, specific, agnostic, "half")
        for specific in SETTINGS.specific
        for agnostic in SETTINGS.agnostic
    ]
    log_odds = passed["log_odds"].to_numpy(dtype=np.float64)
    defect, good = overlaps(audit, passed["row"].to_numpy(), log_odds, recipes)
    differences = defect - good
    missed = (passed["outcome"] == "FN").to_numpy(dtype=bool)
    told: dict[str, dict[str, float]] = {}
    for index, recipe in enumerate(recipes):
        told[f"{recipe.specific} against {recipe.agnostic}"] = {
            f"{strength:g}": curve(differences[at, index], missed[at]).auroc
            for strength in audit.strengths
            if (at := (passed["strength"] == strength).to_numpy()).any()
        }
    for name in ("evidence_mass", "p_defect"):
        told[name] = {"0": tradeoff(audit, name, role).curves[0.0].auroc}
    return told


def main() -> None:
    """Audit, then print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=Path, default=Path("workspace/evidence-tiles"))
    parser.add_argument("--solar", type=Path, default=Path("workspace/evidence-solar"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    result = {}
    for name, pair in pairs().items():
        audit = audited(pair, getattr(options, name))
        result[name] = {role: areas(audit, role) for role in ROLES}
    if options.json:
        print(json.dumps(result, allow_nan=False))
        return
    heads = [f"{name}, {role}, ε = {s:g}" for name in result for role in ROLES for s in (0, 0.1, 1)]
    print("| | " + " | ".join(heads) + " |\n|---" + "|---" * len(heads) + "|")
    for indicator in result["tiles"]["tune"]:
        cells = [
            result[name][role][indicator].get(f"{s:g}")
            for name in result
            for role in ROLES
            for s in (0, 0.1, 1)
        ]
        shown = " | ".join("–" if cell is None else f"{cell:.3f}" for cell in cells)
        print(f"| {indicator} | {shown} |")


if __name__ == "__main__":
    main()
