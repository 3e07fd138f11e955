"""Decide: the verdict on one indicator, in words, and the seal of the images that judge it."""

import math
from functools import partial

import streamlit as st

from dashboard.sealed_roles import opened_sentence, seal_button
from trust_core.decision.curves import scored
from trust_core.decision.indicators.registry import SHIFT_NAME, THRESHOLD_SHIFT, indicator_name
from trust_core.decision.journal import open_seals
from trust_core.decision.verdict import AMBER, GREEN, LEAST_GROUPS, RED, Verdict, verdict
from trust_core.figures.words import capital, count, counted, of, share
from trust_core.storage.audit_files import Audit

TEST = "test"
# Colour, sign and word: a verdict is never told by one of them alone.
VERDICTS = {GREEN: ("▲", "Better"), AMBER: ("●", "Not decided"), RED: ("▼", "Worse")}
PREVIEW = (
    "A preview on the images for choosing: the strength and the threshold were also chosen on "
    "them, which flatters the indicator. The verdict is made on the sealed images of test."
)


@st.cache_data(max_entries=64, show_spinner=False)
def cached_verdict(
    _audit: Audit, key: str, role: str, indicator: str, strength: float, recall: float
) -> Verdict:
    """The verdict on one indicator, its costs at `recall`; `key` is the audit's."""
    return verdict(scored(_audit, [role], indicator, strength), recall)


def badge(judged: Verdict, role: str) -> str:
    """The verdict as a sign, a word and a colour; a preview says so."""
    sign, word = VERDICTS[judged.colour]
    preview = "" if role == TEST else " preview"
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
    """Good parts that both ask for at the wanted recall."""
    if math.isnan(judged.tn_loss):
        return ""
    mine, rival = (round(loss * judged.tn) for loss in (judged.tn_loss, judged.tn_loss_shift))
    return (
        f"To catch {share(judged.recall)} of {counted(judged.fn, 'missed defects')} it re-inspects "
        f"{of(mine, judged.tn, 'good parts')}, {SHIFT_NAME} {count(rival)}."
    )


def ranking_sentence(judged: Verdict) -> str:
    """What the verdict rests on: how often a pair is ranked right, and the interval of the lead."""
    mine, rival = judged.indicator.auroc, judged.threshold_shift.auroc
    if math.isnan(judged.difference) or math.isnan(judged.interval[0]):
        return ""
    low, high = (f"{100 * end:+.1f}" for end in judged.interval)
    return (
        f"Of 100 pairs of a missed defect and a good part it ranks {100 * mine:.1f} right, "
        f"{SHIFT_NAME} {100 * rival:.1f}: a lead of {100 * judged.difference:+.1f}, 95 % sure "
        f"between {low} and {high}."
    ).replace("-", "−")


def verdict_basis(audit: Audit, role: str) -> str:
    """Which images the verdict rests on."""
    return opened_sentence(audit, [role]) if role == TEST else PREVIEW


def ask_for_verdict(audit: Audit) -> None:
    """Open the seal of the images that judge, on a deliberate click."""
    with st.container(border=True, key="seal-verdict"):
        act = partial(open_seals, audit, [TEST], "the verdict on the indicator was looked at")
        sure, button = "I have chosen, and want test opened", "Open the seal for the verdict"
        seal_button("verdict", sure, button, act, "secondary")
        st.caption("Opening is noted in the audit, with your name and the time.")
