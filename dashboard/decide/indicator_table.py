"""Decide, 1: is the indicator worth it? Each one against just lowering the decision threshold."""

import math
from collections.abc import Iterator
from html import escape

import streamlit as st

from dashboard.chart import chart
from dashboard.decide.words import VERDICTS, again_at, called, capital, share
from trust_core.decision.certify import has_same_ranking
from trust_core.decision.curves import scored, tradeoff
from trust_core.decision.indicator_verdicts import IndicatorVerdict, indicator_verdicts, is_kept
from trust_core.decision.indicators.registry import DEFAULT_INDICATOR, THRESHOLD_SHIFT, absent
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.verdict import SAME_RANKING, Verdict, verdict
from trust_core.figures import decide
from trust_core.figures.decide import Contender
from trust_core.storage.audit_files import Audit

OVERLAPS = (DEFAULT_INDICATOR, "iou_difference_shift", "best_overlap", "overlap_profile")
HERE = "“Try every choice”, below, adds them once test is opened"
WAITING = "Comparing every indicator on these images …"
ALWAYS = (0.8, 0.9, 1.0)  # recalls of the table, beside the wanted one

# What is left of the IoU difference when a piece of it is taken away.
ABLATIONS = {
    "iou_difference_clean": "without the perturbation",
    "log_odds": "without the heatmaps, perturbed",
    "log_odds_shift": "without the heatmaps, change only",
    "iou_defect": "without the good map",
    "good_disagreement": "without the defect map",
    "iou_random": "with a random map instead",
    "defect_area": "area of the defect map only",
    "defect_entropy": "scatter of the defect map only",
}


@st.cache_data(max_entries=64, show_spinner=False)
def cached_verdict(
    _audit: Audit, key: str, role: str, indicator: str, strength: float, recall: float
) -> Verdict:
    """The verdict on one indicator, its costs at `recall`; `key` is the audit's."""
    return verdict(scored(_audit, [role], indicator, strength), recall)


def badge(judged: Verdict, role: str) -> str:
    """The verdict as a sign, a word and a colour; a preview says so."""
    sign, word = VERDICTS[judged.colour]
    if role != "test":
        word = f"Preview: {word.lower()}"
    kind = "" if role == "test" else " preview"
    return f'<span class="verdict {judged.colour}{kind}"><i>{sign}</i>{word}</span>'


def _lead(difference: float, low: float, high: float) -> str:
    told = f"{difference:+.3f}<small>{low:+.3f} to {high:+.3f}</small>"
    return "–" if math.isnan(low) else told.replace("-", "−")


def _word(judged: Verdict) -> str:
    sign, word = VERDICTS[judged.colour]
    return f'<span class="word {judged.colour}"><i>{sign}</i> {word}</span>'


def two_costs(audit: Audit, role: str, point: OperatingPoint, recall: float) -> str:
    """Good parts re-inspected for the wanted recall, by the indicator and by its rival, as HTML."""
    scores = tradeoff(audit, point.indicator, role)
    if not scores.shift.fn:
        return "<p class='above'>No defect was missed among these images.</p>"
    rows = [("rival", called(THRESHOLD_SHIFT), scores.shift)]
    if point.indicator != THRESHOLD_SHIFT:
        rows.insert(0, ("ours", called(point.indicator), scores.curves[point.strength]))
    body = "".join(
        f'<tr class="{kind}"><th>{escape(capital(name))}</th>'
        f"<td><b>{again_at(points, recall)}</b></td></tr>"
        for kind, name, points in rows
    )
    return (
        f"<p class='above'>Good parts re-inspected to catch {share(recall)} of the "
        f"{scores.shift.fn:,} missed defects</p><table class='weighed'>{body}</table>"
    )


