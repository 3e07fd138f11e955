"""Every indicator on the two real detectors beside the project: the table of `docs/results.md`.

    python -m benchmarks.results [--tiles AUDIT] [--solar AUDIT] [--json | --out docs/results.md]

Audits that are not there yet are made first (some minutes each). What has a strength ε takes the
one with the highest AUROC on `tune`; everything in the table is measured on `test`. The winner is
chosen on `tune` alone.
"""

import argparse
import importlib.util
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks.rows import AT_ONE_STRENGTH, Row, rows_of, winner
from trust_core.audit.run import run_audit
from trust_core.audit.settings import AuditSettings
from trust_core.data.layouts import read_dataset
from trust_core.decision.indicators.registry import INDICATOR_NAMES, THRESHOLD_SHIFT
from trust_core.decision.json_object import json_object
from trust_core.decision.proposal import Proposal, propose_indicator
from trust_core.decision.tradeoff import RECALLS
from trust_core.decision.tuning.autotune import autotune
from trust_core.decision.verdict import SAME_RANKING
from trust_core.model.open import ModelOptions, open_for_audit
from trust_core.storage.audit_files import Audit, open_audit
from trust_core.storage.manifest import MANIFEST

SHARED = Path(__file__).resolve().parents[2] / "shared"
SETTINGS = AuditSettings(
    specific=("gradcam", "layercam"),
    agnostic=("gradient", "activation", "norm", "eigen"),
    tta=True,
)


@dataclass(frozen=True)
class Pair:
    """A detector and its images.

    Attributes:
        name: what the parts are.
        model: its file.
        options: how it is opened.
        data: folder of the images.
        samples: its CSV.
    """

    name: str
    model: Path
    options: ModelOptions
    data: Path
    samples: Path


def pairs() -> dict[str, Pair]:
    """The two detectors; the solar cells come with the package elpv-dataset."""
    models, tiles = SHARED / "models", SHARED / "data" / "magnetic_tile"
    package = importlib.util.find_spec("elpv_dataset")
    if package is None or package.origin is None or not models.is_dir():
        sys.exit("The folder ../shared and the package elpv-dataset are needed.")
    return {
        "tiles": Pair(
            "magnetic tiles",
            models / "magnetic_tile_lite0.pth",
            ModelOptions(size=(192, 192), mean=(0.5,), std=(0.5,), layers=("bn2", "blocks.5")),
            tiles,
            tiles / "splits.csv",
        ),
        "solar": Pair(
            "solar cells",
            models / "elpv_resnet18.safetensors",
            ModelOptions(size=(128, 128), mean=(0.5,), std=(0.25,), layers=("layer4", "layer3")),
            Path(package.origin).parent / "data",
            models / "elpv_resnet18_splits.csv",
        ),
    }


def audited(pair: Pair, folder: Path) -> Audit:
    """The audit in a folder; made when it is not there."""
    if not (folder / MANIFEST).exists():
        print(f"auditing {pair.name} ...", file=sys.stderr)
        dataset = read_dataset(pair.data, samples=pair.samples, certify="half")
        run_audit(open_for_audit(pair.model, pair.options, dataset), dataset, SETTINGS, folder)
    return open_audit(folder)


def autotuned(audit: Audit) -> Audit:
    """The audit with its tuned indicators."""
    if "overlap_profile" not in audit.stored_indicators:
        autotune(audit)
    return audit


def main() -> None:
    """Make the table; print it as JSON, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=Path, default=Path("workspace/results-tiles"))
    parser.add_argument("--solar", type=Path, default=Path("workspace/results-solar"))
    parser.add_argument("--out", type=Path, default=Path("docs/results.md"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    audits = {name: autotuned(audited(p, getattr(options, name))) for name, p in pairs().items()}
    found = {name: rows_of(audit) for name, audit in audits.items()}
    best = winner(found)
    if options.json:
        rows = {name: [asdict(row) for row in of] for name, of in found.items()}
        print(json.dumps(json_object({"winner_on_tune": best, "rows": rows}), allow_nan=False))
    else:
        options.out.write_text(page(audits, found, best), encoding="utf-8")


def paragraphs(text: str) -> str:
    """Text with every paragraph on one line."""
    return "\n\n".join(part.replace("\n", " ") for part in text.strip().split("\n\n"))


def page(audits: dict[str, Audit], found: dict[str, list[Row]], best: str) -> str:
    """The text of `docs/results.md`."""
    parts = [paragraphs(HEAD)]
    for name, pair in pairs().items():
        parts += [_counts(pair.name, audits[name]), _table(found[name])]
    proposals = {name: propose_indicator(audit) for name, audit in audits.items()}
    return "\n".join([*parts, SAME, _meaning(found, best, proposals)])


HEAD = """# Results on two real detectors

Written by `python -m benchmarks.results`; every number is measured on `test`, among the parts that
the detector calls good. ε is the strength with the highest AUROC on `tune` (– where there is none).
In brackets: 95 % intervals by a bootstrap over groups. *Lead* is the difference of AUROC from
threshold shift (just lowering the decision threshold), coloured as the verdict is: green when the
interval lies above 0, red when below, amber between. Then the good parts lost at four levels of
recall of missed defects.

