"""Decide, 3: what is proven. The certificate, and what it would take."""

import math
from functools import partial
from html import escape

import streamlit as st

from dashboard.chart import Drawing, chart, drawing
from dashboard.markup import table
from dashboard.sealed_roles import seal_button
from trust_core.decision.bootstrap import Interval
from trust_core.decision.certificate import Budget, Demand, needed, plan, proven
from trust_core.decision.certify import (
    Certificate,
    ChosenIndicator,
    IndicatorProof,
    ThresholdEffect,
    certify,
    choose_indicator,
    compute_certificate,
    missed_groups,
)
from trust_core.decision.indicators.registry import SHIFT_NAME, THRESHOLD_SHIFT, indicator_name
from trust_core.decision.journal import SEALED, closed_seals, entries
from trust_core.decision.operating_point import OperatingPoint
from trust_core.figures import decide
from trust_core.figures.words import brief_threshold, capital, count, counted, moment, of, share
from trust_core.storage.audit_files import Audit

WORTHLESS = 0.8  # loss of good parts above which a proof says little more than flagging all
OVERLOOKED = 2  # curves of the planner, beside that of none
HEADS = (
    "",
    "Threshold",
    "Missed parts caught, on certify",
    "Good parts re-inspected, on certify",
    "Missed defects caught, on test",
    "Good parts re-inspected, on test",
)


def chosen_indicator(audit: Audit, point: OperatingPoint) -> ChosenIndicator:
    """The indicator and strength in the URL as what is certified, with the reason they have."""
    usual = choose_indicator(audit)
    if (usual.indicator, usual.strength) == (point.indicator, point.strength):
        return usual
    return choose_indicator(audit, point.indicator, point.strength)


def certificate(
    audit: Audit, wanted: Demand | Budget, chosen: ChosenIndicator
) -> Certificate | None:
    """What is proven; None while a seal is closed."""
    if closed_seals(audit, SEALED):
        return None
    return _certificate(audit, audit.key, len(entries(audit)), wanted, chosen)


@st.cache_data(max_entries=64, show_spinner=False)
def _certificate(
    _audit: Audit, key: str, decided: int, wanted: Demand | Budget, chosen: ChosenIndicator
) -> Certificate:
    return compute_certificate(_audit, wanted, chosen)


def ask_for_proof(audit: Audit, demand: Demand, chosen: ChosenIndicator) -> None:
    """What lies sealed, what it could prove, and the deliberate act of opening it."""
    have = missed_groups(audit, "certify")
    roles = " and ".join(closed_seals(audit, SEALED))
    with st.container(border=True, key="seal-proof"):
        st.html(
            f"<p><b>{forecast_sentence(have, needed(demand), demand.recall)}</b></p><p>A proof "
            "holds for the indicator that was chosen before the sealed images were seen: now "
            f"{escape(indicator_name(chosen.indicator))} at strength {chosen.strength:g}. Opening "
            f"the images kept for {roles} is noted in the audit, with your name and the time, and "
            "stands on the certificate.</p>"
        )
        sure = f"I have chosen, and want {roles} opened"
        seal_button("proof", sure, "Prove it", partial(certify, audit, demand, chosen))


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
    return "" if effect.flagged_tn is None else of(effect.flagged_tn, effect.tn, "good parts")


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
        threshold = "flags only the unscored" if unscored else brief_threshold(proof.threshold)
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
    if math.isnan(low) or low == high:  # a bootstrap of all caught is a point: it says nothing
        return text
    return f"{text}<small>{100 * low:.0f} to {100 * high:.0f} %</small>"


def seals_sentence(proof: Certificate) -> str:
    """Who opened what, as HTML, and whether the choice came first."""
    seals = "; ".join(
        f"{seal.role} on {moment(seal.when)} by {escape(seal.who)}" for seal in proof.seals
    )
    first = (
        "The indicator was chosen before the sealed images were seen."
        if proof.chosen_blind
        else "The journal does not show that this indicator was chosen before the sealed images "
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
        f"{share(demand.recall)}, {share(demand.confidence)} sure, takes {count(wanted[0])} missed "
        f"parts if none is overlooked, {rest}. {stand} Hatched: cannot be proven."
    )


def draw_plan(demand: Demand, have: int) -> None:
    """What a number of missed parts proves."""
    chart(
        _plan(demand, have),
        key="plan",
        alt="The share of missed parts that can be proven to be caught, over the number of missed "
        "parts it is proven on. Above the hatched border nothing can be proven.",
    )


@st.cache_data(max_entries=64, show_spinner=False)
def _plan(demand: Demand, have: int) -> Drawing:
    return drawing(decide.provable_recall(demand, have, range(OVERLOOKED + 1)))
