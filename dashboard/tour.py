"""A guided look at the demo: five stops on five pages; which one is in the URL."""

from dataclasses import dataclass

import streamlit as st

TOUR = "tour"  # in the URL: the stop, from 1 on


@dataclass(frozen=True)
class Stop:
    """A stop of the tour."""

    page: str
    name: str
    text: str


STOPS = (
    Stop(
        "app.py",
        "the verdict",
        "On top stands whether a second look pays, and what to do. The bars compare what it would "
        "catch with what lowering the decision threshold, or picking at random, would catch.",
    ),
    Stop(
        "pages/tradeoff.py",
        "the trade-off",
        "Move the flagging threshold: further right, more missed defects are caught and more good "
        "parts are looked at again. The dashed curve is threshold shift, the rival.",
    ),
    Stop(
        "pages/parts.py",
        "the parts",
        "Every picture is a photo that was audited. Choose Missed defects, open one, and see where "
        "the detector looked for a defect, and where it looked at all.",
    ),
    Stop(
        "pages/decide.py",
        "the decision",
        "Here somebody decides. Nothing is proven until the sealed photos are opened, and that is "
        "noted with your name. Leave them sealed for now.",
    ),
    Stop(
        "pages/deploy.py",
        "the line",
        "What was decided goes to the line from here: a guard that flags parts as this page did, "
        "and a report that can be signed. That was all; now bring your own model.",
    ),
)


def current_stop(page: str) -> int | None:
    """The number of the stop that a reader is at, from 1 on; None when it is not on this page."""
    number = st.query_params.get(TOUR, "")
    if number not in map(str, range(1, len(STOPS) + 1)) or STOPS[int(number) - 1].page != page:
        return None
    return int(number)


def leave_tour() -> None:
    """End it, wherever the reader is."""
    st.query_params.pop(TOUR, None)
