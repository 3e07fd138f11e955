"""Words that data sets use for classes, splits, and folders of images and of masks.

Only words that cannot mislead are known; the user is asked for everything else.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence

from trust_core.errors import DataError, LabelsNeeded
from trust_core.messages import Message

GOOD_NAMES = frozenset(
    """good ok okay normal free mtfree pass passed nondefective nondefect nodefect nodefects
    defectfree faultfree faultless flawless undamaged""".split()  # noqa: SIM905 (a list of words)
)
DEFECTIVE_NAMES = frozenset(
    """defective defect defects def bad anomaly anomalous anomalies abnormal ng nok notok notgood ko
    fail failed faulty damaged reject rejected""".split()  # noqa: SIM905 (a list of words)
)
SPLIT_ROLES = {
    **dict.fromkeys(("train", "training", "fit"), "train"),
    **dict.fromkeys(("tune", "val", "valid", "validation", "dev"), "tune"),
    **dict.fromkeys(("certify", "certification", "calib", "calibration"), "certify"),
    **dict.fromkeys(("test", "testing", "holdout"), "test"),
}
IMAGE_FOLDERS = frozenset(("images", "image", "imgs", "img", "rgb", "jpegimages"))
MASK_WORDS = frozenset(
    """mask masks gt gts truth groundtruth label labels seg segs segm segmentation segmentations
    segmentationclass segmentationobject segmap bw binary bin annotation annotations annot anno map
    maps""".split()  # noqa: SIM905 (a list of words)
)
_BESIDE_MASK_WORDS = frozenset(
    """ground defect defects anomaly pixel pixelwise pixels instance semantic class png binary
    color colour""".split()  # noqa: SIM905 (a list of words)
)
_IMAGE_WORDS = ("image", "images", "img", "imgs", "rgb", "photo", "raw")
_SPLIT_FILLERS = frozenset("public private image images img imgs set data split".split())  # noqa: SIM905

_MASK_WORD = "|".join(sorted(MASK_WORDS | _BESIDE_MASK_WORDS, key=len, reverse=True))
_MASK_STEMS = (
    re.compile(
        rf"(?P<base>.+?)(?=[-_. ].*(?:{'|'.join(MASK_WORDS)})|masks?)"
        rf"(?:masks?|(?:[-_. ]+(?:{_MASK_WORD}))+)(?:[-_. ]*\d+)?"
    ),
    re.compile(rf"(?:(?:{_MASK_WORD})[-_. ]+)*(?:{'|'.join(MASK_WORDS)})[-_. ]+(?P<base>.+)"),
)
_IMAGE_STEM = re.compile(
    r"(?P<before>.+)[-_. ]+(?:{0})|(?:{0})[-_. ]+(?P<after>.+)".format("|".join(_IMAGE_WORDS))
)
_NEGATIONS = frozenset(("not", "no", "non", "un", "never", "without"))
_UNDECIDED = frozenset(("unknown", "unlabeled", "unlabelled", "unsorted", "unclassified"))


def normalised_name(name: str) -> str:
    """The name without case and separators: `Non-Defective` and `non_defective` are one word."""
    return re.sub(r"[-_ .]+", "", name).casefold()


def is_good(name: str) -> bool:
    """Whether the name can only mean good parts."""
    return normalised_name(name) in GOOD_NAMES


def role_of_split(split: str) -> str | None:
    """The role a split name stands for, or None when the name is not known.

    >>> role_of_split("Test"), role_of_split("test_public"), role_of_split("train2017")
    ('test', 'test', 'train')
    """
    first, *others = _words(split) or [""]
    return SPLIT_ROLES.get(first) if _SPLIT_FILLERS.issuperset(others) else None


def without_mask_words(name: str) -> str | None:
    """A folder name without the words that make it one of masks; None when there are none.

    >>> without_mask_words("ground_truth"), without_mask_words("test_maps")
    ('', 'test')
    """
    words = _words(name)
    if MASK_WORDS.isdisjoint(words):
        return None
    return "_".join(word for word in words if word not in MASK_WORDS | _BESIDE_MASK_WORDS)


def mask_stems(stem: str) -> list[str]:
    """The stems of images that a mask of this stem may belong to, the likeliest first.

    >>> mask_stems("part_7_mask_2")
    ['part_7', 'part']
    >>> mask_stems("gt-7")
    ['7']
    """
    found = [match["base"] for form in _MASK_STEMS if (match := form.fullmatch(stem))]
    return found + [base for stem in found if (base := without_number(stem))]


def image_stem(stem: str) -> str:
    """The stem of an image without a word that says that it is one.

    >>> image_stem("7_image")
    '7'
    """
    match = _IMAGE_STEM.fullmatch(stem)
    return (match["before"] or match["after"]) if match else stem


def path_stem(path: str) -> str:
    """The path without its ending, case-folded: what an image and its mask share."""
    return os.path.splitext(path)[0].casefold()  # noqa: PTH122 (100,000 times)


def without_number(stem: str) -> str:
    """The stem without a number at its end; "" where there is none.

    >>> without_number("part_7_2")
    'part_7'
    """
    match = re.fullmatch(r"(.+?)[-_. ]+\d+", stem)
    return match[1] if match else ""


def _words(name: str) -> list[str]:
    """The words of a name, without numbers and case."""
    return [word for word in re.split(r"[-_ .\d]+", name.strip().casefold()) if word]


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
    if told := _told_by_a_word(counts):
        return told
    raise labels_needed(counts, what)


def labels_needed(counts: Mapping[str, int], what: str) -> LabelsNeeded:
    """The question which of the classes, given with their number of images, hold good parts."""
    listed = first_few([f"{name} ({count})" for name, count in sorted(counts.items())], 12)
    return LabelsNeeded(
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


def _told_by_a_word(names: Iterable[str]) -> frozenset[str]:
    """The good ones among names like `ok_front` and `def_front`, case-folded.

    None of them where a single name has no such word, or words for both, or a negation; nor where
    all mean the same.
    """
    good: set[str] = set()
    defective: set[str] = set()
    for name in names:
        whole = normalised_name(name)
        words = {whole} if whole in GOOD_NAMES | DEFECTIVE_NAMES else set(_words(name))
        is_fine, is_bad = (bool(words & known) for known in (GOOD_NAMES, DEFECTIVE_NAMES))
        if is_bad == is_fine or words & (_NEGATIONS | _UNDECIDED):
            return frozenset()
        (good if is_fine else defective).add(name.casefold())
    return frozenset(good) if good and defective else frozenset()


def _might_be_good(name: str) -> bool:
    words = set(re.split(r"[-_ .\d]+", name.casefold()))
    if is_good(name) or words & _NEGATIONS:
        return False
    return bool(words & (GOOD_NAMES | _UNDECIDED))
