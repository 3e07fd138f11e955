"""ONNX networks, converted to PyTorch so that gradients reach the image (extra `onnx`)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from trust_core.errors import ModelError, first_line
from trust_core.model.modules import eval_mode
from trust_core.model.outputs import logits_of
from trust_core.model.weights import check_size

NEWEST_OPSET = 17  # what onnx2torch converts for certain; newer graphs are brought down to it


@dataclass(frozen=True)
class OnnxNetwork:
    """A converted network.

    Attributes:
        module: (N, c, H, W) to logits.
        outputs: number of outputs K.
        channels: c.
        size: (H, W); 224x224 where the graph leaves it open.
    """

    module: nn.Module
    outputs: int
    channels: int
    size: tuple[int, int]


def read_onnx(path: Path) -> OnnxNetwork:
    """Read and convert an ONNX graph that carries all of its weights itself.

    Args:
        path: `.onnx`.

    Raises:
        ModelError: the extra is not installed, or the graph cannot be read or converted.
    """
    try:
        import onnx
        import onnx2torch
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
        from onnx import version_converter
        from onnx.external_data_helper import uses_external_data
    except ImportError as error:
        raise ModelError(
            f"{path.name}: reading ONNX needs two packages more: pip install onnx onnx2torch."
        ) from error
    check_size(path)
    try:
        graph = onnx.load(path, load_external_data=False)
        if any(uses_external_data(tensor) for tensor in graph.graph.initializer):
            raise ModelError(
                f"{path.name} keeps its weights in another file, which is not read; "
                "export it again with the weights inside (external_data=False)."
            )
        onnx.checker.check_model(graph)
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise ModelError(f"{path.name} is no valid ONNX file: {first_line(error)}") from error
    try:
        if max(entry.version for entry in graph.opset_import if not entry.domain) > NEWEST_OPSET:
            graph = version_converter.convert_version(graph, NEWEST_OPSET)
        module = onnx2torch.convert(graph).eval()
        channels, size = _input(graph)
        with torch.no_grad(), eval_mode(module):
            outputs = logits_of(module(torch.zeros(2, channels, *size))).shape[1]
    except (RuntimeError, NotImplementedError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path.name} cannot be converted with gradients: {first_line(error)} "
            "Export it with torch.onnx.export(..., dynamo=False, opset_version=17)."
        ) from error
    return OnnxNetwork(module, outputs, channels, size)


def _input(graph: Any) -> tuple[int, tuple[int, int]]:  # noqa: ANN401  an onnx.ModelProto
    """Channels and (H, W) of the graph's one image input."""
    weights = {tensor.name for tensor in graph.graph.initializer}
    images = [entry for entry in graph.graph.input if entry.name not in weights]
    sides = [side.dim_value for side in images[0].type.tensor_type.shape.dim]
    if len(images) != 1 or len(sides) != 4 or sides[1] not in (1, 3):
        raise ValueError("its input must be one image batch (N, 3 or 1, H, W).")
    return sides[1], (sides[2] or 224, sides[3] or 224)
