"""The backward pass of a network as tensor operations that an ONNX graph can hold.

A graph for inference knows no gradients. So forward and backward are run once and written down
operation by operation (`make_fx`), and each operation that ONNX has no word for is replaced by ones
that it has: the slope of a convolution is a transposed convolution, that of a maximum goes to where
the maximum was.

Notation: N images, C channels and h, w grid of the explanation layer.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch._decomp import core_aten_decompositions
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.functional import batch_norm

ATEN = torch.ops.aten


def with_backward(
    forward: Callable[[Tensor], tuple[Tensor, list[Tensor], list[Tensor], Tensor]], example: Tensor
) -> nn.Module:
    """A function and its gradients as one module without any autograd.

    Args:
        forward: from `x` to: outputs `(N, K)`; all else that is wanted of it; activations whose
            gradients are wanted; the slope that the outputs are given, `(N, K)`.
        example: `x` for the trace, of more than one image.

    Returns:
        A module from `x` to the outputs, all else, the gradients for the activations and that for
        `x`, in a row.
    """

    def both(x: Tensor) -> tuple[Tensor, ...]:
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            outputs, others, activations, slope = forward(x)
            gradients = torch.autograd.grad(
                outputs,
                [*activations, x],
                slope.detach(),
                allow_unused=True,
                materialize_grads=True,
            )
        return (outputs.detach(), *(other.detach() for other in others), *gradients)

    traced = make_fx(
        both,
        {**core_aten_decompositions(), ATEN.convolution_backward.default: _convolution_backward},
        tracing_mode="symbolic",  # for any number of images
        _allow_non_fake_inputs=True,
    )(example)
    for node in traced.graph.nodes:
        node.target = _REPLACED.get(node.target, node.target)
    traced.recompile()
    return traced


def _convolution_backward(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    _bias: object,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    _output_padding: list[int],
    groups: int,
    wanted: list[bool],
) -> tuple[Tensor | None, None, None]:
    """The gradient for the input alone; weights are frozen."""
    if transposed or wanted[1] or wanted[2]:
        return NotImplemented
    sides = zip(x.shape[2:], gradient.shape[2:], weight.shape[2:], strict=True)
    # What the stride did not reach of the input, at its far end.
    rest = [
        side - ((reached - 1) * stride[i] - 2 * padding[i] + dilation[i] * (kernel - 1) + 1)
        for i, (side, reached, kernel) in enumerate(sides)
    ]
    found = ATEN.convolution(gradient, weight, None, stride, padding, dilation, True, rest, groups)
    return found, None, None


def _normalised(x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor,
                _momentum: float, epsilon: float) -> tuple[Tensor, None, None]:  # fmt: skip
    return batch_norm(x, mean, variance, weight, bias, eps=epsilon), None, None


def _to_where_it_was(gradient: Tensor, x: Tensor, *settings: Any) -> Tensor:  # noqa: ANN401
    """The gradient of max pooling, from the places of the maxima, the last of the settings."""
    places = settings[-1]
    spread = torch.zeros_like(x).flatten(2)
    return spread.scatter_add(2, places.flatten(2), gradient.flatten(2)).view_as(x)


# What ONNX has no word for; and what takes a number of images, which has to stay open.
_REPLACED: dict[Any, Callable[..., Any]] = {
    ATEN._native_batch_norm_legit_no_training.default: _normalised,
    ATEN.max_pool2d_with_indices_backward.default: _to_where_it_was,
    ATEN._softmax.default: lambda x, axis, _: x.softmax(axis),
    ATEN._to_copy.default: lambda x, dtype=None, **_: x if dtype is None else x.to(dtype),
    ATEN.clone.default: lambda x, **_: x,
    **dict.fromkeys((ATEN.alias.default, ATEN.detach.default), lambda x: x),
    ATEN.lift_fresh_copy.default: lambda x: x,
    ATEN.sym_size.int: lambda x, axis: x.shape[0] if axis == 0 else int(x.shape[axis]),
    ATEN.div.Scalar: lambda x, number: x / number,
    ATEN.view.default: lambda x, shape: x.reshape(shape),
    ATEN._unsafe_view.default: lambda x, shape: x.reshape(shape),
    ATEN.expand.default: lambda x, shape: x.expand(shape),
    ATEN.full.default: lambda shape, value, **_: torch.full(shape, value),
}
