"""A tile: a small picture with words below, the whole of it one button."""

from collections.abc import Callable

import streamlit as st

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

    Args:
        key: unique on the page; letters, digits and hyphens.
        picture: what it shows, or why not.
        caption: HTML below the picture, escaped by the caller.
        label: what the button says to those who do not see the picture.
        on_click: runs before the page is drawn anew.
        here: it is the one that is open.
        pick: draws the box that chooses the tile, on its corner.
    """
    with st.container(key=f"tile-{'here-' if here else ''}{key}", gap=None):
        st.image(picture.picture or PLACEHOLDER, width="stretch", alt=label)
        st.html(f'<div class="tile-words">{caption}</div>')
        st.button(escape_markdown(label), key=f"open-{key}", on_click=on_click)
        if pick:
            pick()
