"""Linear probes on real detectors: lead, learning curve, ablations, null check (`docs/probes.md`).

    python -m benchmarks.probes AUDIT ... [--part PART] [--quick] [--null TIMES] [--json]

Each audit is evaluated twice: in the program's own roles, where half of `tune` has gone to
`certify`, and with that half given back. What is chosen is chosen on `train` and `tune`; every lead
is measured on `test`, with the interval of the verdict. `--quick` takes one draw at each point of
the learning curve. `--null` deals out the labels of the passed images anew that often, and goes the
whole way from the fit to the verdict each time. Minutes for an audit of thousands; `--part` makes
one part alone.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.proposals import colour, proposed, shuffled
from trust_core.decision.indicators.probes import WEIGHT, Probes, combined, fit_probes
from trust_core.decision.indicators.registry import DEFAULT_INDICATOR, INDICATORS, THRESHOLD_SHIFT
from trust_core.decision.json_object import json_object
from trust_core.decision.proposal import CANDIDATES
from trust_core.decision.tradeoff import Floats, curve
from trust_core.decision.verdict import GREEN, verdict
from trust_core.model.depths import STATISTICS
from trust_core.storage.audit_columns import PassedColumns
from trust_core.storage.audit_files import SAMPLES, Audit, open_audit
from trust_core.storage.manifest import as_json

PARTS = ("leads", "ablations", "curve")
GROUPS = (5, 10, 20, 50)
DRAWS, QUICK_DRAWS = 5, 1  # random subsets of the groups at each point of the learning curve
RECALL = 0.8  # at which losses of good parts are told
MISSES_TIMES = 4  # what a miss counts in the ablation that weights them

Half = npt.NDArray[np.float16]


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
    samples: pd.DataFrame,
    probes: Probes,
    what: str,
    *,
    weight: float = WEIGHT,
    z: bool = True,
) -> Lead:
    """The lead of fitted probes, beside the log-odds or alone."""
    passed = samples[samples["outcome"].isin(["FN", "TN"])].reset_index(drop=True)
    good = ((passed["role"] == "tune") & (passed["outcome"] == "TN")).to_numpy()
    log_odds = passed["log_odds"].to_numpy(dtype=np.float64)
    scores = combined(log_odds, probes.scores, good, weight) if z else probes.scores
    table = passed.assign(indicator=scores)
    tune, test = (table[table["role"] == role] for role in ("tune", "test"))
    judged = verdict(test, RECALL)
    return Lead(
        what,
        "+".join(probes.roles),
        probes.groups,
        _auroc(tune, "indicator") - _auroc(tune, THRESHOLD_SHIFT),
        judged.difference,
        judged.interval,
        judged.colour,
        (judged.tn_loss, judged.tn_loss_shift),
    )


def _auroc(table: pd.DataFrame, column: str) -> float:
    values: Floats = table[column].to_numpy(dtype=np.float64)
    return curve(values, (table["outcome"] == "FN").to_numpy(dtype=bool)).auroc


def certify_given_back(samples: pd.DataFrame) -> pd.DataFrame:
    """The samples with the half of `tune` that became `certify` given back."""
    return samples.assign(role=samples["role"].replace("certify", "tune"))


def without_train(samples: pd.DataFrame) -> pd.DataFrame:
    """The samples with nothing to fit to but `tune`."""
    return samples.assign(role=samples["role"].replace("train", "unused"))


def leads(audit: Audit, own: pd.DataFrame) -> list[Lead]:
    """Of the probes alone and beside z, in both roles, with `train` where it is chosen, and not."""
    found = []
    for roles, samples in (("program's", own), ("certify given back", certify_given_back(own))):
        for fitted, table in (("chosen", samples), ("tune alone", without_train(samples))):
            probes = fit_probes(audit, table)
            if probes is not None:
                for name, z in (("probe_combination", True), ("probe", False)):
                    found.append(lead(table, probes, f"{name}; roles {roles}; {fitted}", z=z))
    return found


def candidates(audit: Audit) -> dict[str, Floats]:
    """What an audit can propose beside probes and p, over its passed images: `(N, E)`."""
    passed = PassedColumns(audit)
    clean = passed.at(0.0)
    found = {
        DEFAULT_INDICATOR: [
            INDICATORS.find(DEFAULT_INDICATOR)(passed.at(strength), clean)
            for strength in audit.strengths
        ]
    }
    for name in set(CANDIDATES) & set(audit.stored_indicators) - {"probe_combination"}:
        found[name] = [INDICATORS.find(name)(clean, clean)]
    return {name: np.column_stack(values) for name, values in found.items()}


def learning_curve(
    audit: Audit, samples: pd.DataFrame, draws: int
) -> list[dict[str, float | int | str]]:
    """The lead over how many groups of `tune` with a defect are labelled.

    Returns:
        For each number of groups, with `train` where it is chosen and without: leads on `test`, how
        many draws proposed the probes on `tune`, and of those how many `test` confirmed.
    """
    tune = samples["role"] == "tune"
    defective = samples["group"][tune & (samples["label"] == 1)].unique()
    others = candidates(audit)
    points: list[dict[str, float | int | str]] = []
    for count in [*(n for n in GROUPS if n < len(defective)), len(defective)]:
        for name, change in (("chosen", lambda table: table), ("tune", without_train)):
            found: list[Lead] = []
            offered = confirmed = 0
            for seed in range(draws if count < len(defective) else 1):
                kept = np.random.default_rng(seed).permutation(defective)[:count]
                left_out = tune & samples["group"].isin(set(defective) - set(kept))
                part = change(samples.assign(role=samples["role"].mask(left_out, "unused")))
                probes = fit_probes(audit, part)
                if probes is None:
                    continue
                found.append(lead(part, probes, name))
                proposal, _ = proposed(part, probes, others)
                offered += proposal.indicator == "probe_combination"
                confirmed += proposal.indicator == "probe_combination" and (
                    found[-1].colour == GREEN
                )
            if found:
                on_test = [each.test for each in found]
                spread = {"least": min(on_test), "most": max(on_test)}
                told = {"proposed": offered, "confirmed": confirmed, "draws": len(found)}
                mean = float(np.mean(on_test))
                points.append({"groups": count, "fitted": name, "mean": mean, **spread, **told})
    return points


def restricted(audit: Audit, keep: Sequence[int], statistics: Sequence[int] = (0, 1, 2)) -> Audit:
    """The audit as if only some depths, and some of the pooled numbers, had been kept."""
    depths = tuple(audit.manifest.depths[k] for k in keep)
    kept = audit.activations()
    assert kept is not None
    ends = np.cumsum([0, *(len(STATISTICS) * d.channels for d in audit.manifest.depths)])
    columns = []
    for k in keep:
        count = audit.manifest.depths[k].channels
        block = np.zeros((len(kept), len(STATISTICS) * count), dtype=np.float16)
        for part in statistics:
            inside = slice(part * count, (part + 1) * count)
            block[:, inside] = kept[:, ends[k] : ends[k + 1]][:, inside]
        columns.append(block)
    return Replaced(audit.folder, replace(audit.manifest, depths=depths), np.hstack(columns))


@dataclass(frozen=True)
class Replaced(Audit):
    """An audit with other activations than those it keeps."""

    values: Half

    def activations(self) -> Half:
        """These."""
        return self.values


def misses_weighted(audit: Audit, samples: pd.DataFrame) -> tuple[Audit, pd.DataFrame]:
    """The audit with every missed defect of `tune` there several times."""
    missed = (samples["outcome"] == "FN") & (samples["role"] == "tune")
    rows = np.repeat(np.arange(len(samples)), np.where(missed, MISSES_TIMES, 1))
    kept = audit.activations()
    assert kept is not None
    repeated = samples.iloc[rows].reset_index(drop=True)
    return Replaced(audit.folder, audit.manifest, kept[rows]), repeated


def ablations(audit: Audit, samples: pd.DataFrame) -> list[Lead]:
    """What does the work: depths, pooling, z, weight, `train`."""
    depths = audit.manifest.depths
    everything, last = range(len(depths)), len(depths) - 1
    alone = {k: restricted(audit, [k]) for k in everything}
    changed = [
        (without_train(samples), audit, "tune alone"),
        (samples, restricted(audit, everything, [0]), "mean only"),
        (samples, restricted(audit, everything, [0, 1]), "mean and deviation"),
        *((samples, alone[k], f"{depths[k].layer} alone") for k in everything),
    ]
    weighted, repeated = misses_weighted(audit, samples)
    changed.append((repeated, weighted, f"misses count {MISSES_TIMES} times"))
    found = []
    whole = fit_probes(audit, samples)
    if whole is not None:
        found += [lead(samples, whole, "as it is"), lead(samples, whole, "without z", z=False)]
        found += [lead(samples, whole, f"w = {w:g}", weight=w) for w in (0.25, 1.0, 2.0)]
    for table, tried, what in changed:
        probes = fit_probes(tried, table)
        if probes is not None:
            found.append(lead(table, probes, what))
            if tried is alone[last]:
                found.append(lead(table, probes, "head refitted: last depth, without z", z=False))
    return found


def null_check(audit: Audit, samples: pd.DataFrame, times: int) -> dict[str, int]:
    """How often shuffled labels of passed images are proposed for, and judged green or red."""
    others, colours, offered = candidates(audit), [], 0
    for seed in range(times):
        part = shuffled(samples, np.random.default_rng(seed))
        proposal, scores = proposed(part, fit_probes(audit, part), others)
        offered += proposal.indicator != THRESHOLD_SHIFT
        colours.append(colour(part, proposal, scores))
    told = {name: colours.count(name) for name in ("green", "red")}
    return {"times": times, "others_proposed": offered, **told}


def evaluate(
    audit: Audit, parts: Sequence[str] = PARTS, *, quick: bool = False, null: int = 0
) -> dict[str, object]:
    """What one audit shows."""
    own = pd.read_parquet(audit.folder / SAMPLES)
    kept = audit.activations()
    assert kept is not None
    both = certify_given_back(own)
    test = own[own["role"] == "test"]
    groups = {
        name: int(test["group"][test["outcome"] == outcome].nunique())
        for name, outcome in (("missed", "FN"), ("good", "TN"))
    }
    found = fit_probes(audit, own)
    proposal, _ = proposed(own, found, candidates(audit))
    result: dict[str, object] = {
        "audit": audit.folder.name,
        "depths": as_json(audit.manifest)["depths"],
        "bytes_per_image": kept.dtype.itemsize * kept.shape[1],
        "images": len(own),
        "groups_in_test": groups,
        "proposal": asdict(proposal),
    }
    if "leads" in parts:
        result["leads"] = [asdict(each) for each in leads(audit, own)]
    if "ablations" in parts:
        result["ablations"] = [asdict(each) for each in ablations(audit, both)]
    if "curve" in parts:
        result["learning_curve"] = learning_curve(audit, both, QUICK_DRAWS if quick else DRAWS)
    return result | ({"null": null_check(audit, both, null)} if null else {})


def main() -> None:
    """Evaluate the audits; print Markdown tables, or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("audits", nargs="+", type=Path, metavar="AUDIT")
    parser.add_argument("--part", choices=PARTS, action="append", help="leave out the others")
    parser.add_argument("--quick", action="store_true", help="one draw a point")
    parser.add_argument("--null", type=int, default=0, metavar="TIMES", help="shuffle labels")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = []
    for folder in options.audits:
        audit, parts = open_audit(folder), options.part or PARTS
        each = evaluate(audit, parts, quick=options.quick, null=options.null)
        found.append(each)
        if not options.json:
            print(text_of(each), flush=True)
    if options.json:
        print(json.dumps(json_object({"audits": found}), allow_nan=False))


def text_of(found: dict[str, object]) -> str:
    """What one audit shows, as Markdown."""
    parts = [f"### {found['audit']}", str(found["proposal"]["sentence"])]  # type: ignore[index]
    parts += [table_of(found[n]) for n in ("leads", "ablations") if n in found]  # type: ignore[arg-type]
    if "learning_curve" in found:
        parts.append(pd.DataFrame(found["learning_curve"]).to_string(index=False))
    parts.append(f"{found['bytes_per_image']} bytes an image; null check: {found.get('null')}")
    return "\n\n".join(parts)


def table_of(rows: list[dict[str, object]]) -> str:
    """Leads as a Markdown table."""
    heads = ("what", "fitted to", "groups", "tune", "test", f"good parts lost at {RECALL:.0%}")
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
