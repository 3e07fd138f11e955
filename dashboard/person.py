"""Who is at the screen: asked once, kept by their browser, and noted with what they decide.

The account that the server runs under says nothing of who sits there. Where people sign in to open
the dashboard, it is who has signed in, and nobody else can be named.
"""

from html import escape

import streamlit as st

from dashboard.shell import component
from trust_core.errors import SettingsError
from trust_core.figures.words.markup import quiet

PERSON, FORGOTTEN = "person", "person-forgotten"
LONGEST_NAME = 80
NAMELESS = "Write your name first: it is noted with what you decide."


def person() -> str:
    """The name of who is at the screen; "" while nobody has said it."""
    return _signed_in() or str(st.session_state.get(PERSON, ""))


def signature() -> str:
    """The name of who is at the page, for what has to be signed.

    Raises:
        SettingsError: nobody has said their name.
    """
    if not person():
        raise SettingsError(NAMELESS)
    return person()


def ask_person(place: str) -> None:
    """A field for the name; once it is known, who signs and a way to be somebody else.

    Args:
        place: where on the page, as a part of keys.
    """
    if _signed_in():
        st.html(quiet(f"You sign as <b>{escape(person())}</b>."))
        return
    forgotten = bool(st.session_state.get(FORGOTTEN))
    answer = component("person", isolated=True)(
        data={"name": person(), "forget": forgotten},
        key=f"person-browser-{place}",
        on_name_change=lambda: None,
    )
    if not person() and not forgotten and answer and answer.get("name"):
        _remember(str(answer["name"]))
    if person():
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.html(quiet(f"You sign as <b>{escape(person())}</b>."), width="content")
            key = f"person-other-{place}"
            st.button("Somebody else", key=key, on_click=_forget)
        return
    key = f"person-name-{place}"
    st.text_input(
        "Your name",
        key=key,
        max_chars=LONGEST_NAME,
        placeholder="as it is to stand in the audit",
        on_change=lambda: _remember(st.session_state[key]),
    )


def _signed_in() -> str:
    """Name and address of who has signed in at the provider; "" where nobody has to."""
    if not getattr(st.user, "is_logged_in", False):
        return ""
    known = (str(st.user.get(key) or "") for key in ("name", "email"))
    return " ".join(part for part in known if part)[:LONGEST_NAME] or str(st.user.get("sub") or "")


def _remember(name: str) -> None:
    st.session_state[PERSON] = " ".join(name.split())[:LONGEST_NAME]
    st.session_state[FORGOTTEN] = False


def _forget() -> None:
    st.session_state[PERSON] = ""
    st.session_state[FORGOTTEN] = True
