"""A decision in words: verdict, proof, costs. No Streamlit."""

import math

from dashboard.words import INDICATOR_NAMES, count, counted, of
from trust_core.decision.indicators.registry import THRESHOLD_SHIFT
from trust_core.decision.tradeoff import Curve
from trust_core.decision.verdict import AMBER, GREEN, LEAST_GROUPS, RED, Verdict

RIVAL = "just lowering the decision threshold"
# Colour, sign and word: a verdict is never told by one of them alone.
VERDICTS = {GREEN: ("▲", "Better"), AMBER: ("●", "Not decided"), RED: ("▼", "Worse")}


def called(indicator: str) -> str:
    """The plain name of an indicator."""
    return INDICATOR_NAMES.get(indicator, indicator.replace("_", " "))


def capital(text: str) -> str:
    """The first letter in upper case, the others as they are."""
    return text[:1].upper() + text[1:]


def headline(judged: Verdict, indicator: str) -> str:
    """The verdict in one sentence; the badge before it says which of the three it is."""
    name = called(indicator)
    if indicator == THRESHOLD_SHIFT:
        return f"This is {RIVAL}: what every indicator is measured against."
    if judged.colour == GREEN:
        return f"{capital(name)} is better than {RIVAL}."
    if judged.colour == RED:
        return f"{capital(name)} is worse than {RIVAL}."
    missed = counted(judged.groups, "missed parts")
    if min(judged.groups, judged.good_groups) < LEAST_GROUPS:
        good = counted(judged.good_groups, "good parts")
        return f"{capital(missed)} and {good} are too few to compare anything."
    return f"{capital(missed)} cannot tell {name} from {RIVAL}."


def costs(judged: Verdict) -> str:
    """Good parts that both ask for at the wanted recall."""
    if math.isnan(judged.tn_loss):
        return ""
    mine, rival = (round(loss * judged.tn) for loss in (judged.tn_loss, judged.tn_loss_shift))
    return (
        f"To catch {share(judged.recall)} of {counted(judged.fn, 'missed defects')} it re-inspects "
        f"{of(mine, judged.tn, 'good parts')}, {RIVAL} {count(rival)}."
    )


def ranking(judged: Verdict) -> str:
    """What the verdict rests on: how often a pair is ranked right, and the interval of the lead."""
    mine, rival = judged.indicator.auroc, judged.threshold_shift.auroc
    if math.isnan(judged.difference) or math.isnan(judged.interval[0]):
        return ""
    low, high = (f"{100 * end:+.1f}" for end in judged.interval)
    return (
        f"Of 100 pairs of a missed defect and a good part it ranks {100 * mine:.1f} right, {RIVAL} "
        f"{100 * rival:.1f}: a lead of {100 * judged.difference:+.1f}, 95 % sure between {low} "
        f"and {high}."
    ).replace("-", "−")


def again_at(points: Curve, recall: float) -> str:
    """Good parts re-inspected to catch a share of the missed defects: `310 of 376`."""
    index = points.at_recall(recall)
    if index is None or not points.tn:
        return "–"
    return f"{count(int(points.flagged_tn[index]))} of {count(points.tn)}"


def share(value: float) -> str:
    """A share as a percentage with the digits it was asked with: `95 %`, `99.5 %`."""
    return f"{100 * value:.4g} %"


def money(value: float) -> str:
    """A cost, three digits: `0.0123`, `1.25`, `12,300`."""
    if not math.isfinite(value):
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def about(value: float) -> str:
    """A count that was computed, not counted: `1,230`, `12`, `0.4`."""
    if not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2g}"


def brief(threshold: float) -> str:
    """A threshold with the digits that matter to a reader: `τ 0.7910`."""
    return "nothing" if math.isinf(threshold) else f"τ {threshold:.4g}".replace("-", "−")


def flags(indicator: str, threshold: float, strength: float) -> str:
    """A rule of flagging in words."""
    return f"{called(indicator)} of {brief(threshold)} or more, at strength {strength:g}"


def foretold(have: int, least: int, recall: float) -> str:
    """What the number of missed parts in `certify` allows, said before the seal is opened."""
    lie = f"{counted(have, 'missed parts')} {'lies' if have == 1 else 'lie'} sealed"
    if have >= least:
        return (
            f"{capital(lie)}: enough to prove {share(recall)}, for which {count(least)} are needed."
        )
    return (
        f"{capital(lie)}, and {count(least)} are needed to prove {share(recall)} even with none "
        "overlooked: opening the seal now cannot prove it."
    )


def caught_and_lost(points: Curve, threshold: float) -> str:
    """What a threshold does to the parts for choosing."""
    index = points.at(threshold)
    caught = of(int(points.flagged_fn[index]), points.fn, "missed defects")
    again = of(int(points.flagged_tn[index]), points.tn, "good parts")
    return f"{caught} caught; {again} re-inspected"
