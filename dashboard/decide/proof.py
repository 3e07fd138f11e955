"""Decide, 3: what is proven. The certificate, and what it would take."""

import math
from html import escape

import streamlit as st

from dashboard.chart import chart
from dashboard.decide.words import brief, called, capital, foretold, share
from dashboard.shell import show_error
from dashboard.words import count, counted, moment, of
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
from trust_core.decision.indicators.registry import THRESHOLD_SHIFT
from trust_core.decision.journal import SEALED, closed_seals, entries
from trust_core.decision.operating_point import OperatingPoint
from trust_core.errors import TrustError
from trust_core.figures import decide
from trust_core.storage.audit_files import Audit

WORTHLESS = 0.8  # loss of good parts above which a proof says little more than flagging all
OVERLOOKED = 2  # curves of the planner, beside that of none


def choice_of(audit: Audit, point: OperatingPoint) -> ChosenIndicator:
    """The indicator and strength in the URL as what is certified, with the reason they have."""
    usual = _usual(audit, audit.key, len(entries(audit)))
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
def _usual(_audit: Audit, key: str, decided: int) -> ChosenIndicator:
    return choose_indicator(_audit)


@st.cache_data(max_entries=64, show_spinner=False)
def _certificate(
    _audit: Audit, key: str, decided: int, wanted: Demand | Budget, chosen: ChosenIndicator
) -> Certificate:
    return compute_certificate(_audit, wanted, chosen)


def ask_to_prove(audit: Audit, demand: Demand, chosen: ChosenIndicator) -> None:
    """What lies sealed, what it could prove, and the deliberate act of opening it."""
    have = missed_groups(audit, "certify")
    roles = " and ".join(closed_seals(audit, SEALED))
    with st.container(border=True, key="seal-proof"):
        least = needed(demand)
        st.html(
            f"<p><b>{foretold(have, least, demand.recall)}</b></p><p>A proof holds for the "
            f"indicator that was chosen before the sealed images were seen: now "
            f"{escape(called(chosen.indicator))} at strength {chosen.strength:g}. Opening the "
            f"images kept for {roles} is noted in the audit, with your name and the time, and "
            "stands on the certificate.</p>"
        )
        sure = st.checkbox(f"I have chosen, and want {roles} opened", key="proof-sure")
        if st.button("Prove it", disabled=not sure, key="proof-open", type="primary"):
            try:
                certify(audit, demand, chosen)
                st.rerun()
            except TrustError as problem:
                show_error(problem)


def price_sentence(told: Certificate) -> str:
    """What the certified threshold costs, beside the one that threshold shift can certify."""
    if not told.certified:
        return ""
    mine, shift = (_lost(proof.test) for proof in (told.ours, told.threshold_shift))
    if told.chosen.indicator == THRESHOLD_SHIFT or not shift:
        return f"It re-inspects {mine} of test." if mine else ""
    said = f"It re-inspects {mine} of test; {called(THRESHOLD_SHIFT)} proves the same with {shift}."
    if (told.ours.test.tn_loss or 0) > WORTHLESS:
        said += " Flagging every part would prove it too: such a proof is worth little."
    return said


def _lost(effect: ThresholdEffect) -> str:
    return "" if effect.flagged_tn is None else of(effect.flagged_tn, effect.tn, "good parts")


def proof_table(told: Certificate) -> str:
    """The certified threshold beside that of threshold shift, as HTML."""
    rows = [("ours", called(told.chosen.indicator), told.ours)]
    if told.chosen.indicator != THRESHOLD_SHIFT:
        rows.append(("rival", called(THRESHOLD_SHIFT), told.threshold_shift))
    heads = (
        "", "Threshold", "Missed parts caught, on certify", "Good parts re-inspected, on certify",
        "Missed defects caught, on test", "Good parts re-inspected, on test",
    )  # fmt: skip
    body = ""
    for kind, name, part in rows:
        proof = part.proof
        cells = [
            _threshold(part),
            of(proof.caught, proof.groups, "parts") if proof.certified else "–",
            _good(part.certify),
            _missed(part.test),
            _good(part.test),
        ]
        inside = "".join(f"<td>{cell}</td>" for cell in cells)
        body += f'<tr class="{kind}"><th>{capital(name)}</th>{inside}</tr>'
    head = "".join(f"<th>{text}</th>" for text in heads)
    return (
        f'<div class="wide"><table class="numbers"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _threshold(part: IndicatorProof) -> str:
    threshold = part.proof.threshold
    if threshold is None:
        return "cannot be certified"
    return "flags only the unscored" if math.isinf(threshold) else brief(threshold)


def _good(effect: ThresholdEffect) -> str:
    return _counted(effect.flagged_tn, effect.tn, effect.tn_loss_interval)


def _missed(effect: ThresholdEffect) -> str:
    return _counted(effect.flagged_fn, effect.fn, effect.fn_recall_interval)


def _counted(flagged: int | None, total: int, interval: Interval | None) -> str:
    """`74 of 555` with its interval; a dash where nothing was measured."""
    if flagged is None or interval is None or not total:
        return "–"
    low, high = interval
    told = f"<b>{count(flagged)}</b> of {count(total)}"
    if math.isnan(low) or low == high:  # a bootstrap of all caught is a point: it says nothing
        return told
    return f"{told}<small>{100 * low:.0f} to {100 * high:.0f} %</small>"


def seals_sentence(told: Certificate) -> str:
    """Who opened what, as HTML, and whether the choice came first."""
    seals = "; ".join(
        f"{seal.role} on {moment(seal.when)} by {escape(seal.who)}" for seal in told.seals
    )
    first = (
        "The indicator was chosen before the sealed images were seen."
        if told.chosen_blind
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
    if not have:
        stand = "You have none yet."
    else:
        best = proven(have, have, demand.confidence)
        stand = (
            f"You have {counted(have, 'missed parts')} for it: all of them caught would prove "
            f"{int(1000 * best) / 10:g} %."
        )
    return (
        f"{share(demand.recall)}, {share(demand.confidence)} sure, takes {count(wanted[0])} missed "
        f"parts if none is overlooked, {rest}. {stand} Hatched: cannot be proven."
    )


def draw_plan(demand: Demand, have: int) -> None:
    """What a number of missed parts proves."""
    text, height = _plan(demand, have)
    chart(
        text,
        height,
        key="plan",
        alt="The share of missed parts that can be proven to be caught, over the number of missed "
        "parts it is proven on. Above the hatched border nothing can be proven.",
    )


@st.cache_data(max_entries=64, show_spinner=False)
def _plan(demand: Demand, have: int) -> tuple[str, int]:
    figure = decide.collected(demand, have, range(OVERLOOKED + 1))
    return figure.to_json(validate=False), int(figure.layout.height)