def draw_all(audit: Audit, role: str, point: OperatingPoint, recall: float) -> None:
    """All indicators on one chart; its place is held while they are compared for the first time."""
    at = (role, point.indicator, point.strength, recall)
    place = st.empty()
    if not is_kept(audit, role, point.strength):
        place.html(f'<div class="waiting">{WAITING}</div>')
    text, height = _contenders(audit, audit.key, *at)
    with place.container():
        chart(
            text,
            height,
            key="contenders",
            alt="How much better than just lowering the decision threshold each indicator ranks "
            "missed defects, with its 95 % interval, and the good parts it re-inspects.",
        )


def table(audit: Audit, role: str, point: OperatingPoint, recall: float) -> str:
    """All numbers of all indicators as HTML."""
    heads = (
        "", "Against the lowered threshold", "Pairs ranked right (AUROC)", "Lead, 95 % interval",
        *(f"Good parts for {share(r)}" for r in (recall, *ALWAYS)),
        "Average precision", "AURC", "AUGRC",
    )  # fmt: skip
    body = "".join(_row(one, one.indicator == point.indicator, recall)
                   for one in indicator_verdicts(audit, role, point.strength))  # fmt: skip
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    return (
        f'<div class="wide"><table class="numbers"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def left_out(audit: Audit) -> list[str]:
    """Sentences on the indicators that are not in the chart."""
    why: dict[str, list[str]] = {}
    for name, reason in absent(audit).items():
        reason = HERE if "autotune" in reason else reason
        why.setdefault(reason, []).append(called(name))
    told = [
        f"Not in this audit: {', '.join(names)} ({reason}).".replace("`", "")
        for reason, names in why.items()
    ]
    return [SAME_RANKING] * has_same_ranking(audit) + told


def _row(one: IndicatorVerdict, chosen: bool, recall: float) -> str:
    judged, numbers = one.verdict, one.verdict.indicator
    rival = one.indicator == THRESHOLD_SHIFT
    cells = [
        "" if rival else _word(judged),
        f"{numbers.auroc:.3f}",
        "" if rival else _lead(judged.difference, *judged.interval),
        *(again_at(one.points, r) for r in (recall, *ALWAYS)),
        *(f"{value:.3f}" for value in (numbers.aupr, numbers.aurc, numbers.augrc)),
    ]
    kind = "rival" if rival else "ours" if chosen else ""
    body = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr class="{kind}"><th>{escape(capital(called(one.indicator)))}</th>{body}</tr>'


@st.cache_data(max_entries=64, show_spinner=False)
def _contenders(
    _audit: Audit, key: str, role: str, indicator: str, strength: float, recall: float
) -> tuple[str, int]:
    everyone = indicator_verdicts(_audit, role, strength)
    rows = list(_grouped(everyone, indicator, recall))
    title = f"Good parts re-inspected<br>to catch {share(recall)}"
    figure = decide.contenders(rows, title)
    return figure.to_json(validate=False), int(figure.layout.height)


def _grouped(
    everyone: list[IndicatorVerdict], indicator: str, recall: float
) -> Iterator[Contender]:
    """Δ first, then what is left of it without one of its pieces, then all other indicators."""
    rivals = [one for one in everyone if one.indicator != THRESHOLD_SHIFT]
    known = {*OVERLAPS, *ABLATIONS}
    groups = {
        "Where the heatmaps overlap": [o for o in rivals if o.indicator in OVERLAPS],
        "IoU difference, a piece taken away": [o for o in rivals if o.indicator in ABLATIONS],
        "Other ways": [o for o in rivals if o.indicator not in known],
    }
    for heading, members in groups.items():
        if members:
            yield Contender(heading)
        for one in members:
            name = ABLATIONS.get(one.indicator, called(one.indicator))
            yield Contender(
                label=capital(name),
                colour=one.verdict.colour,
                difference=one.verdict.difference,
                low=one.verdict.interval[0],
                high=one.verdict.interval[1],
                cost=again_at(one.points, recall),
                chosen=one.indicator == indicator,
            )
    shift = next((o for o in everyone if o.indicator == THRESHOLD_SHIFT), None)
    if shift:
        name = capital(called(THRESHOLD_SHIFT))
        yield Contender(name, difference=0.0, cost=again_at(shift.points, recall))
