"""What the page Localization says, as sentences and escaped HTML. No Streamlit."""

import math
from collections.abc import Callable, Mapping
from html import escape

import numpy as np

from dashboard.localization.url_state import STRICT, MaskSettings
from trust_core.decision.bootstrap import Estimate, Flags, Interval
from trust_core.decision.localization.audit_masks import (
    DEFECTIVE_EMPTY,
    GOOD_MARKED,
    ImageMasks,
    Images,
    part_masks,
)
from trust_core.decision.localization.metrics import Localization, Masks
from trust_core.decision.localization.pixel_counts import MASK_HEAD, UNKNOWN, MaskCounts
from trust_core.decision.tradeoff import Floats
from trust_core.figures.words.numbers import ROLE_NAMES, count, counted, of, percent

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


def masks_sentence(found: Localization, settings: MaskSettings) -> str:
    """What the masks find, and what they mark for nothing, with its counts."""
    what = "mask" if settings.source == MASK_HEAD else "heatmap"
    recall = found.seg_recall_strict if settings.form == STRICT else found.seg_recall
    if not recall.total:
        return "None of these photos shows a defect, so no mask can be right."
    verb, again = ("touches the defect on", "marks ") if settings.form == STRICT else ("marks", "")
    alarms = found.false_alarms
    good = f" and {again}{of(int(alarms.hits), alarms.total, 'good ones')}" if alarms.total else ""
    return (
        f"The {what} {verb} {of(int(recall.hits), recall.total, 'defective photos')}{good}; photo "
        f"by photo, {what} and defect overlap by {percent(found.seg_miou.value)}."
    )


def basis(masks: ImageMasks, found: Localization, settings: MaskSettings) -> str:
    """Which images these are, what is judged, and what was left out."""
    role = "all but those seen in training"
    if settings.role in ROLE_NAMES:
        role = f"{settings.role}, {ROLE_NAMES[settings.role]}"
    told = [f"{counted(found.images, 'photos')} in {counted(found.groups, 'groups')}: {role}."]
    left = (
        (masks.unanswered, "without an answer of the network"),
        (masks.no_mask, "defective without a readable mask"),
        (found.no_location, "defective with an empty mask, so that nobody knows where"),
        (found.marked_good, "labelled good with a marked mask"),
    )
    gone = ", ".join(f"{count(number)} {why}" for number, why in left if number)
    return " ".join([*told, f"Left out: {gone}."] if gone else told)


def metric_cards(found: Localization, settings: MaskSettings) -> str:
    """The metrics as cards: the number, its interval, what it counts."""
    strict = settings.form == STRICT
    recall = found.seg_recall_strict if strict else found.seg_recall
    title = f"Defective photos {'whose mask touches the defect' if strict else 'with a mask'}"
    agreement, pooled, accuracy = found.seg_miou, found.pooled_miou, found.seg_accuracy
    false_alarms = found.false_alarms
    shown = (
        _iou_card(
            "ours",
            "Agreement, photo by photo",
            agreement,
            f"Seg_mIoU: mean IoU over the {count(agreement.total)} photos that have a predicted or "
            "a true mask",
        ),
        _iou_card(
            "rival",
            "Agreement, all pixels pooled",
            pooled,
            "Pooled mIoU: one IoU over the pixels of all photos together",
        ),
        _share_card(title, recall, f"Seg_Recall, {settings.form}"),
        _share_card("Good photos with a mask", false_alarms, "False alarms of the mask"),
        _share_card("Mask and label agree", accuracy, "Seg_Accuracy"),
    )
    return f'<div class="cards">{"".join(shown)}</div>'


def best_sentence(swept: Mapping[str, Floats], at: Floats) -> str:
    """`Agreement by photo is highest, 0.22, at 0.88.`; "" when it is nowhere defined."""
    values = swept["seg_miou"]
    if np.isnan(values).all():
        return ""
    place = int(np.nanargmax(values))
    return f"Agreement by photo is highest, {iou_text(values[place])}, at {at[place]:.2f}."


