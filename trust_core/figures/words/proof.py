"""What is proven, what it costs on the line, and what was decided, as sentences and HTML."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from trust_core.decision.bootstrap import Interval
from trust_core.decision.certificate import Demand, plan, proven
from trust_core.decision.certify import Certificate, IndicatorProof, ThresholdEffect
from trust_core.decision.indicators.registry import (
    INDICATOR_NAMES,
    SHIFT_NAME,
    THRESHOLD_SHIFT,
    indicator_name,
)
from trust_core.decision.journal import OPERATING_POINT, SEAL_OPENED
from trust_core.decision.line_costs import (
    CERTIFIED,
    CERTIFIED_SHIFT,
    CHEAPEST,
    OWN,
    LineValue,
)
from trust_core.decision.operating_point import OperatingPoint
from trust_core.figures.words.markup import quiet, table
from trust_core.figures.words.numbers import (
    about,
    capital,
    count,
    counted,
    moment,
    money,
    of,
    percent,
    share,
    tau_text,
)

WORTHLESS = 0.8  # loss of good parts above which a proof says little more than flagging all
OVERLOOKED = 2  # sizes of a collection that are told, beside that for none
LISTED = 12  # entries of the history
HEADS = (
    "",
    "Threshold",
    "Missed parts caught, on certify",
    "Good photos re-inspected, on certify",
    "Missed photos caught, on test",
    "Good photos re-inspected, on test",
)
OPTION_NAMES = {
    CERTIFIED: "Certified",
    CHEAPEST: "Cheapest on your line",
    OWN: "Your own",
    CERTIFIED_SHIFT: f"{capital(SHIFT_NAME)}, certified",
}
KEYS = re.compile(rf"\b({'|'.join(INDICATOR_NAMES)})\b")

LineValues = Mapping[str, LineValue]


def forecast_sentence(have: int, least: int, recall: float) -> str:
    """What the number of missed parts in `certify` allows, said before the seal is opened."""
    lie = capital(f"{counted(have, 'missed parts')} {'lies' if have == 1 else 'lie'} sealed")
    if have >= least:
        return f"{lie}: enough to prove {share(recall)}, for which {count(least)} are needed."
    return (
        f"{lie}, and {count(least)} are needed to prove {share(recall)} even with none "
        "overlooked: opening the seal now cannot prove it."
    )


def price_sentence(proof: Certificate) -> str:
    """What the certified threshold costs, beside the one that threshold shift can certify."""
    if not proof.certified:
        return ""
    mine, shift = (_lost(part.test) for part in (proof.ours, proof.threshold_shift))
    if proof.chosen.indicator == THRESHOLD_SHIFT or not shift:
        return f"It re-inspects {mine} of test." if mine else ""
    sentence = f"It re-inspects {mine} of test; {SHIFT_NAME} proves the same with {shift}."
    if (proof.ours.test.tn_loss or 0) > WORTHLESS:
        sentence += " Flagging every part would prove it too: such a proof is worth little."
    return sentence


def _lost(effect: ThresholdEffect) -> str:
    return "" if effect.flagged_tn is None else of(effect.flagged_tn, effect.tn, "good photos")


def proof_table(proof: Certificate) -> str:
    """The certified threshold beside that of threshold shift, as HTML."""
    rows = [("ours", capital(indicator_name(proof.chosen.indicator)), _cells(proof.ours))]
    if proof.chosen.indicator != THRESHOLD_SHIFT:
        rows.append(("rival", capital(SHIFT_NAME), _cells(proof.threshold_shift)))
    return f'<div class="wide">{table("numbers", rows, HEADS)}</div>'


def _cells(part: IndicatorProof) -> list[str]:
    proof, on_certify, on_test = part.proof, part.certify, part.test
    threshold = "cannot be certified"
    if proof.threshold is not None:
        unscored = math.isinf(proof.threshold)
        threshold = "flags only the unscored" if unscored else tau_text(proof.threshold)
    return [
        threshold,
        of(proof.caught, proof.groups, "parts") if proof.certified else "–",
        _counted(on_certify.flagged_tn, on_certify.tn, on_certify.tn_loss_interval),
        _counted(on_test.flagged_fn, on_test.fn, on_test.fn_recall_interval),
        _counted(on_test.flagged_tn, on_test.tn, on_test.tn_loss_interval),
    ]


def _counted(flagged: int | None, total: int, interval: Interval | None) -> str:
    """`74 of 555` with its interval; a dash where nothing was measured."""
    if flagged is None or interval is None or not total:
        return "–"
    low, high = interval
    text = f"<b>{count(flagged)}</b> of {count(total)}"
    return text if math.isnan(low) else f"{text}<small>{percent(low)} to {percent(high)}</small>"


def seals_sentence(proof: Certificate) -> str:
    """Who opened what, as HTML, and whether the choice came first."""
    seals = "; ".join(
        f"{seal.role} on {moment(seal.when)} by {escape(seal.who)}" for seal in proof.seals
    )
    first = (
        "The indicator was chosen before the sealed photos were seen."
        if proof.chosen_blind
        else "The journal does not show that this indicator was chosen before the sealed photos "
        "were seen; a choice made after a look is not covered by the proof."
    )
    return f"{first} Seals opened: {seals}."


def plan_sentence(demand: Demand, have: int) -> str:
    """How many missed parts must be collected for the wanted proof."""
    wanted = plan(demand, OVERLOOKED)
    rest = ", ".join(
        f"{count(n)} if {k} {'is' if k == 1 else 'are'}" for k, n in wanted.items() if k
    )
    stand = "You have none yet."
    if have:
        best = int(1000 * proven(have, have, demand.confidence)) / 10
        parts = counted(have, "missed parts")
        stand = f"You have {parts} for it: all of them caught would prove {best:g} %."
    return (
        f"To prove {share(demand.recall)}, being {share(demand.confidence)} sure, takes "
        f"{count(wanted[0])} missed parts if none is overlooked, {rest}. {stand} "
        "Hatched: cannot be proven."
    )


def line_sentence(option: str, values: LineValues) -> str:
    """What a threshold does to the line."""
    before, after, again = (
        values[name].value for name in ("escapes_before", "escapes_after", "reinspections")
    )
    if math.isnan(after):
        return "Without a missed defect on these photos nothing can be said of the line."
    low, high = values["escapes_after"].interval
    return (
        f"{OPTION_NAMES[option]}: {about(after)} escapes a million parts ({about(low)} to "
        f"{about(high)}) instead of {about(before)}, for {about(again)} re-inspections a shift."
    )


def line_basis(role: str, missed: float, rejected: float) -> str:
    """Which images the numbers of the line come from; shares of `line_costs.detector_rates`."""
    where = "the sealed photos of test" if role == "test" else "the photos for choosing"
    return (
        f"Measured on {where}, where the detector misses {percent(missed)} of the defects and "
        f"rejects {percent(rejected)} of the good parts, and weighted to your line's defect rate. "
        "In small print: 95 % intervals. The chart is drawn on the photos for choosing, where the "
        f"cheapest threshold comes from; dashed: {SHIFT_NAME}."
    )


def line_table(options: Mapping[str, OperatingPoint], values: Mapping[str, LineValues]) -> str:
    """The line before, and after each threshold, as HTML; numbers and words of ours."""
    some = next(iter(values.values()))
    heads = [
        f"{OPTION_NAMES[key]}<small>{tau_text(option.threshold)}</small>"
        for key, option in options.items()
    ]
    quantities = [
        ("Escapes a million parts", "escapes_after", some["escapes_before"], about),
        ("Re-inspections a shift", "reinspections", LineValue(0, (0, 0)), about),
        ("Expected cost a part", "cost_after", some["cost_before"], money),
        ("Pays when an escape costs more than", "break_even_cost", None, money),
        ("Pays when more of the parts are defective than", "break_even_rate", None, _rate),
    ]
    rows = []
    for title, quantity, before, words in quantities:
        after = {key: _value(found[quantity], words) for key, found in values.items()}
        if CERTIFIED_SHIFT in after:
            after[CERTIFIED_SHIFT] = f'<span class="rival">{after[CERTIFIED_SHIFT]}</span>'
        rows.append(("", title, [_value(before, words) if before else "–", *after.values()]))
    return (
        f'<div class="wide">{table("numbers", rows, ["", "Without a second look", *heads])}</div>'
    )


def _value(value: LineValue, words: Callable[[float], str]) -> str:
    low, high = value.interval
    if math.isnan(value.value):
        return "–"
    text = f"<b>{words(value.value)}</b>"
    return text if low == high else f"{text}<small>{words(low)} to {words(high)}</small>"


def _rate(value: float) -> str:
    return "never" if math.isinf(value) else f"{100 * value:.2g} %"


def history(entries: Sequence[Mapping[str, Any]]) -> str:
    """What was decided and opened, the latest first, as HTML; what people typed is escaped."""
    rows = [row for entry in reversed(entries) if (row := _entry(entry))]
    if not rows:
        return quiet("Nothing was decided on this audit yet, and no seal was opened.")
    earlier = len(rows) - LISTED
    more = quiet(f"{earlier} earlier ones in decisions.jsonl.") if earlier > 0 else ""
    return (
        '<table class="history"><thead><tr><th>When</th><th>Who</th><th>What</th><th>Why</th></tr>'
        f"</thead><tbody>{''.join(rows[:LISTED])}</tbody></table>{more}"
    )


def _entry(entry: Mapping[str, object]) -> str:
    if entry.get("what") == OPERATING_POINT:
        try:
            threshold, strength = float(entry["threshold"]), float(entry["strength"])  # type: ignore[arg-type]
        except (KeyError, TypeError, ValueError):
            return ""
        name = indicator_name(str(entry.get("indicator")))
        rule = f"{name} of {tau_text(threshold)} or more, at strength {strength:g}"
        what = f"Operating point: {rule}"
    elif entry.get("what") == SEAL_OPENED:
        what = f"Seal of {entry.get('role')} opened"
    else:
        return ""
    who, why = (str(entry.get(key, "")) for key in ("who", "why"))
    if entry.get("what") == SEAL_OPENED:  # the journal names an indicator by its key
        why = KEYS.sub(lambda key: indicator_name(key[0]), why)
    cells = (moment(str(entry.get("when", ""))), who, what, why)
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
