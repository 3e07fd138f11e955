"""Small networks with random weights that the tests of this room explain."""

import timm
import torch
import torchvision
from torch import Tensor, nn

from trust_core.model.detector import Detector
from trust_core.model.outputs import choose_convention
from trust_core.model.preprocessing import Preprocessing

SIDE = 96

FAMILIES = {
    "resnet18": lambda outputs: torchvision.models.resnet18(num_classes=outputs),
    "mobilenet_v2": lambda outputs: torchvision.models.mobilenet_v2(num_classes=outputs),
    "mobilenet_v3": lambda outputs: torchvision.models.mobilenet_v3_small(num_classes=outputs),
    "efficientnet_lite0": lambda outputs: timm.create_model(
        "tf_efficientnet_lite0", num_classes=outputs
    ),
}


class TinyResNet(nn.Module):
    """A stem, two residual blocks with in-place non-linearities, pooling, a linear layer."""

    def __init__(self, outputs: int = 2) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(True))
        self.block1 = _Block(8, 8)
        self.block2 = _Block(8, 12)
        self.fc = nn.Linear(12, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.block2(self.block1(self.stem(x))).mean((2, 3)))


class _Block(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, 2, 1)
        self.bn = nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1)
        self.short = nn.Conv2d(before, after, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv2(self.relu(self.bn(self.conv1(x))))
        out += self.short(x)
        return self.relu(out)


class FunctionalReLU(nn.Module):
    """Its last layer is followed by a ReLU that is no module, in place, then flattened, not pooled.

    So the gradient varies over the cells, and it matters on which side of the ReLU it is taken.
    """

    def __init__(self, outputs: int = 2) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 4, 4)
        self.fc = nn.Linear(6 * 8 * 8, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.relu_(self.conv(x)).flatten(1))


class Tokens(nn.Module):
    """Patches as tokens `(N, T, C)` behind a class token, or as `(N, h, w, C)`."""

    def __init__(self, layout: str) -> None:
        super().__init__()
        self.layout = layout
        self.patch = nn.Conv2d(3, 6, 8, 8)
        self.mix = nn.Sequential(nn.Linear(6, 10), nn.GELU())
        self.fc = nn.Linear(10, 2)

    def forward(self, x: Tensor) -> Tensor:
        cells = self.patch(x).permute(0, 2, 3, 1)
        if self.layout == "tokens":
            cells = cells.flatten(1, 2)
            cells = torch.cat([cells[:, :1] * 0 + 1, cells], 1)
            return self.fc(self.mix(cells)[:, 1:].square().mean(1))
        return self.fc(self.mix(cells).square().mean((1, 2)))


def make(
    module: nn.Module,
    *,
    outputs: int = 2,
    side: int | tuple[int, int] = 32,
    layers: tuple[str, ...] = (),
    **convention: object,
) -> Detector:
    """A detector that normalises nothing, so that its module can be called directly."""
    size = side if isinstance(side, tuple) else (side, side)
    choice = choose_convention(outputs, **convention)
    return Detector(module.eval(), Preprocessing(size), choice, layers)
