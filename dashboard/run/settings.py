"""Run, step 4: how images are scored. Good as it is, and mostly folded away."""

import streamlit as st

from dashboard import shell
from dashboard.run import form
from dashboard.run.cache import Facts
from trust_core.audit.settings import AuditSettings
from trust_core.errors import TrustError
from trust_core.explanation.cams import AGNOSTIC, SPECIFIC
from trust_core.explanation.evidence.heatmaps import EVIDENCE_FORM
from trust_core.explanation.perturbation import DIRECTIONS

TOWARDS = {"toward_defect": "towards a defect", "toward_good": "towards good"}


def choose_settings(facts: Facts | None) -> AuditSettings | None:
    """Draw the step; None while a value means nothing."""
    usual = AuditSettings()
    st.text_input(
        "Adversarial strengths",
        placeholder=", ".join(f"{strength:g}" for strength in usual.strengths),
        key=form.STRENGTHS,
        bind="query-params",
        help="How far every pixel is nudged, in steps of 1/255, before the detector is asked "
        "again. Each one more takes one more pass over the parts called good.",
    )
    with st.expander("More settings"):
        left, middle, right = st.columns(3, gap="large")
        with left:
            _choice("Nudged", form.DIRECTION, list(DIRECTIONS), usual.direction, TOWARDS)
            _text(
                "Steps of the nudge",
                form.PGD,
                str(usual.pgd_steps),
                "In how many small steps every pixel is nudged. 1 is the fast way.",
            )
        with middle:
            _choice(
                "Map for one class",
                form.SPECIFIC,
                [*SPECIFIC, EVIDENCE_FORM],
                usual.specific[0],
                meaning="How the evidence for a defect, and for a good part, is drawn.",
            )
            _choice(
                "Map for any class",
                form.AGNOSTIC,
                [*AGNOSTIC, EVIDENCE_FORM],
                usual.agnostic[0],
                meaning="How it is drawn where the network looks, whatever it decides.",
            )
            _text(
                "Mask of a map",
                form.MASK,
                usual.mask,
                "The area of a map that is compared: half = above half of its range, top:0.2 = its "
                "strongest fifth, otsu = split where its values divide best.",
            )
        with right:
            _layer(facts)
            _text(
                "Decision threshold",
                form.THRESHOLD,
                f"{usual.decision_threshold:g}",
                "A part is called defective when its defect probability is at least this.",
            )
            st.toggle("Decide by the largest output instead", key=form.ARGMAX, bind="query-params")
    try:
        return form.settings()
    except TrustError as problem:
        shell.show_error(problem)
        return None


def _choice(
    label: str,
    key: str,
    options: list[str],
    usual: str,
    names: dict[str, str] | None = None,
    meaning: str | None = None,
) -> None:
    names = names or {}
    st.selectbox(
        label,
        options,
        index=None,
        key=key,
        format_func=lambda option: names.get(option, option),
        placeholder=names.get(usual, usual),
        help=meaning,
        bind="query-params",
    )


def _text(label: str, key: str, usual: str, meaning: str) -> None:
    st.text_input(label, placeholder=usual, key=key, help=meaning, bind="query-params")


def _layer(facts: Facts | None) -> None:
    if facts is None:
        _choice("Layer that is explained", form.LAYER, [], "chosen by rule")
        return
    rows, columns = facts.preprocessing.size
    grids = {
        name: f"{name} ({height}×{width} cells at {rows}×{columns})"
        for name, (_, height, width) in facts.layers.items()
    }
    _choice("Layer that is explained", form.LAYER, list(grids), facts.layer, grids)
