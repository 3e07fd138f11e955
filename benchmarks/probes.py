"""Linear probes on real detectors: lead, learning curve, ablations and cost (`docs/probes.md`).

    python -m benchmarks.probes AUDIT ... [--json]

Each audit is evaluated twice: in the program's own roles, where half of `tune` has gone to
`certify`, and with that half given back ("split"). What is chosen is chosen on `train` and `tune`;
every lead is measured on `test`, with the interval of the verdict.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from trust_core.decision.bootstrap import group_codes
from trust_core.decision.indicators.probes import WEIGHT, combined, fit_probes
from trust_core.decision.json_object import json_object
from trust_core.decision.tradeoff import Floats, curve
from trust_core.decision.verdict import verdict
from trust_core.model.depths import STATISTICS
from trust_core.storage.audit_files import SAMPLES, Audit, open_audit
from trust_core.storage.manifest import as_json

GROUPS = (5, 10, 20, 50)
DRAWS = 5  # random subsets of the groups at each point of the learning curve


@dataclass(frozen=True)
class Lead:
    """How far an indicator is ahead of threshold shift.

    Attributes:
        what: the variant.
        fitted: roles that were fitted to.
        groups: of `tune` with a defect.
        tune: difference of AUROC on `tune`, out of fold.
        test: on `test`.
        interval: 95 % of it.
        colour: of the verdict.
        tn_loss: of the indicator and of threshold shift, at 80 % recall.
    """

    what: str
    fitted: str
    groups: int
    tune: float
    test: float
    interval: tuple[float, float]
    colour: str
    tn_loss: tuple[float, float]


def lead(
    audit: Audit, samples: pd.DataFrame, what: str, *, weight: float = WEIGHT, z: bool = True
) -> Lead | None:
    """The lead of probes fitted to these samples; None where they abstain."""
    found = fit_probes(audit, samples)
    if found is None:
        return None
    passed = samples[samples["outcome"].isin(["FN", "TN"])].reset_index(drop=True)
    good = ((passed["role"] == "tune") & (passed["outcome"] == "TN")).to_numpy()
    log_odds = passed["log_odds"].to_numpy(dtype=np.float64)
    scores = combined(log_odds, found.scores, good, weight) if z else found.scores
    table = passed.assign(indicator=scores)
    tune, test = (table[table["role"] == role] for role in ("tune", "test"))
    judged = verdict(test, 0.8)
    return Lead(
        what,
        "+".join(found.roles),
        found.groups,
        _auroc(tune, "indicator") - _auroc(tune, "p_defect"),
        judged.difference,
        judged.interval,
        judged.colour,
        (judged.tn_loss, judged.tn_loss_shift),
    )


def _auroc(table: pd.DataFrame, column: str) -> float:
    values: Floats = table[column].to_numpy(dtype=np.float64)
    return curve(values, (table["outcome"] == "FN").to_numpy(dtype=bool)).auroc


def roles_of_splits(samples: pd.DataFrame) -> pd.DataFrame:
    """The samples with the half of `tune` that became `certify` given back."""
    return samples.assign(role=samples["role"].replace("certify", "tune"))


def without_train(samples: pd.DataFrame) -> pd.DataFrame:
    """The samples with nothing to fit to but `tune`."""
    return samples.assign(role=samples["role"].replace("train", "unused"))


def learning_curve(audit: Audit, samples: pd.DataFrame) -> list[dict[str, float | int | str]]:
    """The lead over how many groups of `tune` with a defect are labelled."""
    tune = samples["role"] == "tune"
    defective = samples["group"][tune & (samples["label"] == 1)].unique()
    points: list[dict[str, float | int | str]] = []
    for count in [*(n for n in GROUPS if n < len(defective)), len(defective)]:
        draws = DRAWS if count < len(defective) else 1
        for name, change in (("tune", without_train), ("chosen", lambda table: table)):
            found = []
            for seed in range(draws):
                draw = np.random.default_rng(seed)
                kept = draw.permutation(defective)[:count]
                left_out = tune & samples["group"].isin(set(defective) - set(kept))
                part = samples.assign(role=samples["role"].mask(left_out, "unused"))
                result = lead(audit, change(part), name)
                found += [] if result is None else [result.test]
            if found:
                ends = {"least": min(found), "most": max(found), "mean": float(np.mean(found))}
                points.append({"groups": count, "fitted": name, "draws": len(found), **ends})
    return points


def restricted(audit: Audit, keep: Sequence[int], statistics: Sequence[int] = (0, 1, 2)) -> Audit:
    """The audit as if only some depths, and some of the pooled numbers, had been kept."""
    depths = tuple(audit.manifest.depths[k] for k in keep)
    kept = audit.activations()
    assert kept is not None
    ends = np.cumsum([0, *(3 * d.channels for d in audit.manifest.depths)])
    columns = []
    for k in keep:
        count = audit.manifest.depths[k].channels
        block = np.zeros((len(kept), 3 * count), dtype=np.float16)
        for part in statistics:
            inside = slice(part * count, (part + 1) * count)
            block[:, inside] = kept[:, ends[k] : ends[k + 1]][:, inside]
        columns.append(block)
    return _Restricted(audit.folder, replace(audit.manifest, depths=depths), np.hstack(columns))


@dataclass(frozen=True)
class _Restricted(Audit):
    values: "np.ndarray[tuple[int, int], np.dtype[np.float16]]"

    def activations(self) -> "np.ndarray[tuple[int, int], np.dtype[np.float16]]":
        """The columns that were kept."""
        return self.values


def ablations(audit: Audit, samples: pd.DataFrame) -> list[Lead]:
    """What does the work: depths, pooling, z, weight, `train`."""
    depths = audit.manifest.depths
    everything = range(len(depths))
    last = restricted(audit, [len(depths) - 1])
    tried = [
        lead(audit, samples, "as it is"),
        lead(audit, without_train(samples), "tune alone"),
        lead(audit, samples, "without z", z=False),
        *(lead(audit, samples, f"w = {w:g}", weight=w) for w in (0.25, 1.0, 2.0)),
        lead(restricted(audit, everything, [0]), samples, "mean only"),
        lead(restricted(audit, everything, [0, 1]), samples, "mean and deviation"),
        *(lead(restricted(audit, [k]), samples, f"{depths[k].layer} alone") for k in everything),
        lead(last, samples, "head refitted: last depth, without z", z=False),
    ]
    return [found for found in tried if found is not None]


def evaluate(audit: Audit) -> dict[str, object]:
    """Everything that one audit shows."""
    own = pd.read_parquet(audit.folder / SAMPLES)
    split = roles_of_splits(own)
    began = time.perf_counter()
    fit_probes(audit, split)
    seconds = time.perf_counter() - began
    kept = audit.activations()
    assert kept is not None
    leads = [
        lead(audit, table, f"{what}, {roles}")
        for roles, samples in (("program's roles", own), ("half of tune not given away", split))
        for what, table in (("chosen", samples), ("tune alone", without_train(samples)))
    ]
    return {
        "audit": audit.folder.name,
        "depths": as_json(audit.manifest)["depths"],
        "bytes_per_image": kept.dtype.itemsize * kept.shape[1],
        "pooled_numbers": len(STATISTICS) * sum(d.channels for d in audit.manifest.depths),
        "fit_seconds": seconds,
        "images": len(own),
        "groups_in_test": len(np.unique(group_codes(own["group"][own["role"] == "test"]))),
        "leads": [asdict(found) for found in leads if found is not None],
        "learning_curve": learning_curve(audit, split),
        "ablations": [asdict(found) for found in ablations(audit, split)],
    }


def main() -> None:
    """Evaluate the audits; print Markdown tables, or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("audits", nargs="+", type=Path, metavar="AUDIT")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = [evaluate(open_audit(folder)) for folder in options.audits]
    if options.json:
        print(json.dumps(json_object({"audits": found}), allow_nan=False))
        return
    for each in found:
        print(f"\n### {each['audit']}\n")
        for name in ("leads", "ablations"):
            print(table_of(each[name]), "\n")  # type: ignore[arg-type]
        print(pd.DataFrame(each["learning_curve"]).to_string(index=False))
        print(f"\n{each['bytes_per_image']} bytes an image; fitted in {each['fit_seconds']:.1f} s")


def table_of(rows: list[dict[str, object]]) -> str:
    """Leads as a Markdown table."""
    heads = ("what", "fitted on", "groups", "tune", "test", "TN loss at 80 % recall")
    lines = [" | ".join(heads), " | ".join("---" for _ in heads)]
    for row in rows:
        found = Lead(**row)  # type: ignore[arg-type]
        low, high = found.interval
        lines.append(
            f"{found.what} | {found.fitted} | {found.groups} | {found.tune:+.3f} | "
            f"{found.test:+.3f} [{low:+.3f}, {high:+.3f}] {found.colour} | "
            f"{found.tn_loss[0]:.0%} against {found.tn_loss[1]:.0%}"
        )
    return "\n".join(f"| {line} |" for line in lines)


if __name__ == "__main__":
    main()
