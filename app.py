"""Home: what the open audit found, what was audited, where to go from here, and all audits."""

from html import escape
from pathlib import Path

import streamlit as st

from dashboard.cache import warm_worker
from dashboard.csv_export import csv
from dashboard.home.audit_list import audit_list
from dashboard.home.demo_start import demo_start
from dashboard.home.idea import open_demo, show_steps
from dashboard.home.standing import point_query, show_standing
from dashboard.server import behind_gate
from dashboard.shell import HOME, RUN, link, page, show_finding
from dashboard.terms import write_html
from trust_core.decision.operating_point import OperatingPoint
from trust_core.figures.words import audit as audit_words
from trust_core.storage import workspace
from trust_core.storage.audit_files import Audit
from trust_core.storage.manifest import FINISHED

PURPOSE = (
    "Second Look finds the parts that your defect detector calls good but that should be looked at "
    "again: it compares where the detector would look for a defect with where it looks at all."
)
WAYS = (
    (
        "pages/tradeoff.py",
        "Look at the trade-off",
        "How many missed defects are caught for how many good photos re-inspected; set the "
        "threshold.",
    ),
    (
        "pages/parts.py",
        "Open the parts",
        "Every photo with its heatmaps: what was missed, what was caught, and why.",
    ),
    (
        RUN,
        "Audit your own model",
        "Bring a trained detector and labelled photos; the rest is found out for you.",
    ),
)


def draw(audit: Audit | None) -> None:
    """Draw the page."""
    entries = workspace.list_audits()
    if audit:
        explained = audit.folder.name == workspace.DEMO and open_demo()
        point = show_standing(audit)
        if not explained:
            write_html(f'<p class="purpose">{escape(PURPOSE)}</p>')
        ways(point)
        st.space("small")
        what_is_audited(audit)
        st.space("small")
    else:
        welcome(entries)
    if entries or workspace.discarded_audits():
        audit_list(entries, audit.folder.name if audit else None)
    if audit:
        warm_worker()


def welcome(entries: list[workspace.AuditEntry]) -> None:
    """The first thing a newcomer reads."""
    show_finding(
        "A defect that is called good leaves the building without an alarm. "
        "Which parts should you look at again?",
        PURPOSE,
    )
    show_steps()
    demo, own = st.columns(2)
    with own, st.container(key="start-own", border=True, height="stretch"):
        link("Audit your own model", RUN, audit=None)
        st.caption("Bring a trained detector and labelled photos. Nothing leaves this machine.")
    with demo, st.container(key="start-demo", border=True, height="stretch"):
        if any(e.folder == workspace.DEMO and e.status == FINISHED for e in entries):
            link("Open the demo audit", HOME, primary=True, audit=workspace.DEMO)
            st.caption("It is ready: a small network that looks for defects on surfaces.")
        else:
            demo_start()


def ways(point: OperatingPoint | None) -> None:
    """Three big ways on; the first two lead to the same operating point."""
    for column, (file, label, text) in zip(st.columns(len(WAYS)), WAYS, strict=True):
        with column, st.container(key=f"way-{Path(file).stem}", height="stretch", gap="xsmall"):
            link(f"{label} →", file, query={} if file == RUN else point_query(point))
            write_html(f"<p>{escape(text)}</p>")


def what_is_audited(audit: Audit) -> None:
    """Detector, data, counts by role, and what has no score."""
    left, right = st.container(key="beside-audited").columns((5, 6), gap="large")
    with left:
        st.subheader("What was audited", anchor=False)
        write_html(audit_words.audit_description(audit))
        write_html(f"<p>{escape(audit_words.not_scored_sentence(audit))}</p>")
        if audit_words.any_not_scored(audit):
            st.download_button(
                "Download the list with reasons",
                lambda: csv(audit_words.not_scored(audit)),
                f"not scored {audit.folder.name}.csv",
                "text/csv",
                on_click="ignore",
            )
    with right:
        st.subheader("What the detector answered", anchor=False)
        write_html(audit_words.role_table(audit))


if __name__ != "__main__":  # imported by `streamlit run app.py`, for what it is to serve
    middleware, lifespan = behind_gate()
    app = st.App(Path(__file__), middleware=middleware, lifespan=lifespan)
else:  # run by a session of that server
    page("Home", draw)
