"""The grid of parts: what narrows it, its tiles, its pages, and the lists to take away."""

import io
import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from html import escape
from pathlib import Path

import streamlit as st
from PIL import Image

from dashboard.cache import BY_KEY
from dashboard.csv_export import audit_csv
from dashboard.glossary import ROLE_CHOICES
from dashboard.parts import sentences
from dashboard.parts.disputes import disputes_csv
from dashboard.parts.picking import PICKING, pick, pick_box, picked, pictures_zip
from dashboard.parts.tiles import tile
from dashboard.parts.url_state import (
    BEFORE,
    CARD_SIZES,
    DEFAULTS,
    FILTERS,
    LABELS,
    read_cards,
    read_page,
    write_parts_url,
)
from dashboard.sealed_roles import opened_sentence
from dashboard.shell import show_finding
from dashboard.terms import explain, write_html
from dashboard.url_state import sync_widget, url_selectbox
from trust_core.decision.curves import roles_of
from trust_core.decision.journal import disputes
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.part_filter import (
    PAGE_SIZE,
    SHOWN,
    Filters,
    PartCounts,
    count_parts,
    defect_kinds,
    listed,
    page_of_parts,
)
from trust_core.figures.part_maps import heat_card
from trust_core.figures.thumbnails import Thumbnail, thumbnails
from trust_core.figures.words.markup import escape_markdown
from trust_core.figures.words.numbers import CONTRADICTION_NAMES, count, counted
from trust_core.storage.audit_files import Audit

