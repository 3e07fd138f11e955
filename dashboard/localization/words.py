"""The localization metrics in words, and as cards. No Streamlit."""

import math
from collections.abc import Mapping
from html import escape

import numpy as np

from dashboard.localization.url_state import STRICT, Asked
from dashboard.words import ROLE_NAMES, count, counted, of, percent
from trust_core.decision.bootstrap import Estimate, Interval
from trust_core.decision.localization.metrics import Localization, Masks
from trust_core.decision.localization.pixel_counts import MASK_HEAD, UNKNOWN, MaskCounts
from trust_core.decision.localization.report import Judged
from trust_core.decision.tradeoff import Floats

LARGEST = 0.1  # share of the defects that the sentence on the pooled metric speaks of

LEGEND = (
    '<span class="mask-legend"><i class="predicted"></i>predicted mask '
    '<i class="true"></i>true defect</span>'
)
SOURCE_NAMES = {
    MASK_HEAD: "Predicted mask",
    "defect": "Heatmap: evidence for a defect",
    "good": "Heatmap: evidence for a good part",
}


def source_name(source: str) -> str:
    """What masks are made from, for a list."""
    return SOURCE_NAMES.get(source, f"Heatmap: {source}")


def finding(found: Localization, asked: Asked) -> str:
    """What the masks find, and what they mark for nothing, with its counts."""
    what = "mask" if asked.source == MASK_HEAD else "heatmap"
    recall = found.seg_recall_strict if asked.form == STRICT else found.seg_recall
    if not recall.total:
        return "None of these parts is defective, so no mask can be right."
    verb, again = ("touches the defect on", "marks ") if asked.form == STRICT else ("marks", "")
    alarms = found.false_alarms
    good = f" and {again}{of(int(alarms.hits), alarms.total, 'good ones')}" if alarms.total else ""
    return (
        f"The {what} {verb} {of(int(recall.hits), recall.total, 'defective parts')}{good}; part "
        f"by part, {what} and defect overlap by {percent(found.seg_miou.value)}."
    )


def basis(judged: Judged, found: Localization, asked: Asked) -> str:
    """Which images these are, what is judged, and what was left out."""
    role = "all but those seen in training"
    if asked.role in ROLE_NAMES:
        role = f"{asked.role}, {ROLE_NAMES[asked.role]}"
    told = [f"{counted(found.images, 'images')} in {counted(found.groups, 'groups')}: {role}."]
    left = (
        (judged.unanswered, "without an answer of the network"),
        (judged.no_mask, "defective without a readable mask"),
        (found.no_location, "defective with an empty mask, so that nobody knows where"),
        (found.marked_good, "labelled good with a marked mask"),
    )
    gone = ", ".join(f"{count(number)} {why}" for number, why in left if number)
    return " ".join([*told, f"Left out: {gone}."] if gone else told)


def cards(found: Localization, asked: Asked) -> str:
    """The metrics as cards: the number, its interval, what it counts."""
    strict = asked.form == STRICT
    recall = found.seg_recall_strict if strict else found.seg_recall
    title = f"Defective parts {'whose mask touches the defect' if strict else 'with a mask'}"
    shown = (
        _card(
            "ours",
            "Agreement, part by part",
            agreement(found.seg_miou.value),
            f"Seg_mIoU: mean IoU over the {count(found.seg_miou.total)} parts that have a "
            "predicted or a true mask",
            found.seg_miou,
        ),
        _card(
            "rival",
            "Agreement, all pixels pooled",
            agreement(found.pooled_miou.value),
            "Pooled mIoU: one IoU over the pixels of all parts together",
            found.pooled_miou,
        ),
        _card(
            "",
            title,
            _counts(recall),
            f"Seg_Recall, {asked.form}: {percent(recall.value)}",
            recall,
        ),
        _card(
            "",
            "Good parts with a mask",
            _counts(found.false_alarms),
            f"False alarms of the mask: {percent(found.false_alarms.value)}",
            found.false_alarms,
        ),
        _card(
            "",
            "Mask and label agree",
            _counts(found.seg_accuracy),
            f"Seg_Accuracy: {percent(found.seg_accuracy.value)}",
            found.seg_accuracy,
        ),
    )
    return f'<div class="cards">{"".join(shown)}</div>'


