"""Sentences and progress on standard error."""

import sys
import time
from collections.abc import Callable, Sequence

from trust_core.messages import threshold_text, time_left
from trust_core.storage.progress import Progress, stopwatch


def print_notes(sentences: Sequence[str]) -> None:
    """Sentences for people, on standard error."""
    for sentence in sentences:
        print(sentence, file=sys.stderr)


def typed_threshold(value: float) -> str:
    """A threshold with the digits that every page shows, as it can be typed into a command."""
    return threshold_text(value).replace("−", "-")


def progress() -> Callable[[Progress], None]:
    """A line that is written over on a terminal, and once in ten seconds into a file."""
    terminal = sys.stderr.isatty()
    shown = 0.0

    def show(state: Progress) -> None:
        nonlocal shown
        now = time.monotonic()
        last = state.done == state.total
        if now - shown < (0.2 if terminal else 10) and not last:
            return
        shown = now
        text = f"{state.done:,} of {state.total:,} images, {state.rate:.1f} a second"
        text += time_left(state.seconds_left)
        end = "\r" if terminal and not last else "\n"
        print(f"{text:<60}", end=end, file=sys.stderr, flush=True)

    return show


def counting() -> Callable[[int, int], None]:
    """A line of progress for a job that knows only how many of how many images are done."""
    show = progress()
    measure: Callable[[int, int], Progress] | None = None

    def count(done: int, total: int) -> None:
        nonlocal measure
        measure = measure or stopwatch(done)  # what an earlier run had done is no speed
        show(measure(done, total))

    return count
