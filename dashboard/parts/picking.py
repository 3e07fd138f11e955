"""Photos picked on the grid, over all its pages, and taken away as one zip file."""

import io
import zipfile
from collections.abc import Callable, Sequence

import streamlit as st

from trust_core.data.images import audited_bytes
from trust_core.errors import SettingsError
from trust_core.storage.audit_files import Audit

PICKING, PICKED = "parts-picking", "parts-picked"
MOST_BYTES = 500_000_000  # of a zip file, which is made in memory


def picked(audit: Audit) -> list[str]:
    """`sample_id` of the picked photos, in the order they were picked."""
    key, found = st.session_state.get(PICKED, ("", []))
    return list(found) if key == audit.folder.name else []


def pick(audit: Audit, sample_ids: Sequence[str], *, chosen: bool) -> None:
    """Add photos to the picked ones, or leave them out again."""
    others = [one for one in picked(audit) if one not in sample_ids]
    st.session_state[PICKED] = (audit.folder.name, [*others, *(sample_ids if chosen else ())])


def pick_box(audit: Audit, sample_id: str, name: str) -> Callable[[], None]:
    """What draws the box that picks one photo."""

    def draw() -> None:
        key = f"pick-{sample_id}"
        st.session_state[key] = sample_id in picked(audit)
        st.checkbox(
            f"Pick {name}",
            key=key,
            label_visibility="collapsed",
            on_change=lambda: pick(audit, [sample_id], chosen=st.session_state[key]),
        )

    return draw


def pictures_zip(audit: Audit, sample_ids: Sequence[str]) -> bytes:
    """The files of photos as they were audited, under their paths in the data set.

    Raises:
        SettingsError: they are more than fits into one download.
        UnreadableImage: a file is gone, or has changed since the audit.
    """
    paths = audit.query(
        "SELECT path FROM samples WHERE list_contains($1, sample_id) ORDER BY path",
        [list(sample_ids)],
    )["path"]
    content, size = io.BytesIO(), 0
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as file:
        for path in paths:
            source = audit.data_file(path)
            data = audited_bytes(source, audit.listed_sha256(path))
            size += len(data)
            if size > MOST_BYTES:
                raise SettingsError(
                    f"These pictures are more than {MOST_BYTES / 1e6:.0f} MB together; pick fewer."
                )
            file.writestr(path, data)
    return content.getvalue()
