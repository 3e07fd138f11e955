"""Another audit, to be put beside the open one; which one lives in the URL."""

import streamlit as st

from dashboard.shell import show_error
from dashboard.url_state import sync_widget
from trust_core.errors import TrustError
from trust_core.storage import workspace
from trust_core.storage.audit_files import FINISHED, Audit, open_audit

WITH = "with"
KEY = "beside"


def choose_other(audit: Audit, alone: str) -> Audit | None:
    """Draw the choice; the audit that is chosen and can be opened.

    Args:
        audit: the open one.
        alone: what is said while there is no other, as HTML.
    """
    names = {
        e.folder: e.name
        for e in workspace.entries()
        if e.status == FINISHED and e.folder != audit.folder.name
    }
    if not names:
        st.html(f'<p class="quiet">{alone}</p>')
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
    try:
        return open_audit(workspace.folder_of(wanted))
    except TrustError as problem:
        show_error(problem)
        return None


def _chosen() -> None:
    chosen = st.session_state[KEY]
    if chosen:
        st.query_params[WITH] = chosen
    else:
        st.query_params.pop(WITH, None)
