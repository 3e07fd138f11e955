"""Other recipes than z + ½·s, on `tune` of both detectors: strengths, weights, Δ, distances.

    python -m benchmarks.probe_recipes [--tiles AUDIT] [--solar AUDIT] [--test] [--json]

The half of `tune` that went to `certify` is given back. Scores of `tune` are out of fold; `error`
is a standard error by a bootstrap over groups. `--test` shows `test` instead, which is to be looked
at once, when the choice is made. Activations at ε = 0.25, 1 and 4 of every image, defects that the
detector finds among them, come from passes of their own; they are kept in the workspace.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from benchmarks.probes import candidates, certify_given_back, without_train
from benchmarks.results import Pair, audited, pairs
from trust_core.audit.engine import batch_reader
from trust_core.data.layouts import read_dataset
from trust_core.decision.auroc import differences_of_resamples
from trust_core.decision.bootstrap import group_codes
from trust_core.decision.cross_validation import standardised
from trust_core.decision.indicators.probes import WEIGHT, fit_activations
from trust_core.decision.indicators.registry import DEFAULT_INDICATOR
from trust_core.decision.json_object import json_object
from trust_core.decision.tradeoff import Floats, curve
from trust_core.explanation.perturbation import perturb
from trust_core.model.depths import STATISTICS
from trust_core.model.open import open_for_audit
from trust_core.storage.audit_files import INDICATORS, SAMPLES, Audit
from trust_core.storage.workspace import workspace_folder

STRENGTHS = (0.25, 1.0, 4.0)
BATCH, RESAMPLES = 32, 500
RECIPE = "z + ½·s"

Half = npt.NDArray[np.float16]


@dataclass(frozen=True)
class Row:
    """One recipe on one detector.

    Attributes:
        detector: key of `pairs`.
        fitted: roles that the probes were fitted to.
        recipe: what is added up, in deviations among passed good images of `tune`.
        lead: AUROC less that of threshold shift.
        error: of the lead.
        ahead: AUROC less that of z + ½·s.
        ahead_error: of that.
    """

    detector: str
    fitted: str
    recipe: str
    lead: float
    error: float
    ahead: float
    ahead_error: float


def perturbed(pair: Pair, file: Path) -> tuple[Half, Floats]:
    """Pooled activations `(S, 1 + E, D)` and log-odds `(S, 1 + E)`, clean ones first.

    In the order of `samples.parquet`; computed when the file is not there.
    """
    if not file.exists():
        dataset = read_dataset(pair.data, samples=pair.samples, certify="half")
        detector = open_for_audit(pair.model, pair.options, dataset)
        values, evidence, ids = [], [], []
        with batch_reader(detector, dataset) as read:
            for start in range(0, len(dataset.samples), BATCH):
                batch = read(slice(start, start + BATCH))
                x = torch.as_tensor(batch.pixels).float().div_(255)
                clean = detector.forward_with_gradients(x, input_gradient=True, pooled=True)
                assert clean.input_gradient is not None
                moved = perturb(
                    x,
                    clean.input_gradient,
                    STRENGTHS,
                    "toward_defect",
                    steps=1,
                    gradient_at=lambda y: y,  # one step asks for none
                )
                responses = [
                    clean,
                    *(detector.forward_with_gradients(y, pooled=True, masks=False) for y in moved),
                ]
                pooled = [each.pooled for each in responses if each.pooled is not None]
                values.append(torch.stack(pooled, 1).half().numpy())
                evidence.append(torch.stack([r.log_odds for r in responses], 1).double().numpy())
                ids += list(batch.sample_ids)
        order = np.argsort(np.array(ids, dtype=str))
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, pooled=np.concatenate(values)[order], z=np.concatenate(evidence)[order])
    with np.load(file) as kept:
        return kept["pooled"], kept["z"]


def recipes(
    audit: Audit, samples: pd.DataFrame, pooled: Half, evidence: Floats
) -> tuple[str, dict[str, Floats]]:
    """Roles that were fitted to, and scores of the passed images by every recipe, `(N,)`."""
    widths = tuple(len(STATISTICS) * depth.channels for depth in audit.manifest.depths)
    layers = tuple(depth.layer for depth in audit.manifest.depths)
    passed = samples["outcome"].isin(["FN", "TN"]).to_numpy()
    table = samples[passed]
    good = ((table["role"] == "tune") & (table["outcome"] == "TN")).to_numpy()
    roles: tuple[str, ...] = ()

    def read(*parts: npt.NDArray[np.floating]) -> Floats:
        """The score s of probes that read each of these at every depth."""
        nonlocal roles
        times = len(parts)
        found = fit_activations(np.hstack(parts), samples, times * layers, times * widths)
        assert found is not None
        roles = roles or found.roles
        return found.scores

    def total(z: Floats, *others: tuple[float, Floats]) -> Floats:
        weights, views = zip((1.0, z), *others, strict=True)
        return standardised(np.column_stack(views), good) @ np.array(weights)

    clean, at = pooled[:, 0], dict(zip(STRENGTHS, pooled.swapaxes(0, 1)[1:], strict=True))
    z, s = evidence[passed, 0], read(clean)
    delta = np.nan_to_num(candidates(audit)[DEFAULT_INDICATOR][:, 0])
    stored = pd.read_parquet(audit.folder / INDICATORS).set_index("sample_id")
    distance = stored.loc[table["sample_id"], "mahalanobis"].to_numpy(dtype=np.float64)
    found = {"z": z, RECIPE: total(z, (WEIGHT, s))}
    found |= {f"z + {weight:g}·s": total(z, (weight, s)) for weight in (0.25, 1.0, 2.0)}
    for index, (strength, values) in enumerate(at.items(), 1):
        changes = values.astype(np.float32) - clean
        for what, score in (
            (f"s read at ε = {strength:g}", read(values)),
            (f"s read at 0 and {strength:g}", read(clean, values)),
            (f"s read at 0 and the change to {strength:g}", read(clean, changes)),
        ):
            found[f"z + ½·s, {what}"] = total(z, (WEIGHT, score))
        found[f"z at ε = {strength:g}, + ½·s"] = total(evidence[passed, index], (WEIGHT, s))
    found["z + ½·s, s read at all of them"] = total(z, (WEIGHT, read(clean, *at.values())))
    found["z + ½·s + ½·Δ"] = total(z, (WEIGHT, s), (WEIGHT, delta))
    found["z + ½·s + ½·distance"] = total(z, (WEIGHT, s), (WEIGHT, distance))
    found["z + ½·s + ½·Δ + ½·distance"] = total(z, (WEIGHT, s), (WEIGHT, delta), (WEIGHT, distance))
    found["z + ½·Δ + ½·distance (consensus)"] = total(z, (WEIGHT, delta), (WEIGHT, distance))
    return "+".join(roles), found


def rows(name: str, audit: Audit, pooled: Half, evidence: Floats, role: str) -> Iterator[Row]:
    """Every recipe on the passed images of a role, with `train` where it is chosen, and without."""
    both = certify_given_back(pd.read_parquet(audit.folder / SAMPLES))
    seen = set()
    for samples in (without_train(both), both):
        roles, found = recipes(audit, samples, pooled, evidence)
        if roles in seen:
            continue
        seen.add(roles)
        table = samples[samples["outcome"].isin(["FN", "TN"])]
        inside = (table["role"] == role).to_numpy()
        missed = (table["outcome"] == "FN").to_numpy()[inside]
        codes = group_codes(table["group"][inside])
        scores = {recipe: values[inside] for recipe, values in found.items()}
        areas = {recipe: curve(values, missed).auroc for recipe, values in scores.items()}
        for recipe, values in scores.items():
            told = []
            for rival in ("z", RECIPE):
                drawn = differences_of_resamples(
                    values, scores[rival], missed, codes, resamples=RESAMPLES
                )
                told += [areas[recipe] - areas[rival], float(np.nanstd(drawn))]
            yield Row(name, roles, recipe, *told)


def main() -> None:
    """Print a Markdown table, or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tiles", type=Path, default=Path("workspace/results-tiles"))
    parser.add_argument("--solar", type=Path, default=Path("workspace/results-solar"))
    parser.add_argument("--test", action="store_true", help="show test, once the choice is made")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found: list[Row] = []
    for name, pair in pairs().items():
        file = workspace_folder() / "probe-recipes" / f"{name}.npz"
        audit = audited(pair, getattr(options, name))
        role = "test" if options.test else "tune"
        found += rows(name, audit, *perturbed(pair, file), role)
    if options.json:
        print(json.dumps(json_object({"rows": [asdict(row) for row in found]}), allow_nan=False))
        return
    print("| detector | fitted to | recipe | lead | ahead of z + ½·s |\n|---|---|---|---|---|")
    for row in found:
        print(
            f"| {row.detector} | {row.fitted} | {row.recipe} | {row.lead:+.3f} ± {row.error:.3f} "
            f"| {row.ahead:+.3f} ± {row.ahead_error:.3f} |"
        )


if __name__ == "__main__":
    main()
