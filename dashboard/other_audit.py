"""Another audit, to be put beside the open one; which one lives in the URL."""

import streamlit as st

from dashboard.shell import errors_shown
from dashboard.url_state import sync_widget
from trust_core.figures.words.markup import quiet
from trust_core.storage import workspace
from trust_core.storage.audit_files import Audit, open_audit

WITH = "with"
KEY = "beside"


def choose_other(audit: Audit, alone: str) -> Audit | None:
    """Draw the choice; the audit that is chosen and can be opened.

    `alone`, HTML, is said while there is no other.
    """
    names = workspace.finished_audits()
    names.pop(audit.folder.name, None)
    if not names:
        st.html(quiet(alone))
        return None
    wanted = st.query_params.get(WITH)
    sync_widget(KEY, wanted if wanted in names else None)
    st.selectbox(
        "The other audit",
        list(names),
        format_func=names.__getitem__,
        key=KEY,
        index=None,
        placeholder="Choose an audit to compare with",
        on_change=_chosen,
        width=420,
    )
    if wanted not in names:
        return None
    other = None
    with errors_shown():
        other = open_audit(workspace.folder_of(wanted))
    return other


def _chosen() -> None:
    chosen = st.session_state[KEY]
    if chosen:
        st.query_params[WITH] = chosen
    else:
        st.query_params.pop(WITH, None)
