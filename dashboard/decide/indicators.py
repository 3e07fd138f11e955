"""Decide, 1: is the indicator worth it? Each one against just lowering the decision threshold."""

import math
from collections.abc import Iterator
from html import escape

import streamlit as st

from dashboard.chart import Drawing, chart, drawing
from dashboard.decide.verdict import VERDICTS
from dashboard.markup import table
from trust_core.decision.certify import has_same_ranking
from trust_core.decision.curves import tradeoff
from trust_core.decision.indicator_verdicts import IndicatorVerdict, indicator_verdicts, is_kept
from trust_core.decision.indicators.registry import (
    DEFAULT_INDICATOR,
    SHIFT_NAME,
    THRESHOLD_SHIFT,
    absent,
    indicator_name,
)
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.verdict import SAME_RANKING
from trust_core.figures import decide
from trust_core.figures.decide import Contender
from trust_core.figures.words import capital, good_parts_at, share
from trust_core.storage.audit_files import Audit

OVERLAPS = (DEFAULT_INDICATOR, "iou_difference_shift", "best_overlap", "overlap_profile")
HERE = "“Try every choice”, below, adds them once test is opened"
WAITING = '<div class="waiting">Comparing every indicator on these images …</div>'
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


def cost_table(audit: Audit, role: str, point: OperatingPoint, recall: float) -> str:
    """Good parts re-inspected for the wanted recall, by the indicator and by its rival, as HTML."""
    scores = tradeoff(audit, point.indicator, role)
    if not scores.shift.fn:
        return '<p class="above">No defect was missed among these images.</p>'
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
        f'<p class="above">Good parts re-inspected to catch {share(recall)} of the '
        f"{scores.shift.fn:,} missed defects</p>{counts}"
    )


def draw_indicators(audit: Audit, role: str, point: OperatingPoint, recall: float) -> None:
    """All indicators on one chart; its place is held while they are compared for the first time."""
    place = st.empty()
    if not is_kept(audit, role, point.strength):
        place.html(WAITING)
    figure = _figure(audit, audit.key, role, point.indicator, point.strength, recall)
    with place.container():
        chart(
            figure,
            key="contenders",
            alt="How much better than just lowering the decision threshold each indicator ranks "
            "missed defects, with its 95 % interval, and the good parts it re-inspects.",
        )


def indicator_table(audit: Audit, role: str, point: OperatingPoint, recall: float) -> str:
    """All numbers of all indicators as HTML."""
    heads = (
        "", "Against the lowered threshold", "Pairs ranked right (AUROC)", "Lead, 95 % interval",
        *(f"Good parts for {share(r)}" for r in (recall, *ALWAYS)),
        "Average precision", "AURC", "AUGRC",
    )  # fmt: skip
    rows = [
        _row(one, one.indicator == point.indicator, recall)
        for one in indicator_verdicts(audit, role, point.strength)
    ]
    return f'<div class="wide">{table("numbers", rows, heads)}</div>'


def absent_sentences(audit: Audit) -> list[str]:
    """Sentences on the indicators that are not in the chart."""
    names: dict[str, list[str]] = {}
    for name, reason in absent(audit).items():
        reason = HERE if "autotune" in reason else reason.replace("`", "")
        names.setdefault(reason, []).append(indicator_name(name))
    sentences = [f"Not in this audit: {', '.join(of)} ({why})." for why, of in names.items()]
    return [SAME_RANKING] * has_same_ranking(audit) + sentences


def _row(one: IndicatorVerdict, chosen: bool, recall: float) -> tuple[str, str, list[str]]:
    judged, numbers = one.verdict, one.verdict.indicator
    sign, word = VERDICTS[judged.colour]
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


@st.cache_data(max_entries=64, show_spinner=False)
def _figure(
    _audit: Audit, key: str, role: str, indicator: str, strength: float, recall: float
) -> Drawing:
    rows = list(_rows(indicator_verdicts(_audit, role, strength), indicator, recall))
    title = f"Good parts re-inspected<br>to catch {share(recall)}"
    return drawing(decide.contenders(rows, title))


def _rows(verdicts: list[IndicatorVerdict], indicator: str, recall: float) -> Iterator[Contender]:
    """Δ first, then what is left of it without a piece, then all others; the rival is the last."""
    rivals = [one for one in verdicts if one.indicator != THRESHOLD_SHIFT]
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
            yield Contender(
                capital(ABLATIONS.get(one.indicator, indicator_name(one.indicator))),
                one.verdict.colour,
                one.verdict.difference,
                *one.verdict.interval,
                cost=good_parts_at(one.points, recall),
                chosen=one.indicator == indicator,
            )
    for one in verdicts:
        if one.indicator == THRESHOLD_SHIFT:
            cost = good_parts_at(one.points, recall)
            yield Contender(capital(SHIFT_NAME), difference=0.0, cost=cost)
