"""How an audit stands, as sentences and HTML: what Home leads with and Decide begins with.

A photo is one image; a part is all photos of one physical thing. Counts of what is flagged are of
photos, what a verdict or a proof rests on are parts.
"""

import math
from collections.abc import Mapping

from trust_core.decision.bootstrap import Interval
from trust_core.decision.indicators.registry import SHIFT_NAME, THRESHOLD_SHIFT, indicator_name
from trust_core.decision.operating_point import FlagCounts
from trust_core.decision.standing import NOT_WORTH, UNKNOWN, WORTH, Standing
from trust_core.decision.verdict import AMBER, GREEN, LEAST_GROUPS, RED
from trust_core.figures.words.numbers import (
    about,
    capital,
    count,
    counted,
    moment,
    of,
    percent,
    tau_text,
)
from trust_core.figures.words.point import rule

STATE_COLOURS = {WORTH: GREEN, NOT_WORTH: RED, UNKNOWN: AMBER}
STATE_SIGNS = {WORTH: "▲", NOT_WORTH: "▼", UNKNOWN: "●"}  # never by colour alone
UNTIL_THEN = f"until then use {SHIFT_NAME}, that is, lower the decision threshold"
WHERE = {"tune": "the photos for choosing (tune)", "test": "the sealed photos (test)"}


def state_badge(standing: Standing) -> str:
    """Worth it, not worth it or cannot be told yet, as a sign, words and a colour."""
    sign, colour = STATE_SIGNS[standing.state], STATE_COLOURS[standing.state]
    return f'<span class="verdict {colour}"><i>{sign}</i>{capital(standing.state)}</span>'


def state_sentence(standing: Standing) -> str:
    """The verdict as it stands."""
    judged, name = standing.judged, indicator_name(standing.point.indicator)
    if standing.state == WORTH:
        return f"A second look is worth it: {name} is better than {SHIFT_NAME}."
    if standing.state == NOT_WORTH:
        if standing.point.indicator == THRESHOLD_SHIFT:
            return f"A second look is not worth it here: nothing is shown to beat {SHIFT_NAME}."
        return f"A second look by {name} is not worth it: {SHIFT_NAME} is better."
    start = "Whether a second look is worth it cannot be told yet:"
    if wanting := _wanting(standing):
        return f"{start} that takes at least {wanting}."
    if other := _other_proposed(standing):
        return f"{start} shown is {SHIFT_NAME} itself; {other} is proposed."
    if standing.point.indicator == THRESHOLD_SHIFT:  # nothing else could be chosen
        return f"{start} the photos for choosing show too few parts to choose an indicator by."
    if standing.role != "test":
        return f"{start} the photos that would tell are still sealed."
    if standing.more:
        return f"{start} about {counted(standing.more, 'more missed parts')} are needed."
    return f"{start} {counted(judged.groups, 'missed parts')} show no clear lead either way."


def action_sentence(standing: Standing) -> str:
    """What to do now, in one sentence."""
    point = standing.point
    if standing.state == WORTH:
        send = f"send to re-inspection what {rule(point)}."
        return f"Prove it on Decide; then {send}" if "certify" in standing.closed else capital(send)
    if standing.state == NOT_WORTH:
        if point.indicator == THRESHOLD_SHIFT:
            return f"Lower the decision threshold: look again at what {rule(point)}."
        return f"Use {SHIFT_NAME} instead; Decide shows what it costs."
    if not sum(standing.missed.values()):
        return "Audit more defective parts: of these the detector missed none."
    if wanting := _wanting(standing):
        return f"Collect at least {wanting}; {UNTIL_THEN}."
    if other := _other_proposed(standing):
        return f"Choose {other} on Decide, and see whether it pays."
    if standing.role == "test":
        return f"Collect more missed parts and audit again; {UNTIL_THEN}."
    have = counted(standing.sealed_groups, "missed parts")
    if standing.needed is None or standing.sealed_groups < standing.needed:
        wanted = (
            "many more would be needed"
            if standing.needed is None
            else f"about {count(standing.needed)} would be needed"
        )
        return (
            f"Collect more missed parts before you open the sealed photos: test holds {have}, and "
            f"with the lead seen so far {wanted}; {UNTIL_THEN}."
        )
    return f"Open the seal of test on Decide: it holds {have}, which may well be enough."


