"""Numbers as a quality engineer would say them: counts first, plain words, no spare digits."""

import math
import time

from trust_core.decision.certificate import proven
from trust_core.decision.indicators.registry import THRESHOLD_SHIFT
from trust_core.decision.operating_point import FlagCounts
from trust_core.decision.tradeoff import Curve

OUTCOME_NAMES = {
    "TP": "caught defect",
    "FN": "missed defect",
    "TN": "passed good part",
    "FP": "false alarm",
    "": "not readable",
}

INDICATOR_NAMES = {
    "iou_difference": "IoU difference",
    "iou_defect": "overlap with the defect map",
    "good_disagreement": "disagreement with the good map",
    "iou_difference_shift": "change of the IoU difference under perturbation",
    "p_defect": "just lowering the decision threshold",
    "log_odds": "evidence for a defect under perturbation",
    "log_odds_shift": "change of the evidence under perturbation",
    "iou_difference_clean": "IoU difference without perturbation",
    "max_logit": "weakness of the strongest output",
    "energy": "energy of the outputs",
    "gradient_norm": "sensitivity to the pixels",
    "tta_spread": "change of the evidence when the image is flipped",
    "knn": "distance to the nearest good parts",
    "mahalanobis": "distance from the cloud of good parts",
    "defect_area": "area of the defect map",
    "defect_entropy": "scatter of the defect map",
    "evidence_mass": "concentration of the evidence for a defect",
    "mask_alarm": "alarm of the predicted mask",
    "iou_random": "overlap with a random map",
    "combination": "evidence and IoU difference combined",
    "consensus": "consensus of evidence, IoU difference and features",
    "consensus_blind": "consensus without heatmaps",
    "probe": "second reading of the activations",
    "probe_combination": "evidence and second reading of the activations",
    "best_overlap": "best overlap found on the tuning parts",
    "overlap_profile": "overlap profile",
}

SHIFT_NAME = INDICATOR_NAMES[THRESHOLD_SHIFT]

CONTRADICTION_NAMES = {
    "good_marked": "Good, yet marked",
    "defective_empty": "Defective, mask empty",
}

ROLE_NAMES = {
    "train": "seen by the detector in training",
    "tune": "for choosing the threshold",
    "certify": "sealed: for proving the threshold",
    "test": "sealed: for the final report",
}

ROLE_CHOICES = {
    "tune": "Tune – for choosing",
    "certify": "Certify – sealed",
    "test": "Test – sealed",
    "all": "All three",
}

HELP = {
    "tau": "The flagging threshold: a part called good whose score is at least this high is sent "
    "to re-inspection.",
    "eps": "The adversarial strength: how far every pixel is nudged, in steps of 1/255, before the "
    "detector is asked again.",
    "iou_difference": "Where the detector would look for a defect, compared with where it looks at "
    "all, minus the same for a good part. Higher is more suspicious.",
    "p_defect": "The detector's own probability that the part is defective.",
    "evidence_mass": "How much of the pixel evidence for a defect lies in its strongest twentieth. "
    "A defect speaks from few places.",
    "mask_alarm": "The largest mean probability of the predicted mask over any window of 0.1 % of "
    "the part: does the mask see what the decision missed?",
}

GLOSSARY = {
    "Missed defect": "A defective part that the detector calls good.",
    "False alarm": "A good part that the detector calls defective.",
    "Defect probability, p": "How sure the detector itself is that a part is defective.",
    "Decision threshold": "The detector calls a part defective from this defect probability on.",
    "Heatmap": "Where on the photograph the detector finds evidence: for a defect, for a good "
    "part, or of any kind. Its strongest area, outlined, is its mask.",
    "Overlap, IoU": "How far two masks agree: the area in both, of the area in either.",
    "IoU difference, Δ": "Overlap of the defect map with where the detector looks at all, minus "
    "that of the good map. Higher is more suspicious.",
    "Flagging threshold, τ": "A part called good whose score is at least this is flagged: sent to "
    "re-inspection.",
    "Adversarial strength, ε": "Before it is scored, every pixel is nudged so that the part looks "
    "a little more defective to the detector; by how much, in steps of 1/255. 0 is the photograph "
    "as it is.",
    "Predicted mask": "Where the network, or its heatmap, reaches the mask threshold; the true "
    "mask is what the data marks as the defect.",
    "Operating point": "The flagging threshold and the strength that you chose.",
    "Evidence, bits": "How far a piece of the photograph moves the detector's odds, for a defect "
    "(+) or for a good part (−): one bit doubles them.",
    "Group": "All photographs of one physical part or lot.",
    "Tune, certify, test": "Images for choosing the threshold, for proving it, for the final "
    "report. The last two are sealed: who opens them is noted.",
}

