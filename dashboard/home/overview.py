"""What Home says of an audit: the finding at its operating point, and what was audited."""

from dataclasses import dataclass
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
from trust_core.decision.indicators.registry import THRESHOLD_SHIFT
from trust_core.decision.operating_point import OperatingPoint
from trust_core.storage.audit_files import Audit

CHANNELS = {"rgb": "in colour", "bgr": "in colour, blue first", "grey": "in grey"}


@dataclass(frozen=True)
class Finding:
    """What flagging at an operating point does on `tune`, with its rival beside it.

    Attributes:
        fn: missed defects.
        tn: good parts that passed.
        flagged_fn: missed defects that are flagged.
        flagged_tn: good parts that are flagged.
        rival: parts that just lowering the decision threshold re-inspects to catch as many; None
            when that is the indicator itself.
    """

    fn: int
    tn: int
    flagged_fn: int
    flagged_tn: int
    rival: int | None

    @property
    def flagged(self) -> int:
        """Parts sent to re-inspection."""
        return self.flagged_fn + self.flagged_tn

    @property
    def sentence(self) -> str:
        """What is called good, how much of it is wrong, and what re-inspection would catch."""
        passed = counted(self.fn + self.tn, "parts")
        if not self.fn:
            return f"The detector calls {passed} good. None of them is a defect."
        wrong = "1 of them is a defect" if self.fn == 1 else f"{count(self.fn)} of them are defects"
        start = f"The detector calls {passed} good. {wrong} it missed."
        if not self.flagged:
            return f"{start} None is sent to re-inspection yet."
        again = (
            "the most suspicious part"
            if self.flagged == 1
            else f"the {count(self.flagged)} most suspicious parts"
        )
        return f"{start} Re-inspecting {again} would catch {self._caught}."

    @property
    def rival_sentence(self) -> str:
        """What just lowering the decision threshold asks for the same catch."""
        if not self.flagged_fn or self.rival is None:
            return ""
        start = "Just lowering the decision threshold would catch as many with"
        more = self.rival - self.flagged
        if not more:
            return f"{start} the same number of re-inspections."
        verdict = f"{count(abs(more))} {'more' if more > 0 else 'fewer'}"
        return f"{start} {counted(self.rival, 're-inspections')}: {verdict}."

    @property
    def _caught(self) -> str:
        if self.flagged_fn == self.fn:
            return "it" if self.fn == 1 else f"all {count(self.fn)}"
        return f"{count(self.flagged_fn) if self.flagged_fn else 'none'} of the {count(self.fn)}"


def finding(audit: Audit, point: OperatingPoint) -> Finding:
    """The finding on `tune` at an operating point."""
    scores = load(audit, TUNE, point.indicator)
    ours, shift = scores.curves[point.strength], scores.shift
    at = ours.at(point.threshold)
    caught, again = int(ours.flagged_fn[at]), int(ours.flagged_tn[at])
    rival = None
    if point.indicator != THRESHOLD_SHIFT:
        reached = int((shift.flagged_fn < caught).sum())  # the first point that catches as many
        rival = int(shift.flagged_fn[reached] + shift.flagged_tn[reached])
    return Finding(ours.fn, ours.tn, caught, again, rival)


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