The paper's claim (arXiv 2604.19206, abstract): 100 % recall of false negatives with adversarial
enhancement, at a cost in true negatives. Any indicator has 100 % recall at some cost, lowering the
decision threshold too; so the claim is to be read off the last column, against its first row.
"""
SAME = f"""
{SAME_RANKING} With one output (the solar cells) neither are energy and max logit.
"""


def _counts(name: str, audit: Audit) -> str:
    by_role = audit.manifest.counts_by_role
    told = "; ".join(f"{r} {by_role[r].fn} FN, {by_role[r].tn} TN" for r in ("tune", "test"))
    layers = ", ".join(dict.fromkeys(entry.layer for entry in audit.manifest.maps))
    return f"\n## {name.capitalize()}\n\n{told}. Layers {layers}; the first one makes Δ.\n"


def _table(rows: list[Row]) -> str:
    heads = "".join(f" TN loss at {float(r):.0%} |" for r in rows[0].tn_loss)
    lines = [
        f"| indicator | ε | AUROC | lead |{heads}",
        "|---|---|---|---|" + "---|" * len(RECALLS),
    ]
    first = [row for row in rows if row.indicator == THRESHOLD_SHIFT]
    for row in first + [row for row in rows if row.indicator != THRESHOLD_SHIFT]:
        losses = "".join(
            f" {loss:.1%} [{low:.0%}, {high:.0%}] |"
            for loss, (low, high) in zip(
                row.tn_loss.values(), row.tn_loss_interval.values(), strict=True
            )
        )
        strength = "–" if row.indicator in AT_ONE_STRENGTH else f"{row.strength:g}"
        low, high = row.auroc_interval
        lines.append(
            f"| {INDICATOR_NAMES[row.indicator]} (`{row.indicator}`) | {strength} "
            f"| {row.auroc:.3f} [{low:.2f}, {high:.2f}] | {_lead(row)} |{losses}"
        )
    return "\n".join(lines)


def _lead(row: Row) -> str:
    if row.indicator == THRESHOLD_SHIFT:
        return "–"
    low, high = row.difference_interval
    return f"{row.difference:+.3f} [{low:+.3f}, {high:+.3f}] {row.colour}"


def _meaning(found: dict[str, list[Row]], best: str, proposals: Mapping[str, Proposal]) -> str:
    """Three paragraphs; every number in them is read off the tables, or is the program's own."""
    names = {name: pair.name for name, pair in pairs().items()}
    of = {name: {row.indicator: row for row in rows} for name, rows in found.items()}

    def at(indicator: str, recall: str) -> str:
        return " and ".join(
            f"{of[n][indicator].tn_loss[recall]:.0%} against "
            f"{of[n][THRESHOLD_SHIFT].tn_loss[recall]:.0%} ({names[n]})"
            for n in of
        )

    def leads(indicator: str) -> str:
        return " and ".join(f"{_lead(of[n][indicator])} ({names[n]})" for n in of)

    tuned = "; ".join(
        f"{of[n][best].tune_auroc:.3f} against {of[n][THRESHOLD_SHIFT].tune_auroc:.3f} ({names[n]})"
        for n in of
    )
    ahead = sum(of[n][best].difference > 0 for n in of)
    proven = sum(of[n][best].colour == "green" for n in of)
    held = {2: "It leads on `test` of both", 1: "On `test` it leads on one of the two"}
    overlap = f"""**The IoU difference alone does not beat moving the decision threshold here.** Its
lead is {leads("iou_difference")}. All missed defects can be caught, as the paper says, but that
costs {at("iou_difference", "1.0")} of the good parts, indicator against threshold shift, and the
enhancement is no help: the strengths that `tune` prefers are
{" and ".join(f"{of[n]['iou_difference'].strength:g}" for n in of)}. With a random map in the place
of the agnostic one the AUROC is {" and ".join(f"{of[n]['iou_random'].auroc:.2f}" for n in of)}, so
the overlap does see something, but little that the detector's own probability does not say already.
The best of some 3,000 overlaps (`best_overlap`) and all of them together (`overlap_profile`) do not
change that: {leads("best_overlap")}, and {leads("overlap_profile")}. Where too few parts were
missed (the tiles: misses of 5 parts in `tune`), both fall back on fixed forms and say so."""
    won = f"""**What won on `tune`, of everything that exists for both, is `{best}`**, with AUROC
{tuned}. {held.get(ahead, "On `test` it leads on neither")}: {leads(best)}; at 80 % recall it loses
{at(best, "0.8")} of the good parts, at 100 % {at(best, "1.0")}. The verdict is green for {proven}
of the two. {_caution(of, best)} Without any heatmap (`consensus_blind`: evidence and features
alone) the lead is {leads("consensus_blind")}: what the heatmaps add is the difference of the two.
The weights of the consensus (1, ½, ½) were fixed on the `tune` images of these same two detectors.
Cells of one solar module cannot be told apart and count as independent, so the intervals of the
solar cells are too narrow. Whatever else looks good on `test` in these tables was not chosen
beforehand and proves nothing by that."""
    told = " ".join(
        f"*{names[n].capitalize()}*: {each.sentence} That is `{each.indicator}`"
        + (
            "."
            if each.indicator == THRESHOLD_SHIFT
            else f"; its lead on `test` is {_lead(of[n][each.indicator])}."
        )
        for n, each in proposals.items()
    )
    second = f"""**What the program proposes** on `tune` ([probes.md](probes.md)). {told} The probe
combination, linear probes of the activations beside the detector's own evidence, leads on `test` by
{leads("probe_combination")}; it loses {at("probe_combination", "0.8")} of the good parts at 80 %
recall, and {at("probe_combination", "1.0")} at 100 %. `test` of the tiles was looked at while
probes were made, so their row is exploratory."""
    texts = (overlap, won, second)
    return "\n## What it means\n\n" + "\n\n".join(map(paragraphs, texts)) + "\n"


def _caution(of: dict[str, dict[str, Row]], best: str) -> str:
    low = {n: of[n][best].difference_interval[0] for n in of}
    ends = " and ".join(f"{end:+.4f}" for end in low.values())
    return (
        f"The intervals begin at {ends}: a small effect, measured on few missed parts, and no "
        "licence to trust it elsewhere."
    )


if __name__ == "__main__":
    main()
