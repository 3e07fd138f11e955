"""The three steps that explain the idea: for newcomers, and above the demo until put away."""

import streamlit as st

from dashboard.shell import HOME, component, link
from dashboard.terms import write_html
from dashboard.tour import TOUR

AWAY, COOKIE, PUT_AWAY = "steps-away", "second-look-steps", "away"
STEPS = (
    ("The detector calls a part good.", "Right or wrong, nobody looks at it again."),
    (
        "Two heatmaps are compared.",
        "Where it would look for a defect, and where it looks at all.",
    ),
    ("They disagree: look again.", "You choose how many such parts are worth a second look."),
)


def show_steps() -> None:
    """The three steps."""
    steps = "".join(f"<li><b>{what}</b> {meaning}</li>" for what, meaning in STEPS)
    write_html(f'<ol class="steps">{steps}</ol>')


def open_demo() -> bool:
    """The steps and the way into the tour; False where this reader has put them away."""
    if st.session_state.get(AWAY):
        kept = {"cookie": f"{COOKIE}={PUT_AWAY}"}
        component("remember", isolated=True)(data=kept, key="steps-kept")
        return False
    if st.context.cookies.get(COOKIE) == PUT_AWAY or TOUR in st.query_params:
        return False
    with st.container(key="idea"):
        show_steps()
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            link("Look around in five stops", HOME, query={TOUR: 1})
            st.button("Put this away", key="steps-put-away", on_click=_put_away)
    return True


def _put_away() -> None:
    st.session_state[AWAY] = True
