"""What was audited, as sentences and escaped HTML."""

from html import escape
from pathlib import PurePath

import pandas as pd

from trust_core.data.roles import ROLES
from trust_core.figures.words.markup import table
from trust_core.figures.words.numbers import ROLE_NAMES, count, counted, moment
from trust_core.messages import duration
from trust_core.storage.audit_files import Audit

CHANNELS = {"rgb": "in colour", "bgr": "in colour, blue first", "grey": "in grey"}
OUTCOMES = {  # heads of the table of roles
    "fn": "Missed defects",
    "tp": "Caught defects",
    "tn": "Good photos passed",
    "fp": "False alarms",
}


def audit_description(audit: Audit) -> str:
    """What was audited, as a list of names and values."""
    manifest = audit.manifest
    model, data, timings = manifest.model, manifest.data, manifest.timings
    threshold = manifest.settings.decision_threshold
    file = PurePath(model.path).name or model.sha256[:12]
    height, width = model.preprocessing.size
    rows, columns = manifest.grid
    lines = {
        "Detector": f"{file} ({model.architecture})",
        "Calls a part defective": "when a kind of defect has the largest output"
        if threshold is None
        else f"from a defect probability of {threshold:g}",
        "Looks at": f"{height} × {width} pixels, {CHANNELS[model.preprocessing.channels]}",
        "Heatmaps from": f"{rows} × {columns} cells (layer {manifest.layer} of the network)",
        "Data": f"{PurePath(data.root).name} ({data.layout})",
        "Computed": f"{moment(manifest.created)}, in {duration(timings.seconds)}",
    }
    body = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in lines.items())
    return f'<dl class="facts">{body}</dl>'


def role_table(audit: Audit) -> str:
    """A row a role: what it is for, and what the detector answered on its images."""
    counts = audit.manifest.counts_by_role
    rows = [
        (
            "",
            f"{role}<small>{ROLE_NAMES[role]}</small>",
            [count(getattr(counts[role], outcome)) for outcome in OUTCOMES],
        )
        for role in ROLES
        if role in counts
    ]
    return table("roles", rows, ("Photos", *OUTCOMES.values()))


def any_not_scored(audit: Audit) -> bool:
    """Whether there is an image without a score."""
    return bool(audit.manifest.unreadable + audit.manifest.unscored)


def not_scored_sentence(audit: Audit) -> str:
    """What has no score, and what happens to it."""
    unreadable, unscored = audit.manifest.unreadable, audit.manifest.unscored
    if not any_not_scored(audit):
        return "Every photo was read, and every photo called good has a score."
    left_out = f"Left out, because not readable: {counted(unreadable, 'photos')}."
    unknown = (
        f"Always re-inspected, for want of a score: {counted(unscored, 'photos')} called good."
    )
    said = (unreadable and left_out, unscored and unknown)
    return " ".join(sentence for sentence in said if sentence)


def not_scored(audit: Audit) -> pd.DataFrame:
    """The images without a score, each with its reason."""
    return audit.query(
        """SELECT path, role, label, status, reason FROM samples
           WHERE reason <> '' AND outcome IN ('', 'FN', 'TN') ORDER BY status, path"""
    )
