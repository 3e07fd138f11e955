"""Small pieces of Home as HTML, all text escaped: bars that prove the finding, facts, a table."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from dashboard.words import count, counted
from trust_core.decision.indicators.registry import THRESHOLD_SHIFT
from trust_core.decision.operating_point import FlagCounts


def proof(counts: FlagCounts, indicator: str) -> str:
    """The finding as bars: missed defects caught, and the good parts re-inspected for them."""
    if not counts.fn:
        return ""
    overlooked = counts.fn - counts.flagged_fn
    shift = "Lowering the threshold"
    ways = [("Second Look", counts.flagged_tn, "ours")]
    if indicator == THRESHOLD_SHIFT:
        ways = [(shift, counts.flagged_tn, "rival")]
    elif counts.shift_tn is not None:
        ways.append((shift, counts.shift_tn, "rival"))
    most = max(1, *(parts for _, parts, _ in ways))
    caught = (
        f'<figure class="proof"><figcaption>{counted(counts.fn, "missed defects")}</figcaption>'
        f'<div class="bar">{_part("caught", counts.flagged_fn, counts.fn)}'
        f"{_part('missed', overlooked, counts.fn)}</div>"
        f'<p><span class="key caught">▲ {count(counts.flagged_fn)} caught</span>'
        f'<span class="key missed">✕ {count(overlooked)} still overlooked</span></p></figure>'
    )
    rows = "".join(
        f'<tr><th scope="row">{name}</th><td><div class="bar thin">{_part(kind, parts, most)}</div>'
        f"</td><td>{count(parts)}</td></tr>"
        for name, parts, kind in ways
    )
    return (
        f'{caught}<figure class="proof"><figcaption>Good parts re-inspected for that</figcaption>'
        f"<table>{rows}</table></figure>"
    )


def steps(texts: Iterable[tuple[str, str]]) -> str:
    """Numbered steps side by side: what happens, and what that means."""
    items = (f"<li><b>{escape(what)}</b> {escape(meaning)}</li>" for what, meaning in texts)
    return f'<ol class="steps">{"".join(items)}</ol>'


def fact_list(facts: Mapping[str, str]) -> str:
    """Names and values, one a line."""
    lines = (f"<dt>{escape(n)}</dt><dd>{escape(v)}</dd>" for n, v in facts.items())
    return f'<dl class="facts">{"".join(lines)}</dl>'


def role_table(roles: Iterable[Sequence[str | int]], heads: Sequence[str]) -> str:
    """A row a role: its name with what it is for, then counts."""
    head = "".join(f'<th scope="col">{escape(h)}</th>' for h in heads)
    rows = "".join(
        f'<tr><th scope="row">{escape(str(name))}<small>{escape(str(use))}</small></th>'
        + "".join(f"<td>{count(int(n))}</td>" for n in counts)
        + "</tr>"
        for name, use, *counts in roles
    )
    return f'<table class="roles"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _part(kind: str, value: int, whole: int) -> str:
    return f'<i class="{kind}" style="width:{value / whole:.2%}"></i>'
