"""Two models on the same images: the same metrics side by side, and what differs for sure."""

import math
from dataclasses import replace
from html import escape

import streamlit as st

from dashboard.localization.cache import judged, kept_counts
from dashboard.localization.pixel_counting import count_first
from dashboard.localization.url_state import STRICT, Asked, write
from dashboard.localization.words import agreement, source_name
from dashboard.other_audit import choose_other
from dashboard.shell import marks_defects
from dashboard.url_state import sync_widget
from dashboard.words import counted, percent
from trust_core.decision.bootstrap import Estimate
from trust_core.decision.curves import ALL_ROLES, roles_of
from trust_core.decision.journal import closed_seals
from trust_core.decision.localization.metrics import THRESHOLDS
from trust_core.decision.localization.pixel_counts import MASK_HEAD, MaskCounts, sources
from trust_core.decision.localization.report import Pair, compare, images_of, judge, same_images
from trust_core.storage import workspace
from trust_core.storage.audit_files import Audit

NAMES = {
    "seg_miou": "Agreement, part by part (Seg_mIoU)",
    "pooled_miou": "Agreement, all pixels pooled",
    "seg_recall": "Defective parts with a mask",
    "seg_recall_strict": "Defective parts whose mask touches the defect",
    "false_alarms": "Good parts with a mask",
    "seg_accuracy": "Mask and label agree",
}
AGREEMENT = ("seg_miou", "pooled_miou")
ALONE = (
    "This is the only finished audit. Audit another network on the same images, and it stands here "
    "beside this one."
)


def choose_marked(audit: Audit) -> Audit | None:
    """The audit to put beside this one, of those whose data has masks."""
    other = choose_other(audit, ALONE)
    if other is None:
        return None
    if not marks_defects(other):
        st.html('<p class="quiet">The data of that audit marks no defects.</p>')
        return None
    return other


def show_beside(audit: Audit, counts: MaskCounts, other: Audit, asked: Asked) -> None:
    """The metrics of both, with the difference and its interval."""
    there = other_source(other, asked)
    theirs = kept_counts(other, there)
    if theirs is None:
        count_first(other, replace(asked, source=there))
        return
    _own_threshold(asked)
    seals = closed_seals(other, roles_of(ALL_ROLES))
    keys = (audit.key, other.key, there, *seals)
    pair = _pair(audit, counts, other, theirs, asked, keys)
    if not pair.shared:
        st.html(
            '<p class="quiet">The two audits have no image in common (same path, same content) '
            "that may be compared: what the other network was trained on, and what is sealed "
            "there, is left out.</p>"
        )
        return
    mine, its = (escape(workspace.display_name(a.folder, a.manifest)) for a in (audit, other))
    st.html(f"<p>{sentence(pair, mine, its)}</p>")
    heads = (
        f"{mine}<small>{escape(source_name(asked.source))}</small>",
        f"{its}<small>{escape(source_name(there))}</small>",
        "Difference<small>95 % interval, paired, over groups</small>",
    )
    left_out = "seg_recall" if asked.form == STRICT else "seg_recall_strict"
    body = "".join(_row(pair, name) for name in NAMES if name != left_out)
    head = "".join(f"<th>{text}</th>" for text in ("", *heads))
    st.html(
        f'<table class="numbers"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        f'<p class="quiet">On {counted(pair.shared, "images")} of the chosen parts that both '
        "audits hold byte for byte.</p>"
    )


def _own_threshold(asked: Asked) -> None:
    """The mask threshold of the other audit: probabilities and heatmaps do not share one."""
    sync_widget("beside-threshold", asked.beside or asked.threshold)
    st.slider(
        "Its mask threshold",
        float(THRESHOLDS[0]),
        float(THRESHOLDS[-1]),
        step=0.01,
        key="beside-threshold",
        on_change=lambda: write(beside=st.session_state["beside-threshold"]),
        width=420,
    )


def other_source(other: Audit, asked: Asked) -> str:
    """What the other's masks are made from: the same where it has that, else its best."""
    known = sources(other)
    return asked.source if asked.source in known and asked.source != MASK_HEAD else known[0]


def sentence(pair: Pair, here: str, there: str) -> str:
    """Whether one agrees better with the true masks, in words."""
    gap = pair.differences["seg_miou"]
    if math.isnan(gap.value):
        return "Neither can be judged on these images."
    told = f"<b>{_signed(gap.value, 'seg_miou')}</b>{_between(gap)}"
    low, high = gap.interval
    if math.isnan(low) or low <= 0 <= high:
        return (
            f"These images cannot tell the two apart: part by part the agreement differs by {told}."
        )
    better, worse = (here, there) if gap.value > 0 else (there, here)
    return (
        f"Part by part, <b>{better}</b> agrees better with the true masks than <b>{worse}</b>: "
        f"{told}."
    )


@st.cache_data(max_entries=64, show_spinner=False)
def _pair(
    _audit: Audit,
    _counts: MaskCounts,
    _other: Audit,
    _theirs: MaskCounts,
    asked: Asked,
    keys: tuple[str, ...],
) -> Pair:
    """Images that the other network was trained on, or that are sealed there, are left out."""
    roles = [r for r in roles_of(ALL_ROLES) if not closed_seals(_other, [r])]
    there = judge(_theirs, images_of(_other, roles), asked.beside or asked.threshold)
    same = same_images(_audit, _other)
    return compare(judged(_audit, _counts, asked), there, same, asked.min_area)


def _row(pair: Pair, name: str) -> str:
    number = _agreement if name in AGREEMENT else _share
    gap = pair.differences[name]
    told = (
        "–" if math.isnan(gap.value) else f"<b>{_signed(gap.value, name)}</b>{_between(gap, name)}"
    )
    cells = "".join(
        f"<td>{text}</td>" for text in (number(pair.here[name]), number(pair.there[name]), told)
    )
    return f"<tr><th>{NAMES[name]}</th>{cells}</tr>"


def _agreement(estimate: Estimate) -> str:
    return agreement(estimate.value)


def _share(estimate: Estimate) -> str:
    if not estimate.total:
        return "–"
    return f"{estimate.hits:,.0f} of {estimate.total:,}<small>{percent(estimate.value)}</small>"


def _signed(value: float, name: str) -> str:
    if math.isnan(value):
        return "–"
    text = f"{value:+.2f}" if name in AGREEMENT else f"{100 * value:+.0f} points"
    return text.replace("-", "−")


def _between(gap: Estimate, name: str = "seg_miou") -> str:
    if math.isnan(gap.interval[0]):
        return ""
    low, high = (_signed(end, name).removesuffix(" points") for end in gap.interval)
    return f" ({low} to {high})"
