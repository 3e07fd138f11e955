"""Operators that onnx2torch lacks, and products with a constant as linear layers."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import onnx2torch.converter
import torch
from onnx import ModelProto
from onnx2torch import convert
from onnx2torch.node_converters.matmul import OnnxMatMul
from onnx2torch.node_converters.registry import add_converter, get_converter
from onnx2torch.utils.common import OnnxMapping, OperationConverterResult, onnx_mapping_from_node
from torch import Tensor, fx, nn

from trust_core.model.onnx_rewriting import OPSET

# Shapes have been inferred already; once more would copy all weights, twice.
onnx2torch.converter.safe_shape_inference = lambda model: model


class GlobalMaxPool(nn.Module):
    """The largest value of each channel, (N, C, h, w) to (N, C, 1, 1)."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return x.amax(tuple(range(2, x.ndim)), keepdim=True)


def converted(model: ModelProto) -> fx.GraphModule:
    """A prepared graph (`onnx_rewriting.prepare`) as a PyTorch module, in eval mode.

    Raises:
        ValueError: it has operators that are not converted; they are named.
    """
    unknown = sorted({n.op_type for n in model.graph.node if not _is_known(n.op_type)})
    if unknown:
        raise ValueError(f"it uses {', '.join(unknown[:4])}, which is not converted.")
    module = convert(model)
    for part in module.modules():
        if isinstance(part, nn.LayerNorm) and part.elementwise_affine:
            part.normalized_shape = tuple(part.weight.shape)  # 0 where inference did not know it
    _linear_layers(module)
    return module.eval().requires_grad_(False)


def value_shapes(model: ModelProto, module: fx.GraphModule, images: Tensor) -> dict[str, list[int]]:
    """The shape of every value of a graph, by running it.

    `module` was made of the graph by `converted`; there are as many `images` (N, c, H, W) as it was
    exported for.
    """
    shapes = {model.graph.input[0].name: list(images.shape)}
    outputs = {node.name: node.output for node in model.graph.node}

    def note(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, __: object, found: object) -> None:
            parts = found if isinstance(found, (tuple, list)) else [found]
            sides = [list(part.shape) if isinstance(part, Tensor) else [] for part in parts]
            shapes.update(zip(outputs[name], sides, strict=False))

        return hook

    with ExitStack() as hooks, torch.no_grad():
        for name, part in module.named_children():
            if name in outputs:
                hooks.callback(part.register_forward_hook(note(name)).remove)
        module(images)
    return shapes


def _is_known(operation: str) -> bool:
    try:
        get_converter(operation, OPSET)
    except NotImplementedError:
        return False
    return True


def _linear_layers(module: fx.GraphModule) -> None:
    """Products with a constant matrix as nn.Linear, which is what they were before the export."""
    for node in module.graph.nodes:
        if node.op != "call_module" or len(node.args) != 2:
            continue
        weight = node.args[1]
        if not isinstance(module.get_submodule(node.target), OnnxMatMul) or weight.op != "get_attr":
            continue
        matrix = module.get_buffer(weight.target)
        if matrix.ndim == 2:
            with torch.device("meta"):
                linear = nn.Linear(matrix.shape[0], matrix.shape[1], bias=False)
            linear.weight = nn.Parameter(matrix.t().contiguous(), requires_grad=False)
            module.set_submodule(node.target, linear)
            node.args = node.args[:1]
    module.graph.eliminate_dead_code()
    module.recompile()


@add_converter(operation_type="Gelu", version=OPSET)  # type: ignore[untyped-decorator]
def _gelu(node: Any, graph: Any) -> OperationConverterResult:  # noqa: ANN401
    approximate = node.attributes.get("approximate", "none")
    return OperationConverterResult(nn.GELU(approximate=approximate), onnx_mapping_from_node(node))


@add_converter(operation_type="Mish", version=OPSET)  # type: ignore[untyped-decorator]
def _mish(node: Any, graph: Any) -> OperationConverterResult:  # noqa: ANN401
    return OperationConverterResult(nn.Mish(), onnx_mapping_from_node(node))


@add_converter(operation_type="GlobalMaxPool", version=1)  # type: ignore[untyped-decorator]
def _global_max_pool(node: Any, graph: Any) -> OperationConverterResult:  # noqa: ANN401
    return OperationConverterResult(GlobalMaxPool(), onnx_mapping_from_node(node))


@add_converter(operation_type="GroupNormalization", version=OPSET)  # type: ignore[untyped-decorator]
def _group_norm(node: Any, graph: Any) -> OperationConverterResult:  # noqa: ANN401
    scale, bias = (graph.initializers[name].to_torch() for name in node.input_values[1:])
    norm = nn.GroupNorm(
        node.attributes["num_groups"], len(scale), node.attributes.get("epsilon", 1e-5)
    )
    norm.weight.data, norm.bias.data = scale, bias
    mapping = OnnxMapping(inputs=node.input_values[:1], outputs=node.output_values)
    return OperationConverterResult(norm, mapping)
