"""Deploy, 2: the guard and the report, made of an operating point on demand."""

from functools import partial
from typing import cast

import streamlit as st

from dashboard.cache import BACKGROUND, WORKER_LIMITS
from dashboard.deploy.makings import Making, show_making
from dashboard.person import ask_person, person
from trust_core.decision.certificate import Demand
from trust_core.decision.journal import entries
from trust_core.decision.line_costs import Line
from trust_core.decision.operating_point import OperatingPoint
from trust_core.deploy.package import guard_zip
from trust_core.deploy.report.content import ReportSettings
from trust_core.figures.words.numbers import percent
from trust_core.storage.audit_files import Audit

DEPLOY_LOOKS = "trust_core.deploy.looks"
AUDIT_RATES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)
RATE = "deploy-audit-rate"
RATE_HELP = (
    "A random share of the parts that the guard would let pass is to be inspected too. Without it "
    "labels come back for flagged parts only, and the recall on the line cannot be learnt."
)


def show_files(audit: Audit, point: OperatingPoint, demand: Demand, line: Line) -> None:
    """The cards, and what they are made with."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="large"):
        st.selectbox(
            "Audit rate of the guard",
            AUDIT_RATES,
            format_func=lambda rate: percent(rate) if rate else "none",
            index=2,
            key=RATE,
            help=RATE_HELP,
            width=220,
        )
        ask_person("deploy")
    makings = (
        guard_making(audit, point, demand),
        graph_making(audit, point, demand),
        _report_making(audit, point, demand, line),
    )
    for column, making in zip(st.columns(len(makings)), makings, strict=True):
        with column:
            show_making(making)


def guard_making(audit: Audit, point: OperatingPoint, demand: Demand) -> Making:
    """The guard as a zip file."""
    return Making(
        key=f"guard {_basis(audit, point, demand)} {_rate()}",
        name="guard",
        title="Guard",
        sentence="Everything that decides, in one folder: network, threshold, certificate, and "
        "photos that it must get right before it runs. On the line: guard run or guard serve; "
        "guard check says whether it still is what was exported.",
        button="Make the guard",
        file=f"{audit.folder.name}-guard.zip",
        mime="application/zip",
        make=partial(guard_zip, audit, demand, _rate()),
    )


def graph_making(audit: Audit, point: OperatingPoint, demand: Demand) -> Making:
    """The guard with its ONNX graph as a zip file."""
    return Making(
        key=f"onnx {_basis(audit, point, demand)} {_rate()}",
        name="onnx",
        title="Guard with ONNX",
        sentence="The same folder with the whole guard as one ONNX graph beside it: image in, "
        "decision and heatmaps out, run without PyTorch. Where a network or an indicator cannot be "
        "written so, one sentence says why.",
        button="Make it with ONNX",
        file=f"{audit.folder.name}-guard-onnx.zip",
        mime="application/zip",
        make=partial(guard_zip, audit, demand, _rate(), onnx=True),
    )


def _report_making(audit: Audit, point: OperatingPoint, demand: Demand, line: Line) -> Making:
    return Making(
        key=f"report {_basis(audit, point, demand)} {line} {person()}",
        name="report",
        title="Report",
        sentence="One file for who signs and for who asks why: recommendation, certificate, costs, "
        "charts, the worst photos, limits. It opens offline, prints, and carries a hash of its "
        "content. It opens no seal.",
        button="Make the report",
        file=f"{audit.folder.name}-report.html",
        mime="text/html",
        make=partial(_report, audit, demand, line, person()),
    )


def _basis(audit: Audit, point: OperatingPoint, demand: Demand) -> str:
    return f"{audit.folder} {audit.key} {len(entries(audit))} {point} {demand}"


def _rate() -> float:
    return float(st.session_state.get(RATE, AUDIT_RATES[2]))


def _report(audit: Audit, demand: Demand, line: Line, who: str) -> bytes:
    settings = ReportSettings(demand=demand, line=line, person=who)
    function = f"{DEPLOY_LOOKS}:report_page"
    found = BACKGROUND.call(function, audit, settings, what="The report", limits=WORKER_LIMITS)
    return cast(bytes, found)
