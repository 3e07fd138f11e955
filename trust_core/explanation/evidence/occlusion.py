"""Evidence by occlusion: windows of an image are replaced, and the detector is asked again.

Prediction difference analysis (Zintgraf et al., ICLR 2017), its plug-in form, and a form from
coarse to fine; and what these share with the forms that take gradients: an image, its windows, and
what takes their place.

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
from trust_core.explanation.evidence.patch_gaussian import PatchGaussian, WindowBlock
from trust_core.explanation.evidence.windows import window_starts
from trust_core.model.detector import Detector

BATCH_PIXELS = 32 * 224 * 224  # a batch is as many images as this holds ...
LARGEST_BATCH = 64  # ... but no more
BITS_PER_NAT = 1 / math.log(2)
LAPLACE_N = 1_000_000  # as for ImageNet; how many images it has learnt from, a network does not say
LAPLACE_K = 2
BLOCK_SIDES = (4, 2, 1)  # windows along a side of the blocks of the coarse-to-fine form
SPLIT_SHARE = 0.5  # of the blocks of a level

Patch = tuple[int, int, Tensor]
Reference = Callable[["Occlusion", Sequence[int], Sequence[int]], Iterator[WindowBlock]]


def conditional_mean(
    occlusion: "Occlusion", rows: Sequence[int], columns: Sequence[int]
) -> Iterator[WindowBlock]:
    """What windows differ from their mean by, given their surroundings."""
    return occlusion.surroundings.blocks(
        occlusion.pixels, rows, columns, marginal=occlusion.marginal
    )


class Occlusion:
    """An image, its windows, what takes their place, and what it has cost so far.

    Attributes:
        pixels: (c, H, W), what is replaced: one channel for a grey image.
        rows: first rows of the windows.
        columns: first columns.
        forwards: images put through the network.
        backwards: images whose gradient was taken.

    Args:
        detector: the network under audit.
        pixels: the image as the detector sees it, in [0, 1].
        surroundings: what a window looks like from its surroundings; its window is taken.
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
        surroundings: PatchGaussian,
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
        if surroundings.channels != len(pixels):
            raise SettingsError(
                f"The surroundings were fitted on images of {surroundings.channels} channels, this "
                f"one has {len(pixels)}; fit them on images as this detector sees them."
            )
        grey = bool((pixels == pixels[:1]).all())
        self.pixels = pixels[:1] if grey else pixels
        self.surroundings = surroundings.grey if grey else surroundings
        self.window = surroundings.window
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
        self.rows, self.columns = (window_starts(n, self.window, stride) for n in pixels.shape[1:])
        self.samples = samples
        self.seed = seed
        self.marginal = marginal
        self.forwards = self.backwards = self.expected_forwards = 0
        self._detector = detector
        self._channels = len(pixels)
        self._reference = reference
        self._progress = progress
        self._stop = stop
        self._clean_log_odds: float | None = None  # z of the image, once it is known

    @property
    def clean_log_odds(self) -> float:
        """Log-odds of the image itself; costs a forward when nothing has asked for it before."""
        if self._clean_log_odds is None:
            self._clean_log_odds = float(self.log_odds(self.pixels[None])[0])
        return self._clean_log_odds

    def blocks(self, rows: Sequence[int], columns: Sequence[int]) -> Iterator[WindowBlock]:
        """What the windows of a grid differ by from what takes their place."""
        return self._reference(self, rows, columns)

    def empty(self) -> Tensor:
        """A place for a number a window, (R, C) float64."""
        return torch.zeros(len(self.rows), len(self.columns), dtype=torch.float64)

    def expect(self, forwards: int) -> None:
        """Say how many further forwards are coming, for the progress."""
        self.expected_forwards += forwards

    def log_odds(self, images: Tensor) -> Tensor:
        """The log-odds of images (n, c, H, W): (n,) float64, without a graph."""
        self._count(len(images))
        return self._detector.log_odds(self._with_channels(images)).double().cpu()

    def gradient(self) -> Tensor:
        """∂z/∂x of the image itself, (c, H, W), from one forward and one backward."""
        answer, gradient = self.gradients(self.pixels[None])
        self._clean_log_odds = float(answer[0])
        return gradient[0]

    def gradients(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The log-odds of images (n, c, H, W), (n,), and ∂z/∂x, of their shape."""
        self._count(len(images))
        self.backwards += len(images)
        response = self._detector.forward_with_gradients(
            self._with_channels(images), input_gradient=True
        )
        gradient = response.input_gradient
        assert gradient is not None
        if len(self.pixels) < self._channels:
            gradient = gradient.sum(1, keepdim=True)
        return response.log_odds, gradient

    def log_odds_with(self, patches: Iterable[Patch]) -> Tensor:
        """The log-odds with each patch in the image's place, one at a time.

        Of each patch its first row, first column and content (c, h, w).

        Returns:
            (number of patches,) float64.
        """
        size = self.batch_size
        waiting = iter(patches)
        answers = [torch.empty(0, dtype=torch.float64)]
        while some := list(islice(waiting, size)):
            images = self.pixels.repeat(len(some), 1, 1, 1)
            for image, (row, column, patch) in zip(images, some, strict=True):
                image[:, row : row + patch.shape[1], column : column + patch.shape[2]] = patch
            answers.append(self.log_odds(images))
        return torch.cat(answers)

    def replacements(self, rows: Sequence[int], columns: Sequence[int]) -> Tensor:
        """What takes the place of each of these windows, (R, C, c, k, k)."""
        views = self.pixels.unfold(1, self.window, 1).unfold(2, self.window, 1)
        shape = (len(rows), len(columns), len(self.pixels), self.window, self.window)
        found = self.pixels.new_empty(shape)
        for block in self.blocks(rows, columns):
            there = views[:, block.top, block.left].permute(1, 2, 0, 3, 4)
            found[block.rows, block.columns] = there - block.difference.permute(3, 4, 0, 1, 2)
        return found

    def patches(self) -> Iterator[Patch]:
        """Every window with what takes its place, row by row."""
        contents = self.replacements(self.rows, self.columns)
        for row, line in zip(self.rows, contents, strict=True):
            for column, content in zip(self.columns, line, strict=True):
                yield row, column, content

    def noise(self, generator: torch.Generator, count: int) -> Tensor:
        """Standard normal numbers for `count` draws of a window, (count, c, k²)."""
        return torch.randn(count, len(self.pixels), self.window**2, generator=generator)

    def draws(self, row: int, column: int, mean: Tensor, noise: Tensor) -> Tensor:
        """Draws of one window around its mean (c, k, k), (n, c, k, k)."""
        size = None if self.marginal else (self.pixels.shape[1], self.pixels.shape[2])
        return self.surroundings.draw(mean, noise, (row, column), size)

    def replace_all(self, rows: Sequence[int], columns: Sequence[int]) -> Tensor:
        """The image with all these windows replaced at once, (c, H, W); averaged on overlaps."""
        k, total, count = self.window, torch.zeros_like(self.pixels), torch.zeros_like(self.pixels)
        for row, line in zip(rows, self.replacements(rows, columns), strict=True):
            for column, content in zip(columns, line, strict=True):
                total[:, row : row + k, column : column + k] += content
                count[:, row : row + k, column : column + k] += 1
        return torch.where(count > 0, total / count.clamp(min=1), self.pixels)

    @property
    def batch_size(self) -> int:
        """Images in a batch."""
        height, width = self.pixels.shape[1:]
        return max(1, min(LARGEST_BATCH, BATCH_PIXELS // (height * width)))

    def _with_channels(self, images: Tensor) -> Tensor:
        return images.expand(-1, self._channels, -1, -1) if images.shape[1] == 1 else images

    def _count(self, count: int) -> None:
        if self._stop():
            raise Stopped("The evidence was stopped before it was complete.")
        self.forwards += count
        self._progress(self.forwards, max(self.expected_forwards, self.forwards))


def prediction_difference(occlusion: Occlusion) -> Tensor:
    """PDA: log₂ odds(p) − log₂ odds(p̄), p̄ the mean over `samples` draws of each window.

    Zintgraf et al., ICLR 2017, equations 2 to 5, with their Laplace correction
    p ← (pN + 1)/(N + K). (R, C) bits.
    """
    found = occlusion.empty()
    occlusion.expect(found.numel() * occlusion.samples + 1)
    p = occlusion.log_odds_with(_draws(occlusion)).sigmoid().view(*found.shape, occlusion.samples)
    own = torch.tensor(occlusion.clean_log_odds, dtype=torch.float64).sigmoid()
    return laplace_odds(own) - laplace_odds(p.mean(2))


def plug_in(occlusion: Occlusion) -> Tensor:
    """E2, z(x) − z(x with w ← μ): one forward a window instead of one a draw. (R, C) bits."""
    found = occlusion.empty()
    occlusion.expect(found.numel() + 1)
    answers = occlusion.log_odds_with(occlusion.patches())
    return (occlusion.clean_log_odds - answers.view_as(found)) * BITS_PER_NAT


def coarse_to_fine(occlusion: Occlusion) -> Tensor:
    """E4: plug-in evidence of blocks of windows, split where it is large. (R, C) bits.

    All windows of a block are replaced at once. Of the blocks of a level, the `SPLIT_SHARE` with
    the most evidence, for or against, is split into four, down to single windows, which are those
    of the plug-in form. The windows of a block that is not split share its evidence by area.
    Evidence of both signs within a block can hide in its sum.
    """
    found, k = occlusion.empty(), occlusion.window
    contents = occlusion.replacements(occlusion.rows, occlusion.columns)
    together = occlusion.replace_all(occlusion.rows, occlusion.columns)
    regions = [(range(len(occlusion.rows)), range(len(occlusion.columns)))]
    occlusion.expect(1)
    for side in BLOCK_SIDES:
        blocks = [
            (down[i : i + side], across[j : j + side])
            for down, across in regions
            for i in range(0, len(down), side)
            for j in range(0, len(across), side)
        ]
        patches: list[Patch] = []
        for down, across in blocks:
            top, left = occlusion.rows[down[0]], occlusion.columns[across[0]]
            bottom, right = occlusion.rows[down[-1]] + k, occlusion.columns[across[-1]] + k
            whole = together[:, top:bottom, left:right]
            patches.append((top, left, contents[down[0], across[0]] if side == 1 else whole))
        occlusion.expect(len(blocks))
        evidence = occlusion.clean_log_odds - occlusion.log_odds_with(patches)
        for (down, across), (_, _, patch), bits in zip(blocks, patches, evidence, strict=True):
            share = k * k / (patch.shape[1] * patch.shape[2])
            found[down.start : down.stop, across.start : across.stop] = bits * share
        order = evidence.abs().argsort(descending=True)[: math.ceil(SPLIT_SHARE * len(blocks))]
        regions = [blocks[i] for i in order.tolist()]
    return found * BITS_PER_NAT


def _draws(occlusion: Occlusion) -> Iterator[Patch]:
    """`samples` draws of each window, window by window."""
    noise = torch.Generator().manual_seed(occlusion.seed)
    for row, column, mean in occlusion.patches():
        for patch in occlusion.draws(row, column, mean, occlusion.noise(noise, occlusion.samples)):
            yield row, column, patch


def laplace_odds(p: Tensor) -> Tensor:
    """log₂ odds of probabilities, with the Laplace correction."""
    corrected = (p * LAPLACE_N + 1) / (LAPLACE_N + LAPLACE_K)
    return torch.log2(corrected / (1 - corrected))


def gradient_times_difference(
    gradient: Tensor, blocks: Iterable[WindowBlock], rows: Sequence[int], columns: Sequence[int]
) -> Tensor:
    """Σ over each window of gradient times difference: (R, C) bits, float64.

    `gradient` is (c, H, W); `blocks` are what windows differ by from what takes their place;
    `rows`, (R,), and `columns`, (C,), are where they begin.
    """
    found = torch.empty(len(rows), len(columns), dtype=torch.float64)
    for block in blocks:
        k = block.difference.shape[1]
        there = gradient.unfold(1, k, 1).unfold(2, k, 1)[:, block.top, block.left]
        product = there.permute(0, 3, 4, 1, 2) * block.difference
        found[block.rows, block.columns] = product.sum((0, 1, 2)).double().cpu()
    return found * BITS_PER_NAT


def mean_over_windows(
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
