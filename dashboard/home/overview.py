"""What Home says of an audit: the finding at its operating point, and what was audited."""

from pathlib import PurePath

import pandas as pd

from dashboard.url_state import TUNE
from dashboard.words import (
    INDICATOR_NAMES,
    ROLE_NAMES,
    count,
    counted,
    duration,
    moment,
    number_text,
)
from trust_core.data.roles import ROLES
from trust_core.decision.curves import load
from trust_core.decision.operating_point import FlagCounts, OperatingPoint, count_flags
from trust_core.storage.audit_files import Audit

CHANNELS = {"rgb": "in colour", "bgr": "in colour, blue first", "grey": "in grey"}


def flag_counts(audit: Audit, point: OperatingPoint) -> FlagCounts:
    """What an operating point flags on `tune`."""
    scores = load(audit, TUNE, point.indicator)
    return count_flags(scores.curves[point.strength], scores.shift, point)


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


def basis(point: OperatingPoint) -> str:
    """What the finding was measured on, and by which operating point."""
    return (
        f"On the images for choosing the threshold (tune), flagging by "
        f"{INDICATOR_NAMES[point.indicator]} from {number_text(point.threshold)} "
        f"at adversarial strength {point.strength:g}. Chosen on these same images, it looks "
        "better here than it may elsewhere; Decide judges it on sealed ones."
    )


def facts(audit: Audit) -> dict[str, str]:
    """What was audited, in a few lines: name and value."""
    manifest = audit.manifest
    model, data, timings = manifest["model"], manifest["data"], manifest["timings"]
    threshold = manifest["settings"]["decision_threshold"]
    file = PurePath(model["path"]).name if "path" in model else model["sha256"][:12]
    height, width = model["preprocessing"]["size"]
    rows, columns = manifest["grid"]
    return {
        "Detector": f"{file} ({model['architecture']})",
        "Calls a part defective": "when a kind of defect has the largest output"
        if threshold is None
        else f"from a defect probability of {threshold:g}",
        "Looks at": f"{height} × {width} pixels, {CHANNELS[model['preprocessing']['channels']]}",
        "Heatmaps from": f"{rows} × {columns} cells (layer {manifest['layer']} of the network)",
        "Data": f"{PurePath(data['root']).name} ({data['layout']})",
        "Computed": f"{moment(manifest['created'])}, in {duration(timings['seconds'])}",
    }


def roles(audit: Audit) -> list[tuple[str, str, int, int, int, int]]:
    """Role, what it is for, and numbers of missed, caught, passed good parts and false alarms."""
    counts = audit.manifest["counts_by_role"]
    return [
        (role, ROLE_NAMES[role], *(counts[role][o] for o in ("fn", "tp", "tn", "fp")))
        for role in ROLES
        if role in counts
    ]


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
