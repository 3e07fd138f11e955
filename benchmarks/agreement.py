"""Δ of the engine against the obvious pipeline's, on a trained network and its own images.

    python -m benchmarks.agreement [--quick] --json

The solar cells of `../shared` with their ResNet-18, at 128 x 128 and every strength of
`benchmarks.engine`, whose networks have random weights. `clean`: at ε = 0; `enhanced`: at ε > 0,
where signs of gradients near 0 turn with rounding and the two enhanced images differ.
"""

import argparse
import copy
import json

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.engine import BATCH, SETTINGS, STRENGTHS, Ware, agreement, audit
from benchmarks.evidence import solar
from benchmarks.machine import machine, versions
from benchmarks.obvious import MEAN, STD, Obvious
from trust_core.data.images import read_image
from trust_core.model.detector import Detector
from trust_core.model.outputs import choose_convention
from trust_core.model.preprocessing import Preprocessing


class AsUsual(nn.Module):
    """A detector as the obvious pipeline takes it: ImageNet's normalisation, two outputs.

    Args:
        detector: reads images normalised in its own way.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.network, self.convention = detector.module, detector.convention
        self.mean, self.std = detector.preprocessing.mean[0], detector.preprocessing.std[0]

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, 2)."""
        z = self.convention.log_odds(self.network((x * STD + MEAN - self.mean) / self.std))
        return torch.stack([torch.zeros_like(z), z], dim=1)


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agreement", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer images")
    parser.add_argument("--json", action="store_true", help="the only form there is")
    options = parser.parse_args()
    cells = solar()
    rule = cells.detector.preprocessing
    own = AsUsual(cells.detector)
    mean, std = (tuple(x.flatten().tolist()) for x in (MEAN, STD))
    detector = Detector(own, Preprocessing(rule.size, mean=mean, std=std), choose_convention(2))
    # A part is enhanced only when it is passed; the obvious pipeline enhances all.
    paths = cells.paths[: 16 if options.quick else 96]
    images = np.stack([rule.pixels(read_image(path)) for path in paths])
    z = detector.log_odds(torch.from_numpy(images).float() / 255)
    images = images[(z < 0).numpy()]
    given = Ware(own, detector, images, BATCH)
    rival = copy.deepcopy(own).requires_grad_()  # grad-cam wants a graph from the parameters
    found = Obvious(rival, detector.layers[0])(images, STRENGTHS)
    shards = audit(given, SETTINGS)
    print(
        json.dumps(
            {"images": len(images), "layer": detector.layers[0], "strengths": STRENGTHS}
            | agreement(found, shards, rule.size[0])
            | {"machine": machine(), "versions": versions("torch", "torchvision", "grad-cam")}
        )
    )


if __name__ == "__main__":
    main()
