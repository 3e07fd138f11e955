"""A Gaussian over small patches: what a window would look like from its surroundings alone.

The sampler of prediction difference analysis (Zintgraf et al., ICLR 2017, section 3.1): one
Gaussian a colour channel over l×l patches, l = k + 2·pad. For a k×k window w with surroundings s,

    mean  μ_w + Σ_ws Σ_ss⁻¹ (x_s − μ_s),    covariance  Σ_ww − Σ_ws Σ_ss⁻¹ Σ_sw.

At the border of an image a part of the surroundings is missing; s is then what is there, which is
the same Gaussian with the missing pixels marginalised. Nothing there at all is the marginal form.

Notation: c channels, H, W image size, k window, l patch; pixels in [0, 1].
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trust_core.errors import SettingsError
from trust_core.model.modules import tf32

Floats = npt.NDArray[np.float64]

ROUNDING_VARIANCE = (1 / 255) ** 2 / 12  # of rounding to 8 bits: keeps flat images' Σ regular
WINDOWS_AT_ONCE = 16_384  # whose means are made at once


@dataclass(frozen=True)
class Starts:
    """Evenly spaced starts of windows along one axis, all of one border case.

    They begin at `first`, `step` apart; `at` is the place of the first among all that were asked,
    `reach` the pixels of surroundings that are there before and behind the window.
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
    def pixels(self) -> slice:
        """The starts themselves."""
        return slice(self.first, self.first + (self.count - 1) * self.step + 1, self.step)

    def span(self, side: int) -> slice:
        """The pixels of the padded image that patches of that side cover."""
        return slice(self.first, self.first + (self.count - 1) * self.step + side)

    def pieces(self, count: int) -> Iterator["Starts"]:
        """The same starts, at most so many at a time."""
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


def even_starts(starts: Sequence[int], window: int, length: int, pad: int) -> list[Starts]:
    """Ascending starts, divided by their spacing and border case."""
    runs: list[Starts] = []
    for at, start in enumerate(starts):
        reach = reach_of(start, window, length, pad)
        last = runs[-1] if runs else None
        gap = start - starts[at - 1] if at else 0
        if last and last.reach == reach and (last.count == 1 or last.step == gap):
            runs[-1] = replace(last, step=gap, count=last.count + 1)
        else:
            runs.append(Starts(start, 1, 1, at, reach))
    return runs


@dataclass(frozen=True)
class WindowGaussian:
    """The Gaussian of a window whose surroundings end at given distances.

    Attributes:
        gain: (c, k², l²) float64, Σ_ws Σ_ss⁻¹ at the pixels of s that are there, 0 elsewhere.
        offset: (c, k²), mean = gain · patch + offset.
        root: (c, k², k²), lower Cholesky factor of the covariance.
    """

    gain: Floats
    offset: Floats
    root: Floats


@dataclass(frozen=True)
class WindowBlock:
    """Windows of one case, on a grid.

    `rows` and `columns` say which of the asked starts, `top` and `left` are those starts;
    `difference` is window − its conditional mean, (c, k, k, rows, columns).
    """

    rows: slice
    columns: slice
    top: slice
    left: slice
    difference: Tensor


