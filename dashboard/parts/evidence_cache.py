"""Evidence of a part as the page needs it: computed once, kept for a while, in bounded number."""

import time

import streamlit as st
import torch
from PIL import Image

from dashboard.parts.detector import audited_detector
from dashboard.parts.evidence_scale import display_scale
from trust_core.audit.reopen import network_input
from trust_core.explanation.evidence.forms import (
    Evidence,
    audit_conditional,
    evidence,
    lost_at_once,
)
from trust_core.explanation.evidence.patch_gaussian import Conditional
from trust_core.figures.evidence import Bits, Cells, evidence_panel
from trust_core.figures.overlays import Mask
from trust_core.figures.part_maps import seen_by_network
from trust_core.storage.audit_files import Audit

PIXELS = 4 * 224 * 224  # of the batch that is timed
WINDOWS = (5, 10, 20)  # pixels along the side of a window
LEARNING = "Once for this audit: learning what the surroundings of a window let expect …"
MEASURING = "Once for this audit: measuring how strong evidence gets on its images …"


def network_size(audit: Audit) -> tuple[int, int]:
    """(H, W) of the network's input."""
    height, width = audit.manifest["model"]["preprocessing"]["size"]
    return int(height), int(width)


def windows_for(size: tuple[int, int]) -> list[int]:
    """The windows that leave room for surroundings on an input of (H, W)."""
    return [k for k in WINDOWS if 2 * k <= min(size)] or [max(1, min(size) // 4)]


def found_evidence(
    audit: Audit, sample_id: str, path: str, form: str, window: int, stride: int | None = None
) -> Evidence:
    """One form of evidence of one part, without its check; a pass the first time.

    Args:
        audit: the audit.
        sample_id: the part.
        path: of its photograph in the sample table.
        form: one of those that are shown at once.
        window: k.
        stride: from window to window; the form's own when None.

    Raises:
        ModelError: the model is gone, or another.
        UnreadableImage: the photograph is.
    """
    return _evidence(audit, audit.key, sample_id, path, form, window, stride)


def found_check(audit: Audit, sample_id: str, path: str, form: str, window: int) -> float:
    """What is lost when all windows of that evidence are replaced at once, in bits.

    Raises:
        ModelError: the model is gone, or another.
        UnreadableImage: the photograph is.
    """
    return _lost(audit, audit.key, sample_id, path, form, window)


def found_scale(audit: Audit, form: str, window: int) -> float:
    """Bits at the end of the colours of a form and window, one for the audit.

    Raises:
        TrustError: it is not known yet and cannot be measured, with the reason.
    """
    return _scale(audit, audit.key, form, window)


@st.cache_data(max_entries=16, show_spinner=False)
def pass_seconds(_audit: Audit, key: str) -> float:
    """Seconds that an image takes through the network here, in a small batch, once it is warm."""
    detector = audited_detector(_audit)
    height, width = network_size(_audit)
    count = max(1, PIXELS // (height * width))
    images = torch.zeros(count, detector.preprocessing.input_channels, height, width)

    def once() -> float:
        began = time.perf_counter()
        detector.log_odds(images)
        return (time.perf_counter() - began) / count

    return min(once() for _ in range(3))  # the first is cold


@st.cache_data(max_entries=48, show_spinner=False)
def found_panel(
    _audit: Audit,
    _photo: Image.Image,
    _bits: Bits,
    _truth: Mask | None,
    scale: float,
    side: str,
    key: tuple[object, ...],
) -> tuple[bytes, Cells]:
    """Picture and numbers of one panel; `key` tells apart whose they are."""
    box = seen_by_network(_audit, _photo.size)
    return evidence_panel(_photo, box, _bits, scale, side, _truth)


@st.cache_data(max_entries=12, show_spinner=False)
def _evidence(
    _audit: Audit,
    key: str,
    sample_id: str,
    path: str,
    form: str,
    window: int,
    stride: int | None,
) -> Evidence:
    detector = audited_detector(_audit)
    pixels = network_input(_audit, detector, path)
    conditional = _conditional(_audit, key, window)
    return evidence(detector, pixels, conditional, form, window=window, stride=stride, check=False)


@st.cache_data(max_entries=48, show_spinner=False)
def _lost(_audit: Audit, key: str, sample_id: str, path: str, form: str, window: int) -> float:
    detector = audited_detector(_audit)
    pixels = network_input(_audit, detector, path)
    return lost_at_once(detector, pixels, _conditional(_audit, key, window), form, window=window)


@st.cache_data(max_entries=24, show_spinner=MEASURING)
def _scale(_audit: Audit, key: str, form: str, window: int) -> float:
    detector = audited_detector(_audit)
    return display_scale(_audit, detector, _conditional(_audit, key, window), form)


@st.cache_resource(max_entries=6, show_spinner=LEARNING)
def _conditional(_audit: Audit, key: str, window: int) -> Conditional:
    return audit_conditional(_audit, window)