CONFIDENCE = 0.95


def count(n: int) -> str:
    """A whole number with thousands separated: `1,204`."""
    return f"{n:,}"


def counted(n: int, what: str) -> str:
    """A number of things: `1 part`, `1,204 parts`, `no parts`. `what` is a plural in -s."""
    name = what.removesuffix("s") if n == 1 else what
    return f"{count(n) if n else 'no'} {name}"


def of(k: int, n: int, what: str) -> str:
    """A part of a whole: `11 of 12 missed defects`. `what` is a plural in -s."""
    return f"{count(k)} of {counted(n, what)}" if n else f"no {what}"


def indicator_name(indicator: str) -> str:
    """What an indicator is called."""
    return INDICATOR_NAMES.get(indicator, indicator.replace("_", " "))


def capital(text: str) -> str:
    """The first letter in upper case, the others as they are."""
    return text[:1].upper() + text[1:]


def percent(share: float) -> str:
    """A share as a whole percentage, never rounded to 0 or 100 when it is not that: `7 %`."""
    if math.isnan(share):
        return "–"
    if 0 < share < 0.01:
        return "under 1 %"
    if 0.99 < share < 1:
        return "over 99 %"
    return f"{share * 100:.0f} %"


def share(value: float) -> str:
    """A share as a percentage with the digits it was given with: `95 %`, `99.5 %`."""
    return f"{100 * value:.4g} %"


def money(value: float) -> str:
    """A cost, three digits: `0.0123`, `1.25`, `12,300`."""
    if not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def about(value: float) -> str:
    """A count that was computed, not counted: `1,230`, `12`, `0.4`."""
    if not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2g}"


def interval(k: int, n: int) -> str:
    """What k of n proves of the share behind it: `at least 74 %, 95 % sure`, rounded down.

    The lower bound is Clopper and Pearson's, one-sided.
    """
    if not n:
        return "nothing to measure it on"
    return f"at least {math.floor(100 * proven(k, n, CONFIDENCE))} %, {share(CONFIDENCE)} sure"


def caught_sentence(counts: FlagCounts) -> str:
    """`11 of 12 missed defects caught; 74 of 555 good parts re-inspected`."""
    caught = f"{of(counts.flagged_fn, counts.fn, 'missed defects')} caught"
    again = f"{of(counts.flagged_tn, counts.tn, 'good parts')} re-inspected"
    caught = caught if counts.fn else "no defect was missed"
    return f"{caught}; {again if counts.tn else 'no good part was passed'}"


def shift_sentence(counts: FlagCounts) -> str:
    """Good parts that just lowering the decision threshold asks for the same catch."""
    if counts.shift_tn is None:
        return ""
    more = counts.shift_tn - counts.flagged_tn
    again = "as many good parts for the same catch"
    if more:
        again = f"{counted(counts.shift_tn, 'good parts')} for the same catch, "
        again += f"{count(abs(more))} {'more' if more > 0 else 'fewer'}"
    return f"{capital(SHIFT_NAME)} would re-inspect {again}."


def number_text(value: float) -> str:
    """A threshold with no more digits than tell it from its neighbours, and a true minus sign."""
    return f"{value:.6g}".replace("-", "−").replace("inf", "∞")


def brief_threshold(threshold: float) -> str:
    """A threshold with the digits that matter to a reader: `τ 0.7910`."""
    return "nothing" if math.isinf(threshold) else f"τ {threshold:.4g}".replace("-", "−")


def good_parts_at(points: Curve, recall: float) -> str:
    """Good parts re-inspected to catch a share of the missed defects: `310 of 376`."""
    index = points.at_recall(recall)
    if index is None or not points.tn:
        return "–"
    return f"{count(int(points.flagged_tn[index]))} of {count(points.tn)}"


def size(n: float) -> str:
    """Bytes on disk in decimal units: `18.4 MB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "bytes" or n >= 100 else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:,.1f} TB"


def moment(stamp: str) -> str:
    """A time of the manifest (`2026-04-21T14:03:00+0200`) as `21 Apr 2026, 14:03`."""
    try:
        return time.strftime("%d %b %Y, %H:%M", time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return stamp
