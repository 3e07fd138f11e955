"""An operating point: what it catches, what it costs, what changed, as sentences and HTML."""

from trust_core.decision.indicators.registry import (
    DEFAULT_INDICATOR,
    SHIFT_NAME,
    THRESHOLD_SHIFT,
    indicator_name,
)
from trust_core.decision.operating_point import FlagCounts, OperatingPoint
from trust_core.figures.words.markup import bold_numbers, table
from trust_core.figures.words.numbers import (
    capital,
    count,
    counted,
    interval,
    of,
    percent,
)
from trust_core.messages import threshold_text

# Names of the numbers in `caught_sentence` that move with the threshold, in their order.
CAUGHT_NUMBERS = ("caught", "", "again", "")


def caught_sentence(counts: FlagCounts) -> str:
    """`11 of 12 missed photos caught; 74 of 555 good photos re-inspected`."""
    caught = f"{of(counts.flagged_fn, counts.fn, 'missed photos')} caught"
    again = f"{of(counts.flagged_tn, counts.tn, 'good photos')} re-inspected"
    caught = caught if counts.fn else "no defect was missed"
    return f"{caught}; {again if counts.tn else 'no good photo was passed'}"


def caught_html(counts: FlagCounts) -> str:
    """`caught_sentence` as HTML, its numbers in bold, those that move under their names."""
    names = CAUGHT_NUMBERS if counts.fn else CAUGHT_NUMBERS[2:]
    return bold_numbers(caught_sentence(counts), names)


def moving_numbers(counts: FlagCounts) -> dict[str, str]:
    """Every number that moves with the threshold, by its name in `caught_html`, `counts_table`."""
    rival = counts.shift_tn
    return {
        "caught": count(counts.flagged_fn),
        "caught-share": _share(counts.flagged_fn, counts.fn),
        "again": count(counts.flagged_tn),
        "again-share": _share(counts.flagged_tn, counts.tn),
        "rival": "–" if rival is None else count(rival),
        "rival-share": "–" if rival is None else _share(rival, counts.tn),
    }


def _share(k: int, n: int) -> str:
    return percent(k / n) if n else "–"


def shift_sentence(counts: FlagCounts) -> str:
    """Good photos that just lowering the decision threshold asks for the same catch."""
    if counts.shift_tn is None:
        return ""
    more = counts.shift_tn - counts.flagged_tn
    again = "as many good photos for the same catch"
    if more:
        again = f"{counted(counts.shift_tn, 'good photos')} for the same catch, "
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


def rule(point: OperatingPoint) -> str:
    """What an operating point flags: `has a defect probability of 0.126 or more`."""
    threshold = threshold_text(point.threshold)
    if point.indicator == THRESHOLD_SHIFT:
        return f"has a defect probability of {threshold} or more"
    name = indicator_name(point.indicator)
    strength = f" at adversarial strength {point.strength:g}" if point.strength else ""
    if point.indicator == DEFAULT_INDICATOR:
        return f"has an {name} of {threshold} or more{strength}"
    return f"scores {threshold} or more by {name}{strength}"


def rule_sentence(point: OperatingPoint) -> str:
    """What is flagged on the line."""
    return f"A part that is called good goes to re-inspection when it {rule(point)}."


def counts_table(counts: FlagCounts, *, rival: bool) -> str:
    """The counts as an HTML table; numbers only, nothing to escape.

    There is a rival unless the indicator is threshold shift itself.
    """
    rows = [
        ("ours", "Missed photos caught", "caught", counts.fn),
        ("ours", "Good photos re-inspected", "again", counts.tn),
    ]
    if rival:
        rows.append(("rival", f"by {SHIFT_NAME} for the same catch", "rival", counts.tn))
    moving = {
        name: f'<b data-live="{name}">{text}</b>' for name, text in moving_numbers(counts).items()
    }
    return table(
        "counts",
        [
            (kind, name, [f"{moving[key]} of {count(n)}", moving[f"{key}-share"]])
            for kind, name, key, n in rows
        ],
    )


def unproven_sentence(counts: FlagCounts) -> str:
    """What the counts would prove, were the threshold not chosen on them."""
    if not counts.fn:
        return "No defect was missed here, so there is nothing to catch and nothing to prove."
    return (
        f"As a sample of all missed defects, {of(counts.flagged_fn, counts.fn, 'photos')} means "
        f"{interval(counts.flagged_fn, counts.fn)} – if the threshold had been fixed beforehand."
    )


def sides_sentence(gained: tuple[int, int], lost: tuple[int, int]) -> str:
    """Which photos change side, `(missed, good)` each way; "" when none does."""
    ways = []
    for verb, (missed, good) in (("newly flagged", gained), ("no longer flagged", lost)):
        pair = ((missed, "missed photos"), (good, "good photos"))
        named = ", ".join(counted(n, what) for n, what in pair if n)
        ways += [f"{verb}: {named}"] if named else []
    return "; ".join(ways)
