"""What the Run page has been told, as the command that does it.

One table maps the form to the command line; the worker gets the very list that the page shows.
"""

import hashlib
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from trust_core.audit.manifest import Identity
from trust_core.audit.settings import AuditSettings
from trust_core.errors import SettingsError
from trust_core.model.open import ModelOptions

PROGRAM = ("python", "-m", "trust_core")


@dataclass(frozen=True)
class DataOptions:
    """How a data folder is read, as `read_dataset` takes it.

    Attributes:
        good: class names of good parts.
        samples: a table of samples, when labels do not come from folders.
        group_column: column of `samples` that names the group.
        group_pattern: regular expression, searched in the path, that names the group.
        roles: a table that says what images are used for.
    """

    good: tuple[str, ...] = ()
    samples: Path | None = None
    group_column: str | None = None
    group_pattern: str | None = None
    roles: Path | None = None


@dataclass(frozen=True)
class Order:
    """An audit to be made.

    Attributes:
        model: the model file.
        data: the data folder.
        out: the audit folder.
        options: of the model.
        reading: of the data.
        settings: of the scores.
        expect: the user's own predictions, to be compared with.
    """

    model: Path
    data: Path
    out: Path
    options: ModelOptions = field(default_factory=ModelOptions)
    reading: DataOptions = field(default_factory=DataOptions)
    settings: AuditSettings = field(default_factory=AuditSettings)
    expect: Path | None = None


def arguments(order: Order) -> list[str]:
    """What follows `python -m trust_core`; what is as by default is left out."""
    options, reading, settings = order.options, order.reading, order.settings
    usual = AuditSettings()
    threshold = settings.decision_threshold
    table: list[tuple[str, object, object]] = [
        ("--arch", options.arch, None),
        ("--layer", options.layers, ()),
        ("--defect-index", options.defect_index, None),
        ("--good-index", options.good_index, ()),
        ("--one-logit", options.one_logit, None),
        ("--size", options.size and f"{options.size[0]}x{options.size[1]}", None),
        ("--resize", options.resize, None),
        ("--interpolation", options.interpolation, None),
        ("--channels", options.channels, None),
        ("--mean", options.mean, None),
        ("--std", options.std, None),
        ("--samples", reading.samples, None),
        ("--group-column", reading.group_column, None),
        ("--group-pattern", reading.group_pattern, None),
        ("--roles", reading.roles, None),
        ("--expect", order.expect, None),
        ("--strengths", settings.strengths, usual.strengths),
        ("--direction", settings.direction, usual.direction),
        ("--pgd", settings.pgd_steps, usual.pgd_steps),
        ("--specific", settings.specific, usual.specific),
        ("--agnostic", settings.agnostic, usual.agnostic),
        ("--mask", settings.mask, usual.mask),
    ]
    words = ["audit", str(order.model), str(order.data)]
    for flag, value, default in table:
        if value != default:
            words.append(f"{flag}={_text(value)}")  # one word: a value may begin with a dash
    if reading.good:
        words += ["--good", *reading.good]
    if threshold is None:
        words.append("--argmax")
    elif threshold != usual.decision_threshold:
        words.append(f"--decision-threshold={_text(threshold)}")
    return [*words, f"--out={order.out}", "--json"]


def shell_command(words: Iterable[str]) -> str:
    """The command to copy into a terminal."""
    return shlex.join([*PROGRAM, *words])


def audit_name(model: Path, data: Path, identity: Identity, mask: str) -> str:
    """A readable folder name that is the same for the same audit and for no other.

    >>> audit_name(Path("Lite 0.pth"), Path("tiles"), Identity("a", "b", "c"), "half")
    'lite-0-tiles-9d1a5c'
    """
    digest = hashlib.sha256("\n".join((identity.model_pass, identity.table, mask)).encode())
    return "-".join([slug(model.stem), slug(data.name), digest.hexdigest()[:6]])


def slug(name: str, longest: int = 40) -> str:
    """Lower-case letters, digits and dashes, fit for a folder and an address."""
    return re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:longest].strip("-") or "audit"


def numbers(text: str, what: str, example: str = "0.5, 0.5, 0.5") -> tuple[float, ...]:
    """Numbers separated by commas or spaces; none for an empty text.

    Raises:
        SettingsError: something between is no number.
    """
    parts = [part for part in re.split(r"[,;\s]+", text.strip()) if part]
    try:
        return tuple(float(part) for part in parts)
    except ValueError:
        raise SettingsError(
            f"{what}: {text.strip()[:60]!r} is no list of numbers; write e.g. {example}."
        ) from None


def one_number(text: str, what: str, example: str) -> float | None:
    """One number; None for an empty text.

    Raises:
        SettingsError: it is none, or several.
    """
    try:
        return float(text) if text.strip() else None
    except ValueError:
        raise SettingsError(
            f"{what}: {text.strip()[:60]!r} is no number; write e.g. {example}."
        ) from None


def size_of(text: str) -> tuple[int, int] | None:
    """`224` or `192x256` (height x width); None for an empty text.

    Raises:
        SettingsError: it is neither.
    """
    if not text.strip():
        return None
    found = re.fullmatch(r"\s*(\d{1,5})(?:\s*[x×, ]\s*(\d{1,5}))?\s*", text.casefold())
    if not found:
        raise SettingsError(f"Size: {text.strip()[:60]!r} is no size; write e.g. 224 or 192x256.")
    height = int(found[1])
    return height, int(found[2] or height)


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
