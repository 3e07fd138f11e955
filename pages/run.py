"""Run: audit your own model on your own photos."""

import streamlit as st

from dashboard import shell
from dashboard.cache import SANDBOX
from dashboard.run import file_fields, form
from dashboard.run.check import check, show_findings
from dashboard.run.data import choose_data
from dashboard.run.model import choose_model
from dashboard.run.progress import RUN, open_run, show_run, unfinished_runs
from dashboard.run.settings import choose_settings
from dashboard.run.train import invite, train_page
from dashboard.run.train_view import TRAIN
from trust_core.cli.command import (
    AuditRequest,
    audit_command,
    audit_name,
    shell_command,
    slug,
    start_audit,
)
from trust_core.storage.audit_files import Audit
from trust_core.storage.workspace import name_new, workspace_folder


def draw(_: Audit | None) -> None:
    """Draw the steps from a model to an audit, or the run or training that is open."""
    SANDBOX.start()  # it loads what opens models while the page is drawn
    if run := st.query_params.get(RUN):
        show_run(run)
        return
    if training := st.query_params.get(TRAIN):
        train_page(training)
        file_fields.all_arrived()
        return

    shell.show_finding(
        "Audit your own model on your own photos.",
        "Which of the parts it calls good should be looked at again? Nothing leaves this machine.",
    )
    unfinished_runs()

    with st.container(border=True, key="step-model"):
        st.subheader("1 Model", anchor=False)
        model = choose_model()
        if model is None:
            invite()

    with st.container(border=True, key="step-data"):
        st.subheader("2 Data", anchor=False)
        data = choose_data()

    checking = st.container(border=True, key="step-check")
    with st.container(border=True, key="step-settings"):
        st.subheader("4 Settings", anchor=False)
        settings = choose_settings(model[1] if model else None)

    checked = None
    with checking:
        st.subheader("3 Check", anchor=False)
        if model and data and settings:
            checked = check(*model, data, settings)
        else:
            st.caption("A few photos go through the detector here, once model and data are chosen.")

    file_fields.all_arrived()

    with st.container(border=True, key="step-start"):
        st.subheader("5 Start", anchor=False)
        if not (model and data and settings and checked):
            st.caption("The steps above have to be complete first.")
            return
        usual = audit_name(model[0], data.root, checked.identity, settings.mask)
        name = st.text_input("Name of the audit", placeholder=usual, key="name")
        folder = workspace_folder().resolve() / (slug(name) if name.strip() else usual)
        paths = model[0], data.root, folder
        request = AuditRequest(
            *paths, checked.model_options, form.data_options(), settings, checked.expect
        )
        words = audit_command(request)
        if st.button("Start the audit", type="primary", key="start"):
            with shell.errors_shown():
                made = start_audit(words, folder, checked.identity)
                if name.strip() and made == folder:
                    name_new(folder, name)
                open_run(made.name)
                st.rerun()
        st.caption("The same from a terminal:")
        st.code(shell_command(words), language="bash", wrap_lines=True)

    show_findings(checked, data, settings)


shell.page("Run", draw, "run.css")
