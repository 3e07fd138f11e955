"""An operating point in words: what it catches, what it costs, what the rival asks for it."""

from dashboard.words import (
    INDICATOR_NAMES,
    count,
    counted,
    interval,
    of,
    percent,
    shift_sentence,
)
from trust_core.decision.indicators.registry import THRESHOLD_SHIFT
from trust_core.decision.operating_point import FlagCounts, OperatingPoint
from trust_core.figures.elements import number


def detail(counts: FlagCounts, point: OperatingPoint) -> str:
    """The sentence below the finding: where the point stands, and the rival beside it."""
    if point.indicator == THRESHOLD_SHIFT:
        return (
            f"Flagged: a defect probability of {number(point.threshold)} or more. It needs no "
            "heatmap; every indicator is measured against it."
        )
    name, tau = INDICATOR_NAMES[point.indicator], number(point.threshold)
    name = name if name.startswith("IoU") else name.capitalize()
    return (
        f"Flagged: {name} of {tau} or more, at adversarial strength {point.strength:g}. "
        f"{shift_sentence(counts)}"
    )


def table(counts: FlagCounts) -> str:
    """The counts as an HTML table; numbers only, nothing to escape."""
    rows = [("Missed defects caught", counts.flagged_fn, counts.fn, "ours")]
    rows.append(("Good parts re-inspected", counts.flagged_tn, counts.tn, "ours"))
    if counts.shift_tn is not None:
        rows.append(("by the lowered threshold instead", counts.shift_tn, counts.tn, "rival"))
    body = "".join(
        f'<tr class="{kind}"><th>{name}</th><td><b>{count(k)}</b> of {count(n)}</td>'
        f"<td>{percent(k / n) if n else '–'}</td></tr>"
        for name, k, n, kind in rows
    )
    return f'<table class="weighed">{body}</table>'


def proven(counts: FlagCounts) -> str:
    """What the counts would prove, were the threshold not chosen on them."""
    if not counts.fn:
        return "No defect was missed here, so there is nothing to catch and nothing to prove."
    return (
        f"As a sample of all missed defects, {of(counts.flagged_fn, counts.fn, 'parts')} means "
        f"{interval(counts.flagged_fn, counts.fn)} – if the threshold had been fixed beforehand."
    )


def sides(gained: tuple[int, int], lost: tuple[int, int]) -> str:
    """Which parts change side, `(missed defects, good parts)` each way; "" when none does."""
    told = []
    for verb, (missed, good) in (("newly flagged", gained), ("no longer flagged", lost)):
        pair = ((missed, "missed defects"), (good, "good parts"))
        named = ", ".join(counted(n, what) for n, what in pair if n)
        told += [f"{verb}: {named}"] if named else []
    return "; ".join(told)
