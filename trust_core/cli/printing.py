"""What the jobs of the command line print for people, and how far a run is."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from trust_core.storage.progress import Progress, stopwatch

LOCALISATION_WORDS = {
    "seg_miou": "Seg_mIoU, mean over images",
    "pooled_miou": "pooled mIoU, over all pixels together",
    "seg_recall": "Seg_Recall, defective with a mask",
    "seg_recall_strict": "Seg_Recall, strict: the mask touches the defect",
    "seg_accuracy": "Seg_Accuracy, mask and label agree",
    "false_alarms": "good parts with a mask",
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


def say(sentences: Sequence[str]) -> None:
    """Sentences for people, on standard error."""
    for sentence in sentences:
        print(sentence, file=sys.stderr)


def progress() -> Callable[[Progress], None]:
    """A line that is written over on a terminal, and once in ten seconds into a file."""
    terminal = sys.stderr.isatty()
    told = 0.0

    def show(state: Progress) -> None:
        nonlocal told
        now = time.monotonic()
        last = state.done == state.total
        if now - told < (0.2 if terminal else 10) and not last:
            return
        told = now
        left = state.seconds_left
        text = f"{state.done:,} of {state.total:,} images, {state.rate:.1f} a second"
        text += f", {duration(left)} left" if left else ""
        end = "\r" if terminal and not last else "\n"
        print(f"{text:<60}", end=end, file=sys.stderr, flush=True)

    return show


def counting() -> Callable[[int, int], None]:
    """The same line for a job that knows only how many of how many images are done."""
    show = progress()
    measure: Callable[[int, int], Progress] | None = None

    def count(done: int, total: int) -> None:
        nonlocal measure
        measure = measure or stopwatch(done)  # what an earlier run had done is no speed
        show(measure(done, total))

    return count


def duration(seconds: float) -> str:
    """Hours and minutes, minutes and seconds, or seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def show_audit(result: dict[str, Any]) -> None:
    """Outcomes by role, what was not scored, and the speed."""
    counts = result["counts"]
    passed, missed = counts["fn"] + counts["tn"], counts["fn"]
    print(f"Audit: {result['audit']}")
    print(
        f"The detector calls {passed:,} parts good; {missed:,} of them are missed defects. "
        f"It catches {counts['tp']:,} defects and raises {counts['fp']:,} false alarms."
    )
    for role, part in result["counts_by_role"].items():
        shown = ", ".join(f"{value:,} {name.upper()}" for name, value in part.items())
        print(f"  {role:<8} {shown}")
    print(
        f"Not readable: {result['unreadable']:,}. Passed without a score: {result['unscored']:,}."
    )
    print(f"{result['seconds']:.1f} s, {result['images_per_second']:.1f} images a second.")


def show_tradeoff(result: dict[str, Any]) -> None:
    """AUROC and TN loss at some recalls, for each strength and for threshold shift."""
    counts = result["counts"]
    print(
        f"{counts['fn']:,} missed defects among {counts['fn'] + counts['tn']:,} parts called good "
        f"(role {result['role']})."
    )
    print(
        f"Good parts re-inspected to catch a share of the missed defects, by {result['indicator']}:"
    )
    wanted = list(result["threshold_shift"]["tn_loss_at"])
    heads = "".join(f"{float(recall):>9.0%}" for recall in wanted)
    print(f"  {'':<18}{'AUROC':>7}{heads}")
    rows = [(f"strength {c['strength']:g}", c) for c in result["curves"]]
    for name, points in [*rows, ("threshold shift", result["threshold_shift"])]:
        losses = "".join(_percent(points["tn_loss_at"][recall]) for recall in wanted)
        area = "      –" if points["auroc"] is None else f"{points['auroc']:7.3f}"
        print(f"  {name:<18}{area}{losses}")


def _percent(value: float | None) -> str:
    return f"{'–':>9}" if value is None else f"{value:9.1%}"


