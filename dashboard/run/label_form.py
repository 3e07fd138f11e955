"""Run, step 2: the question which folders hold good parts, with images to answer it by."""

from collections.abc import Mapping
from html import escape
from pathlib import Path

import streamlit as st

from dashboard.run import form
from dashboard.words import counted
from trust_core.errors import LabelsNeeded
from trust_core.model.checks.sample_images import class_pictures

CHOICES = ("good", "defective")
ACROSS = 3  # classes beside each other
MOST = 30  # classes with images; a data set with more has its labels in a table


def ask_labels(root: Path, samples: Path | None, question: LabelsNeeded) -> None:
    """Ask of every class whether its parts are good; the answer goes into the URL."""
    what = "labels" if samples else "folders"
    st.markdown(f"**Which {what} hold good parts?** Their names do not say.")
    shown = _examples(root, samples, question.folders)
    names = list(question.folders)
    for start in range(0, len(names), ACROSS):
        for name, column in zip(names[start : start + ACROSS], st.columns(ACROSS), strict=False):
            with column.container(border=True):
                number = counted(question.folders[name], "images")
                st.html(f'<p class="folder">{escape(name)} <small>{number}</small></p>')
                pictures = shown.get(name, [])
                with st.container(horizontal=True, gap="small", height=96, border=False):
                    for picture in pictures:
                        st.image(picture, width=88)
                st.segmented_control(
                    f"Parts in {name} are",
                    CHOICES,
                    key=_key(name),
                    label_visibility="collapsed",
                )
    answers = {name: st.session_state.get(_key(name)) for name in names}
    open_ones = [name for name, answer in answers.items() if answer is None]
    good = [name for name, answer in answers.items() if answer == CHOICES[0]]
    ready = not open_ones and 0 < len(good) < len(names)
    st.button(
        "Use these labels",
        type="primary",
        disabled=not ready,
        on_click=lambda: st.query_params.update({form.GOOD: good}),
    )
    if open_ones:
        st.caption(f"{counted(len(open_ones), what)} still to answer.")
    elif not ready:
        st.caption("An audit needs both good and defective parts.")


def _key(name: str) -> str:
    return f"label-of-{name}"


@st.cache_data(max_entries=8, ttl=600.0, show_spinner=False)
def _examples(
    root: Path, samples: Path | None, classes: Mapping[str, int]
) -> dict[str, list[bytes]]:
    return class_pictures(root, list(classes)[:MOST], samples)
