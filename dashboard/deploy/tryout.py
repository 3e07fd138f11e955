"""Deploy, 3: images dropped in, decided by the guard, with what it saw."""

import shutil
import tempfile
from html import escape
from pathlib import Path
from typing import cast

import streamlit as st

from dashboard.cache import WORKER, WORKER_LIMITS, remembered
from dashboard.deploy.makings import Making, begin, has_failed, is_settled, made
from dashboard.shell import errors_shown, fragment
from dashboard.terms import write_html
from trust_core.deploy.inspection import Inspection
from trust_core.deploy.package import open_zip
from trust_core.figures.words.markup import quiet
from trust_core.figures.words.numbers import counted

MOST = 12  # images at a time
SIDE = 320  # pixels of a picture
POLL_SECONDS = 0.7
PANELS = ("Photograph", "Evidence for a defect", "Evidence for a good part", "Where it looks")
DECISIONS = {  # sign, word, class
    "defective": ("◆", "Defective", "defective"),
    "re_inspect": ("⚑", "Re-inspect", "re-inspect"),
    "good": ("●", "Good", "good"),
}


def show_tryout(making: Making, graph: Making) -> None:
    """The uploader, and what the guard says of each image.

    Args:
        making: of the guard; begun when images arrive.
        graph: of the guard with its ONNX graph, which loads sooner; taken where it is made.
    """
    files = st.file_uploader(
        "Drop photos of parts",
        ["png", "jpg", "jpeg", "bmp", "tif", "tiff", "webp"],
        accept_multiple_files=True,
        key="deploy-try",
    )
    if not files:
        return
    WORKER.start()  # it loads what a guard needs while one is being made
    making = graph if made(graph) is not None else making
    if made(making) is None:
        if has_failed(making):
            write_html(quiet("The guard could not be made; its card above says why."))
            return
        begin(making)
        fragment(_wait, run_every=POLL_SECONDS)(making)
        return
    if len(files) > MOST:
        write_html(quiet(f"The first {MOST} of {counted(len(files), 'photos')}; the guard itself "
                      "takes whole folders."))  # fmt: skip
    with errors_shown(), st.spinner("The guard decides …"):
        guard = _guard(making.key, made(making) or b"")
        for number, file in enumerate(files[:MOST]):
            _part(guard, number, file.name, file.getvalue())


def _wait(making: Making) -> None:
    if is_settled(making):
        st.rerun()
    write_html('<p class="making" role="status"><i></i>The guard is being made, once.</p>')


def _part(guard: Path, number: int, name: str, content: bytes) -> None:
    inspection, pictures = _tried(guard, name, content)
    with st.container(key=f"tried-{number}", border=True):
        write_html(_words(inspection))
        if not pictures:
            return  # the reason stands in the words
        with st.container(key=f"tried-panels-{number}", horizontal=True):
            for title, picture in zip(PANELS, pictures, strict=False):
                with st.container(width=SIDE // 2 + 60, gap=None):
                    st.image(picture, width="stretch", alt=f"{title} of {name}")
                    write_html(quiet(title))


def _words(inspection: Inspection) -> str:
    sign, word, kind = DECISIONS[inspection.decision]
    numbers = [
        f"p {inspection.p_defect:.3f}" if inspection.p_defect is not None else "",
        f"indicator {inspection.indicator:.3f}" if inspection.indicator is not None else "",
    ]
    said = " · ".join(part for part in numbers if part).replace("-", "−")
    reason = inspection.reason or "nothing speaks against it"
    return (
        f'<p class="tried"><span class="decision {kind}"><i>{sign}</i> {word}</span> '
        f"<b>{escape(inspection.name)}</b> {said}</p>{quiet(escape(reason))}"
    )


@remembered(4 * MOST)
def _tried(guard: Path, name: str, content: bytes) -> tuple[Inspection, list[bytes]]:
    function = "trust_core.deploy.looks:try_guard"
    found = WORKER.call(function, guard, name, content, SIDE, what=name, limits=WORKER_LIMITS)
    return cast("tuple[Inspection, list[bytes]]", found)


def _remove(guard: Path) -> None:
    shutil.rmtree(guard.parent, ignore_errors=True)


@st.cache_resource(max_entries=2, show_spinner=False, on_release=_remove)
def _guard(key: str, _content: bytes) -> Path:
    """The folder of a guard, unpacked once for all sessions."""
    return open_zip(_content, Path(tempfile.mkdtemp(prefix="trust-core-guard-")))
