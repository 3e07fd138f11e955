"""Windows along one axis: which are alike, and how far their surroundings reach."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Run:
    """Evenly spaced starts along one axis, all of one border case.

    Attributes:
        first: the first start.
        step: from start to start.
        count: of starts.
        at: place of the first start among all that were asked.
        reach: pixels of surroundings that are there before and behind the window.
    """

    first: int
    step: int
    count: int
    at: int
    reach: tuple[int, int]

    @property
    def index(self) -> slice:
        """The places of the starts among all that were asked."""
        return slice(self.at, self.at + self.count)

    @property
    def starts(self) -> slice:
        """The starts themselves."""
        return slice(self.first, self.first + (self.count - 1) * self.step + 1, self.step)

    def span(self, side: int) -> slice:
        """The pixels of the padded image that patches of that side cover."""
        return slice(self.first, self.first + (self.count - 1) * self.step + side)

    def pieces(self, count: int) -> Iterator["Run"]:
        """The same starts in runs of at most that many."""
        for done in range(0, self.count, count):
            yield replace(
                self,
                first=self.first + done * self.step,
                count=min(count, self.count - done),
                at=self.at + done,
            )


def reach_of(start: int, window: int, length: int, pad: int) -> tuple[int, int]:
    """Pixels of surroundings that are there before and behind a window along one axis."""
    return min(pad, start), min(pad, length - window - start)


def runs_of(starts: Sequence[int], window: int, length: int, pad: int) -> list[Run]:
    """Ascending starts as runs of even spacing and one border case each."""
    runs: list[Run] = []
    for at, start in enumerate(starts):
        reach = reach_of(start, window, length, pad)
        last = runs[-1] if runs else None
        gap = start - starts[at - 1] if at else 0
        if last and last.reach == reach and (last.count == 1 or last.step == gap):
            runs[-1] = replace(last, step=gap, count=last.count + 1)
        else:
            runs.append(Run(start, 1, 1, at, reach))
    return runs
