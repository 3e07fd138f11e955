"""Further heatmaps through the package grad-cam: slower than ours, and marked so by their name.

The package runs the network again for every map, and some of its maps many times. Its known edges
stay its own: a principal component with a random sign is clipped at zero. Its random map is left
out: no second run would give the same scores.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trust_core.errors import ModelError, first_line
from trust_core.explanation.map_forms import FULLGRAD, PACKAGE_MAPS
from trust_core.model.detector import Detector


class _LogOdds(nn.Module):
    """The detector as the package wants a network: pixels in, `(N, 1)` log-odds out.

    `tap` is the layer that the package hooks, and may replace: the activations pass through it as
    `(N, C, h, w)`, so no module of the user's is touched and any layout of them will do.
    """

    def __init__(self, module: nn.Module, sign: int) -> None:
        super().__init__()
        self.module = module
        self.tap: Callable[[Tensor], Tensor] = nn.Identity()
        self.sign = sign
        self.log_odds: Callable[[Tensor], Tensor] | None = None

    def forward(self, pixels: Tensor) -> Tensor:
        assert self.log_odds is not None
        return self.sign * self.log_odds(pixels)[:, None]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Nothing: the gradients in the user's module are not the package's to clear."""


def package_map(detector: Detector, name: str, pixels: Tensor, layer: str, sign: int) -> Tensor:
    """A map of the package, `(N, h, w)` on the layer's own grid.

    Where the package has a map on the layer's grid, that is taken before its min-max scaling. Its
    full-gradient map exists only at input size and scaled: that one is averaged down to the grid.

    `name` is a key of `PACKAGE_MAPS`; `pixels` are `(N, c, H, W)` in [0, 1]; `sign` is 1 for the
    evidence for *defective*, −1 for *good*.

    Raises:
        ModelError: the package fails on this network.
    """
    find = PACKAGE_MAPS.find(name)
    import pytorch_grad_cam

    method = find(pytorch_grad_cam)
    network = _LogOdds(detector.module, sign)
    with detector.tapped(layer, lambda maps: network.tap(maps)) as network.log_odds:
        try:
            x = pixels.detach().clone().requires_grad_()
            result = _run(method, network, x, full=name == FULLGRAD)
        except (AssertionError, RuntimeError, ValueError, TypeError, IndexError) as error:
            cause = first_line(error)
            raise ModelError(
                f"The package grad-cam cannot make its map '{name}' for this network ({cause}); "
                "choose another form."
            ) from error
    maps = torch.as_tensor(result, dtype=torch.float32, device=pixels.device)
    if name == FULLGRAD:
        maps = nn.functional.adaptive_avg_pool2d(maps[:, None], detector.grids[layer])[:, 0]
    return maps


def _run(
    method: Callable[..., Any], network: _LogOdds, pixels: Tensor, *, full: bool
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The package's map of the tapped layer, rectified; the full-gradient map as it comes."""
    targets = [lambda output: output[0]] * len(pixels)
    cam = method(model=network, target_layers=[] if full else [network.tap])
    try:
        if full:
            return np.asarray(cam(pixels, targets))
        records = cam.activations_and_grads
        log_odds = records(pixels)
        if cam.uses_gradients:
            log_odds.sum().backward()
        activations = records.activations[0].cpu().numpy()
        gradients = records.gradients[0].cpu().numpy() if records.gradients else None
        image = cam.get_cam_image(pixels, network.tap, targets, activations, gradients, False)
        return np.maximum(image, 0)
    finally:
        cam.activations_and_grads.release()
