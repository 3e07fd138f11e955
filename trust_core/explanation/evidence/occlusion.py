"""One question to a detector: what does each window of an image speak for, and by how much?

Notation: c channels of what is replaced, H, W image size, k window; R, C rows and columns of the
grid of windows. A grey image that is shown as equal channels is replaced as one channel: its
windows stay grey, and its gradient is the sum over the channels.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from trust_core.errors import SettingsError, Stopped
from trust_core.explanation.evidence.patch_gaussian import Block, Conditional
from trust_core.model.detector import Detector

BATCH_PIXELS = 32 * 224 * 224  # a batch is as many images as this holds ...
LARGEST_BATCH = 64  # ... but no more
BITS = 1 / math.log(2)  # bits in a nat

Patch = tuple[int, int, Tensor]
Reference = Callable[["Question", Sequence[int], Sequence[int]], Iterator[Block]]


def conditional_mean(
    question: "Question", rows: Sequence[int], columns: Sequence[int]
) -> Iterator[Block]:
    """What windows differ from their mean by, given their surroundings."""
    return question.conditional.blocks(question.seen, rows, columns, marginal=question.marginal)


class Question:
    """An image, its windows, what takes their place, and what asking has cost so far.

    Attributes:
        seen: (c, H, W), what is replaced: one channel for a grey image.
        rows: first rows of the windows.
        columns: first columns.
        forwards: images put through the network.
        backwards: images whose gradient was taken.

    Args:
        detector: the network under audit.
        pixels: the image as the detector sees it, in [0, 1].
        conditional: what a window looks like from its surroundings; its window is taken.
        reference: what a window is compared with.
        stride: from window to window; the last one ends at the border, whatever the stride.
        samples: draws a window, or steps of a path.
        seed: of the draws.
        marginal: leave the surroundings out.
        progress: called with forwards done and forwards in all.
        stop: asked before each batch.

    Raises:
        SettingsError: what is asked does not fit the image.
    """

    def __init__(
        self,
        detector: Detector,
        pixels: Tensor,
        conditional: Conditional,
        reference: Reference = conditional_mean,
        *,
        stride: int,
        samples: int = 10,
        seed: int = 0,
        marginal: bool = False,
        progress: Callable[[int, int], None] = lambda done, total: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        pixels = pixels.to(detector.device)
        if conditional.channels != len(pixels):
            raise SettingsError(
                f"The surroundings were fitted on images of {conditional.channels} channels, this "
                f"one has {len(pixels)}; fit them on images as this detector sees them."
            )
        grey = bool((pixels == pixels[:1]).all())
        self.seen = pixels[:1] if grey else pixels
        self.conditional = conditional.grey if grey else conditional
        self.window = conditional.window
        if self.window > min(pixels.shape[1:]):
            raise SettingsError(
                f"Window {self.window} is larger than the network's input of "
                f"{'x'.join(map(str, pixels.shape[1:]))} pixels; give a smaller window."
            )
        if not 1 <= stride <= self.window:
            raise SettingsError(
                f"Stride {stride}: write a whole number from 1 to the window, {self.window}, "
                "so that no pixel is left out."
            )
        if samples < 1:
            raise SettingsError(f"Samples {samples}: write a whole number, 1 or more.")
        self.rows, self.columns = (starts(n, self.window, stride) for n in pixels.shape[1:])
        self.samples = samples
        self.seed = seed
        self.marginal = marginal
        self.forwards = self.backwards = self.expected = 0
        self._detector = detector
        self._channels = len(pixels)
        self._reference = reference
        self._progress = progress
        self._stop = stop
        self._own: float | None = None  # z of the image, once it is known

    @property
    def own(self) -> float:
        """Log-odds of the image itself; costs a forward when nothing has asked for it before."""
        if self._own is None:
            self._own = float(self.log_odds(self.seen[None])[0])
        return self._own

    def blocks(self, rows: Sequence[int], columns: Sequence[int]) -> Iterator[Block]:
        """What the windows of a grid differ by from what takes their place."""
        return self._reference(self, rows, columns)

    def empty(self) -> Tensor:
        """A place for a number a window, (R, C) float64."""
        return torch.zeros(len(self.rows), len(self.columns), dtype=torch.float64)

    def expect(self, forwards: int) -> None:
        """Say how many further forwards are coming, for the progress."""
        self.expected += forwards

    def log_odds(self, images: Tensor) -> Tensor:
        """The log-odds of images (n, c, H, W): (n,) float64, without a graph."""
        self._ask(len(images))
        return self._detector.log_odds(self._shown(images)).double().cpu()

    def slope(self) -> Tensor:
        """∂z/∂x of the image itself, (c, H, W), from one forward and one backward."""
        answer, gradient = self.slopes(self.seen[None])
        self._own = float(answer[0])
        return gradient[0]

    def slopes(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The log-odds of images (n, c, H, W), (n,), and ∂z/∂x, of their shape."""
        self._ask(len(images))
        self.backwards += len(images)
        response = self._detector.forward_with_gradients(self._shown(images), input_gradient=True)
        gradient = response.input_gradient
        assert gradient is not None
        if len(self.seen) < self._channels:
            gradient = gradient.sum(1, keepdim=True)
        return response.log_odds, gradient

    def replaced(self, patches: Iterable[Patch]) -> Tensor:
        """The log-odds with each patch in the image's place, one at a time.

        Args:
            patches: first row, first column and content (c, h, w) of each.

        Returns:
            (number of patches,) float64.
        """
        size = self.batch
        waiting = iter(patches)
        answers = [torch.empty(0, dtype=torch.float64)]
        while some := list(islice(waiting, size)):
            images = self.seen.repeat(len(some), 1, 1, 1)
            for image, (row, column, patch) in zip(images, some, strict=True):
                image[:, row : row + patch.shape[1], column : column + patch.shape[2]] = patch
            answers.append(self.log_odds(images))
        return torch.cat(answers)

    def contents(self, rows: Sequence[int], columns: Sequence[int]) -> Tensor:
        """What takes the place of each of these windows, (R, C, c, k, k)."""
        views = self.seen.unfold(1, self.window, 1).unfold(2, self.window, 1)
        shape = (len(rows), len(columns), len(self.seen), self.window, self.window)
        found = self.seen.new_empty(shape)
        for block in self.blocks(rows, columns):
            there = views[:, block.top, block.left].permute(1, 2, 0, 3, 4)
            found[block.rows, block.columns] = there - block.difference.permute(3, 4, 0, 1, 2)
        return found

    def windows(self) -> Iterator[Patch]:
        """Every window with what takes its place, row by row."""
        contents = self.contents(self.rows, self.columns)
        for row, line in zip(self.rows, contents, strict=True):
            for column, content in zip(self.columns, line, strict=True):
                yield row, column, content

    def noise(self, generator: torch.Generator, count: int) -> Tensor:
        """Standard normal numbers for `count` draws of a window, (count, c, k²)."""
        return torch.randn(count, len(self.seen), self.window**2, generator=generator)

    def drawn(self, row: int, column: int, mean: Tensor, noise: Tensor) -> Tensor:
        """Draws of one window around its mean (c, k, k), (n, c, k, k)."""
        size = None if self.marginal else (self.seen.shape[1], self.seen.shape[2])
        return self.conditional.draw(mean, noise, (row, column), size)

    def filled(self, rows: Sequence[int], columns: Sequence[int]) -> Tensor:
        """The image with all these windows replaced at once, (c, H, W); averaged on overlaps."""
        k, total, count = self.window, torch.zeros_like(self.seen), torch.zeros_like(self.seen)
        for row, line in zip(rows, self.contents(rows, columns), strict=True):
            for column, content in zip(columns, line, strict=True):
                total[:, row : row + k, column : column + k] += content
                count[:, row : row + k, column : column + k] += 1
        return torch.where(count > 0, total / count.clamp(min=1), self.seen)

    @property
    def batch(self) -> int:
        """Images in a batch."""
        height, width = self.seen.shape[1:]
        return max(1, min(LARGEST_BATCH, BATCH_PIXELS // (height * width)))

    def _shown(self, images: Tensor) -> Tensor:
        return images.expand(-1, self._channels, -1, -1) if images.shape[1] == 1 else images

    def _ask(self, count: int) -> None:
        if self._stop():
            raise Stopped("The evidence was stopped before it was complete.")
        self.forwards += count
        self._progress(self.forwards, max(self.expected, self.forwards))


def starts(length: int, window: int, stride: int) -> list[int]:
    """First pixels of windows along an axis: every `stride`, and one that ends at the border."""
    last = length - window
    return [*range(0, last, stride), last]


def apart(positions: Sequence[int], window: int) -> list[int]:
    """Places of the starts, greedily from the first, whose windows do not overlap."""
    chosen: list[int] = []
    for place, start in enumerate(positions):
        if not chosen or start >= positions[chosen[-1]] + window:
            chosen.append(place)
    return chosen


def weighed(
    gradient: Tensor, blocks: Iterable[Block], rows: Sequence[int], columns: Sequence[int]
) -> Tensor:
    """Σ over each window of gradient times difference: (R, C) bits, float64.

    Args:
        gradient: (c, H, W).
        blocks: what windows differ by from what takes their place.
        rows: first rows of the windows, (R,).
        columns: first columns, (C,).
    """
    found = torch.empty(len(rows), len(columns), dtype=torch.float64)
    for block in blocks:
        k = block.difference.shape[1]
        there = gradient.unfold(1, k, 1).unfold(2, k, 1)[:, block.top, block.left]
        product = there.permute(0, 3, 4, 1, 2) * block.difference
        found[block.rows, block.columns] = product.sum((0, 1, 2)).double().cpu()
    return found * BITS


def spread(
    found: Tensor,
    rows: Sequence[int],
    columns: Sequence[int],
    window: int,
    size: tuple[int, int],
) -> Tensor:
    """A number a window to a number a pixel: the mean over the windows that cover it.

    Args:
        found: (R, C).
        rows: first rows of the windows, (R,).
        columns: first columns, (C,).
        window: k.
        size: (H, W).

    Returns:
        (H, W).
    """
    return _box(_box(found, rows, window, size[0]).T, columns, window, size[1]).T


def _box(found: Tensor, positions: Sequence[int], window: int, length: int) -> Tensor:
    """Box filter along the first axis, (windows, n) to (length, n), by differences of sums."""
    first, pixel = torch.tensor(positions), torch.arange(length)
    behind = torch.searchsorted(first, pixel, right=True)
    before = torch.searchsorted(first, pixel - window, right=True)
    sums = torch.cat([torch.zeros(1, found.shape[1], dtype=found.dtype), found.cumsum(0)])
    return (sums[behind] - sums[before]) / (behind - before)[:, None]


LAPLACE_N = 1_000_000  # as for ImageNet; how many images it has learnt from, a network does not say
LAPLACE_K = 2
BLOCK_SIDES = (4, 2, 1)  # windows along a side of the blocks of the coarse-to-fine form
KEPT = 0.5  # share of the blocks of a level that are split


def prediction_difference(question: Question) -> Tensor:
    """PDA: log₂ odds(p) − log₂ odds(p̄), p̄ the mean over `samples` draws of each window.

    Zintgraf et al., ICLR 2017, equations 2 to 5, with their Laplace correction
    p ← (pN + 1)/(N + K). (R, C) bits.
    """
    found = question.empty()
    question.expect(found.numel() * question.samples + 1)
    p = question.replaced(_draws(question)).sigmoid().view(*found.shape, question.samples)
    own = torch.tensor(question.own, dtype=torch.float64).sigmoid()
    return odds(own) - odds(p.mean(2))


def plug_in(question: Question) -> Tensor:
    """E2, z(x) − z(x with w ← μ): one forward a window instead of one a draw. (R, C) bits."""
    found = question.empty()
    question.expect(found.numel() + 1)
    answers = question.replaced(question.windows())
    return (question.own - answers.view_as(found)) * BITS


def coarse_to_fine(question: Question) -> Tensor:
    """E4: plug-in evidence of blocks of windows, split where it is large. (R, C) bits.

    All windows of a block are replaced at once. Of the blocks of a level, the `KEPT` share with
    the most evidence, for or against, is split into four, down to single windows, which are those
    of the plug-in form. The windows of a block that is not split share its evidence by area.
    Evidence of both signs within a block can hide in its sum.
    """
    found, k = question.empty(), question.window
    contents = question.contents(question.rows, question.columns)
    together = question.filled(question.rows, question.columns)
    regions = [(range(len(question.rows)), range(len(question.columns)))]
    question.expect(1)
    for side in BLOCK_SIDES:
        blocks = [
            (down[i : i + side], across[j : j + side])
            for down, across in regions
            for i in range(0, len(down), side)
            for j in range(0, len(across), side)
        ]
        patches: list[Patch] = []
        for down, across in blocks:
            top, left = question.rows[down[0]], question.columns[across[0]]
            bottom, right = question.rows[down[-1]] + k, question.columns[across[-1]] + k
            whole = together[:, top:bottom, left:right]
            patches.append((top, left, contents[down[0], across[0]] if side == 1 else whole))
        question.expect(len(blocks))
        evidence = question.own - question.replaced(patches)
        for (down, across), (_, _, patch), bits in zip(blocks, patches, evidence, strict=True):
            share = k * k / (patch.shape[1] * patch.shape[2])
            found[down.start : down.stop, across.start : across.stop] = bits * share
        order = evidence.abs().argsort(descending=True)[: math.ceil(KEPT * len(blocks))]
        regions = [blocks[i] for i in order.tolist()]
    return found * BITS


def odds(p: Tensor) -> Tensor:
    """log₂ odds of probabilities, with the Laplace correction."""
    corrected = (p * LAPLACE_N + 1) / (LAPLACE_N + LAPLACE_K)
    return torch.log2(corrected / (1 - corrected))


def _draws(question: Question) -> Iterator[Patch]:
    """`samples` draws of each window, window by window."""
    noise = torch.Generator().manual_seed(question.seed)
    for row, column, mean in question.windows():
        for patch in question.drawn(row, column, mean, question.noise(noise, question.samples)):
            yield row, column, patch