SHOWN_NAMES = {
    "all": "All",
    "fn": "Missed defects",
    "overlooked": "Still missed",
    "flagged": "Flagged",
    "tn": "Passed good photos",
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
    number = _counts(audit, point, filters)
    seal = opened_sentence(audit, roles_of(point.role))
    show_finding(*sentences.grid_finding(point, filters, number, seal))
    _controls(audit, point, filters, number)
    pages = max(1, math.ceil(number.shown[filters.show] / PAGE_SIZE))
    page = read_page(pages)
    rows = _page(audit, point, filters, page)
    disputed = {entry.sample_id for entry in disputes(audit)}
    if rows.empty:
        _nothing(filters)
    cards = read_cards()
    pictures = thumbnails(audit, rows[["sample_id", "path"]].itertuples(index=False))
    if pictures and not any(picture.picture for picture in pictures):
        root = escape(audit.manifest.data.root)
        write_html(
            '<p class="part-remark">None of these photographs can be read. The audit looks for '
            f"them in {root}; its scores remain.</p>"
        )
    if cards.heat:
        pictures = _with_heat(audit, rows["sample_id"].tolist(), point.strength, pictures)
    picking = st.session_state.get(PICKING, False)
    with st.container(key=f"cards-{cards.size}"), st.container(key="parts-grid"):
        for index, (row, picture) in enumerate(zip(rows.to_dict("records"), pictures, strict=True)):
            name = Path(row["path"]).name
            caption = sentences.tile_caption(row, picture.reason, row["sample_id"] in disputed)
            caption += sentences.file_name(row["path"]) if cards.names else ""
            opened = partial(write_parts_url, part=row["sample_id"], view=None)
            box = pick_box(audit, row["sample_id"], name) if picking else None
            tile(f"part-{index}", picture, caption, f"Open photo {name}", opened, pick=box)
    if picking:
        _picked(audit, rows["sample_id"].tolist())
    _foot(number.shown[filters.show], page, pages)


def _controls(audit: Audit, point: OperatingPoint, filters: Filters, number: PartCounts) -> None:
    shown = [key for key in SHOWN if key != "changed" or filters.before is not None]
    shown = [key for key in shown if key != "unscored" or number.shown[key] or filters.show == key]
    sync_widget("parts-show", filters.show)
    st.pills(
        "Show",
        shown,
        format_func=lambda key: f"{SHOWN_NAMES[key]} {count(number.shown[key])}",
        key="parts-show",
        on_change=_chosen,
        args=("show",),
        label_visibility="collapsed",
    )
    with st.container(key="parts-filters", horizontal=True, vertical_alignment="bottom"):
        known = _kinds(audit, point.role)
        if known:
            names = {"": "Any kind"} | {kind: kind for kind in known}
            _choice("kind", "Kind of defect", names, filters.kind if filters.kind in known else "")
        _choice("sort", "Order", ORDER_NAMES, filters.sort)
        meaning = explain("roles", "seal")
        _choice("role", "Photos", ROLE_CHOICES, point.role, meaning)
        sync_widget("parts-search", filters.search)
        st.text_input(
            "File or group",
            key="parts-search",
            on_change=_chosen,
            args=("search",),
            placeholder="part of its name",
            help=explain("group"),
            width=220,
        )
        if filters.group:
            st.button(
                f"Group {escape_markdown(filters.group[:24])} ✕",
                key="parts-group",
                help="Show the photos of all groups again",
                on_click=partial(write_parts_url, group=None, page=None),
            )
        if filters.contra:
            st.button(
                f"{CONTRADICTION_NAMES[filters.contra.kind]} ✕",
                key="parts-contra",
                help=f"At mask threshold {filters.contra.threshold:g}. Show all photos again",
                on_click=partial(write_parts_url, contra=None, page=None),
            )
        st.space("stretch")
        with st.popover("Cards", width="content"):
            _card_controls()
        with st.popover("Download CSV", width="content"):
            _downloads(audit, point, filters, number)
        st.button(
            "Labels",
            key="parts-labels",
            help="Labels called wrong, what that changes, and those most worth checking",
            on_click=partial(write_parts_url, **{LABELS: 1}),
        )


def _card_controls() -> None:
    """Size of the cards, what stands on them, and whether several are picked."""
    cards = read_cards()
    url_selectbox(
        "parts-cards",
        "Size",
        {size: size.capitalize() for size in CARD_SIZES},
        cards.size,
        lambda size: write_parts_url(cards=size),
    )
    for name, label, on in (
        ("names", "File name", cards.names),
        ("heat", "Defect map over the photo", cards.heat),
    ):
        key = f"parts-on-{name}"
        sync_widget(key, on)
        meaning = explain("heatmap") if name == "heat" else None
        st.toggle(label, key=key, help=meaning, on_change=_switched, args=(name,))
    st.toggle("Pick several", key=PICKING)


def _switched(name: str) -> None:
    write_parts_url(**{name: 1 if st.session_state[f"parts-on-{name}"] else None})


def _picked(audit: Audit, shown: list[str]) -> None:
    """How many are picked, and what can be done with them."""
    chosen = picked(audit)
    with st.container(key="parts-picks", horizontal=True, vertical_alignment="center"):
        told = f"{counted(len(chosen), 'photos')} picked, on all pages together"
        st.html(f'<p class="parts-note">{told}</p>', width="content")
        st.button(
            "Pick this page", key="pick-page", on_click=partial(pick, audit, shown, chosen=True)
        )
        st.button(
            "Pick none",
            key="pick-none",
            disabled=not chosen,
            on_click=partial(pick, audit, chosen, chosen=False),
        )
        st.download_button(
            "Download the pictures (zip)",
            partial(pictures_zip, audit, chosen),
            f"{audit.folder.name}-pictures.zip",
            "application/zip",
            key="pick-download",
            on_click="ignore",
            disabled=not chosen,
        )


@st.cache_data(max_entries=32, show_spinner=False, hash_funcs=BY_KEY)
def _with_heat(
    audit: Audit, sample_ids: list[str], strength: float, _pictures: list[Thumbnail]
) -> list[Thumbnail]:
    """The thumbnails with the defect map of that strength over them; at 0 where it is the only."""
    scores = audit.query(
        "SELECT * FROM scores WHERE list_contains($1, sample_id) AND strength IN (0, $2) "
        "ORDER BY strength",
        [sample_ids, strength],
    ).drop_duplicates("sample_id", keep="last")
    known = {row["sample_id"]: row for row in scores.to_dict("records")}
    return [
        replace(one, picture=heat_card(audit, Image.open(io.BytesIO(one.picture)), known[name]))
        if one.picture and name in known
        else one
        for name, one in zip(sample_ids, _pictures, strict=True)
    ]


def _choice(
    name: str, label: str, names: Mapping[str, str], value: str, meaning: str | None = None
) -> None:
    key = f"parts-{name}"
    url_selectbox(key, label, names, value, lambda _: _chosen(name), width=200, help_text=meaning)


def _chosen(name: str) -> None:
    write_parts_url(**{name: st.session_state[f"parts-{name}"] or DEFAULTS.get(name), "page": None})


def _nothing(filters: Filters) -> None:
    with st.container(key="parts-nothing"):
        write_html(
            "<p>No photo to show here.</p><p>Choose another outcome above or any kind of "
            "defect, or empty the search.</p>"
        )
        if filters != Filters():
            changes = dict.fromkeys([*FILTERS, *BEFORE, "page"])
            st.button(
                "Show all photos", key="parts-reset", on_click=partial(write_parts_url, **changes)
            )


def _foot(total: int, page: int, pages: int) -> None:
    with st.container(key="parts-foot", horizontal=True, vertical_alignment="center"):
        st.button(
            "Previous page",
            key="page-previous",
            icon=":material/chevron_left:",
            disabled=page <= 1,
            on_click=partial(write_parts_url, page=page - 1 if page > 2 else None),
        )
        first = (page - 1) * PAGE_SIZE + 1
        last = min(page * PAGE_SIZE, total)
        told = f"{count(first)}–{count(last)} of {counted(total, 'photos')}"
        st.html(f'<p class="parts-note">{told if last else "no photos"}</p>', width="content")
        st.button(
            "Next page",
            key="page-next",
            icon=":material/chevron_right:",
            icon_position="right",
            disabled=page >= pages,
            on_click=partial(write_parts_url, page=page + 1),
        )


def _downloads(audit: Audit, point: OperatingPoint, filters: Filters, number: PartCounts) -> None:
    write_html(
        '<p class="parts-note">Every row names the model, the data and the settings. Cells that a '
        "spreadsheet would run as a formula are quoted.</p>"
    )
    chosen = {
        "flagged": ("Flagged photos", number.shown["flagged"]),
        "overlooked": ("Still missed photos", number.shown["overlooked"]),
        filters.show: ("The photos shown here", number.shown[filters.show]),
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
        f"Labels called wrong ({count(wrong)})",
        partial(disputes_csv, audit),
        f"{audit.folder.name}-disputed-labels.csv",
        "text/csv",
        key="download-disputes",
        on_click="ignore",
        disabled=not wrong,
        width="stretch",
    )


def parts_csv(audit: Audit, point: OperatingPoint, filters: Filters) -> bytes:
    """The parts that the filters leave, with the settings that flagged them in every row."""
    table = listed(audit, point, filters).rename(columns={"p_defect": "p"})
    table = table.assign(
        indicator_name=point.indicator, strength=point.strength, threshold=point.threshold
    )
    return audit_csv(audit, table)


_counts = st.cache_data(max_entries=64, show_spinner=False, hash_funcs=BY_KEY)(count_parts)
_page = st.cache_data(max_entries=64, show_spinner=False, hash_funcs=BY_KEY)(page_of_parts)
_kinds = st.cache_data(max_entries=16, show_spinner=False, hash_funcs=BY_KEY)(defect_kinds)
