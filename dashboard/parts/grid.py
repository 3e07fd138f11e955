"""The grid of parts: what narrows it, its tiles, its pages, and the lists to take away."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.parts.disputes import disputes, disputes_csv, parts_csv
from dashboard.parts.part_words import signed
from dashboard.parts.tiles import flag_html, outcome_html, tile
from dashboard.parts.url_state import BEFORE, DEFAULTS, read_page, write
from dashboard.sealed_roles import opened_sentence
from dashboard.shell import show_finding
from dashboard.url_state import sync_widget
from dashboard.words import (
    CONTRADICTION_NAMES,
    INDICATOR_NAMES,
    ROLE_CHOICES,
    caught_sentence,
    count,
    counted,
    number_text,
    percent,
)
from trust_core.decision.curves import roles_of
from trust_core.decision.operating_point import FlagCounts, OperatingPoint
from trust_core.decision.part_filter import (
    ORDERS,
    PAGE_SIZE,
    SHOWN,
    Filters,
    counts,
    kinds,
    page_of_parts,
)
from trust_core.figures.thumbnails import thumbnails
from trust_core.storage.audit_files import Audit

SHOWN_NAMES = {
    "all": "All",
    "fn": "Missed defects",
    "overlooked": "Overlooked",
    "flagged": "Flagged",
    "tn": "Passed good parts",
    "tp": "Caught defects",
    "fp": "False alarms",
    "unscored": "Not scored",
    "changed": "Changed side",
}
ORDER_NAMES = {
    "suspicious": "Most suspicious first",
    "trusted": "Least suspicious first",
    "likely": "Highest defect probability first",
    "unlikely": "Lowest defect probability first",
    "path": "By file name",
}


def show_grid(audit: Audit, point: OperatingPoint, filters: Filters) -> None:
    """Draw the finding, the filters, one page of tiles, and what can be taken away."""
    number = _counts(audit, audit.key, point, filters)
    show_finding(*_sentence(audit, point, filters, number))
    _controls(audit, point, filters, number)
    pages = max(1, math.ceil(number[filters.show] / PAGE_SIZE))
    page = read_page(pages)
    rows = _page(audit, audit.key, point, filters, page)
    disputed = {entry["sample_id"] for entry in disputes(audit)}
    if rows.empty:
        _nothing(filters)
    pictures = thumbnails(audit, rows[["sample_id", "path"]].itertuples(index=False))
    if pictures and not any(picture.picture for picture in pictures):
        root = escape(str(audit.manifest["data"]["root"]))
        st.html(
            '<p class="part-remark">None of these photographs can be read. The audit looks for '
            f"them in {root}; its scores remain.</p>"
        )
    with st.container(key="parts-grid"):
        for index, (row, picture) in enumerate(zip(rows.to_dict("records"), pictures, strict=True)):
            label = f"Open part {Path(row['path']).name}"
            caption = _caption(row, picture.reason, row["sample_id"] in disputed)
            tile(f"part-{index}", picture, caption, label, _open, row["sample_id"])
    _foot(number[filters.show], page, pages)


def _sentence(
    audit: Audit, point: OperatingPoint, filters: Filters, number: dict[str, int]
) -> tuple[str, str]:
    name = INDICATOR_NAMES.get(point.indicator, point.indicator)
    at = f"{name} at least {number_text(point.threshold)}"
    at += f", adversarial strength ε = {point.strength:g}"
    if filters.show == "changed" and filters.before is not None:
        moved = _movement(filters.before, point)
        sentence = f"{moved} changes the side of {counted(number['changed'], 'parts')}."
        told = [
            f"{counted(number[f'{way}_{outcome}'], what)} {verb}"
            for way, verb in (("gained", "newly flagged"), ("lost", "no longer flagged"))
            for outcome, what in (("fn", "missed defects"), ("tn", "good parts"))
            if number[f"{way}_{outcome}"]
        ]
        return sentence, f"{'; '.join(told)} ({at})." if told else f"({at})"
    if not number["all"]:
        return "No part is like that.", ""
    if not number["fn"] + number["tn"]:
        return "None of these parts was called good, so none can be flagged.", ""
    caught = caught_sentence(
        FlagCounts(number["fn"], number["tn"], number["flagged_fn"], number["flagged_tn"])
    )
    whole = not (filters.kind or filters.group or filters.search or filters.contra)
    among = "" if whole else "Among the parts chosen below: "
    seal = opened_sentence(audit, roles_of(point.role))
    key = "Below each picture: that score, and p, the defect probability."
    return f"{among}{caught}.", f"Flagged when: {at}. {key} {seal}"


def _movement(before: OperatingPoint, point: OperatingPoint) -> str:
    """What is other than at the earlier operating point; the threshold when nothing is."""
    name = INDICATOR_NAMES.get(before.indicator, before.indicator)
    changes = {
        "the indicator": (name, INDICATOR_NAMES.get(point.indicator, point.indicator)),
        "the adversarial strength": (f"{before.strength:g}", f"{point.strength:g}"),
        "the flagging threshold": (number_text(before.threshold), number_text(point.threshold)),
    }
    other = {what: both for what, both in changes.items() if both[0] != both[1]}
    told = other or {"the flagging threshold": changes["the flagging threshold"]}
    moves = [f"{what} from {earlier} to {now}" for what, (earlier, now) in told.items()]
    return f"Moving {' and '.join(moves)}"


def _controls(
    audit: Audit, point: OperatingPoint, filters: Filters, number: dict[str, int]
) -> None:
    shown = [key for key in SHOWN if key != "changed" or filters.before is not None]
    shown = [key for key in shown if key != "unscored" or number[key] or filters.show == key]
    _keep("show", filters.show)
    st.pills(
        "Show",
        shown,
        format_func=lambda key: f"{SHOWN_NAMES[key]} {count(number[key])}",
        key="parts-show",
        on_change=_chosen,
        args=("show",),
        label_visibility="collapsed",
    )
    with st.container(key="parts-filters", horizontal=True, vertical_alignment="bottom"):
        known = _kinds(audit, audit.key, point.role)
        if known:
            _keep("kind", filters.kind if filters.kind in known else "")
            _choice("kind", "Kind of defect", ["", *known], lambda kind: kind or "Any kind")
        _keep("sort", filters.sort)
        _choice("sort", "Order", list(ORDERS), ORDER_NAMES.__getitem__)
        _keep("role", point.role)
        _choice("role", "Images", list(ROLE_CHOICES), ROLE_CHOICES.__getitem__)
        _keep("search", filters.search)
        st.text_input(
            "File or group",
            key="parts-search",
            on_change=_chosen,
            args=("search",),
            placeholder="part of its name",
            width=220,
        )
        if filters.group:
            st.button(
                f"Group {filters.group[:24]} ✕",
                key="parts-group",
                help="Show the parts of all groups again",
                on_click=partial(write, group=None, page=None),
            )
        if filters.contra:
            st.button(
                f"{CONTRADICTION_NAMES[filters.contra.kind]} ✕",
                key="parts-contra",
                help=f"At mask threshold {filters.contra.threshold:g}. Show all parts again",
                on_click=partial(write, contra=None, page=None),
            )
        st.space("stretch")
        with st.popover("Take away as CSV", width="content"):
            _downloads(audit, point, filters, number)


def _choice(name: str, label: str, options: list[str], said: Callable[[str], str]) -> None:
    st.selectbox(
        label,
        options,
        format_func=said,
        key=f"parts-{name}",
        on_change=_chosen,
        args=(name,),
        width=200,
    )


def _keep(name: str, value: str) -> None:
    """The URL is what holds; the widget follows it."""
    sync_widget(f"parts-{name}", value)


def _chosen(name: str) -> None:
    write(**{name: st.session_state[f"parts-{name}"] or DEFAULTS.get(name), "page": None})


def _open(sample_id: str) -> None:
    write(part=sample_id, view=None)


def _caption(row: Mapping[str, Any], reason: str, disputed: bool) -> str:
    """The words of a tile: outcome, score, whether it is flagged; or why there is no picture."""
    if reason:
        second = f'<span class="reason" title="{escape(reason)}">{escape(reason)}</span>'
    else:
        score = f"score {signed(float(row['indicator']))} · " if row["passed"] else ""
        second = f"<span>{score}p {percent(float(row['p_defect']))}</span>"
    wrong = '<span class="disputed">label disputed</span>' if disputed else ""
    marks = flag_html(bool(row["flagged"])) + wrong
    return f"{outcome_html(row['outcome'])}{second}<span>{marks}</span>"


def _nothing(filters: Filters) -> None:
    with st.container(key="parts-nothing"):
        st.html(
            "<p>No part to show here.</p><p>Fewer conditions show more: another outcome above, any "
            "kind, an empty search.</p>"
        )
        if filters != Filters():
            changes = dict.fromkeys([*DEFAULTS, *BEFORE, "page"])
            st.button("Show all parts", key="parts-reset", on_click=partial(write, **changes))


def _foot(total: int, page: int, pages: int) -> None:
    with st.container(key="parts-foot", horizontal=True, vertical_alignment="center"):
        st.button(
            "Previous page",
            key="page-previous",
            icon=":material/chevron_left:",
            disabled=page <= 1,
            on_click=partial(write, page=page - 1 if page > 2 else None),
        )
        first = (page - 1) * PAGE_SIZE + 1
        last = min(page * PAGE_SIZE, total)
        told = f"{count(first)}–{count(last)} of {counted(total, 'parts')}"
        st.html(f'<p class="parts-note">{told if last else "no parts"}</p>', width="content")
        st.button(
            "Next page",
            key="page-next",
            icon=":material/chevron_right:",
            icon_position="right",
            disabled=page >= pages,
            on_click=partial(write, page=page + 1),
        )


def _downloads(
    audit: Audit, point: OperatingPoint, filters: Filters, number: dict[str, int]
) -> None:
    st.html(
        '<p class="parts-note">Every row names the model, the data and the settings. Cells that a '
        "spreadsheet would run as a formula are quoted.</p>"
    )
    chosen = {
        "flagged": ("Flagged parts", number["flagged"]),
        "overlooked": ("Overlooked defects", number["overlooked"]),
        filters.show: ("The parts shown here", number[filters.show]),
    }
    for show, (name, parts) in chosen.items():
        listing = replace(filters, show=show, sort="path")
        st.download_button(
            f"{name} ({count(parts)})",
            partial(parts_csv, audit, point, listing),
            f"{audit.folder.name}-{show}.csv",
            "text/csv",
            key=f"download-{show}",
            on_click="ignore",
            disabled=not parts,
            width="stretch",
        )
    wrong = len(disputes(audit))
    st.download_button(
        f"Disputed labels ({count(wrong)})",
        partial(disputes_csv, audit),
        f"{audit.folder.name}-disputed-labels.csv",
        "text/csv",
        key="download-disputes",
        on_click="ignore",
        disabled=not wrong,
        width="stretch",
    )


@st.cache_data(max_entries=64, show_spinner=False)
def _counts(_audit: Audit, key: str, point: OperatingPoint, filters: Filters) -> dict[str, int]:
    return counts(_audit, point, filters)


@st.cache_data(max_entries=64, show_spinner=False)
def _page(
    _audit: Audit, key: str, point: OperatingPoint, filters: Filters, page: int
) -> pd.DataFrame:
    return page_of_parts(_audit, point, filters, page)


@st.cache_data(max_entries=16, show_spinner=False)
def _kinds(_audit: Audit, key: str, role: str) -> list[str]:
    return kinds(_audit, role)
