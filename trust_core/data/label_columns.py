"""The label column of a table: which column it is, and what its header, words and numbers mean."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from trust_core.data.names import (
    DEFECTIVE_NAMES,
    GOOD_NAMES,
    choose_good,
    first_few,
    is_good,
    labels_needed,
    normalised_name,
)
from trust_core.errors import DataError
from trust_core.messages import amount

PLAIN = ("label", "isdefective", "defective", "target", "class")
"""Headers of which 1 means defective: what the documentation asks for, and its usual names."""

OPEN = frozenset(
    """result results testresult inspectionresult qcresult status qcstatus verdict judgement
    judgment decision outcome quality ok/ng okng pass/fail passfail good/bad goodbad state condition
    classification category choice classname labels""".split()  # noqa: SIM905 (a list of words)
)
"""Headers of columns whose words may be labels, and which do not say what 1 or yes means."""

_DECISIONS = frozenset("ok okay pass passed ng nok notok ko fail failed reject rejected".split())  # noqa: SIM905
_CONVENTION = ("label", "target", "class")  # 1 is defective, but yes answers no question
_NO_HEADER = frozenset(("free", "mtfree", "nodefect", "nodefects"))  # "No. defects" counts them
_HEADER = re.compile(r"(?P<verb>is|has|was)?(?P<word>.+?)(?:label|flag)?")
_ONE, _ZERO = re.compile(r"1(?:[.,]0*)?"), re.compile(r"0(?:[.,]0*)?")
_TRUE, _FALSE = frozenset(("true", "wahr", "vrai")), frozenset(("false", "falsch", "faux"))
_YES = frozenset(("yes", "y", "t", "ja", "j", "oui", "si", "sí"))
_NO = frozenset(("no", "n", "f", "nein", "non"))


@dataclass(frozen=True)
class LabelColumn:
    """The labels that a column of a table gives.

    Attributes:
        labels: 0 good, 1 defective, a row each.
        kinds: the kind of defect, "" where the label is none.
        good: names that were taken as good; empty where plain labels needed no choice.
        notes: what was understood, where the header is not one that the documentation names.
    """

    labels: list[int]
    kinds: list[str]
    good: tuple[str, ...]
    notes: tuple[str, ...] = ()


def label_headers(header: Sequence[str]) -> list[str]:
    """The columns that may hold labels, the likeliest first."""
    worth = {}
    for name in header:
        normal = normalised_name(name)
        if normal in PLAIN:
            worth[name] = PLAIN.index(normal)
        elif _direction(name) is not None or normal in OPEN:
            worth[name] = len(PLAIN) + (normal in OPEN)
    return sorted(worth, key=worth.__getitem__)


def says_labels(header: Sequence[str]) -> bool:
    """Whether one of the headers says by itself that labels stand below it, not decisions."""
    names = {normalised_name(name) for name in label_headers(header)}
    return bool(names - OPEN - _DECISIONS)


def label_column(table: pd.DataFrame, good: Sequence[str] = ()) -> str:
    """The name of the column that holds the labels, of a table that has one.

    The first that holds a name that the user said is good; else the first whose cells tell what
    they mean; else the first.

    Raises:
        DataError: several tell, and no header says which is meant.
    """
    columns = label_headers(list(table.columns))
    words = {name: _counts(table[name]) for name in columns}
    named = [name for name in columns if any(word.casefold() in words[name] for word in good)]
    telling = [name for name in columns if _tells(words[name], name)]
    if not named and len(telling) > 1 and normalised_name(telling[0]) in OPEN:
        raise DataError(
            f"Each of the columns {first_few(telling)} may hold the labels; give the one that does "
            "the header label."
        )
    return (named or telling or columns)[0]


def read_label_column(table: pd.DataFrame, good: Sequence[str], file: str) -> LabelColumn:
    """Labels and kinds of defect from the label column of a table that has one.

    Numbers 0 and 1, true and false: 1 is defective, unless the header asks for good parts
    (`is_good`, `ok`, `pass`). Yes and no, where the header is a question. Words for good and
    defective. Or class names, of which those that `good` names, or that are known to mean good, are
    good and the others kinds of defect. `file` is the name of the table, for sentences.

    Raises:
        DataError: a label that is empty, or a number other than 0 and 1; columns that contradict
            each other.
        LabelsNeeded: class names none of which is known to mean good; 0 and 1 below a header that
            does not say which is good.
    """
    column = label_column(table, good)
    values = table[column].str.casefold()
    counts = _counts(table[column])
    meaning = {word: _meaning(word, column) for word in counts}
    chosen: frozenset[str] = frozenset()
    if any(name.casefold() in counts for name in good):
        chosen = choose_good(counts, good, what="label")
    elif any(label is None for label in meaning.values()):
        unknown = [word for word, label in meaning.items() if label is None]
        open_answers = [word for word in unknown if _answer(word, column) is not None]
        _refuse_numbers(values, set(unknown).difference(open_answers), file)
        if open_answers:
            raise labels_needed(counts, "label")
        chosen = choose_good(counts, good, what="label")
        chosen |= {word for word, label in meaning.items() if label == 0}
    label = {word: int(word not in chosen) if chosen else meaning[word] or 0 for word in counts}
    names = {w for w in counts if meaning[w] is None and _answer(w, column) is None}
    kind = {word: word if label[word] and word in names else "" for word in counts}
    spelled = {word.casefold(): word for word in sorted(set(table[column]), reverse=True)}
    labels = [label[word] for word in values]
    _check_others(table, column, labels, file)
    return LabelColumn(
        labels,
        [kind[word] and spelled[word] for word in values],
        tuple(sorted(spelled[word] for word in chosen)),
        _understood(table, column, {spelled[word]: label[word] for word in counts}, file),
    )


def _direction(header: str) -> int | None:
    """What 1 means below a header: 0 good, 1 defective; None where it does not say."""
    name = normalised_name(header)
    if name in PLAIN:
        return 1
    match = _HEADER.fullmatch(name)
    if match is None or name in _NO_HEADER:
        return None
    return 0 if match["word"] in GOOD_NAMES else 1 if match["word"] in DEFECTIVE_NAMES else None


def _answer(word: str, header: str) -> bool | None:
    """Whether a cell says yes or no to its header; None where it is no answer."""
    question = normalised_name(header) not in _CONVENTION
    if word in _TRUE or _ONE.fullmatch(word) or (question and word in _YES):
        return True
    no = word in _FALSE or _ZERO.fullmatch(word) or (question and word in _NO)
    return False if no else None


def _meaning(word: str, header: str) -> int | None:
    """The label that a cell means by itself below its header, 0 good, 1 defective, or None."""
    answer, one = _answer(word, header), _direction(header)
    if answer is not None:
        return None if one is None else one if answer else 1 - one
    if is_good(word):
        return 0
    return 1 if normalised_name(word) in DEFECTIVE_NAMES else None


def _tells(words: Iterable[str], header: str) -> bool:
    meaning = [_meaning(word, header) for word in words]
    return None not in meaning or any(map(is_good, words))


def _counts(values: pd.Series) -> dict[str, int]:
    return {str(word): int(n) for word, n in values.str.casefold().value_counts().items()}


def _refuse_numbers(values: pd.Series, unknown: Iterable[str], file: str) -> None:
    """Numbers that mean nothing must not pass as class names."""
    for word in sorted(unknown):
        if not any(map(str.isalpha, word)):
            rows = values.index[values == word]
            raise DataError(
                f"{file}, line {rows[0]}: the label {word!r} (in "
                f"{amount(len(rows), 'row', 'rows')}) is neither 0 (good) nor 1 (defective)."
            )


def _check_others(table: pd.DataFrame, column: str, labels: Sequence[int], file: str) -> None:
    """Refuse a table two columns of which say the opposite.

    What the documentation names as labels is believed, unless a column that says its meaning in its
    header contradicts all of its zeros and ones.
    """
    plain = normalised_name(column) in PLAIN
    if plain and any(_answer(word, column) is None for word in _counts(table[column])):
        return
    own = pd.Series(labels, index=table.index)
    for other in label_headers(list(table.columns)):
        if other == column or normalised_name(other) in (*_CONVENTION, *OPEN):
            continue
        meaning = {word: _meaning(word, other) for word in _counts(table[other])}
        if set(meaning.values()) != {0, 1}:
            continue
        differ = own != table[other].str.casefold().map(meaning)
        if differ.all() if plain else differ.any():
            line = differ.idxmax()
            says = "defective" if own[line] else "good"
            raise DataError(
                f"{file}, line {line}: by the column {column} this image is {says}, by the column "
                f"{other} it is not (in {amount(int(differ.sum()), 'row', 'rows')}); remove the "
                "column that is wrong."
            )


def _understood(
    table: pd.DataFrame, column: str, label: Mapping[str, int], file: str
) -> tuple[str, ...]:
    """What was taken as the labels, where the documentation does not name the column."""
    if normalised_name(column) in PLAIN and label_headers(list(table.columns))[0] == column:
        return ()
    counts = _counts(table[column])
    said: list[list[str]] = [[], []]
    for word, own in label.items():
        said[own].append(f"{word} ({counts[word.casefold()]:,})")
    good, defective = (first_few(words) or "none" for words in said)
    return (
        f"Labels come from the column {column} of {file}: good is {good}, defective {defective}.",
    )