def show_localisation(result: dict[str, Any]) -> None:
    """The metrics with their intervals, recall by size of the defect, and what was left out."""
    what = "the mask head" if result["source"] == "mask" else f"the heatmap {result['source']}"
    print(
        f"Masks of {what} from {result['threshold']:g}, {result['images']:,} images in "
        f"{result['groups']:,} groups (role {result['role']})."
    )
    for name, text in LOCALISATION_WORDS.items():
        print(f"  {text:<58}{_estimate(result[name])}")
    print("Defects with a mask, by their size:")
    for size in result["by_size"]:
        print(f"  {size['size']:<58}{_estimate(size['seg_recall'])}")
    left = {LEFT_OUT_WORDS[name]: count for name, count in result["left_out"].items() if count}
    for text, count in left.items():
        print(f"Left out: {count:,} {text}.")
    if result["best"]:
        best = result["best"]
        print(f"Seg_mIoU is highest, {best['seg_miou']:.3f}, from {best['threshold']:g}.")
    for name, parts in (result["contradictions"] or {}).items():
        print(f"Contradictions: {len(parts):,} {CONTRADICTION_WORDS[name]}.")


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


def show_certificate(result: dict[str, Any]) -> None:
    """What is proven, beside what threshold shift can prove, and the seals."""
    print(f"{result['indicator']} at strength {result['strength']:g} ({result['chosen_by']}).")
    print(f"Verdict: {result['verdict']['colour']}. {result['verdict']['sentence']}")
    if result["same_ranking"]:
        print(result["same_ranking"])
    if result["certified"]:
        print(result["sentence"])
        print(f"  {'':<18}{'τ':>9}{'certify':>9}{'test':>9}   good parts re-inspected")
        rows = {"indicator": result, "threshold shift": result["threshold_shift"]}
        for name, proof in rows.items():
            at = "–" if proof["threshold"] is None else f"{proof['threshold']:.4f}"
            losses = _percent(proof["tn_loss"]) + _percent(proof["test"]["tn_loss"])
            print(f"  {name:<18}{at:>9}{losses}")
        for kind, part in result["test"]["by_kind"].items():
            print(
                f"  {kind}: {part['flagged_fn']:,} of {part['fn']:,} missed defects flagged on test"
            )
    if not result["chosen_blind"]:
        print("The seal of certify was opened before this was chosen: what is proven holds only if")
        print("the choice did not look at it.")
    for seal in result["seals"]:
        print(f"Seal of {seal['role']} opened {seal['when']} by {seal['who']}: {seal['why']}")


def show_gate(result: dict[str, Any]) -> None:
    """Each requirement, met or not."""
    for requirement in result["requirements"]:
        print(f"{'met' if requirement['met'] else 'NOT MET':<8}{requirement['sentence']}")


def show_autotune(result: dict[str, Any]) -> None:
    """What was chosen on tune and how it did on test."""
    chosen = result["chosen"]
    told = ", ".join(f"{name} {value}" for name, value in chosen.items())
    print(f"best_overlap: {told}")
    print(result["sentence"])
    print(f"overlap_profile: {result['profile']['sentence']}")
    for name, judged in result["test"].items():
        print(f"On test, {name}: {judged['colour']}. {judged['sentence']}")
    print(result["sensitivity"]["test"]["sentence"])


def show_decision(result: dict[str, Any]) -> None:
    """What was noted."""
    print(f"Noted in the audit: {json.dumps(result, ensure_ascii=False)}")


def show_inspection(result: dict[str, Any]) -> None:
    """Architecture, layers with their grids, and what a few images gave."""
    print(f"{result['architecture']}, {result['outputs']} output(s)")
    for name, (channels, height, width) in result["layers"].items():
        mark = "*" if name == result["layer"] else " "
        print(f" {mark} {name:<40} {height}x{width}, {channels} channels")
    for note in result["notes"]:
        print(note)


def show_demo(result: dict[str, Any]) -> None:
    """Where the demo lies."""
    print(f"The demo audit is ready: {result['audit']}")
