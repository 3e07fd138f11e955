"""Uncertainty scores of a detector's answers: indicators that need no heatmap.

Notation: `N` images, `K` outputs, `x` pixels `(N, c, H, W)` in [0, 1], `z` log-odds of *defective*.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trust_core.explanation.perturbation import one_channel_for_grey
from trust_core.model.detector import Detector, Response

Floats = npt.NDArray[np.float64]

UNCERTAINTY_COLUMNS = ("max_logit", "energy", "gradient_norm", "tta_spread")
FLIPS = ((3,), (2,), (2, 3))  # left-right, upside down, both


def uncertainty_scores(pixels: Tensor, response: Response) -> dict[str, Floats]:
    """The columns of `samples.parquet` that the clean pass gives at no further cost, each `(N,)`.

    `max_logit` (Hendrycks et al., ICML 2022) and `energy` −log Σ exp(logits) (Liu et al., NeurIPS
    2020, eq. 4), NaN with one output, where they rank as p does; `gradient_norm` ‖∂z/∂x‖₂, NaN when
    the pass took no gradient; a grey image's is taken as the enhancement takes it.
    """
    unknown = np.full(len(response.logits), np.nan)
    found = dict.fromkeys(UNCERTAINTY_COLUMNS, unknown)
    if response.logits.shape[1] > 1:
        logits = response.logits.double()
        found["max_logit"] = logits.amax(1).cpu().numpy()
        found["energy"] = -logits.logsumexp(1).cpu().numpy()
    if response.input_gradient is not None:
        gradient = one_channel_for_grey(pixels, response.input_gradient)
        norm = torch.linalg.vector_norm(gradient, dim=(1, 2, 3))
        found["gradient_norm"] = norm.double().cpu().numpy()
    return found


def flip_deviation(detector: Detector, pixels: Tensor) -> Floats:
    """Standard deviation of z over the image and its three flips, `(N,)`: three more forwards."""
    views = [pixels, *(pixels.flip(axes) for axes in FLIPS)]
    answers = torch.stack([detector.log_odds(view).double() for view in views])
    return answers.std(0, correction=0).cpu().numpy()
