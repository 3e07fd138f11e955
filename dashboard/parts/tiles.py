"""A tile: a small picture with words below, the whole of it one button."""

from collections.abc import Callable
from html import escape

import streamlit as st

from dashboard.markup import escape_markdown
from dashboard.words import OUTCOME_NAMES
from trust_core.figures.elements import GREY
from trust_core.figures.thumbnails import PLACEHOLDER, Thumbnail
from trust_core.figures.tradeoff import OUTCOME_COLOURS

# Colour, symbol and word: an outcome is never told by one of them alone.
OUTCOME_SYMBOLS = {"FN": "▲", "TN": "●", "TP": "◆", "FP": "✕", "": "?"}
FLAG = "⚑"


def tile(
    key: str,
    picture: Thumbnail,
    caption: str,
    label: str,
    on_click: Callable[..., None],
    *args: object,
    here: bool = False,
) -> None:
    """Draw one tile.

    Args:
        key: unique on the page; letters, digits and hyphens.
        picture: what it shows, or why not.
        caption: HTML below the picture, escaped by the caller.
        label: what the button says to those who do not see the picture.
        on_click: runs before the page is drawn anew.
        args: of `on_click`.
        here: it is the one that is open.
    """
    with st.container(key=f"tile-{'here-' if here else ''}{key}", gap=None):
        st.image(picture.picture or PLACEHOLDER, width="stretch", alt=label)
        st.html(f'<div class="tile-words">{caption}</div>')
        st.button(escape_markdown(label), key=f"open-{key}", on_click=on_click, args=args)


def outcome_html(outcome: str) -> str:
    """The outcome with its symbol, in its colour."""
    colour = OUTCOME_COLOURS.get(outcome, GREY)
    return (
        f'<span class="outcome"><i style="color:{colour}">{OUTCOME_SYMBOLS[outcome]}</i>'
        f"{escape(OUTCOME_NAMES[outcome].capitalize())}</span>"
    )


def flag_html(flagged: bool) -> str:
    """The mark of a flagged part; nothing for another."""
    colour = OUTCOME_COLOURS["flagged"]
    mark = f'<i style="color:{colour}">{FLAG}</i>flagged'
    return f'<span class="flag" title="flagged for re-inspection">{mark}</span>' * flagged
