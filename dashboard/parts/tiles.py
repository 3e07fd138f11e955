"""A tile: a small picture with words below, the whole of it one button."""

from collections.abc import Callable

import streamlit as st

from dashboard.terms import write_html
from trust_core.figures.thumbnails import PLACEHOLDER, Thumbnail
from trust_core.figures.words.markup import escape_markdown


def tile(
    key: str,
    picture: Thumbnail,
    caption: str,
    label: str,
    on_click: Callable[[], None],
    *,
    here: bool = False,
    pick: Callable[[], None] | None = None,
) -> None:
    """Draw one tile.

    `key` is of letters, digits and hyphens; `caption` is HTML, escaped by the caller; `label` is
    for those who do not see the picture. `on_click` runs before the page is drawn anew; `pick`
    draws the box that chooses the tile.
    """
    with st.container(key=f"tile-{'here-' if here else ''}{key}", gap=None):
        st.image(picture.picture or PLACEHOLDER, width="stretch", alt=label)
        write_html(f'<div class="tile-words">{caption}</div>')
        st.button(escape_markdown(label), key=f"open-{key}", on_click=on_click)
        if pick:
            pick()
