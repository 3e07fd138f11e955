"""What a network needs to run in an audit: its precision, a frozen copy, eval mode, memory."""

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from trust_core.errors import ModelError, first_line
from trust_core.model.facts import PRECISION_NAMES

# TF32 rounds the factors of convolutions and matrix products to ten bits, on a GPU alone.
PRECISIONS = dict(zip(PRECISION_NAMES, (torch.float32, torch.float32, torch.bfloat16), strict=True))


@contextmanager
def arithmetic(
    precision: str,
    device: torch.device,
    module: nn.Module,
    last: nn.Module | None,
    dtype: torch.dtype,
) -> Iterator[None]:
    """Arithmetic of a network: bf16 up to a layer, or full (on a GPU, TF32) throughout.

    What the decision makes of the last layer with a grid is small, and costs accuracy where it is
    rounded: log-odds of eight bits would tie.

    Args:
        precision: a key of `PRECISIONS`.
        device: where the network runs.
        module: the network.
        last: the layer behind which everything is in full again; None: bf16 to the end.
        dtype: that of full precision.
    """

    def leave(_: nn.Module, __: object, output: Tensor) -> Tensor:
        torch.set_autocast_enabled(device.type, False)
        return output.to(dtype)

    def widen(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if torch.is_autocast_enabled(device.type):
            return None
        return tuple(x.to(dtype) if isinstance(x, Tensor) and x.dtype == low else x for x in inputs)

    low = PRECISIONS[precision]
    with ExitStack() as stack:
        stack.enter_context(tf32(device, allowed=precision == "tf32"))
        if low != torch.float32:
            stack.enter_context(torch.autocast(device.type, low))
            if last is not None:
                stack.callback(last.register_forward_hook(leave).remove)
                # A mask decoder behind it reads earlier features too, which are in bf16 still.
                for part in module.modules():
                    if not any(part.children()):
                        stack.callback(part.register_forward_pre_hook(widen).remove)
        yield


@contextmanager
def tf32(device: torch.device, *, allowed: bool = False) -> Iterator[None]:
    """Whether a GPU may round factors to ten bits, which it does in convolutions unless told.

    Nothing on another device. The flags belong to the process and are as before afterwards.
    """
    if device.type != "cuda":
        yield
        return
    convolutions: Any = torch.backends.cudnn
    products: Any = torch.backends.cuda.matmul
    # Read by the newer names, which also answer where a caller has set the flags by these.
    before = [flags.fp32_precision == "tf32" for flags in (convolutions.conv, products)]
    convolutions.allow_tf32 = products.allow_tf32 = allowed
    try:
        yield
    finally:
        convolutions.allow_tf32, products.allow_tf32 = before


def frozen_copy(module: nn.Module, device: str) -> nn.Module:
    """A copy in eval mode with frozen weights, on the device.

    A copy rather than the user's module, frozen and restored around every call: bringing
    weights to another memory format and back costs more than it gains, a copy cannot be left
    changed by a failure, and neither side can disturb the other from another thread.

    Raises:
        ModelError: the module cannot be copied, or has no gradients at its layers.
    """
    module = unwrapped(module)
    _refuse_without_gradients(module)
    try:
        own = copy.deepcopy(module)
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise ModelError(
            f"The network cannot be copied ({first_line(error)}); remove its weight_norm or "
            "spectral_norm, and whatever else copy.deepcopy refuses."
        ) from error
    for name, part in list(own.named_modules()):
        if name and (inner := unwrapped(part)) is not part:
            own.set_submodule(name, inner)
    return own.eval().requires_grad_(False).to(device)


def unwrapped(module: nn.Module) -> nn.Module:
    """The network inside `torch.compile`, DataParallel and their like.

    Compiled code knows neither hooks nor the gradients of single layers.
    """
    while True:
        # By name: importing torch._dynamo for its class takes a second.
        inner = getattr(module, "_orig_mod", None)
        if type(module).__name__ == "OptimizedModule" and isinstance(inner, nn.Module):
            module = inner
        elif isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            module = module.module
        else:
            return module


def _refuse_without_gradients(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, torch.jit.ScriptModule):
            raise ModelError(
                "The network is TorchScript (torch.jit.trace or torch.jit.script), whose layers "
                "cannot be looked into; hand over the Python module that it was made from."
            )
        if ".quantized" in type(part).__module__ or ".quantizable" in type(part).__module__:
            raise ModelError(
                f"The network is quantised ({type(part).__name__}), and rounded numbers have no "
                "gradients; hand over the floating-point network from before."
            )


@contextmanager
def eval_mode(module: nn.Module) -> Iterator[None]:
    """The module in eval mode with frozen parameters; both as before afterwards."""
    modes = [(part, part.training) for part in module.modules()]
    flags = [(weight, weight.requires_grad) for weight in module.parameters()]
    try:
        module.eval()
        for weight, _ in flags:
            weight.requires_grad_(False)
        yield
    finally:
        for part, training in modes:
            part.training = training
        for weight, wanted in flags:
            weight.requires_grad_(wanted)


def dtype_of(module: nn.Module) -> torch.dtype:
    """The one type of the network's weights.

    Raises:
        ModelError: half precision, or several.
    """
    dtypes = {weight.dtype for weight in module.parameters() if weight.is_floating_point()}
    dtype = next(iter(dtypes), torch.float32)
    if len(dtypes) > 1 or dtype not in (torch.float32, torch.float64):
        raise ModelError(
            f"The network's weights are {' and '.join(sorted(map(str, dtypes)))}; "
            "audits run in float32: call module.float() first."
        )
    return dtype


def device_of(module: nn.Module) -> torch.device:
    """Where the network's weights are; the CPU for one without any."""
    return next(module.parameters(), torch.empty(0)).device


def input_channels(module: nn.Module) -> int | None:
    """Number of channels that the first convolution reads, if there is one."""
    return next((p.in_channels for p in module.modules() if isinstance(p, nn.Conv2d)), None)


@contextmanager
def graph_bytes(module: nn.Module) -> Iterator[dict[int, int]]:
    """Bytes that autograd keeps for a backward, by memory block, of all graphs made meanwhile.

    Weights, which are there anyway, are left out when the context ends.
    """
    blocks: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        block = tensor.untyped_storage()
        blocks[block.data_ptr()] = block.nbytes()
        return tensor.detach()  # an output that its own graph holds would never be freed

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        yield blocks
    for weight in (*module.parameters(), *module.buffers()):
        blocks.pop(weight.untyped_storage().data_ptr(), None)
