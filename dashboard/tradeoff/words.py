"""An operating point in words: what it catches, what it costs, what the rival asks for it."""

from dataclasses import dataclass

from dashboard.words import INDICATOR_NAMES, count, counted, interval, of, percent
from trust_core.decision.curves import Scores
from trust_core.decision.indicators.registry import THRESHOLD_SHIFT
from trust_core.decision.operating_point import OperatingPoint
from trust_core.figures.elements import number
from trust_core.figures.tradeoff import same_catch


@dataclass(frozen=True)
class Weighed:
    """Counts at an operating point.

    Attributes:
        caught: missed defects flagged, of `missed`.
        missed: missed defects.
        again: good parts flagged, of `good`.
        good: good parts that were passed.
        rival: good parts that threshold shift flags to catch as many; None when that is no
            comparison: nothing is caught, or the indicator is threshold shift itself.
    """

    caught: int
    missed: int
    again: int
    good: int
    rival: int | None


def weigh(scores: Scores, point: OperatingPoint) -> Weighed:
    """Count what an operating point does."""
    points = scores.curves[point.strength]
    index = points.at(point.threshold)
    caught, again = int(points.flagged_fn[index]), int(points.flagged_tn[index])
    other = same_catch(scores.shift, caught) if caught else None
    if other is None or point.indicator == THRESHOLD_SHIFT:
        return Weighed(caught, points.fn, again, points.tn, None)
    return Weighed(caught, points.fn, again, points.tn, int(scores.shift.flagged_tn[other]))


def detail(weighed: Weighed, point: OperatingPoint) -> str:
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
        f"{against(weighed)}"
    )


def against(weighed: Weighed) -> str:
    """What just lowering the decision threshold would ask for the same catch."""
    if weighed.rival is None:
        return ""
    more = weighed.rival - weighed.again
    again = f"{count(weighed.rival)} for the same catch, {count(abs(more))} "
    again = f"{again}{'more' if more > 0 else 'fewer'}" if more else "as many for the same catch"
    return f"Just lowering the decision threshold would re-inspect {again}."


def table(weighed: Weighed) -> str:
    """The counts as an HTML table; numbers only, nothing to escape."""
    rows = [("Missed defects caught", weighed.caught, weighed.missed, "ours")]
    rows.append(("Good parts re-inspected", weighed.again, weighed.good, "ours"))
    if weighed.rival is not None:
        rows.append(("by the lowered threshold instead", weighed.rival, weighed.good, "rival"))
    body = "".join(
        f'<tr class="{kind}"><th>{name}</th><td><b>{count(k)}</b> of {count(n)}</td>'
        f"<td>{percent(k / n) if n else '–'}</td></tr>"
        for name, k, n, kind in rows
    )
    return f'<table class="weighed">{body}</table>'


def proven(weighed: Weighed) -> str:
    """What the counts would prove, were the threshold not chosen on them."""
    if not weighed.missed:
        return "No defect was missed here, so there is nothing to catch and nothing to prove."
    return (
        f"As a sample of all missed defects, {of(weighed.caught, weighed.missed, 'parts')} means "
        f"{interval(weighed.caught, weighed.missed)} – if the threshold had been fixed beforehand."
    )


def sides(gained: tuple[int, int], lost: tuple[int, int]) -> str:
    """Which parts change side, `(missed defects, good parts)` each way; "" when none does."""
    told = []
    for verb, (missed, good) in (("newly flagged", gained), ("no longer flagged", lost)):
        pair = ((missed, "missed defects"), (good, "good parts"))
        named = ", ".join(counted(n, what) for n, what in pair if n)
        told += [f"{verb}: {named}"] if named else []
    return "; ".join(told)
