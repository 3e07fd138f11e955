"""The jobs on a finished audit: their options, what they do, and what they print.

Like all jobs they import what they need when they run: `--help` and a wrong option answer at once.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trust_core.cli.printing import counting, typed_threshold
from trust_core.errors import NotMet, SettingsError
from trust_core.messages import amount, share_text

if TYPE_CHECKING:
    from trust_core.storage.audit_files import Audit

LOCALIZATION_WORDS = {
    "seg_miou": "Seg_mIoU, mean over images",
    "pooled_miou": "pooled mIoU, over all pixels together",
    "seg_recall": "Seg_Recall, defective with a mask",
    "seg_recall_strict": "Seg_Recall, strict: the mask touches the defect",
    "seg_accuracy": "Seg_Accuracy, mask and label agree",
    "false_alarms": "good photos with a mask",
}
LEFT_OUT_WORDS = {
    "unanswered": "without an answer of the network",
    "no_mask": "defective without a readable mask",
    "empty_mask": "defective with an empty mask: the place of the defect is unknown",
    "good_but_marked": "labelled good with a marked mask",
}
CONTRADICTION_WORDS = {
    "good_marked": "called good while the mask marks something",
    "defective_empty": "called defective with an empty mask",
}


def add_tradeoff(part: argparse.ArgumentParser) -> None:
    """Options of the job `tradeoff`."""
    _add_audit(part)
    part.add_argument("--indicator", default="iou_difference")
    _add_role(part)


def run_tradeoff(options: argparse.Namespace) -> dict[str, Any]:
    """Every point of the curves, by role."""
    from trust_core.decision.curves import roles_of, tradeoff

    audit = _audit(options)
    result = tradeoff(audit, options.indicator, options.role)
    if not len(result.missed):
        raise SettingsError(
            "No image was called good, so there is nothing to draw; look at what the outputs mean "
            "and at the decision threshold."
            if options.role == "all"
            else f"No image of role '{options.role}' was called good, so there is nothing to draw; "
            "try --role all."
        )
    _open_seals(audit, roles_of(options.role), f"tradeoff --role {options.role}")
    return result.as_json()


def show_tradeoff(result: dict[str, Any]) -> None:
    """AUROC and TN loss at some recalls, for each strength and for threshold shift."""
    from trust_core.decision.indicators.registry import indicator_name

    counts, name = result["counts"], indicator_name(result["indicator"])
    print(
        f"{amount(counts['fn'], 'missed photo', 'missed photos')} among "
        f"{amount(counts['fn'] + counts['tn'], 'photo', 'photos')} called good (role "
        f"{result['role']})."
    )
    print(f"Good photos re-inspected to catch a share of the missed ones, by {name}:")
    wanted = list(result["threshold_shift"]["tn_loss_at"])
    heads = "".join(f"{share_text(float(recall), 0):>9}" for recall in wanted)
    print(f"  {'':<18}{'AUROC':>7}{heads}")
    rows = [(f"strength {c['strength']:g}", c) for c in result["curves"]]
    for name, points in [*rows, ("threshold shift", result["threshold_shift"])]:
        losses = "".join(_percent(points["tn_loss_at"][recall]) for recall in wanted)
        area = "      –" if points["auroc"] is None else f"{points['auroc']:7.3f}"
        print(f"  {name:<18}{area}{losses}")


def add_certify(part: argparse.ArgumentParser) -> None:
    """Options of the job `certify`."""
    _add_audit(part)
    goal = part.add_mutually_exclusive_group(required=True)
    goal.add_argument("--recall", type=float, help="share of the missed parts to be caught")
    goal.add_argument("--max-tn-loss", type=float, help="or the best recall within this loss")
    _add_choice(part)


def run_certify(options: argparse.Namespace) -> dict[str, Any]:
    """A threshold that is proven on `certify`, or why there is none."""
    from trust_core.decision.certificate import Budget, Demand
    from trust_core.decision.certify import certify, indicator_to_certify

    audit = _audit(options)
    if options.max_tn_loss is None:
        goal: Demand | Budget = Demand(options.recall, options.confidence)
    else:
        goal = Budget(options.max_tn_loss, options.confidence)
    chosen = indicator_to_certify(audit, options.indicator, options.strength)
    return certify(audit, goal, chosen).as_json()


def show_certify(result: dict[str, Any]) -> None:
    """What is proven, beside what threshold shift can prove, and the seals."""
    from trust_core.decision.indicators.registry import indicator_name

    name = indicator_name(result["indicator"])
    print(
        f"{name[:1].upper()}{name[1:]} at strength {result['strength']:g} ({result['chosen_by']})."
    )
    print(f"Verdict: {result['verdict']['colour']}. {result['verdict']['sentence']}")
    if result["same_ranking"]:
        print(result["same_ranking"])
    if result["certified"]:
        print(result["sentence"])
        print(f"  {'':<18}{'τ':>9}{'certify':>9}{'test':>9}   good photos re-inspected")
        rows = {"indicator": result, "threshold shift": result["threshold_shift"]}
        for name, proof in rows.items():
            at = "–" if proof["threshold"] is None else typed_threshold(proof["threshold"])
            losses = _percent(proof["tn_loss"]) + _percent(proof["test"]["tn_loss"])
            print(f"  {name:<18}{at:>9}{losses}")
        for kind, part in result["test"]["by_kind"].items():
            print(
                f"  {kind}: {part['flagged_fn']:,} of {part['fn']:,} missed photos flagged on test"
            )
    if not result["chosen_blind"]:
        print("The seal of certify was opened before this was chosen: what is proven holds only if")
        print("the choice did not look at it.")
    for seal in result["seals"]:
        print(f"Seal of {seal['role']} opened {seal['when']} by {seal['who']}: {seal['why']}")


def add_gate(part: argparse.ArgumentParser) -> None:
    """Options of the job `gate`."""
    _add_audit(part)
    part.add_argument("--recall", type=float, required=True)
    part.add_argument("--max-tn-loss", type=float, help="on certify and on test")
    part.add_argument("--junit", type=Path, metavar="FILE", help="written for CI systems")
    _add_choice(part)


def run_gate(options: argparse.Namespace) -> dict[str, Any]:
    """Whether a requirement is met, for a CI system."""
    from trust_core.decision.certificate import Demand
    from trust_core.decision.certify import indicator_to_certify
    from trust_core.decision.gate import gate, write_junit

    audit = _audit(options)
    demand = Demand(options.recall, options.confidence)
    chosen = indicator_to_certify(audit, options.indicator, options.strength)
    result = gate(audit, demand, chosen, options.max_tn_loss)
    if options.junit:
        write_junit(options.junit, result)
    return result.as_json()


def show_gate(result: dict[str, Any]) -> None:
    """Each requirement, met or not."""
    for requirement in result["requirements"]:
        print(f"{'met' if requirement['met'] else 'NOT MET':<8}{requirement['sentence']}")


def must_hold(result: dict[str, Any]) -> None:
    """Exit 3, after the result was printed, when what was asked for is not met."""
    if not result.get("met", result.get("certified")):
        raise NotMet(result["sentence"])


def add_autotune(part: argparse.ArgumentParser) -> None:
    """Options of the job `autotune`."""
    _add_audit(part)


def run_autotune(options: argparse.Namespace) -> dict[str, Any]:
    """Every overlap that the kept maps hold, judged on `tune`."""
    from trust_core.decision.tuning.autotune import autotune

    return autotune(_audit(options)).as_json()


def show_autotune(result: dict[str, Any]) -> None:
    """What was chosen on tune and how it did on test."""
    chosen = ", ".join(f"{name} {value}" for name, value in result["chosen"].items())
    print(f"best_overlap: {chosen}")
    print(result["sentence"])
    print(f"overlap_profile: {result['profile']['sentence']}")
    for name, verdict in result["test"].items():
        print(f"On test, {name}: {verdict['colour']}. {verdict['sentence']}")
    print(result["sensitivity"]["test"]["sentence"])


def add_localize(part: argparse.ArgumentParser) -> None:
    """Options of the job `localize`."""
    _add_audit(part)
    part.add_argument(
        "--source", metavar="NAME", help="mask (the mask head) or a kept heatmap, e.g. defect"
    )
    part.add_argument("--threshold", type=float, default=0.5, help="0.01, 0.02, … 0.99")
    part.add_argument(
        "--min-area", type=float, default=0.0, help="share of the part below which a mask is empty"
    )
    _add_role(part)


def run_localize(options: argparse.Namespace) -> dict[str, Any]:
    """How well masks mark the defects; pixels are counted once."""
    from trust_core.decision.curves import roles_of
    from trust_core.decision.localization.audit_masks import report
    from trust_core.decision.localization.pixel_counts import find_source, make_counts

    audit, roles = _audit(options), roles_of(options.role)
    counts = make_counts(audit, find_source(audit, options.source), counting())
    result = report(audit, counts, options.threshold, options.min_area, options.role)
    _open_seals(audit, roles, f"localize --role {options.role}")
    return result.as_json()


def show_localize(result: dict[str, Any]) -> None:
    """The metrics with their intervals, recall by size of the defect, and what was left out."""
    what = "the mask head" if result["source"] == "mask" else f"the heatmap {result['source']}"
    print(
        f"Masks of {what} from {result['threshold']:g}, "
        f"{amount(result['images'], 'image', 'images')} in "
        f"{amount(result['groups'], 'group', 'groups')} (role {result['role']})."
    )
    for name, text in LOCALIZATION_WORDS.items():
        print(f"  {text:<58}{_estimate(result[name])}")
    print("Defects with a mask, by their size:")
    for size in result["by_size"]:
        print(f"  {size['size']:<58}{_estimate(size['seg_recall'])}")
    for name, count in result["left_out"].items():
        if count:
            print(f"Left out: {count:,} {LEFT_OUT_WORDS[name]}.")
    if result["best"]:
        best = result["best"]
        print(f"Seg_mIoU is highest, {best['seg_miou']:.3f}, from {best['threshold']:g}.")
    for name, parts in (result["contradictions"] or {}).items():
        print(f"Contradictions: {len(parts):,} {CONTRADICTION_WORDS[name]}.")


def add_labels(part: argparse.ArgumentParser) -> None:
    """Options of the job `labels`."""
    _add_audit(part)
    part.add_argument("--most", type=int, default=20, help="doubted labels to list")
    part.add_argument("--csv", type=Path, metavar="FILE", help="all labels, the wrong ones turned")
    _add_role(part)


def run_labels(options: argparse.Namespace) -> dict[str, Any]:
    """Labels called wrong and what they change, and those most worth checking; no model runs."""
    from dataclasses import asdict, replace

    from trust_core.decision.journal import disputes
    from trust_core.decision.json_object import json_object
    from trust_core.decision.label_review import (
        corrected_ids,
        corrected_table,
        labels_to_check,
        recount,
    )
    from trust_core.decision.standing import leading_point
    from trust_core.storage.atomic import replacing
    from trust_core.storage.csv_text import csv_text, harmless_path

    audit = _audit(options)
    wrong, point = corrected_ids(audit), replace(leading_point(audit), role=options.role)
    doubts = labels_to_check(audit, options.role, options.most)
    counted = recount(audit, point, wrong)
    if options.csv:
        table = corrected_table(audit)
        with replacing(options.csv) as unfinished:
            unfinished.write_text(csv_text(table.assign(path=table["path"].map(harmless_path))))
    return {
        "audit": str(options.audit),
        "role": options.role,
        "indicator": point.indicator,
        "strength": point.strength,
        "threshold": point.threshold,
        "called_wrong": [asdict(entry) for entry in disputes(audit)],
        "corrected": counted.corrected,
        **{
            name: {
                "outcomes": result.outcomes,
                "counts": asdict(result.counts),
                "verdict": json_object(asdict(result.verdict)),
            }
            for name, result in (("before", counted.before), ("after", counted.after))
        },
        "to_check": None if doubts is None else [asdict(doubt) for doubt in doubts],
    }


def show_labels(result: dict[str, Any]) -> None:
    """Labels called wrong, what the audit says with and without them, and what to check."""
    for entry in result["called_wrong"]:
        print(
            f"Called wrong by {entry['who']}, {entry['when']}: {entry['sample_id']} {entry['note']}"
        )
    corrected = amount(result["corrected"], "label", "labels")
    names = {"before": "As the data says", "after": f"With {corrected} turned"}
    for name in names if result["corrected"] else ("before",):
        counts = "  ".join(f"{k} {n:,}" for k, n in result[name]["outcomes"].items())
        verdict = result[name]["verdict"]
        print(f"{names[name]}: {counts}. {verdict['colour'].capitalize()}. {verdict['sentence']}")
    if result["to_check"] is None:
        print("There is no second reader to doubt labels with: too few parts, or an older audit.")
        return
    print("Labels most worth checking; nothing is changed by itself:")
    for doubt in result["to_check"]:
        label = "defective" if doubt["label"] else "good"
        detector, reader = (share_text(doubt[name], 0) for name in ("detector", "reader"))
        print(f"  {doubt['path']}: {label}; against it detector {detector}, second reader {reader}")


def add_decide(part: argparse.ArgumentParser) -> None:
    """Options of the job `decide`."""
    _add_audit(part)
    part.add_argument("--threshold", type=float, required=True)
    part.add_argument("--strength", type=float, required=True)
    part.add_argument("--indicator", default="iou_difference")
    part.add_argument("--why", required=True)


def run_decide(options: argparse.Namespace) -> dict[str, Any]:
    """Note an operating point in the journal."""
    from trust_core.decision.journal import decide

    audit = _audit(options)
    return decide(audit, options.indicator, options.threshold, options.strength, options.why)


def show_decide(result: dict[str, Any]) -> None:
    """What was noted."""
    print(f"Noted in the audit: {json.dumps(result, ensure_ascii=False)}")


def _audit(options: argparse.Namespace) -> "Audit":
    from trust_core.storage.audit_files import open_audit

    return open_audit(options.audit)


def _add_audit(part: argparse.ArgumentParser) -> None:
    part.add_argument("audit", type=Path, metavar="AUDIT")


def _add_role(part: argparse.ArgumentParser) -> None:
    part.add_argument("--role", default="tune", help="tune, certify, test or all")


def _add_choice(part: argparse.ArgumentParser) -> None:
    part.add_argument("--confidence", type=float, default=0.95)
    part.add_argument("--indicator", help="default: that of the last operating point")
    part.add_argument("--strength", type=float, help="default: likewise, or the best on tune")


def _open_seals(audit: "Audit", roles: Sequence[str], why: str) -> None:
    """Say it when a look at sealed images is logged."""
    from trust_core.decision.journal import open_seals

    if opened := open_seals(audit, roles, why):
        print(f"Seal opened and logged: {', '.join(opened)}.", file=sys.stderr)


def _percent(value: float | None) -> str:
    return f"{'–' if value is None else share_text(value):>9}"


def _estimate(estimate: dict[str, Any]) -> str:
    if estimate["value"] is None:
        return "–"
    text = f"{estimate['value']:.3f}"
    if estimate["interval"]:
        low, high = estimate["interval"]
        text += f"  ({low:.3f} to {high:.3f})"
    if float(estimate["hits"]).is_integer():
        text += f"  {estimate['hits']:,.0f} of {estimate['total']:,}"
    return text
