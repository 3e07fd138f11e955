"""Run, step 2: the images, and which of them are good."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import BinaryIO, cast

import streamlit as st

from dashboard import shell
from dashboard.cache import SANDBOX
from dashboard.run import form, subjects
from dashboard.run.file_fields import (
    FRESH,
    arrival,
    choose_file,
    choose_table,
    short,
    show_problem,
    upload_once,
)
from dashboard.run.model import bullets, tiles
from dashboard.terms import explain
from trust_core.audit.options import find, plain_choices
from trust_core.data import uploads
from trust_core.data.roles import ROLES
from trust_core.data.samples import Dataset
from trust_core.errors import DataError, LabelsNeeded, TrustError
from trust_core.figures.words.markup import escape_markdown
from trust_core.figures.words.numbers import ROLE_NAMES, count, counted

LOOK = "data-look"  # raised to read the folder anew
ANSWERS = ("good", "defective")
TABLES = "trust_core.data.tables"
ACROSS = 3  # classes beside each other
MOST = 30  # classes with images; a data set with more has its labels in a table


def choose_data() -> Dataset | None:
    """Draw the step; the data set, or None while something is missing."""
    path = choose_file(
        form.DATA,
        upload="Drop a zip of photos",
        endings=("zip",),
        hint="One folder for each class, or a table (CSV) of paths and labels. "
        "Much data is better named at the start of the server: python -m dashboard FOLDER.",
        server="or choose a folder on the server",
        known=uploads.data_folders,
        keep=_keep,
        changed=form.forget_data,
    )
    if path is None:
        return None
    try:
        root = path if path.is_dir() else _unpacked(path)
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            _choose_labels(root)
        data = subjects.dataset(root, form.data_options(), st.session_state.get(LOOK, 0))
    except LabelsNeeded as question:
        _ask_labels(root, form.data_options().samples, question)
        return None
    except TrustError as problem:
        shell.show_error(problem)
        st.button("Read the folder again", on_click=_look_again)
        return None
    _show(data)
    return data


def _keep(upload: BinaryIO, name: str) -> Path:
    return subjects.unpack(uploads.store(upload, name))


def _unpacked(path: Path) -> Path:
    if path.suffix.lower() != ".zip":
        raise DataError(f"{path.name} is neither a folder nor a zip archive; choose one of these.")
    return subjects.unpacked(path)


def _look_again() -> None:
    st.session_state[LOOK] = st.session_state.get(LOOK, 0) + 1


@st.cache_data(ttl=FRESH, max_entries=8, show_spinner=False)
def _tables(root: Path) -> tuple[list[str], list[str]]:
    """The tables that say labels, and those that may do so."""
    found = SANDBOX.call(f"{TABLES}:label_tables", uploads.tables(root), what=root.name)
    sure, perhaps = ([str(path) for path in paths] for paths in found)
    return sure, perhaps


def _choose_labels(root: Path) -> None:
    """Offer the tables that fit; the first is taken unless the user says otherwise."""
    samples, column = find("samples"), find("group_column")
    if (arrived := arrival(samples.key)) and arrived.path:
        st.session_state[samples.key] = arrived.path
    chosen = form.value(samples)
    given = [str(chosen)] if chosen else []
    sure, perhaps = _tables(root)
    labels = st.selectbox(
        samples.label,
        list(dict.fromkeys([*sure, *given, form.FROM_FOLDERS, *perhaps])),
        key=samples.key,
        format_func=short,
        bind="query-params",
    )
    with st.popover("Another table"):
        upload_once(
            samples.key,
            "Drop a CSV with the columns path and label; also mask, group, split, kind",
            uploads.store,
            ["csv"],
            explain("group"),
        )
        show_problem(samples.key)
    with st.popover(column.label):
        st.markdown(
            "Photos of one part must not be torn apart. A column `group` of the table is used by "
            "itself."
        )
        if labels != form.FROM_FOLDERS:
            table = uploads.server_path(labels)
            names = SANDBOX.call(f"{TABLES}:group_columns", table, what=table.name)
            form.field(column, "", plain_choices(names), "Another column that names the part")
        form.field(
            find("group_pattern"),
            r"part(\d+)_",
            label="Or the part of the path that names it, as a regular expression",
        )
    choose_table(
        find("roles"),
        "Photos that the model was trained on prove nothing. A column `split` of the table says so "
        "by itself; otherwise name them here: `train`, `tune`, `certify` or `test` for each path. "
        "What is not named is divided by rule.",
        "Drop a CSV with the columns path and role",
        "roles",
    )
    form.field(find("certify"), "auto")


def _show(data: Dataset) -> None:
    samples = data.samples
    defective = int(samples["label"].sum())
    tiles(
        {
            "Photos": count(len(samples)),
            "Good": count(len(samples) - defective),
            "Defective": count(defective),
            "Parts or lots": count(samples["group"].nunique()),
            "Layout": data.layout,
        }
    )
    roles, kinds = st.columns([3, 2], gap="large")
    counts = samples.groupby(["role", "label"]).size().unstack(fill_value=0)
    counts = counts.reindex(columns=[0, 1], fill_value=0)
    roles.table(
        {
            "Used": [ROLE_NAMES[role] for role in ROLES if role in counts.index],
            "Good": [count(counts.at[role, 0]) for role in ROLES if role in counts.index],
            "Defective": [count(counts.at[role, 1]) for role in ROLES if role in counts.index],
        },
        border="horizontal",
    )
    by_kind = samples.loc[samples["kind"] != "", "kind"].value_counts()
    if len(by_kind):
        kinds.table(
            {
                "Kind of defect": [escape_markdown(name) for name in by_kind.index[:8]],
                "Photos": [count(n) for n in by_kind.iloc[:8]],
            },
            border="horizontal",
        )
    if form.texts(good := form.key("good")):
        change = "Change which folders are good"
        st.button(change, on_click=form.forget, args=(good,))
    bullets(data.notes)


def _ask_labels(root: Path, samples: Path | None, question: LabelsNeeded) -> None:
    """Ask of every class whether its parts are good; the answer goes into the URL."""
    what = "labels" if samples else "folders"
    st.markdown(f"**Which {what} hold good parts?** Their names do not say.")
    shown = _examples(root, samples, question.folders)
    names = list(question.folders)
    for start in range(0, len(names), ACROSS):
        for name, column in zip(names[start : start + ACROSS], st.columns(ACROSS), strict=False):
            with column.container(border=True):
                number = counted(question.folders[name], "photos")
                st.html(f'<p class="folder">{escape(name)} <small>{number}</small></p>')
                pictures = shown.get(name, [])
                with st.container(horizontal=True, gap="small", height=96, border=False):
                    for picture in pictures:
                        st.image(picture, width=88)
                st.segmented_control(
                    f"Parts in {name} are",
                    ANSWERS,
                    key=_answer(name),
                    label_visibility="collapsed",
                )
    answers = {name: st.session_state.get(_answer(name)) for name in names}
    open_ones = [name for name, answer in answers.items() if answer is None]
    good = [name for name, answer in answers.items() if answer == ANSWERS[0]]
    ready = not open_ones and 0 < len(good) < len(names)
    st.button(
        "Use these labels",
        type="primary",
        disabled=not ready,
        on_click=lambda: st.query_params.update({form.key("good"): good}),
    )
    if open_ones:
        st.caption(f"{counted(len(open_ones), what)} still to answer.")
    elif not ready:
        st.caption("An audit needs both good and defective parts.")


def _answer(name: str) -> str:
    return f"label-of-{name}"


@st.cache_data(max_entries=8, ttl=600.0, show_spinner=False)
def _examples(
    root: Path, samples: Path | None, classes: Mapping[str, int]
) -> dict[str, list[bytes]]:
    function, names = f"{subjects.SAMPLE_IMAGES}:class_pictures", list(classes)[:MOST]
    found = SANDBOX.call(function, root, names, samples, what=root.name)
    return cast("dict[str, list[bytes]]", found)
