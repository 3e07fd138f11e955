"""Pass, warn and fail conditions that a user sets: `tn_loss <= 0.1`, `verdict = green`."""

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from trust_core.errors import SettingsError

PASS, WARN, FAIL = "pass", "warn", "fail"
STATEMENT = re.compile(r"\s*([a-z_]+)\s*(<=|>=|!=|==|=|<|>)\s*(\S+)\s*")
COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}
WORDS = {  # measures that are words, and the words they know
    "verdict": ("green", "amber", "red"),
    "recommendation": ("go", "wait", "stop"),
    "certified": ("yes", "no"),
    "chosen_blind": ("yes", "no"),
}

Measures = Mapping[str, float | str | None]


@dataclass(frozen=True)
class Condition:
    """A statement on a measure, and what it decides.

    An audit of level `PASS` passes only where it holds; with `WARN` or `FAIL` it warns or fails
    where it holds. `sign` is a key of `COMPARE`.
    """

    level: str
    measure: str
    sign: str
    value: float | str

    @property
    def text(self) -> str:
        """The statement in words, tidied: `tn_loss <= 0.1`."""
        value = self.value if isinstance(self.value, str) else f"{self.value:g}"
        return f"{self.measure} {self.sign} {value}"


@dataclass(frozen=True)
class Outcome:
    """What a condition came to.

    `found` is the measure, None where it is not known; `level` is what follows: `PASS`, `WARN` or
    `FAIL`.
    """

    condition: Condition
    found: float | str | None
    level: str

    def as_json(self) -> dict[str, object]:
        """A JSON object: the condition, the value that was found, and what follows."""
        return {"condition": self.condition.text, "of": self.condition.level,
                "found": self.found, "level": self.level}  # fmt: skip


def parse_condition(level: str, text: str, known: Sequence[str]) -> Condition:
    """A condition from its text.

    `level` is `PASS`, `WARN` or `FAIL`, `text` such as `tn_loss <= 0.1`, `known` names the
    measures.

    Raises:
        SettingsError: it cannot be read, or there is no such measure or word.
    """
    found = STATEMENT.fullmatch(text)
    if not found:
        raise SettingsError(
            f'Condition "{text}": write a measure, a sign and a value, such as "tn_loss <= 0.1".'
        )
    name, sign, value = found.groups()
    sign = "=" if sign == "==" else sign
    if name not in known:
        raise SettingsError(f"There is no measure '{name}'; choose from {', '.join(known)}.")
    if words := WORDS.get(name):
        if value not in words or sign not in ("=", "!="):
            raise SettingsError(
                f'{name} is one of {", ".join(words)}; compare it with = or !=, not "{text}".'
            )
        return Condition(level, name, sign, value)
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise SettingsError(f'Condition "{text}": {name} is compared with a number, such as 0.1.')
    return Condition(level, name, sign, number)


def judge(conditions: Sequence[Condition], measures: Measures) -> tuple[Outcome, ...]:
    """What each condition comes to.

    A measure that is not known meets no `PASS` condition and counts as met for the others: what
    cannot be shown does not pass.
    """
    return tuple(_outcome(condition, measures[condition.measure]) for condition in conditions)


def overall(outcomes: Sequence[Outcome]) -> str:
    """The worst of the outcomes; `PASS` where there are none."""
    levels = [outcome.level for outcome in outcomes]
    return max(levels, key=(PASS, WARN, FAIL).index, default=PASS)


def _outcome(condition: Condition, found: float | str | None) -> Outcome:
    unknown = found is None or (isinstance(found, float) and math.isnan(found))
    if unknown:
        return Outcome(condition, None, WARN if condition.level == PASS else condition.level)
    holds = COMPARE[condition.sign](found, condition.value)  # type: ignore[arg-type]
    if condition.level == PASS:
        return Outcome(condition, found, PASS if holds else WARN)
    return Outcome(condition, found, condition.level if holds else PASS)
