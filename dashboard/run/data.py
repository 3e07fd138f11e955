"""Run, step 2: the images, and which of them are good."""

from pathlib import Path
from typing import BinaryIO

import streamlit as st

from dashboard import shell
from dashboard.markup import escape_markdown
from dashboard.run import cache, form
from dashboard.run.label_form import ask_labels
from dashboard.run.model import bullets, tiles
from dashboard.run.picker import FRESH, pick, short
from dashboard.run.tables import drop_table
from dashboard.run.upload_once import arrival, drop, show_problem
from dashboard.words import ROLE_NAMES, count
from trust_core.data import uploads
from trust_core.data.roles import ROLES
from trust_core.data.samples import Dataset
from trust_core.data.tables import group_columns, label_tables
from trust_core.errors import DataError, LabelsNeeded, TrustError

LOOK = "data-look"  # raised to read the folder anew


def choose_data() -> Dataset | None:
    """Draw the step; the data set, or None while something is missing."""
    path = pick(
        form.DATA,
        upload="Drop a zip of images",
        endings=("zip",),
        hint="One folder for each class, or a table (CSV) of paths and labels. "
        "Much data is better put on the server.",
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
            _choose_table(root)
        data = cache.dataset(root, form.reading(), st.session_state.get(LOOK, 0))
    except LabelsNeeded as question:
        ask_labels(root, form.reading().samples, question)
        return None
    except TrustError as problem:
        shell.show_error(problem)
        st.button("Read the folder again", on_click=_look_again)
        return None
    _show(data)
    return data


def _keep(upload: BinaryIO, name: str) -> Path:
    return uploads.unpack(uploads.store(upload, name))


def _unpacked(path: Path) -> Path:
    if path.suffix.lower() != ".zip":
        raise DataError(f"{path.name} is neither a folder nor a zip archive; choose one of these.")
    return cache.unpacked(path)


def _look_again() -> None:
    st.session_state[LOOK] = st.session_state.get(LOOK, 0) + 1


@st.cache_data(ttl=FRESH, max_entries=8, show_spinner=False)
def _tables(root: Path) -> list[str]:
    return [str(path) for path in label_tables(uploads.tables(root))]


def _choose_table(root: Path) -> None:
    """Offer the tables that fit; the first is taken unless the user says otherwise."""
    if (arrived := arrival(form.TABLE)) and arrived.path:
        st.session_state[form.TABLE] = arrived.path
    chosen = form.told(form.TABLE)
    given = [] if chosen in ("", form.FROM_FOLDERS) else [str(uploads.server_path(chosen))]
    options = list(dict.fromkeys([*_tables(root), *given, form.FROM_FOLDERS]))
    table = st.selectbox(
        "Labels come from",
        options,
        key=form.TABLE,
        format_func=short,
        bind="query-params",
    )
    with st.popover("Another table"):
        drop(
            form.TABLE,
            "Drop a CSV with the columns path and label; also mask, group, split, kind",
            uploads.store,
            ["csv"],
        )
        show_problem(form.TABLE)
    with st.popover("Several photos of one part?"):
        st.markdown(
            "Photos of one part must not be torn apart. A column `group` of the table is used by "
            "itself."
        )
        if table != form.FROM_FOLDERS:
            st.selectbox(
                "Another column that names the part",
                group_columns(uploads.server_path(table)),
                index=None,
                key=form.GROUP_COLUMN,
                bind="query-params",
            )
        st.text_input(
            "Or the part of the path that names it, as a regular expression",
            placeholder=r"part(\d+)_",
            key=form.GROUP_PATTERN,
            bind="query-params",
        )
    drop_table(
        form.ROLES,
        "Seen in training?",
        "Images that the model was trained on prove nothing. A column `split` of the table says so "
        "by itself; otherwise name them here: `train`, `tune`, `certify` or `test` for each path. "
        "What is not named is divided by rule.",
        "Drop a CSV with the columns path and role",
    )


def _show(data: Dataset) -> None:
    samples = data.samples
    defective = int(samples["label"].sum())
    tiles(
        {
            "Images": count(len(samples)),
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
                "Images": [count(n) for n in by_kind.iloc[:8]],
            },
            border="horizontal",
        )
    if form.told_many(form.GOOD):
        st.button("Change which folders are good", on_click=form.forget_good, type="tertiary")
    bullets(data.notes)
