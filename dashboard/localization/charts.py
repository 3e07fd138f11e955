"""The charts of the page Localization: figures kept as text, what moves made anew."""

from collections.abc import Callable

import streamlit as st

from dashboard.chart import Drawing, chart, drawing
from dashboard.localization.cache import drawn_thresholds, swept
from dashboard.localization.url_state import STRICT, Asked, write
from trust_core.decision.localization.metrics import Localization
from trust_core.decision.localization.pixel_counts import MaskCounts
from trust_core.figures import localization as figures
from trust_core.figures.elements import Layout
from trust_core.storage.audit_files import Audit


def draw_sizes(found: Localization, asked: Asked) -> None:
    """Recall by size of the defect."""
    chart(
        drawing(figures.sizes(found.by_size, strict=asked.form == STRICT)),
        key="sizes",
        alt="Share of the defects that have a mask, by the size of the defect, with counts.",
    )


def draw_thresholds(audit: Audit, counts: MaskCounts, asked: Asked) -> None:
    """The metrics at every threshold, the chosen one marked; a click moves it."""
    key = (audit.key, asked.source, asked.role, asked.min_area)
    figure, names = _thresholds(audit, counts, asked, key)
    chart(
        figure,
        key="thresholds",
        alt="Agreement, defective parts and good parts with a mask, at every mask threshold.",
        moving=figures.mark_threshold(asked.threshold, names),
        on_choose=_to(),
    )


def _to() -> Callable[[float, float | None], None]:
    return lambda threshold, _: write(mask=threshold)


@st.cache_data(max_entries=32, show_spinner=False)
def _thresholds(
    _audit: Audit, _counts: MaskCounts, _asked: Asked, key: tuple[str, str, str, float]
) -> tuple[Drawing, list[Layout]]:
    figure = figures.thresholds(swept(_audit, _counts, _asked), drawn_thresholds(_audit, _asked))
    names = [note.to_plotly_json() for note in figure.layout.annotations]
    return drawing(figure), names
