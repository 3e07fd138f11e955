"""Brightness and sharpness of the network's input: what a camera, a lamp or a lens changes first.

A detector may bear a blur without another answer, and still not be what was audited.
"""

import numpy as np
import numpy.typing as npt

from trust_core.decision.tradeoff import Floats


def photometry(pixels: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Mean grey value, and mean step between neighbouring pixels, of each image.

    `pixels` are `(n, c, H, W)`.

    Returns:
        Brightness and sharpness, both `(n,)`, in grey values of 0 to 255.
    """
    grey = pixels.mean(axis=1, dtype=np.float32)
    steps = [np.abs(np.diff(grey, axis=axis)).mean(axis=(1, 2)) for axis in (1, 2)]
    return grey.mean(axis=(1, 2)).astype(np.float64), np.mean(steps, axis=0).astype(np.float64)
