"""All heatmaps of a batch by name, and how they are rounded for keeping.

Forms come from our own registries (`cams.py`) or, with the prefix `package-`, from the package
grad-cam (`gradcam_package.py`).
"""

import torch
from torch import Tensor

from trust_core.explanation.cams import AGNOSTIC, SPECIFIC, MapFunction
from trust_core.explanation.gradcam_package import package_map
from trust_core.explanation.map_forms import EVIDENCE_FORM, PREFIX, map_names
from trust_core.model.detector import Detector, Response


def heatmaps(
    detector: Detector,
    pixels: Tensor,
    response: Response,
    layer: str,
    specific: tuple[str, ...],
    agnostic: tuple[str, ...],
    evidence: Tensor | None = None,
) -> dict[str, Tensor]:
    """All maps of one layer by name, each `(N, h, w)`, raw.

    Args:
        detector: the network under audit; only maps of the package run it again.
        pixels: `(N, c, H, W)` in [0, 1], what `response` answers.
        response: the detector's pass over `pixels`.
        layer: the explanation layer.
        specific: forms that are made for *defective* and for *good*.
        agnostic: forms that are made once.
        evidence: `(N, 64, 64)` first-order evidence for *defective*, for the form `evidence`: its
            relu for *defective*, that of its negative for *good*, and its magnitude.
    """
    activations, gradients = response.activations[layer], response.gradients[layer]

    def make(form: str, registry: dict[str, MapFunction], sign: int) -> Tensor:
        if form == EVIDENCE_FORM:
            assert evidence is not None
            return evidence.abs() if registry is AGNOSTIC else (sign * evidence).relu()
        if form.startswith(PREFIX):
            return package_map(detector, form.removeprefix(PREFIX), pixels, layer, sign)
        return registry[form](activations, gradients if sign == 1 else -gradients)

    maps = [make(form, SPECIFIC, sign) for form in specific for sign in (1, -1)]
    maps += [make(form, AGNOSTIC, 1) for form in agnostic]
    return dict(zip(map_names(specific, agnostic), maps, strict=True))


def round_maps(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Maps as they are kept: divided by their largest absolute value, in half precision.

    Maps are `(N, h, w)`.

    Returns:
        `(N, h, w)` float16 in [−1, 1], and the divisors `(N,)` float32: 1 for an all-zero map. A
        map that is not finite stays so.
    """
    scale = maps.abs().amax((1, 2))
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    return (maps / scale.view(-1, 1, 1)).half(), scale.float()
