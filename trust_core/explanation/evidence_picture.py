"""Signed evidence over an image: orange speaks for *defective*, blue against, none is clear."""

import numpy as np
import numpy.typing as npt

FOR, AGAINST = (213, 94, 0), (0, 114, 178)  # told apart with every kind of colour blindness
STRONGEST = 0.85  # opacity at the end of the scale
PERCENTILE = 99.5


def reach(bits: npt.NDArray[np.float32]) -> float:
    """How far evidence goes, in bits: the 99.5th percentile of its magnitude."""
    return float(np.percentile(np.abs(bits), PERCENTILE))


def overlay(
    pixels: npt.NDArray[np.uint8], bits: npt.NDArray[np.float32], scale: float
) -> npt.NDArray[np.uint8]:
    """Evidence over the image in grey.

    Args:
        pixels: (c, H, W) as the network sees them.
        bits: (H, W).
        scale: bits at the end of the colours; 0 when there is no evidence at all.

    Returns:
        (H, W, 3).
    """
    grey = np.repeat(pixels.mean(0)[..., None], 3, axis=2)
    share = np.clip(bits / scale if scale else np.zeros_like(bits), -1, 1)[..., None]
    colour = np.where(share > 0, FOR, AGAINST)
    alpha = STRONGEST * np.abs(share)
    return np.rint((1 - alpha) * grey + alpha * colour).astype(np.uint8)
