"""Resizing without antialiasing, and by areas, as OpenCV and torchvision on tensors do it.

PIL lets every pixel of a photograph speak when it is made smaller; these read a pixel's two or four
neighbours, however many lie between, so that fine scratches look otherwise to the network.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Weights = npt.NDArray[np.float32]
CUBIC_A = -0.75  # of OpenCV and PyTorch; PIL has -0.5


def resampled(
    pixels: npt.NDArray[np.uint8], size: tuple[int, int], interpolation: str
) -> npt.NDArray[np.uint8]:
    """Pixels `(h, w)` or `(h, w, c)` at another size (H, W), one axis after the other.

    Args:
        pixels: of the photograph.
        size: wanted.
        interpolation: a name of `KERNELS`: "bilinear", "bicubic" and "nearest" as
            `cv2.resize` with INTER_LINEAR, INTER_CUBIC and INTER_NEAREST (and
            `torch.nn.functional.interpolate` with `antialias=False`), "area" as INTER_AREA; but for
            rounding.
    """
    values = pixels.astype(np.float32)
    kernel = KERNELS[interpolation]
    if interpolation == "area" and (size[0] > pixels.shape[0] or size[1] > pixels.shape[1]):
        kernel = _area_enlarged
    for axis in (0, 1):
        values = kernel(values, axis, size[axis])
    return np.asarray(np.rint(values).clip(0, 255), np.uint8)


def _taps(
    values: Weights, axis: int, length: int, weights: Callable[[Weights], list[Weights]]
) -> Weights:
    """A weighted sum of neighbours; beyond the border stands the pixel at the border."""
    have = values.shape[axis]
    centres = (np.arange(length) + 0.5) * (have / length) - 0.5
    low = np.floor(centres).astype(np.int64)
    taps = weights((centres - low).astype(np.float32))
    first = 1 - len(taps) // 2
    shape = (-1, *(1,) * (values.ndim - 1 - axis))
    terms = [
        values.take((low + first + k).clip(0, have - 1), axis) * tap.reshape(shape)
        for k, tap in enumerate(taps)
    ]
    return np.asarray(sum(terms[1:], terms[0]))


def _linear(values: Weights, axis: int, length: int) -> Weights:
    return _taps(values, axis, length, lambda t: [1 - t, t])


def _cubic(values: Weights, axis: int, length: int) -> Weights:
    def near(x: Weights) -> Weights:
        return ((CUBIC_A + 2) * x - (CUBIC_A + 3)) * x * x + 1

    def far(x: Weights) -> Weights:
        return ((CUBIC_A * x - 5 * CUBIC_A) * x + 8 * CUBIC_A) * x - 4 * CUBIC_A

    return _taps(values, axis, length, lambda t: [far(1 + t), near(t), near(1 - t), far(2 - t)])


def _nearest(values: Weights, axis: int, length: int) -> Weights:
    have = values.shape[axis]
    return values.take((np.arange(length) * have // length).clip(0, have - 1), axis)


def _area(values: Weights, axis: int, length: int) -> Weights:
    """Means over the pixels that each new one covers, by parts where it cuts them."""
    have = values.shape[axis]
    sums = np.concatenate([np.zeros_like(values.take([0], axis), np.float64),
                           values.cumsum(axis, np.float64)], axis)  # fmt: skip
    edges = np.arange(length + 1) * (have / length)
    low = np.floor(edges).astype(np.int64).clip(0, have)
    part = (edges - low).reshape(-1, *(1,) * (values.ndim - 1 - axis))
    at_edges = sums.take(low, axis) * (1 - part) + sums.take((low + 1).clip(0, have), axis) * part
    return np.asarray(np.diff(at_edges, axis=axis) * (length / have), np.float32)


def _area_enlarged(values: Weights, axis: int, length: int) -> Weights:
    """What INTER_AREA does where a picture grows: pixels with short slopes between them."""
    have = values.shape[axis]
    low = np.arange(length) * have // length
    weight = np.arange(length) + 1 - (low + 1) * (length / have)
    weight = np.where(weight <= 0, 0, weight - np.floor(weight)).astype(np.float32)
    weight = weight.reshape(-1, *(1,) * (values.ndim - 1 - axis))
    high = (low + 1).clip(0, have - 1)
    return values.take(low, axis) * (1 - weight) + values.take(high, axis) * weight


KERNELS: dict[str, Callable[[Weights, int, int], Weights]] = {
    "bilinear": _linear,
    "bicubic": _cubic,
    "nearest": _nearest,
    "area": _area,
}
