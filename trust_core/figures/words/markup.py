"""Text for Streamlit's Markdown and HTML: escaped, numbers in bold, tables."""

import re
from collections.abc import Iterable, Sequence
from html import escape

MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~:$&])")
PERCENT = re.compile(r"(?<=\d) %")
NUMBER = re.compile(r"(\d[\d,.]*\d|\d)")


def escape_markdown(text: str) -> str:
    """Text that Markdown leaves as it is: names of files, labels and audits come from outside."""
    return MARKDOWN.sub(r"\\\1", text)


def unbroken(text: str) -> str:
    """The text with no line end between a number and its per cent sign."""
    return PERCENT.sub("\N{NO-BREAK SPACE}%", text)


def bold_numbers(sentence: str, names: Sequence[str] = ()) -> str:
    """The sentence as HTML, escaped, its numbers in bold.

    By the `names` of its numbers, in their order, a page finds those that move; "" for none.
    """
    pieces = NUMBER.split(unbroken(sentence))
    named = dict(zip(range(1, len(pieces), 2), names, strict=False))
    return "".join(
        f"<b{_live(named.get(index, ''))}>{escape(piece)}</b>" if index % 2 else escape(piece)
        for index, piece in enumerate(pieces)
    )


def _live(name: str) -> str:
    return f' data-live="{escape(name)}"' if name else ""


def quiet(html: str) -> str:
    """A paragraph in grey."""
    return f'<p class="quiet">{html}</p>'


def section(title: str, sentence: str, *, chart: bool = False) -> str:
    """The heading of a section, or of a chart, and what it shows."""
    level = "h3" if chart else "h2"
    head = f"<{level}>{title}</{level}>" if title else ""
    return f'<div class="section">{head}<p>{sentence}</p></div>'


def table(
    kind: str, rows: Iterable[tuple[str, str, Sequence[str]]], heads: Sequence[str] = ()
) -> str:
    """A table as HTML; what it is given is HTML already.

    `kind` is its CSS class; rows are CSS class, name and cells of each; `heads` stand over name and
    cells.
    """
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    body = "".join(
        f'<tr class="{row}"><th scope="row">{name}</th>'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
        for row, name, cells in rows
    )
    head = f"<thead><tr>{head}</tr></thead>" if heads else ""
    return f'<table class="{kind}">{head}<tbody>{body}</tbody></table>'
