"""Sentences for people: options named so that terminal and page can each say theirs; durations."""

from collections.abc import Callable, Iterable
from typing import Any


class Message(str):
    """A sentence of the core that speaks of options, for a terminal and for a page.

    As text it is what the terminal says and what an audit on disk keeps, `--size`; a page puts the
    names of its own fields there (`render`).

    Args:
        text: the sentence. `{size}` is the option `--size`, `{size:64x64}` the option with a value
            (or, in capitals, with what stands for one); a name among `fields` is that value.
        plain: the same for readers who see fields in the place of options and need not know what a
            BatchNorm layer is; `text` when empty.
        fields: values by name; other messages among them are said in the same words.

    Example:
        >>> Message("Check {size} and {mean}: {count} images differ.", count=3)
        'Check --size and --mean: 3 images differ.'
    """

    def __new__(cls, text: str, plain: str = "", /, **fields: object) -> "Message":  # noqa: D102
        message = super().__new__(cls, text.format_map(_Names(fields, flag)))
        message._parts = text, plain or text, fields
        return message

    _parts: tuple[str, str, dict[str, Any]]

    def __getnewargs_ex__(self) -> tuple[tuple[str, str], dict[str, Any]]:
        text, plain, fields = self._parts
        return (text, plain), fields

    def render(self, option: Callable[[str, str], str]) -> str:
        """The sentence in other words than the terminal's.

        Args:
            option: the words for an option, of its name ("size") and of the value beside it, ""
                where there is none.
        """
        _, plain, fields = self._parts
        rendered = {
            name: value.render(option) if isinstance(value, Message) else value
            for name, value in fields.items()
        }
        return plain.format_map(_Names(rendered, option))


def option(name: str, value: str = "") -> Message:
    """An option, and a value beside it, as a field of another sentence."""
    return Message(f"{{{name}:{value}}}")


def joined(*messages: Message) -> Message:
    """Messages after one another, those that say nothing left out, as a field of another."""
    fields = {f"part{number}": message for number, message in enumerate(messages) if message}
    return Message(" ".join(f"{{{name}}}" for name in fields), **fields)


def none_of(name: str, value: object, known: Iterable[str]) -> Message:
    """An option has a value that is none of those it knows."""
    return Message(
        '{option} is one of {known}, not "{value}".',
        option=option(name),
        known=", ".join(known),
        value=value,
    )


def flag(name: str, value: str = "") -> str:
    """An option as the command line has it: `--size`, `--size 64x64`."""
    return " ".join(filter(None, ("--" + name.replace("_", "-"), value)))


class _Names(dict[str, object]):
    """The fields of a sentence; any other name in it is an option."""

    def __init__(self, fields: dict[str, object], option: Callable[[str, str], str]) -> None:
        super().__init__(fields)
        self.option = option

    def __missing__(self, name: str) -> "_Option":
        return _Option(name, self.option)


class _Option:
    def __init__(self, name: str, words: Callable[[str, str], str]) -> None:
        self.name, self.words = name, words

    def __format__(self, value: str) -> str:
        return self.words(self.name, value)


def amount(number: int, one: str, several: str) -> str:
    """A number with the words for one or for several.

    >>> amount(1, "image has", "images have"), amount(1200, "image has", "images have")
    ('1 image has', '1,200 images have')
    """
    return f"{number:,} {one if number == 1 else several}"


def threshold_text(value: float) -> str:
    """A threshold with the digits that tell it from all others, and a true minus sign.

    Every page, report, file and job says thresholds by this. That they are short is the care of
    whoever makes them: `Curve.short_thresholds`, `operating_point.fewest_digits` in `decision`.

    >>> threshold_text(-0.25), threshold_text(3.0)
    ('−0.25', '3')
    """
    return repr(float(value)).removesuffix(".0").replace("-", "−").replace("inf", "∞")


def share_text(share: float, decimals: int = 1) -> str:
    """A share as every text and axis writes it: a space before the sign.

    >>> share_text(0.0451), share_text(0.05, 0)
    ('4.5 %', '5 %')
    """
    return f"{100 * share:.{decimals}f} %"


def time_left(seconds: float | None) -> str:
    """`, 3 min left`, to follow what is done; "" while nothing is known of it."""
    return f", {duration(seconds)} left" if seconds else ""


def duration(seconds: float) -> str:
    """`40 s`, `3 min`, `2 h 5 min`: coarser the longer it takes."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{minutes} min"
