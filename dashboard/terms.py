"""Help marks: each term of the glossary is explained where it first stands on a page.

A text that goes through `write_html` or `mark` gets a mark on every term that the page has not
explained yet; a control says what its own words mean by `explain`. A fragment that runs alone knows
what was explained before it.
"""

import re
from dataclasses import dataclass, field
from html import escape

import streamlit as st

from dashboard.glossary import TERMS
from trust_core.figures.words.markup import unbroken

EXPLAINED = "explained-terms"
_SAID = "|".join(f"(?P<{key}>{term.said})" for key, term in TERMS.items() if term.said)
# Not inside of a path or the name of a file: those come from outside.
WORDS = re.compile(rf"(?<![\w/.-])(?:{_SAID})(?![\w/-]|\.\w)", re.IGNORECASE)
TAGS = re.compile(r"(<[^>]*>)")


@dataclass
class Explained:
    """The terms that this run of a page has explained, and those before each of its fragments."""

    terms: set[str] = field(default_factory=set)
    before: dict[str, frozenset[str]] = field(default_factory=dict)


def begin_page() -> None:
    """Begin a page on which no term is explained yet."""
    st.session_state[EXPLAINED] = Explained()


def begin_fragment(name: str) -> None:
    """What was explained when the page came to this fragment; it may run alone now."""
    explained = _explained()
    explained.terms = set(explained.before.setdefault(name, frozenset(explained.terms)))


def write_html(html: str) -> None:
    """Write HTML, its terms marked; nothing where there is none, which Streamlit would refuse."""
    if html:
        st.html(mark(html))


def mark(html: str) -> str:
    """The HTML with a help mark on each term that is not explained yet."""
    pieces = TAGS.split(unbroken(html))
    pieces[::2] = [WORDS.sub(_mark, text) for text in pieces[::2]]
    return "".join(pieces)


def explain(*keys: str) -> str:
    """The meanings of terms, for the help of a control; a key that is no term has none."""
    known = [TERMS[key] for key in keys if key in TERMS]
    _explained().terms.update(key for key in keys if key in TERMS)
    return "\n\n".join(
        f"**{term.name}**: {unbroken(term.meaning)}" if len(known) > 1 else unbroken(term.meaning)
        for term in known
    )


def _mark(found: re.Match[str]) -> str:
    key, explained = str(found.lastgroup), _explained().terms
    if key in explained:
        return found[0]
    explained.add(key)
    meaning = escape(unbroken(TERMS[key].meaning))
    return f'<span class="term" tabindex="0" data-meaning="{meaning}">{found[0]}</span>'


def _explained() -> Explained:
    explained: Explained = st.session_state.setdefault(EXPLAINED, Explained())
    return explained
