"""The verdict on an indicator, and all indicators beside each other, as sentences and HTML."""

import math
from collections.abc import Callable, Sequence
from html import escape

from trust_core.decision.certify import has_same_ranking
from trust_core.decision.curves import Tradeoff
from trust_core.decision.indicator_verdicts import IndicatorVerdict
from trust_core.decision.indicators.registry import (
    SHIFT_NAME,
    THRESHOLD_SHIFT,
    absent,
    indicator_name,
)
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.verdict import AMBER, GREEN, LEAST_GROUPS, RED, SAME_RANKING, Verdict
from trust_core.figures.words.markup import table
from trust_core.figures.words.numbers import capital, count, counted, good_parts_at, of, share
from trust_core.storage.audit_files import Audit

# Colour, sign and word: a verdict is never told by one of them alone.
VERDICT_SIGNS = {GREEN: ("▲", "Better"), AMBER: ("●", "Cannot be told"), RED: ("▼", "Worse")}
ALWAYS = (0.8, 0.9, 1.0)  # recalls of the table, beside the wanted one


def badge(judged: Verdict, role: str, indicator: str) -> str:
    """The verdict as a sign, a word and a colour; a preview says so.

    "" for threshold shift: it would be held against itself.
    """
    if indicator == THRESHOLD_SHIFT:
        return ""
    sign, word = VERDICT_SIGNS[judged.colour]
    preview = "" if role == "test" else " preview"
    word = f"Preview: {word.lower()}" if preview else word
    return f'<span class="verdict {judged.colour}{preview}"><i>{sign}</i>{word}</span>'


def verdict_sentence(judged: Verdict, indicator: str) -> str:
    """The verdict in one sentence; the badge before it says which of the three it is."""
    name = indicator_name(indicator)
    if indicator == THRESHOLD_SHIFT:
        return f"This is {SHIFT_NAME}: what every indicator is measured against."
    if judged.colour != AMBER:
        better = "better" if judged.colour == GREEN else "worse"
        return f"{capital(name)} is {better} than {SHIFT_NAME}."
    missed = capital(counted(judged.groups, "missed parts"))
    if min(judged.groups, judged.good_groups) < LEAST_GROUPS:
        good = counted(judged.good_groups, "good parts")
        return f"{missed} and {good} are too few to compare anything."
    return f"{missed} cannot tell {name} from {SHIFT_NAME}."


def cost_sentence(judged: Verdict) -> str:
    """Good photos that both ask for at the wanted recall."""
    if math.isnan(judged.tn_loss):
        return ""
    mine, rival = (round(loss * judged.tn) for loss in (judged.tn_loss, judged.tn_loss_shift))
    return (
        f"To catch {share(judged.recall)} of {counted(judged.fn, 'missed photos')} it re-inspects "
        f"{of(mine, judged.tn, 'good photos')}, {SHIFT_NAME} {count(rival)}."
    )


def ranking_sentence(judged: Verdict) -> str:
    """What the verdict rests on: how often a pair is ranked right, and the interval of the lead."""
    mine, rival = judged.indicator.auroc, judged.threshold_shift.auroc
    if math.isnan(judged.difference) or math.isnan(judged.interval[0]):
        return ""
    low, high = (f"{100 * end:+.1f}" for end in judged.interval)
    return (
        f"Of 100 pairs of a missed and a good photo it ranks {100 * mine:.1f} right, "
        f"{SHIFT_NAME} {100 * rival:.1f}: a lead of {100 * judged.difference:+.1f}, 95 % sure "
        f"between {low} and {high}."
    ).replace("-", "−")


def cost_table(scores: Tradeoff, point: OperatingPoint, recall: float) -> str:
    """Good photos re-inspected for the wanted recall, by the indicator and its rival, as HTML."""
    if not scores.shift.fn:
        return '<p class="above">No defect was missed on these photos.</p>'
    rows = [("rival", SHIFT_NAME, scores.shift)]
    if point.indicator != THRESHOLD_SHIFT:
        rows.insert(0, ("ours", indicator_name(point.indicator), scores.curves[point.strength]))
    counts = table(
        "counts",
        [
            (kind, escape(capital(name)), [f"<b>{good_parts_at(points, recall)}</b>"])
            for kind, name, points in rows
        ],
    )
    return (
        f'<p class="above">Good photos re-inspected to catch {share(recall)} of the '
        f"{scores.shift.fn:,} missed photos</p>{counts}"
    )


def indicator_table(verdicts: Sequence[IndicatorVerdict], indicator: str, recall: float) -> str:
    """All numbers of all indicators as HTML."""
    heads = (
        "", f"Against {SHIFT_NAME}", "Pairs ranked right (AUROC)", "Lead, 95 % interval",
        *(f"Good photos for {share(r)}" for r in (recall, *ALWAYS)),
        "Average precision", "AURC", "AUGRC",
    )  # fmt: skip
    rows = [_row(one, one.indicator == indicator, recall) for one in verdicts]
    return f'<div class="wide">{table("numbers", rows, heads)}</div>'


def absent_sentences(audit: Audit, say: Callable[[str], str] = str) -> list[str]:
    """Why some indicators are not among them.

    `say` gives a reason in the reader's words; a page has fields where a terminal has options.
    """
    names: dict[str, list[str]] = {}
    for name, reason in absent(audit).items():
        names.setdefault(say(reason), []).append(indicator_name(name))
    sentences = [f"Not in this audit: {', '.join(of)} ({why})." for why, of in names.items()]
    return [SAME_RANKING] * has_same_ranking(audit) + sentences


def _row(one: IndicatorVerdict, chosen: bool, recall: float) -> tuple[str, str, list[str]]:
    judged, numbers = one.verdict, one.verdict.indicator
    sign, word = VERDICT_SIGNS[judged.colour]
    low, high = judged.interval
    lead = f"{judged.difference:+.3f}<small>{low:+.3f} to {high:+.3f}</small>".replace("-", "−")
    word = f'<span class="word {judged.colour}"><i>{sign}</i> {word}</span>'
    rival = one.indicator == THRESHOLD_SHIFT
    cells = [
        "" if rival else word,
        f"{numbers.auroc:.3f}",
        "" if rival else "–" if math.isnan(low) else lead,
        *(good_parts_at(one.points, r) for r in (recall, *ALWAYS)),
        *(f"{value:.3f}" for value in (numbers.aupr, numbers.aurc, numbers.augrc)),
    ]
    kind = "rival" if rival else "ours" if chosen else ""
    return kind, escape(capital(indicator_name(one.indicator))), cells
