"""Run: the settings of the network's input (step 3) and of the scores (step 4, mostly folded)."""

import streamlit as st

from dashboard import shell
from dashboard.run import form
from trust_core.audit.options import OPTIONS, Option, find, plain_choices
from trust_core.audit.settings import AuditSettings
from trust_core.errors import TrustError
from trust_core.explanation.cams import AGNOSTIC, SPECIFIC
from trust_core.explanation.map_forms import EVIDENCE_FORM
from trust_core.model.facts import ModelFacts
from trust_core.model.preprocessing import Preprocessing

FORMS = {
    "specific": plain_choices([*SPECIFIC, EVIDENCE_FORM]),
    "agnostic": plain_choices([*AGNOSTIC, EVIDENCE_FORM]),
}


def choose_input(rule: Preprocessing) -> None:
    """Draw the fields of the network's input; what is left open is by rule."""
    st.markdown("**How were photos prepared when the network was trained?**")
    options = OPTIONS["input"]
    for start in range(0, len(options), 2):
        for option, column in zip(options[start : start + 2], st.columns(2), strict=False):
            with column:
                form.field(option, _usual(option, getattr(rule, option.name)))
    st.caption(
        "Grey text is what is taken unless you say otherwise. Whoever trained the network knows."
    )


def choose_settings(facts: ModelFacts | None) -> AuditSettings | None:
    """Draw the step; None while a value means nothing."""
    strengths, *options = (option for option in OPTIONS["score"] if option.key)
    usual = vars(AuditSettings())
    form.field(strengths, _usual(strengths, usual["strengths"]))
    with st.expander("More settings"):
        left, middle, right = st.columns(3, gap="large")
        with right:
            _choose_layer(facts)
        for index, option in enumerate(options):
            with left if index < 2 else middle if index < 5 else right:
                form.field(option, _usual(option, usual.get(option.name)), FORMS.get(option.name))
    try:
        return form.audit_settings()
    except TrustError as problem:
        shell.show_error(problem)
        return None


def _choose_layer(facts: ModelFacts | None) -> None:
    if facts is None:
        form.field(find("layers"), "chosen by rule", {})
        return
    rows, columns = facts.preprocessing.size
    grids = {
        name: f"{name} ({height}×{width} cells at {rows}×{columns})"
        for name, (_, height, width) in facts.layers.items()
    }
    form.field(find("layers"), facts.layer, grids)


def _usual(option: Option, value: object) -> str:
    return option.text(value).replace(",", ", ")