def catch_sentence(standing: Standing) -> str:
    """What re-inspection catches, with its interval, beside threshold shift and beside chance."""
    counts = standing.counts
    where = WHERE[standing.role]
    if not counts.fn + counts.tn:
        return f"On {where} the detector calls nothing good, so nothing can be looked at again."
    if not counts.fn:
        return f"On {where} the detector missed no defect, so there is nothing to catch."
    start = f"On {where} the detector calls {counted(counts.fn + counts.tn, 'photos')} good"
    wrong = "1 of them shows a defect" if counts.fn == 1 else f"{count(counts.fn)} show a defect"
    if not counts.flagged:
        return f"{start}; {wrong}. At this threshold none is looked at again."
    told = (
        f"{start}; {wrong}. Looking again at {count(counts.flagged)} of them by "
        f"{indicator_name(standing.point.indicator)} catches {of(counts.flagged_fn, counts.fn, '')}"
    ).rstrip()
    told += f" ({_interval(standing.catch)})"
    chance = f"as many picked at random would catch about {about(counts.random_fn)}"
    if standing.point.indicator == THRESHOLD_SHIFT:
        return f"{told}. {capital(chance)}."
    rival = f"{capital(SHIFT_NAME)} catches {count(counts.shift_fn)} with as many"
    return f"{told}. {rival}; {chance}."


def basis_sentence(standing: Standing) -> str:
    """Why the numbers may flatter, where they do; "" where there are none."""
    if not standing.counts.fn:
        return ""
    if standing.role == "test":
        return "The threshold was not chosen on these photos."
    return "The threshold was chosen on these same photos, so expect less elsewhere."


def missed_sentence(standing: Standing) -> str:
    """All misses, and how many of them may be looked at."""
    total = sum(standing.missed.values())
    if not total:
        return "The detector missed no defect outside its training photos."
    sealed = {role: n for role, n in standing.missed.items() if role in standing.closed and n}
    some = counted(total, "photos of missed defects")
    some = "1 photo of a missed defect" if total == 1 else some
    if not sealed:
        return f"{capital(some)} in all, and all may be looked at."
    parts = ", ".join(f"{count(n)} in {role}" for role, n in sealed.items())
    may = "may be looked at" if standing.open_missed != 1 else "of them may be looked at"
    looked = count(standing.open_missed) if standing.open_missed else "none"
    return f"{capital(some)} in all: {looked} {may}, {parts} sealed."


def proposal_sentence(standing: Standing) -> str:
    """What the program proposes on `tune`, and that something else was chosen where it was."""
    proposed, point = standing.proposal, standing.point
    if (proposed.indicator, proposed.strength) == (point.indicator, point.strength):
        return proposed.sentence
    return (
        f"Shown is {indicator_name(point.indicator)}, which is not what is proposed. "
        f"{proposed.sentence}"
    )


def chosen_sentence(chosen: Mapping[str, object] | None) -> str:
    """Who chose which operating point, when and why; "" where nobody did."""
    if chosen is None:
        return ""
    try:
        threshold = tau_text(float(chosen["threshold"]))  # type: ignore[arg-type]
        strength = float(chosen["strength"])  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError):
        return ""
    name = indicator_name(str(chosen.get("indicator")))
    at = f" at strength {strength:g}" if strength else ""
    why = f": “{chosen['why']}”" if chosen.get("why") else ""
    return (
        f"Decided: {name}, {threshold}{at}, by {chosen.get('who', 'unknown')}, on "
        f"{moment(str(chosen.get('when', '')))}{why}."
    )


def catch_bars(counts: FlagCounts, indicator: str) -> str:
    """Missed defects that as many re-inspections catch by each way, as bars."""
    if not counts.fn or not counts.flagged:
        return ""
    ways = [(capital(SHIFT_NAME), float(counts.shift_fn), "rival")]
    if indicator != THRESHOLD_SHIFT:
        ways.insert(0, (capital(indicator_name(indicator)), float(counts.flagged_fn), "ours"))
    ways.append(("Picking at random", counts.random_fn, "random"))
    rows = "".join(
        f'<tr><th scope="row">{name}</th><td><div class="bar thin">'
        f'<i class="{kind}" style="width:{caught / counts.fn:.2%}"></i></div></td>'
        f"<td>{about(caught) if kind == 'random' else count(round(caught))}</td></tr>"
        for name, caught, kind in ways
    )
    photos = counted(counts.flagged, "photos")
    return (
        f'<figure class="proof"><figcaption>Missed photos caught, of {count(counts.fn)}, by '
        f"looking again at {photos}</figcaption><table>{rows}</table></figure>"
    )


def _other_proposed(standing: Standing) -> str:
    """What is proposed where threshold shift is shown; "" where nothing else is."""
    if standing.point.indicator != THRESHOLD_SHIFT:
        return ""
    proposed = standing.proposal.indicator
    return "" if proposed == THRESHOLD_SHIFT else indicator_name(proposed)


def _wanting(standing: Standing) -> str:
    """How many parts are wanting to compare anything, `3 more missed parts`; "" when none are."""
    judged = standing.judged
    have = {"missed parts": judged.groups, "good parts": judged.good_groups}
    return " and ".join(
        counted(LEAST_GROUPS - number, f"more {what}")
        for what, number in have.items()
        if number < LEAST_GROUPS
    )


def _interval(interval: Interval) -> str:
    low, high = interval
    if math.isnan(low):
        return "no interval can be told"
    return f"95 % sure: {percent(low)} to {percent(high)} of such defects"
