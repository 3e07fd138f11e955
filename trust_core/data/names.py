"""Words that data sets use for classes, splits, and folders of images and of masks.

Only words that cannot mislead are known; the user is asked for everything else.
"""

import re
from collections.abc import Mapping, Sequence

from trust_core.errors import DataError, LabelsNeeded
from trust_core.messages import Message

GOOD_NAMES = frozenset(
    """good ok okay normal free mtfree pass passed nondefective nondefect nodefect nodefects
    defectfree faultfree faultless flawless undamaged""".split()  # noqa: SIM905 (a list of words)
)
DEFECTIVE_NAMES = frozenset(
    """defective defect defects bad anomaly anomalous anomalies abnormal ng nok notok notgood ko
    fail failed faulty damaged reject rejected""".split()  # noqa: SIM905 (a list of words)
)
SPLIT_ROLES = {
    **dict.fromkeys(("train", "training", "fit"), "train"),
    **dict.fromkeys(("tune", "val", "valid", "validation", "dev"), "tune"),
    **dict.fromkeys(("certify", "certification", "calib", "calibration"), "certify"),
    **dict.fromkeys(("test", "testing", "holdout"), "test"),
}
IMAGE_FOLDERS = frozenset(("images", "image", "imgs", "img", "rgb"))
MASK_FOLDERS = frozenset(
    ("ground_truth", "groundtruth", "gt", "mask", "masks", "label", "labels", "annotations")
)
MASK_SUFFIXES = ("_mask", "_label", "_gt")

_NEGATIONS = frozenset(("not", "no", "non", "un", "never", "without"))
_UNDECIDED = frozenset(("unknown", "unlabeled", "unlabelled", "unsorted", "unclassified"))


def normalised_name(name: str) -> str:
    """The name without case and separators: `Non-Defective` and `non_defective` are one word."""
    return re.sub(r"[-_ .]+", "", name).casefold()


def is_good(name: str) -> bool:
    """Whether the name can only mean good parts."""
    return normalised_name(name) in GOOD_NAMES


def role_of_split(split: str) -> str | None:
    """The role a split name stands for, or None when the name is not known."""
    return SPLIT_ROLES.get(split.strip().casefold())


def first_few(names: Sequence[str], most: int = 5) -> str:
    """The first few names for a sentence."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def choose_good(
    counts: Mapping[str, int], good: Sequence[str], *, what: str = "folder"
) -> frozenset[str]:
    """The case-folded class names that mean good parts.

    Args:
        counts: number of images by class name.
        good: what the user said; nothing else is then taken as good. Empty: known names decide.
        what: what a class is called in sentences.

    Raises:
        DataError: a name the user said is not there.
        LabelsNeeded: no name is known to mean good, or one might.
    """
    folded = {name.casefold() for name in counts}
    if good:
        absent = [name for name in good if name.casefold() not in folded]
        if absent:
            found = first_few(sorted(counts), 12) or "none"
            raise DataError(
                Message(
                    "{good} {name}: there is no such {what}; found {found}.",
                    "“{name}” was named as good, but there is no such {what}; found {found}.",
                    name=absent[0],
                    what=what,
                    found=found,
                )
            )
        return frozenset(name.casefold() for name in good)
    known = frozenset(name.casefold() for name in counts if is_good(name))
    if known and not any(_might_be_good(name) for name in counts):
        return known
    listed = first_few([f"{name} ({count})" for name, count in sorted(counts.items())], 12)
    raise LabelsNeeded(
        Message(
            "Which {what}s hold good parts? Their names do not say: {listed}. Name every good one, "
            "as in {good:NAME}; all others are then defective.",
            "Which {what}s hold good parts? Their names do not say: {listed}. Name every good one; "
            "all others are then defective.",
            what=what,
            listed=listed,
        ),
        dict(counts),
    )


def _might_be_good(name: str) -> bool:
    words = set(re.split(r"[-_ .\d]+", name.casefold()))
    if is_good(name) or words & _NEGATIONS:
        return False
    return bool(words & (GOOD_NAMES | _UNDECIDED))
