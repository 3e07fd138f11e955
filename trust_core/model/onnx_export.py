"""A network as an ONNX file that computes the same, for runtimes other than PyTorch."""

import copy
import json
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from trust_core.errors import ModelError, StoreError, first_line
from trust_core.model.detector import Detector
from trust_core.model.open import ModelCard, card_content
from trust_core.model.outputs import logits_of, mask_logits_of
from trust_core.storage.atomic import replacing

OPSET = 17
INPUT = "images"
CLOSE = 1e-4  # of the outputs' size: rounding in another order moved them by up to 3e-5
IMAGES = 3


class _Outputs(nn.Module):
    """Logits (N, K), and the mask (N, 1, H', W') of a network that gives one."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        network = copy.deepcopy(detector.module).cpu()
        self.network = network.to(memory_format=torch.contiguous_format)
        self.detector = [detector]  # in a list: its module is not a second part of this one

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        (detector,) = self.detector
        with detector.last_step.left_out():
            output = self.network(images)
        logits = detector.last_step.logits(logits_of(output))
        masks = mask_logits_of(output, detector.convention)
        return logits if masks is None else (logits, masks)


def export_onnx(detector: Detector, path: Path) -> Path:
    """Write the network as ONNX, with a card beside it, once onnxruntime gives its numbers.

    The graph takes normalised images `(N, c, H, W)`, any number of them, as the card
    (`NAME.onnx.json`) says, and gives logits `(N, K)`; a network with a mask also gives that.

    Raises:
        ModelError: the network cannot be exported, or the export computes something else.
        StoreError: the folder cannot be written to.
    """
    import onnxruntime

    network = _Outputs(detector).eval()
    shape = (IMAGES, detector.channels, *detector.preprocessing.size)
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = network(images)
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    names = ["logits", "masks"][: len(wanted)]
    try:
        with replacing(path) as unfinished:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of constants, which these shapes are
                torch.onnx.export(
                    network,
                    (images[:2],),
                    str(unfinished),
                    dynamo=False,
                    opset_version=OPSET,
                    input_names=[INPUT],
                    output_names=names,
                    dynamic_axes={name: {0: "n"} for name in (INPUT, *names)},
                )
            session = onnxruntime.InferenceSession(
                str(unfinished), providers=["CPUExecutionProvider"]
            )
            found = session.run(None, {INPUT: images.numpy()})
            apart = max(
                float(np.abs(one - other.numpy()).max() / (1 + other.abs().max()))
                for one, other in zip(found, wanted, strict=True)
            )
            if not apart < CLOSE:
                raise ModelError(
                    f"The exported network computes something else (by {apart:.1g} of its largest "
                    "output), so it was not written."
                )
        card = ModelCard("ONNX", detector.preprocessing, detector.convention)
        with replacing(path.with_name(path.name + ".json")) as unfinished:
            unfinished.write_text(json.dumps(card_content(card, path.name), indent=2) + "\n")
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.") from error
    except (RuntimeError, ValueError, TypeError) as error:
        raise ModelError(f"The network cannot be exported: {first_line(error)}") from error
    return path
