"""Evidence for and against, pixel by pixel: what each window of an image adds to the decision.

Weight of evidence in bits: positive speaks for *defective*, negative against. The reference is
prediction difference analysis (Zintgraf et al., ICLR 2017, arXiv 1702.04595); the fast forms follow
arXiv 1801.01693, of which only the abstract was known: they are our reading of it.
"""

import time
from collections.abc import Callable

import numpy as np
from torch import Tensor

from trust_core.explanation.evidence.gradients import (
    black,
    corrected_plug_in,
    first_order,
    one_step,
    path,
    second_order,
)
from trust_core.explanation.evidence.occlusion import (
    BITS_PER_NAT,
    Occlusion,
    Reference,
    coarse_to_fine,
    conditional_mean,
    mean_over_windows,
    plug_in,
    prediction_difference,
)
from trust_core.explanation.evidence.patch_gaussian import PatchGaussian
from trust_core.explanation.evidence.windows import Evidence as Evidence
from trust_core.explanation.evidence.windows import disjoint
from trust_core.model.detector import Detector
from trust_core.registry import Registry

Form = Callable[[Occlusion], Tensor]

FORMS: Registry[Form] = Registry("form of evidence")
FORMS.update(
    {
        "first-order": first_order,
        "plug-in": plug_in,
        "second-order": second_order,
        "corrected-plug-in": corrected_plug_in,
        "path": path,
        "coarse-to-fine": coarse_to_fine,
        "prediction-difference": prediction_difference,
        "gradient-x-input": first_order,
        "saliency": first_order,
    }
)
REFERENCES: dict[str, Reference] = {"gradient-x-input": black, "saliency": one_step}
FINE = (
    "first-order",
    "second-order",
    "path",
    "gradient-x-input",
    "saliency",
)  # a window costs them no forward


def evidence(
    detector: Detector,
    pixels: Tensor,
    surroundings: PatchGaussian,
    form: str = "first-order",
    *,
    window: int = 10,
    stride: int | None = None,
    samples: int = 10,
    seed: int = 0,
    marginal: bool = False,
    check: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stop: Callable[[], bool] = lambda: False,
) -> Evidence:
    """What each window of an image adds to the log-odds of *defective*, spread over its pixels.

    Args:
        detector: the network under audit.
        pixels: (c, H, W) in [0, 1], as the detector sees the image.
        surroundings: what a window looks like from its surroundings.
        form: a key of `FORMS`.
        window: side of the square windows, at most that of `surroundings`.
        stride: from window to window; when None, three tenths of the window where that costs no
            forward, else eight tenths.
        samples: draws a window (prediction-difference), steps (path).
        seed: of the draws.
        marginal: leave the surroundings of a window out.
        check: also replace all windows that do not overlap at once: one forward more.
        progress: called with forwards done and forwards in all.
        stop: asked before each batch.

    Raises:
        SettingsError: no such form, or what is asked does not fit the image.
        Stopped: `stop` said so.
    """
    began = time.perf_counter()
    measure = FORMS.find(form)
    occlusion = Occlusion(
        detector,
        pixels,
        surroundings.cut(window),
        REFERENCES.get(form, conditional_mean),
        stride=usual_stride(form, window) if stride is None else stride,
        samples=samples,
        seed=seed,
        marginal=marginal,
        progress=progress,
        stop=stop,
    )
    occlusion.expect(check)
    found = measure(occlusion)
    expected = _bits_of_all(occlusion) if check else float("nan")
    rows, columns = occlusion.rows, occlusion.columns
    down, across = disjoint(rows, window), disjoint(columns, window)
    places = np.stack([np.repeat(rows, len(columns)), np.tile(columns, len(rows))])
    bits = mean_over_windows(found, rows, columns, window, (pixels.shape[1], pixels.shape[2]))
    return Evidence(
        bits=bits.numpy().astype(np.float32),
        windows=np.vstack([places, found.numpy().ravel()]).T.astype(np.float32),
        total=float(found[down][:, across].sum()),
        expected=expected,
        forwards=occlusion.forwards,
        backwards=occlusion.backwards,
        seconds=time.perf_counter() - began,
    )


def usual_stride(form: str, window: int) -> int:
    """From window to window when nothing is said: finer where a window costs no forward."""
    return max(1, window * (3 if form in FINE else 8) // 10)


def occlude_all(
    detector: Detector,
    pixels: Tensor,
    surroundings: PatchGaussian,
    form: str = "first-order",
    *,
    window: int = 10,
    stride: int | None = None,
) -> float:
    """The check alone, in bits: `expected` of the `Evidence` with the same arguments.

    For a page that has shown the evidence before; two forwards.

    Raises:
        SettingsError: what is asked does not fit the image.
    """
    occlusion = Occlusion(
        detector,
        pixels,
        surroundings.cut(window),
        REFERENCES.get(form, conditional_mean),
        stride=usual_stride(form, window) if stride is None else stride,
    )
    return _bits_of_all(occlusion)


def _bits_of_all(occlusion: Occlusion) -> float:
    rows, columns = (
        [starts[place] for place in disjoint(starts, occlusion.window)]
        for starts in (occlusion.rows, occlusion.columns)
    )
    image = occlusion.replace_all(rows, columns)
    return BITS_PER_NAT * (occlusion.clean_log_odds - float(occlusion.log_odds(image[None])[0]))
