"""Small networks with random weights that several tests share."""

import segmentation_models_pytorch as smp
import timm
import torch
import torchvision
from torch import nn


def shaken(module: nn.Module, seed: int = 0) -> nn.Module:
    """Random weights for norms and biases too, so that no layer is an identity or all zero."""
    generator = torch.Generator().manual_seed(seed)
    for key, tensor in module.state_dict().items():
        if not tensor.is_floating_point():
            continue
        if "running_var" in key or (tensor.ndim == 1 and key.endswith("weight")):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
        elif tensor.ndim == 1 or not tensor.any():
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.1)
    return module.eval()


def build(name: str, outputs: int = 2, **options: object) -> nn.Module:
    torch.manual_seed(0)
    library, _, rest = name.partition("/")
    if library == "torchvision":
        if rest in ("googlenet", "inception_v3"):
            options |= {"init_weights": False}
        return shaken(torchvision.models.get_model(rest, num_classes=outputs, **options))
    if library == "timm":
        return shaken(timm.create_model(rest, num_classes=outputs, **options))
    decoder, _, encoder = rest.partition(":")
    head = {"aux_params": {"classes": outputs}}
    return shaken(getattr(smp, decoder)(encoder, encoder_weights=None, **head, **options))


def adapted(module: nn.Module, pixels: torch.Tensor) -> nn.Module:
    """The module with the BatchNorm statistics of these images, as if it was trained on them."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.reset_running_stats()
            part.momentum = None
    with torch.no_grad():
        module.train()(pixels)
    return module.eval()


class Tiny(nn.Module):
    """A residual block with an in-place ReLU, a global pool and a linear head: 65 weights."""

    def __init__(self, outputs: int = 2, channels: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(channels, 4, 3, stride=2, padding=1)
        self.conv = nn.Conv2d(4, 4, 3, stride=2, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(4, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.stem(x))
        x = self.relu(self.conv(x))
        return self.head(x.mean((2, 3)))
