"""Decide, 1: is the indicator worth it? Its verdict, all indicators, and the seal of the images."""

from functools import partial

import streamlit as st

from dashboard.cache import BY_KEY
from dashboard.chart import Drawing, chart, drawing
from dashboard.sealed_roles import opened_sentence, seal_button
from trust_core.decision.curves import scored
from trust_core.decision.indicator_verdicts import (
    IndicatorVerdict,
    has_verdicts,
    indicator_verdicts,
)
from trust_core.decision.indicators.registry import DEFAULT_INDICATOR
from trust_core.decision.journal import open_seals
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.proposal import propose_indicator
from trust_core.decision.verdict import Verdict, verdict
from trust_core.figures import decide
from trust_core.figures.decide import few_verdicts
from trust_core.figures.words.numbers import share
from trust_core.storage.audit_files import Audit

TEST = "test"
WAITING = '<div class="waiting">Comparing every indicator on these photos …</div>'
PREVIEW = (
    "A preview on the photos for choosing: the strength and the threshold were also chosen on "
    "them, which flatters the indicator. The verdict is made on the sealed photos of test."
)


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=BY_KEY)
def cached_verdict(
    audit: Audit, role: str, indicator: str, strength: float, recall: float
) -> Verdict:
    """The verdict on one indicator, its costs at `recall`."""
    return verdict(scored(audit, [role], indicator, strength), recall)


def verdict_basis(audit: Audit, role: str) -> str:
    """Which images the verdict rests on."""
    return opened_sentence(audit, [role]) if role == TEST else PREVIEW


def ask_for_verdict(audit: Audit) -> None:
    """Open the seal of the images that judge, on a deliberate click."""
    with st.container(border=True, key="seal-verdict"):
        act = partial(open_seals, audit, [TEST], "the verdict on the indicator was looked at")
        sure, button = "My choice is made: open the photos of test", "Open the seal for the verdict"
        seal_button("verdict", sure, button, act, "secondary")
        st.caption("Opening is noted in the audit, with your name and the time.")


def chosen_verdicts(
    audit: Audit, role: str, point: OperatingPoint, *, every: bool
) -> list[IndicatorVerdict]:
    """Every indicator, or the few: shown, proposed, IoU difference, best of the others."""
    verdicts = indicator_verdicts(audit, role, point.strength)
    named = (point.indicator, propose_indicator(audit).indicator, DEFAULT_INDICATOR)
    return verdicts if every else few_verdicts(verdicts, named)


def draw_indicators(
    audit: Audit, role: str, point: OperatingPoint, recall: float, *, every: bool
) -> None:
    """Indicators on one chart; its place is held while they are compared for the first time."""
    place = st.empty()
    if not has_verdicts(audit, role, point.strength):
        place.html(WAITING)
    figure = _figure(audit, role, point, recall, every)
    with place.container():
        chart(
            figure,
            key="contenders",
            alt="How much better than threshold shift each indicator ranks "
            "missed defects, with its 95 % interval, and the good photos it re-inspects.",
        )


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=BY_KEY)
def _figure(audit: Audit, role: str, point: OperatingPoint, recall: float, every: bool) -> Drawing:
    verdicts = chosen_verdicts(audit, role, point, every=every)
    rows = list(decide.indicator_rows(verdicts, point.indicator, recall))
    title = f"Good photos re-inspected<br>to catch {share(recall)}"
    return drawing(decide.contenders(rows, title))
