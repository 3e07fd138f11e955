"""What Home says of an audit, as sentences and escaped HTML: the finding, and what was audited."""

from html import escape
from pathlib import PurePath

import pandas as pd

from dashboard.markup import table
from trust_core.data.roles import ROLES
from trust_core.decision.indicators.registry import INDICATOR_NAMES, THRESHOLD_SHIFT
from trust_core.decision.operating_point import FlagCounts, OperatingPoint
from trust_core.figures.words import ROLE_NAMES, count, counted, moment, number_text
from trust_core.messages import duration
from trust_core.storage.audit_files import Audit

CHANNELS = {"rgb": "in colour", "bgr": "in colour, blue first", "grey": "in grey"}
OUTCOMES = {  # heads of the table of roles
    "fn": "Missed defects",
    "tp": "Caught defects",
    "tn": "Good parts passed",
    "fp": "False alarms",
}


def finding_sentence(counts: FlagCounts) -> str:
    """What is called good, how much of it is wrong, and what re-inspection would catch."""
    fn, caught, flagged = counts.fn, counts.flagged_fn, counts.flagged_fn + counts.flagged_tn
    passed = counted(fn + counts.tn, "parts")
    if not fn:
        return f"The detector calls {passed} good. None of them is a defect."
    wrong = "1 of them is a defect" if fn == 1 else f"{count(fn)} of them are defects"
    start = f"The detector calls {passed} good. {wrong} it missed."
    if not flagged:
        return f"{start} None is sent to re-inspection yet."
    again = f"the {count(flagged)} most suspicious parts"
    again = "the most suspicious part" if flagged == 1 else again
    found = f"{count(caught) if caught else 'none'} of the {count(fn)}"
    if caught == fn:
        found = "it" if fn == 1 else f"all {count(fn)}"
    return f"{start} Re-inspecting {again} would catch {found}."


def finding_basis(point: OperatingPoint) -> str:
    """What the finding was measured on, and by which operating point."""
    return (
        f"On the images for choosing the threshold (tune), flagging by "
        f"{INDICATOR_NAMES[point.indicator]} from {number_text(point.threshold)} "
        f"at adversarial strength {point.strength:g}. Chosen on these same images, it looks "
        "better here than it may elsewhere; Decide judges it on sealed ones."
    )


def finding_bars(counts: FlagCounts, indicator: str) -> str:
    """The finding as bars: missed defects caught, and the good parts re-inspected for them."""
    if not counts.fn:
        return ""
    overlooked = counts.fn - counts.flagged_fn
    shift = "Lowering the threshold"
    ways = [("Second Look", counts.flagged_tn, "ours")]
    if indicator == THRESHOLD_SHIFT:
        ways = [(shift, counts.flagged_tn, "rival")]
    elif counts.shift_tn is not None:
        ways.append((shift, counts.shift_tn, "rival"))
    most = max(1, *(parts for _, parts, _ in ways))
    rows = "".join(
        f'<tr><th scope="row">{name}</th><td><div class="bar thin">{_bar(kind, parts, most)}</div>'
        f"</td><td>{count(parts)}</td></tr>"
        for name, parts, kind in ways
    )
    return (
        f'<figure class="proof"><figcaption>{counted(counts.fn, "missed defects")}</figcaption>'
        f'<div class="bar">{_bar("caught", counts.flagged_fn, counts.fn)}'
        f"{_bar('missed', overlooked, counts.fn)}</div>"
        f'<p><span class="key caught">▲ {count(counts.flagged_fn)} caught</span>'
        f'<span class="key missed">✕ {count(overlooked)} still overlooked</span></p></figure>'
        '<figure class="proof"><figcaption>Good parts re-inspected for that</figcaption>'
        f"<table>{rows}</table></figure>"
    )


def audit_description(audit: Audit) -> str:
    """What was audited, as a list of names and values."""
    manifest = audit.manifest
    model, data, timings = manifest["model"], manifest["data"], manifest["timings"]
    threshold = manifest["settings"]["decision_threshold"]
    file = PurePath(model["path"]).name if "path" in model else model["sha256"][:12]
    height, width = model["preprocessing"]["size"]
    rows, columns = manifest["grid"]
    lines = {
        "Detector": f"{file} ({model['architecture']})",
        "Calls a part defective": "when a kind of defect has the largest output"
        if threshold is None
        else f"from a defect probability of {threshold:g}",
        "Looks at": f"{height} × {width} pixels, {CHANNELS[model['preprocessing']['channels']]}",
        "Heatmaps from": f"{rows} × {columns} cells (layer {manifest['layer']} of the network)",
        "Data": f"{PurePath(data['root']).name} ({data['layout']})",
        "Computed": f"{moment(manifest['created'])}, in {duration(timings['seconds'])}",
    }
    body = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in lines.items())
    return f'<dl class="facts">{body}</dl>'


def role_table(audit: Audit) -> str:
    """A row a role: what it is for, and what the detector answered on its images."""
    counts = audit.manifest["counts_by_role"]
    rows = [
        (
            "",
            f"{role}<small>{ROLE_NAMES[role]}</small>",
            [count(counts[role][outcome]) for outcome in OUTCOMES],
        )
        for role in ROLES
        if role in counts
    ]
    return table("roles", rows, ("Images", *OUTCOMES.values()))


def any_not_scored(audit: Audit) -> bool:
    """Whether there is an image without a score."""
    return bool(audit.manifest["unreadable"] + audit.manifest["unscored"])


def not_scored_sentence(audit: Audit) -> str:
    """What has no score, and what happens to it."""
    unreadable, unscored = (audit.manifest[key] for key in ("unreadable", "unscored"))
    if not any_not_scored(audit):
        return "Every image was read, and every part called good has a score."
    left_out = f"Left out, because not readable: {counted(unreadable, 'images')}."
    unknown = f"Always re-inspected, for want of a score: {counted(unscored, 'parts')} called good."
    said = (unreadable and left_out, unscored and unknown)
    return " ".join(sentence for sentence in said if sentence)


def not_scored(audit: Audit) -> pd.DataFrame:
    """The images without a score, each with its reason."""
    return audit.query(
        """SELECT path, role, label, status, reason FROM samples
           WHERE reason <> '' AND outcome IN ('', 'FN', 'TN') ORDER BY status, path"""
    )


def _bar(kind: str, value: int, whole: int) -> str:
    return f'<i class="{kind}" style="width:{value / whole:.2%}"></i>'