@dataclass(frozen=True, eq=False)
class PatchGaussian:
    """One Gaussian a colour channel over l×l patches of pixels in [0, 1], l = window + 2·pad.

    Attributes:
        window: k.
        pad: width of the surroundings.
        mean: (c, l²) float64, rows of the patch one after the other.
        covariance: (c, l², l²).
        low: (c,) darkest pixel that was seen; samples are clipped to [low, high].
        high: (c,) brightest pixel.
    """

    window: int
    pad: int
    mean: Floats
    covariance: Floats
    low: Floats
    high: Floats

    @property
    def channels(self) -> int:
        """Number of colour channels c."""
        return len(self.mean)

    @cached_property
    def grey(self) -> "PatchGaussian":
        """One channel for images whose channels are all equal: the average of the channels."""
        if self.channels == 1:
            return self
        return PatchGaussian(
            self.window,
            self.pad,
            self.mean.mean(0, keepdims=True),
            self.covariance.mean(0, keepdims=True),
            self.low.mean(keepdims=True),
            self.high.mean(keepdims=True),
        )

    def cut(self, window: int) -> "PatchGaussian":
        """The same Gaussian for a smaller window: the pixels around it are marginalised.

        Raises:
            SettingsError: the window is larger than that of the fit, or no window.
        """
        if window == self.window:
            return self
        if not 1 <= window <= self.window:
            raise SettingsError(
                f"Window {window}: write a whole number of pixels from 1 to {self.window}."
            )
        side, kept = self.window + 2 * self.pad, window + 2 * self.pad
        first = (side - kept) // 2
        inside = np.arange(side**2).reshape(side, side)[first : first + kept, first : first + kept]
        index = inside.ravel()
        return replace(
            self,
            window=window,
            mean=self.mean[:, index],
            covariance=self.covariance[:, index[:, None], index],
        )

    def case(self, above: int, below: int, left: int, right: int) -> WindowGaussian:
        """The Gaussian of a window with that many pixels of surroundings on each side."""
        key = (above, below, left, right)
        if key not in self._cases:
            self._cases[key] = self._condition(*key)
        return self._cases[key]

    def draw(
        self, mean: Tensor, noise: Tensor, place: tuple[int, int], size: tuple[int, int] | None
    ) -> Tensor:
        """A window drawn from its surroundings, clipped to the pixels that were seen.

        Args:
            mean: (c, k, k), its conditional mean.
            noise: (n, c, k²), standard normal.
            place: first row and column of the window.
            size: (H, W) of the image; None: the surroundings are left out.

        Returns:
            (n, c, k, k).
        """
        reach = (0, 0, 0, 0)
        if size:
            (top, bottom), (left, right) = (
                reach_of(start, self.window, length, self.pad)
                for start, length in zip(place, size, strict=True)
            )
            reach = (top, bottom, left, right)
        root, low, high = (
            torch.from_numpy(values).to(mean)
            for values in (self.case(*reach).root, self.low, self.high)
        )
        deviation = torch.einsum("cij,ncj->nci", root, noise.to(mean)).view(-1, *mean.shape)
        return (mean + deviation).clamp(low.view(-1, 1, 1), high.view(-1, 1, 1))

    def blocks(
        self, pixels: Tensor, rows: Sequence[int], columns: Sequence[int], *, marginal: bool = False
    ) -> Iterator[WindowBlock]:
        """All windows of a grid with what they differ from their conditional mean by.

        The mean of every window of a block is one convolution of the image.

        Args:
            pixels: (c, H, W).
            rows: first rows of the windows, ascending.
            columns: first columns of the windows, ascending.
            marginal: leave the surroundings out: the mean is μ_w everywhere.
        """
        k, pad = self.window, self.pad
        padded = torch.nn.functional.pad(pixels, (pad,) * 4)
        reach = 0 if marginal else pad
        for down in even_starts(rows, k, pixels.shape[1], reach):
            for across in even_starts(columns, k, pixels.shape[2], reach):
                case = self.case(*down.reach, *across.reach)
                weight, bias = self._residual(case, pixels.dtype)
                for part in down.pieces(max(1, WINDOWS_AT_ONCE // across.count)):
                    with tf32(pixels.device):
                        found = torch.nn.functional.conv2d(
                            padded[None, :, part.span(k + 2 * pad), across.span(k + 2 * pad)],
                            weight.to(pixels.device),
                            bias.to(pixels.device),
                            stride=(part.step, across.step),
                            groups=self.channels,
                        )
                    shape = (self.channels, k, k, *found.shape[2:])
                    yield WindowBlock(
                        part.index, across.index, part.pixels, across.pixels, found.view(shape)
                    )

    @cached_property
    def _cases(self) -> dict[tuple[int, int, int, int], WindowGaussian]:
        return {}

    def _condition(self, above: int, below: int, left: int, right: int) -> WindowGaussian:
        k, pad = self.window, self.pad
        side = k + 2 * pad
        there = np.zeros((side, side), dtype=bool)
        there[pad - above : pad + k + below, pad - left : pad + k + right] = True
        inside = np.zeros((side, side), dtype=bool)
        inside[pad : pad + k, pad : pad + k] = True
        w, s = np.flatnonzero(inside), np.flatnonzero(there & ~inside)
        across = self.covariance[:, w[:, None], s]
        solved = np.linalg.solve(self.covariance[:, s[:, None], s], across.transpose(0, 2, 1))
        gain = np.zeros((self.channels, k * k, side * side))
        gain[:, :, s] = solved.transpose(0, 2, 1)
        covariance = self.covariance[:, w[:, None], w] - across @ solved
        return WindowGaussian(
            gain=gain,
            offset=self.mean[:, w] - np.einsum("cws,cs->cw", gain, self.mean),
            root=np.asarray(np.linalg.cholesky(covariance), dtype=np.float64),
        )

    def _residual(self, case: WindowGaussian, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Kernels (c·k², 1, l, l) and bias (c·k²,) of the convolution window − mean."""
        k, side = self.window, self.window + 2 * self.pad
        kernel = -case.gain.reshape(self.channels, k * k, side, side)
        at = np.arange(k * k)
        kernel[:, at, self.pad + at // k, self.pad + at % k] += 1
        weight = torch.from_numpy(kernel).to(dtype).view(-1, 1, side, side)
        return weight, torch.from_numpy(-case.offset.ravel()).to(dtype)


def fit_patch_gaussian(
    images: Sequence[Tensor],
    *,
    window: int = 10,
    pad: int = 2,
    patches: int = 20_000,
    seed: int = 0,
) -> PatchGaussian:
    """Fit the Gaussian to patches at random places, equally many of each image.

    `images` are (c, H, W) in [0, 1] each; sizes may differ. `patches` are so many in all, for a
    window of side k with `pad` pixels of surroundings.

    Raises:
        SettingsError: no images, or a patch is larger than an image.
    """
    side = window + 2 * pad
    smallest = min((min(image.shape[1:]) for image in images), default=0)
    if window < 1 or pad < 0 or side > smallest:
        raise SettingsError(
            f"Window {window} with {pad} pixels around it does not fit into images of "
            f"{smallest} pixels; give a smaller window, and at least one image."
        )
    draw = np.random.default_rng(seed)
    each = -(-patches // len(images))
    taken = np.concatenate([_patches(image.numpy(), side, each, draw) for image in images])
    channels = taken.shape[1]
    if all(np.array_equal(taken[:, 0], taken[:, channel]) for channel in range(1, channels)):
        covariance = [np.cov(taken[:, 0].astype(np.float64).T)] * channels  # a grey image, repeated
    else:
        covariance = [np.cov(taken[:, c].astype(np.float64).T) for c in range(channels)]
    values = taken.transpose(1, 0, 2).reshape(taken.shape[1], -1)
    return PatchGaussian(
        window=window,
        pad=pad,
        mean=taken.mean(0, dtype=np.float64),
        covariance=np.stack(covariance).reshape(-1, side**2, side**2)
        + ROUNDING_VARIANCE * np.eye(side**2),
        low=values.min(1).astype(np.float64),
        high=values.max(1).astype(np.float64),
    )


def _patches(
    image: npt.NDArray[np.float32], side: int, count: int, draw: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Square patches at random places, (count, c, side²)."""
    rows = draw.integers(0, image.shape[1] - side + 1, count)
    columns = draw.integers(0, image.shape[2] - side + 1, count)
    views = np.lib.stride_tricks.sliding_window_view(image, (side, side), axis=(1, 2))
    return views[:, rows, columns].transpose(1, 0, 2, 3).reshape(count, len(image), -1)
