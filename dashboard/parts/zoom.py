"""Zoom and pan of all pictures of a part in step; Esc leaves a picture that fills the screen."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from dashboard.shell import STATIC


def zoom_buttons(part: str) -> None:
    """Draw the buttons; pictures also follow Ctrl and the wheel, a double click, and dragging.

    Args:
        part: whose pictures they are; another one begins with the whole picture.
    """
    _component()(data={"part": part}, key="part-zoom")


@st.cache_resource(show_spinner=False)
def _component() -> Callable[..., Any]:
    return st.components.v2.component(
        "trust_core.zoom",
        html='<div class="part-zoom" role="group" aria-label="Zoom of all pictures" '
        'title="Ctrl and the wheel, or a double click; drag to move">'
        '<button type="button" aria-label="Zoom out">−</button>'
        '<button type="button" aria-label="The whole picture"><output>100 %</output></button>'
        '<button type="button" aria-label="Zoom in">+</button></div>',
        js=(STATIC / "zoom.js").read_text(encoding="utf-8"),
        isolate_styles=False,  # it is styled by the page, as all else
    )
