"""Two models on the same images: the localization metrics of both, and their differences."""

import math
from html import escape
from operator import attrgetter

import streamlit as st

from dashboard.localization.metrics import BY_SOURCE, masks_at
from dashboard.localization.pixel_counting import count_first
from dashboard.localization.sentences import iou_text, source_name
from dashboard.localization.url_state import STRICT, MaskSettings, write_masks_url
from dashboard.other_audit import choose_other
from dashboard.shell import marks_defects
from dashboard.terms import write_html
from dashboard.url_state import sync_widget
from trust_core.decision.bootstrap import Estimate
from trust_core.decision.compare_audits import MaskComparison, compare_masks, same_images
from trust_core.decision.curves import ALL_ROLES, roles_of
from trust_core.decision.journal import closed_seals
from trust_core.decision.localization.audit_masks import image_masks, images_of
from trust_core.decision.localization.metrics import THRESHOLDS
from trust_core.decision.localization.pixel_counts import (
    MaskCounts,
    read_counts,
    sources,
)
from trust_core.figures.words.markup import quiet, table
from trust_core.figures.words.numbers import counted, percent
from trust_core.storage import workspace
from trust_core.storage.audit_files import Audit

NAMES = {
    "seg_miou": "Agreement, photo by photo (Seg_mIoU)",
    "pooled_miou": "Agreement, all pixels pooled",
    "seg_recall": "Defective photos with a mask",
    "seg_recall_strict": "Defective photos whose mask touches the defect",
    "false_alarms": "Good photos with a mask",
    "seg_accuracy": "Mask and label agree",
}
AGREEMENT = ("seg_miou", "pooled_miou")
ALONE = (
    "This is the only finished audit. Audit another network on the same photos, and it stands here "
    "beside this one."
)


def choose_marked(audit: Audit) -> Audit | None:
    """The audit to put beside this one, of those whose data has masks."""
    other = choose_other(audit, ALONE)
    if other is None:
        return None
    if not marks_defects(other):
        write_html(quiet("The data of that audit marks no defects."))
        return None
    return other


def show_mask_comparison(
    audit: Audit, counts: MaskCounts, other: Audit, settings: MaskSettings
) -> None:
    """The metrics of both, with the difference and its interval."""
    there = other_source(other, settings)
    theirs = read_counts(other, there)
    if theirs is None:
        count_first(other, there)
        return
    _own_threshold(settings)
    roles = tuple(role for role in roles_of(ALL_ROLES) if not closed_seals(other, [role]))
    found = _comparison(audit, counts, other, theirs, settings, roles)
    if not found.shared:
        write_html(
            quiet(
                "The two audits have no photo in common (same path, same content) that may be "
                "compared: what the other network was trained on, and what is sealed there, is "
                "left out."
            )
        )
        return
    mine, its = (escape(workspace.display_name(a.folder, a.manifest)) for a in (audit, other))
    write_html(f"<p>{sentence(found, mine, its)}</p>")
    heads = (
        "",
        f"{mine}<small>{escape(source_name(settings.source))}</small>",
        f"{its}<small>{escape(source_name(there))}</small>",
        "Difference<small>95 % interval, paired, over groups</small>",
    )
    left_out = "seg_recall" if settings.form == STRICT else "seg_recall_strict"
    rows = [("", NAMES[name], _cells(found, name)) for name in NAMES if name != left_out]
    write_html(
        table("numbers", rows, heads)
        + quiet(
            f"On {counted(found.shared, 'photos')} of the chosen ones that both audits hold byte "
            "for byte."
        )
    )


def _own_threshold(settings: MaskSettings) -> None:
    """The mask threshold of the other audit: probabilities and heatmaps do not share one."""
    sync_widget("beside-threshold", settings.other_threshold or settings.threshold)
    st.slider(
        "Its mask threshold",
        float(THRESHOLDS[0]),
        float(THRESHOLDS[-1]),
        step=0.01,
        key="beside-threshold",
        on_change=lambda: write_masks_url(beside=st.session_state["beside-threshold"]),
        width=420,
    )


def other_source(other: Audit, settings: MaskSettings) -> str:
    """What the other's masks are made from: the same where it has that, else its best."""
    known = sources(other)
    return settings.source if settings.source in known else known[0]


def sentence(found: MaskComparison, here: str, there: str) -> str:
    """Whether one agrees better with the true masks, in words."""
    gap = found.differences["seg_miou"]
    if math.isnan(gap.value):
        return "Neither can be judged on these photos."
    told = f"<b>{_signed(gap.value, 'seg_miou')}</b>{_between(gap)}"
    low, high = gap.interval
    if math.isnan(low) or low <= 0 <= high:
        return f"These photos cannot tell the two apart: by photo the agreement differs by {told}."
    better, worse = (here, there) if gap.value > 0 else (there, here)
    return (
        f"Photo by photo, <b>{better}</b> agrees better with the true masks than <b>{worse}</b>: "
        f"{told}."
    )


@st.cache_data(
    max_entries=64,
    show_spinner=False,
    hash_funcs=BY_SOURCE
    | {MaskSettings: attrgetter("source", "role", "threshold", "other_threshold", "min_area")},
)
def _comparison(
    audit: Audit,
    counts: MaskCounts,
    other: Audit,
    theirs: MaskCounts,
    settings: MaskSettings,
    roles: tuple[str, ...],
) -> MaskComparison:
    """On the images of these roles of the other audit: not sealed there, nor in its training."""
    there = image_masks(
        theirs, images_of(other, roles), settings.other_threshold or settings.threshold
    )
    here = masks_at(audit, counts, settings)
    return compare_masks(here, there, same_images(audit, other), settings.min_area)


def _cells(found: MaskComparison, name: str) -> list[str]:
    """Both values of a metric, and their difference."""
    gap = found.differences[name]
    told = f"<b>{_signed(gap.value, name)}</b>{_between(gap, name)}"
    values = [_value(estimates[name], name) for estimates in (found.here, found.there)]
    return [*values, "–" if math.isnan(gap.value) else told]


def _value(estimate: Estimate, name: str) -> str:
    if name in AGREEMENT:
        return iou_text(estimate.value)
    if not estimate.total:
        return "–"
    return f"{estimate.hits:,.0f} of {estimate.total:,}<small>{percent(estimate.value)}</small>"


def _signed(value: float, name: str) -> str:
    text = f"{value:+.2f}" if name in AGREEMENT else f"{100 * value:+.0f} points"
    return text.replace("-", "−")


def _between(gap: Estimate, name: str = "seg_miou") -> str:
    if math.isnan(gap.interval[0]):
        return ""
    low, high = (_signed(end, name).removesuffix(" points") for end in gap.interval)
    return f" ({low} to {high})"
