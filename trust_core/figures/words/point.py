"""An operating point: what it catches, what it costs, what changed, as sentences and HTML."""

from trust_core.decision.indicators.registry import SHIFT_NAME, THRESHOLD_SHIFT, indicator_name
from trust_core.decision.operating_point import FlagCounts, OperatingPoint
from trust_core.figures.elements import threshold_text
from trust_core.figures.words.markup import table
from trust_core.figures.words.numbers import (
    capital,
    count,
    counted,
    interval,
    of,
    percent,
)


def caught_sentence(counts: FlagCounts) -> str:
    """`11 of 12 missed defects caught; 74 of 555 good parts re-inspected`."""
    caught = f"{of(counts.flagged_fn, counts.fn, 'missed defects')} caught"
    again = f"{of(counts.flagged_tn, counts.tn, 'good parts')} re-inspected"
    caught = caught if counts.fn else "no defect was missed"
    return f"{caught}; {again if counts.tn else 'no good part was passed'}"


def shift_sentence(counts: FlagCounts) -> str:
    """Good parts that just lowering the decision threshold asks for the same catch."""
    if counts.shift_tn is None:
        return ""
    more = counts.shift_tn - counts.flagged_tn
    again = "as many good parts for the same catch"
    if more:
        again = f"{counted(counts.shift_tn, 'good parts')} for the same catch, "
        again += f"{count(abs(more))} {'more' if more > 0 else 'fewer'}"
    return f"{capital(SHIFT_NAME)} would re-inspect {again}."


def point_sentence(counts: FlagCounts, point: OperatingPoint) -> str:
    """Where the point stands, and what the rival asks for the same catch."""
    threshold = threshold_text(point.threshold)
    if point.indicator == THRESHOLD_SHIFT:
        return (
            f"Flagged: a defect probability of {threshold} or more. It needs no heatmap; every "
            "indicator is measured against it."
        )
    return (
        f"Flagged: {capital(indicator_name(point.indicator))} of {threshold} or more, at "
        f"adversarial strength {point.strength:g}. {shift_sentence(counts)}"
    )


def rule_sentence(point: OperatingPoint) -> str:
    """What is flagged on the line."""
    tau = threshold_text(point.threshold)
    by = f"{indicator_name(point.indicator)} of {tau} or more, at strength {point.strength:g},"
    if point.indicator == THRESHOLD_SHIFT:
        by = f"a defect probability of {tau} or more"
    return f"Of the parts called good, those with {by} go to re-inspection."


def counts_table(counts: FlagCounts) -> str:
    """The counts as an HTML table; numbers only, nothing to escape."""
    rows = [
        ("ours", "Missed defects caught", counts.flagged_fn, counts.fn),
        ("ours", "Good parts re-inspected", counts.flagged_tn, counts.tn),
    ]
    if counts.shift_tn is not None:
        rows.append(("rival", f"by {SHIFT_NAME} instead", counts.shift_tn, counts.tn))
    return table(
        "counts",
        [
            (kind, name, [f"<b>{count(k)}</b> of {count(n)}", percent(k / n) if n else "–"])
            for kind, name, k, n in rows
        ],
    )


def proof_sentence(counts: FlagCounts) -> str:
    """What the counts would prove, were the threshold not chosen on them."""
    if not counts.fn:
        return "No defect was missed here, so there is nothing to catch and nothing to prove."
    return (
        f"As a sample of all missed defects, {of(counts.flagged_fn, counts.fn, 'parts')} means "
        f"{interval(counts.flagged_fn, counts.fn)} – if the threshold had been fixed beforehand."
    )


def sides_sentence(gained: tuple[int, int], lost: tuple[int, int]) -> str:
    """Which parts change side, `(missed defects, good parts)` each way; "" when none does."""
    ways = []
    for verb, (missed, good) in (("newly flagged", gained), ("no longer flagged", lost)):
        pair = ((missed, "missed defects"), (good, "good parts"))
        named = ", ".join(counted(n, what) for n, what in pair if n)
        ways += [f"{verb}: {named}"] if named else []
    return "; ".join(ways)
