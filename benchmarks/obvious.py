"""What the engine is measured against: the obvious pipeline, and the least that any could do.

Notation: N images, E strengths ε other than 0.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from pytorch_grad_cam import EigenCAM, GradCAM
from torch import Tensor, nn

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
MEAN = torch.tensor((0.485, 0.456, 0.406)).view(1, 3, 1, 1)
STD = torch.tensor((0.229, 0.224, 0.225)).view(1, 3, 1, 1)
BATCH = 32


class Obvious:
    """An audit as it is written in an afternoon, from the package grad-cam and autograd.

    For every strength and batch: FGSM by autograd, `GradCAM` for both classes, `EigenCAM`, masks
    and IoU of the maps as the package returns them, at input size.

    Args:
        module: the network, two outputs, index 1 = defective.
        layer: dotted name of the explanation layer.
        shared_gradient: a kinder form, which takes the FGSM gradient once for all strengths.
    """

    def __init__(self, module: nn.Module, layer: str, *, shared_gradient: bool = False) -> None:
        self.module = module
        self.layer = module.get_submodule(layer)
        self.shared_gradient = shared_gradient

    def __call__(self, images: Pixels, strengths: Sequence[float]) -> Floats:
        """Δ of every image at every strength, `(N, E + 1)`."""
        kept: dict[int, Tensor] = {}
        columns = []
        for strength in strengths:
            column = []
            for start in range(0, len(images), BATCH):
                x = torch.from_numpy(images[start : start + BATCH]).float() / 255
                if strength:
                    if start not in kept or not self.shared_gradient:
                        kept[start] = self._gradient(x)
                    x = (x + strength / 255 * kept[start].sign()).clamp(0, 1)
                column.append(self._differences((x - MEAN) / STD))
            columns.append(np.concatenate(column))
        return np.stack(columns, axis=1)

    def _gradient(self, x: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        logits = self.module((x - MEAN) / STD)
        (logits[:, 1] - logits[:, 0]).sum().backward()
        assert x.grad is not None
        # A grey image is to stay grey, as in the engine.
        return x.grad.sum(1, keepdim=True)

    def _differences(self, x: Tensor) -> Floats:
        targets = ([lambda y: y[1] - y[0]] * len(x), [lambda y: y[0] - y[1]] * len(x))
        with GradCAM(model=self.module, target_layers=[self.layer]) as cam:
            defect, good = (cam(input_tensor=x, targets=each) for each in targets)
        with EigenCAM(model=self.module, target_layers=[self.layer]) as cam:
            agnostic = cam(input_tensor=x, targets=None)
        return differences(defect, good, agnostic)


def differences(defect: Floats, good: Floats, agnostic: Floats) -> Floats:
    """Δ from maps `(N, H, W)`, each rectified: masks above half of the largest cell."""

    def mask(maps: Floats) -> npt.NDArray[np.bool_]:
        low, high = maps.min((1, 2), keepdims=True), maps.max((1, 2), keepdims=True)
        return maps > low + 0.5 * (high - low)

    def iou(one: npt.NDArray[np.bool_], two: npt.NDArray[np.bool_]) -> Floats:
        union = (one | two).sum((1, 2))
        return (one & two).sum((1, 2)) / np.maximum(union, 1)

    where = mask(agnostic)
    return iou(mask(defect), where) - iou(mask(good), where)


def bare(module: nn.Module, images: Pixels, batch: int) -> Callable[[int], None]:
    """The limit: E + 1 forwards and one input gradient of ready tensors, and nothing else.

    Args:
        module: frozen; it and the tensors are brought to channels-last, as the engine has them.
        images: `(N, 3, H, W)`.
        batch: images a pass.

    Returns:
        A function of E.
    """
    module = module.to(memory_format=torch.channels_last)
    ready = ((torch.from_numpy(images).float() / 255 - MEAN) / STD).split(batch)
    tensors = [x.to(memory_format=torch.channels_last) for x in ready]

    def run(strengths: int) -> None:
        for x in tensors:
            if strengths:
                x = x.detach().requires_grad_()
                logits = module(x)
                torch.autograd.grad((logits[:, 1] - logits[:, 0]).sum(), x)
            with torch.no_grad():
                for _ in range(strengths or 1):
                    module(x)

    return run