def best_sentence(swept: Mapping[str, Floats], at: Floats) -> str:
    """`Agreement by part is highest, 0.22, from 0.88.`; "" when it is nowhere defined."""
    values = swept["seg_miou"]
    if np.isnan(values).all():
        return ""
    place = int(np.nanargmax(values))
    return f"Agreement by part is highest, {agreement(values[place])}, from {at[place]:.2f}."


def why_they_differ(masks: Masks) -> str:
    """Why the mean over parts and the pooled metric are not the same number."""
    true = np.sort(masks.true[masks.defective & masks.known])[::-1]
    if not len(true):
        return "Without a defective part there is nothing to pool."
    most = max(1, round(LARGEST * len(true)))
    share = float(true[:most].sum() / true.sum())
    return (
        f"Why two numbers: pooling counts pixels, of which the largest {count(most)} of "
        f"{counted(len(true), 'defects')} hold {percent(share)}; part by part each part counts "
        "once, a miss and a false alarm as 0."
    )


def part_sentence(counts: MaskCounts | None, asked: Asked) -> str:
    """What the mask of one part says, in words."""
    found = _of_part(counts, asked)
    if found is None:
        return "The network gave no answer for this photograph, so there is no mask."
    what = "The mask" if asked.source == MASK_HEAD else "The heatmap"
    if not found.found[0]:
        return f"{what} marks nothing from this threshold on."
    if found.true[0] <= 0:
        return f"{what} marks {_share(found.predicted[0], found)} of the part."
    if not found.overlap[0]:
        return f"{what} marks {_share(found.predicted[0], found)} of the part, beside the defect."
    return f"{what} and the defect overlap by {percent(float(found.iou[0]))} (IoU)."


def part_numbers(counts: MaskCounts | None, asked: Asked) -> str:
    """Areas of the masks of one part, at the size of the true mask."""
    found = _of_part(counts, asked)
    if found is None:
        return ""
    rows = [("Predicted mask", found.predicted[0])]
    if found.true[0] > UNKNOWN:
        rows += [("True mask", found.true[0]), ("In both", found.overlap[0])]
    body = "".join(
        f"<dt>{name}</dt><dd>{counted(int(pixels), 'pixels')}, {_share(pixels, found)}</dd>"
        for name, pixels in rows
    )
    iou = float(found.iou[0])
    if found.true[0] > UNKNOWN and not math.isnan(iou):
        body += f"<dt>IoU</dt><dd>{iou:.3f}</dd>"
    return f'<dl class="part-facts">{body}</dl>'


def _of_part(counts: MaskCounts | None, asked: Asked) -> Masks | None:
    """One image's masks; None when the network gave no answer."""
    if counts is None:
        return None
    columns = (column.astype(np.int64) for column in counts.at(asked.threshold))
    predicted, overlap, true, area = columns
    if not area[0]:
        return None
    one = np.zeros(1, dtype=np.int64)
    return Masks(predicted, overlap, true, area, true > 0, one).without_small(asked.min_area)


def _share(pixels: int, masks: Masks) -> str:
    """Pixels as a share of the part, in per cent with two digits: `0.13 %`."""
    return f"{100 * pixels / masks.area[0]:.2g} %"


def interval_text(interval: Interval, *, shares: bool) -> str:
    """`95 % interval 0.55 to 0.71`, or in per cent; what it takes when there is none."""
    if math.isnan(interval[0]):
        return "no interval from fewer than two groups"
    low, high = interval
    if shares:
        return f"95 % interval {percent(low)} to {percent(high)}"
    return f"95 % interval {agreement(low)} to {agreement(high)}"


def _card(kind: str, title: str, number: str, text: str, estimate: Estimate) -> str:
    told = interval_text(estimate.interval, shares=not kind)
    return (
        f'<div class="card {kind}"><h3>{escape(title)}</h3><b>{escape(number)}</b>'
        f"<p>{escape(text)}</p><small>{told}</small></div>"
    )


def agreement(value: float) -> str:
    """An IoU with two digits that say something: `0.64`, `0.006`; a dash when undefined."""
    if math.isnan(value):
        return "–"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def _counts(estimate: Estimate) -> str:
    return f"{count(int(estimate.hits))} of {count(estimate.total)}" if estimate.total else "–"