def why_they_differ(masks: Masks) -> str:
    """Why the mean over photos and the pooled metric are not the same number."""
    true = np.sort(masks.true[masks.defective & masks.known])[::-1]
    if not len(true):
        return "Without a defective photo there is nothing to pool."
    most = max(1, round(LARGEST * len(true)))
    share = float(true[:most].sum() / true.sum())
    return (
        f"Why two numbers: pooling counts pixels, of which the largest {count(most)} of "
        f"{counted(len(true), 'defects')} hold {percent(share)}. Photo by photo each counts "
        "once; a miss and a false alarm count as 0."
    )


def contradiction_sentences(images: Images, flags: Mapping[str, Flags]) -> dict[str, str]:
    """How many decisions contradict their own mask; `flags` by kind, over `images`."""
    marked, empty = (int(flags[kind].sum()) for kind in (GOOD_MARKED, DEFECTIVE_EMPTY))
    missed = int((flags[GOOD_MARKED] & images.defective).sum())
    called = int(images.called.sum())
    have = {number: "has" if number == 1 else "have" for number in (marked, empty)}
    them = (
        f"{count(missed)} of them {'is a missed defect' if missed == 1 else 'are missed defects'}"
    )
    return {
        GOOD_MARKED: f"{of(marked, len(images.called) - called, 'photos')} called good "
        f"{have[marked]} a mask nevertheless{f'; {them}' if marked else ''}.",
        DEFECTIVE_EMPTY: f"{of(empty, called, 'photos')} called defective {have[empty]} an empty "
        f"mask{': nothing shows where' if empty else ''}.",
    }


def part_sentence(counts: MaskCounts | None, settings: MaskSettings) -> str:
    """What the mask of one part says, in words."""
    found = _masks(counts, settings)
    if found is None:
        return "The network gave no answer for this photograph, so there is no mask."
    what = "The mask" if settings.source == MASK_HEAD else "The heatmap"
    if not found.found[0]:
        return f"{what} marks nothing from this threshold on."
    if found.true[0] <= 0:
        return f"{what} marks {_share(found.predicted[0], found)} of the photo."
    if not found.overlap[0]:
        return f"{what} marks {_share(found.predicted[0], found)} of the photo, beside the defect."
    return f"{what} and the defect overlap by {percent(float(found.iou[0]))} (IoU)."


def part_numbers(counts: MaskCounts | None, settings: MaskSettings) -> str:
    """Areas of the masks of one part, at the size of the true mask."""
    found = _masks(counts, settings)
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


def _masks(counts: MaskCounts | None, settings: MaskSettings) -> Masks | None:
    if counts is None:
        return None
    return part_masks(counts, settings.threshold, settings.min_area)


def _share(pixels: int, masks: Masks) -> str:
    """Pixels as a share of the photo, in per cent with two digits: `0.13 %`."""
    return f"{100 * pixels / masks.area[0]:.2g} %"


def _iou_card(kind: str, title: str, estimate: Estimate, text: str) -> str:
    return _card(kind, title, iou_text(estimate.value), text, estimate.interval, iou_text)


def _share_card(title: str, estimate: Estimate, name: str) -> str:
    hits, total = int(estimate.hits), estimate.total
    number = f"{count(hits)} of {count(total)}" if total else "–"
    text = f"{name}: {percent(estimate.value)}"
    return _card("", title, number, text, estimate.interval, percent)


def _card(
    kind: str,
    title: str,
    number: str,
    text: str,
    interval: Interval,
    written: Callable[[float], str],
) -> str:
    low, high = map(written, interval)
    told = f"95 % interval {low} to {high}"
    if math.isnan(interval[0]):
        told = "no interval from fewer than two groups"
    return (
        f'<div class="card {kind}"><h3>{escape(title)}</h3><b>{escape(number)}</b>'
        f"<p>{escape(text)}</p><small>{told}</small></div>"
    )


def iou_text(value: float) -> str:
    """An IoU with two digits that say something: `0.64`, `0.006`; a dash when undefined."""
    if math.isnan(value):
        return "–"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"
