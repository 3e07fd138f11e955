"""What the engine is measured against: the obvious pipeline, and the least that any could do.

Notation: N images, E strengths ε other than 0.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from trust_core.model.modules import PRECISIONS, tf32

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
        device: where it runs.
        grid: what makes `(N, C, h, w)` of the layer's output where that is tokens.
    """

    def __init__(
        self,
        module: nn.Module,
        layer: str,
        *,
        shared_gradient: bool = False,
        device: str = "cpu",
        grid: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.module = module.to(device)
        self.layer = module.get_submodule(layer)
        self.shared_gradient = shared_gradient
        self.mean, self.std = MEAN.to(device), STD.to(device)
        self.grid = grid

    def __call__(self, images: Pixels, strengths: Sequence[float]) -> Floats:
        """Δ of every image at every strength, `(N, E + 1)`."""
        kept: dict[int, Tensor] = {}
        columns = []
        for strength in strengths:
            column = []
            for start in range(0, len(images), BATCH):
                x = torch.from_numpy(images[start : start + BATCH]).to(self.mean.device) / 255
                if strength:
                    if start not in kept or not self.shared_gradient:
                        kept[start] = self._gradient(x)
                    x = (x + strength / 255 * kept[start].sign()).clamp(0, 1)
                column.append(self._differences((x - self.mean) / self.std))
            columns.append(np.concatenate(column))
        return np.stack(columns, axis=1)

    def _gradient(self, x: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        logits = self.module((x - self.mean) / self.std)
        (logits[:, 1] - logits[:, 0]).sum().backward()
        assert x.grad is not None
        # A grey image is to stay grey, as in the engine.
        return x.grad.sum(1, keepdim=True)

    def _differences(self, x: Tensor) -> Floats:
        from pytorch_grad_cam import EigenCAM, GradCAM

        about: dict[str, Any] = {"model": self.module, "target_layers": [self.layer]}
        about["reshape_transform"] = self.grid
        targets = ([lambda y: y[1] - y[0]] * len(x), [lambda y: y[0] - y[1]] * len(x))
        with GradCAM(**about) as cam:
            defect, good = (cam(input_tensor=x, targets=each) for each in targets)
        with EigenCAM(**about) as cam:
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


def bare(
    module: nn.Module,
    images: Pixels,
    batch: int,
    *,
    device: str = "cpu",
    memory_format: torch.memory_format = torch.channels_last,
    precision: str = "fp32",
) -> Callable[[int], None]:
    """The limit: E + 1 forwards and one input gradient of ready tensors, and nothing else.

    Args:
        module: frozen; it and the tensors are brought to the memory format and the device.
        images: `(N, 3, H, W)`.
        batch: images a pass.
        device: where it runs.
        memory_format: channels-last, as the engine has them on a CPU.
        precision: a key of `PRECISIONS`; the whole network runs in it.

    Returns:
        A function of E.
    """
    module = module.to(device, memory_format=memory_format)
    ready = ((torch.from_numpy(images).float() / 255 - MEAN) / STD).split(batch)
    tensors = [x.to(device, memory_format=memory_format) for x in ready]
    low = PRECISIONS[precision] != torch.float32
    where = torch.device(device)

    def run(strengths: int) -> None:
        with (
            tf32(where, allowed=precision == "tf32"),
            torch.autocast(where.type, PRECISIONS[precision], enabled=low),
        ):
            passes(strengths)
        if where.type == "cuda":
            torch.cuda.synchronize()

    def passes(strengths: int) -> None:
        for x in tensors:
            if strengths:
                x = x.detach().requires_grad_()
                logits = module(x)
                torch.autograd.grad((logits[:, 1] - logits[:, 0]).sum(), x)
            with torch.no_grad():
                for _ in range(strengths or 1):
                    module(x)

    return run
