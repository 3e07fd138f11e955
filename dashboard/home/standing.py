"""Home's first lines: whether a second look is worth it, what to do, and what it would catch."""

import threading
from dataclasses import replace
from html import escape

import streamlit as st

from dashboard.decide.requirements import read_requirements
from dashboard.shell import fragment
from dashboard.terms import write_html
from dashboard.url_state import POINT, TUNE, leading_in_url
from trust_core.decision.certify import point_to_certify
from trust_core.decision.journal import SEALED, closed_seals
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.proposal import is_proposed
from trust_core.decision.standing import Standing, has_standing, leading_point, standing
from trust_core.figures.words import standing as words
from trust_core.figures.words.markup import bold_numbers, quiet
from trust_core.figures.words.recommendation import recommend
from trust_core.storage.audit_files import Audit

LARGE = 50_000  # images: above it the standing is computed beside the page
POLL_SECONDS = 1.0
WAITING = "Comparing the indicators on the photos for choosing …"

_computing: dict[str, threading.Thread] = {}


def show_standing(audit: Audit) -> OperatingPoint | None:
    """The verdict as it stands, the action, the catch; None while they are computed."""
    if _is_ready(audit):
        point = leading_in_url(audit)
        stands = standing(audit, point)
        _draw(audit, stands)
        return replace(point, role=stands.role)
    fragment(_wait, run_every=POLL_SECONDS)(audit)
    return None


def point_query(point: OperatingPoint | None) -> dict[str, object]:
    """Query parameters of links that lead to the same numbers on other pages."""
    if point is None:
        return {}
    query = {key: getattr(point, name) for name, key in POINT.items()}
    return query | {"role": None if point.role == TUNE else point.role}


def _draw(audit: Audit, stands: Standing) -> None:
    text, bars = st.columns((3, 2), gap="large")
    action, proof = words.action_sentence(stands), None
    if not closed_seals(audit, SEALED):
        from dashboard.decide.proof import certificate  # brings charts

        demand = read_requirements(audit).demand  # as on Decide and Deploy
        proof = certificate(audit, demand, point_to_certify(audit, stands.point))
    if proof:
        action = recommend(stands.point, stands.judged, proof).sentence
    with text:
        write_html(words.state_badge(stands))
        write_html(
            f'<div class="finding"><h1>{bold_numbers(words.state_sentence(stands))}</h1>'
            f'<p class="action">{escape(action)}</p>'
            f"<p>{escape(words.catch_sentence(stands))}</p></div>"
        )
    with bars:
        write_html(words.catch_bars(stands.counts, stands.point.indicator))
        for say in (words.basis_sentence, words.missed_sentence, words.proposal_sentence):
            if note := say(stands):
                write_html(quiet(escape(note)))
        if said := words.chosen_sentence(stands.chosen):
            write_html(f'<p class="statement">{escape(said)}</p>')
        if proof:
            write_html(f'<p class="statement second">{escape(proof.sentence)}</p>')


def _is_ready(audit: Audit) -> bool:
    """Whether the page can be drawn at once; what is not computed yet, is begun."""
    if (audit.manifest.timings.images or 0) <= LARGE:
        return True
    if is_proposed(audit) and has_standing(audit, leading_in_url(audit)):
        return True
    thread = _computing.get(audit.key)
    if thread is None:
        # The URL belongs to this session; the thread computes what a first look shows.
        thread = threading.Thread(target=lambda: standing(audit, leading_point(audit)), daemon=True)
        _computing[audit.key] = thread
        thread.start()
    return not thread.is_alive()


def _wait(audit: Audit) -> None:
    if _is_ready(audit):
        st.rerun()
    write_html(f'<div class="finding"><h1>{escape(WAITING)}</h1></div>')
