"""A table of counts over strength and threshold, with the operating point's own column.

A component of ours: an HTML grid that the arrow keys walk over, and whose own column follows the
slider of the threshold while it is dragged.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from dashboard.shell import callback, component
from trust_core.messages import threshold_text

GRID = '<div class="heat-scroll"><table class="heat" role="grid"></table></div>'


@dataclass(frozen=True)
class HeatTable:
    """Counts at `E` strengths and `T` thresholds, and at `S` stops of the slider.

    Attributes:
        what: is counted, a plural.
        total: what a count is a part of.
        colour: of a full cell, `#rrggbb`.
        strengths: ε, ascending, `(E,)`.
        thresholds: τ of the fixed columns, descending, `(T,)`.
        counts: `(E, T)`.
        stops: τ where the slider can stand, descending, `(S,)`.
        own: counts of the own column at each stop, `(E, S)`.
    """

    what: str
    total: int
    colour: str
    strengths: list[float]
    thresholds: list[float]
    counts: list[list[int]]
    stops: list[float]
    own: list[list[int]]

    def as_text(self) -> str:
        """JSON text of the table with the texts of its heads, which a cache can keep."""
        texts = {
            "names": [f"{strength:g}" for strength in self.strengths],
            "texts": [threshold_text(tau) for tau in self.thresholds],
            "stop_texts": [threshold_text(tau) for tau in self.stops],
        }
        return json.dumps(vars(self) | texts)


def heat_table(
    table: str,
    *,
    key: str,
    slider: str,
    chosen: tuple[int, int],
    on_choose: Callable[[float, float], None],
) -> None:
    """Draw the table; a cell is chosen by a click, or by Enter where the keyboard stands.

    `table` is of `HeatTable.as_text`; its own column follows the `slider`; `chosen` are the row of
    the strength and the stop of the slider of the operating point. `on_choose` is called with
    `(threshold, strength)` of a cell.
    """

    def choose() -> None:
        cell = st.session_state[key].chosen
        if cell:
            on_choose(float(cell["threshold"]), float(cell["strength"]))

    row, stop = chosen
    data = {"table": table, "slider": slider, "row": row, "stop": stop}
    component("heat_table", GRID)(data=data, key=key, on_chosen_change=callback(choose))
