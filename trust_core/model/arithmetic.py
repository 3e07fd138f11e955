"""The precision a network computes in."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


@contextmanager
def computing(
    precision: str, device: torch.device, last: nn.Module | None, dtype: torch.dtype
) -> Iterator[None]:
    """Arithmetic of a network: bf16 up to a layer, or full throughout.

    What the decision makes of the last layer with a grid is small, and costs accuracy where it is
    rounded: log-odds of eight bits would tie.

    Args:
        precision: a key of `PRECISIONS`.
        device: where the network runs.
        last: the layer behind which everything is in full again; None: bf16 to the end.
        dtype: that of full precision.
    """

    def leave(_: nn.Module, __: object, output: Tensor) -> Tensor:
        torch.set_autocast_enabled(device.type, False)
        return output.to(dtype)

    with ExitStack() as stack:
        if device.type == "cuda":  # TF32 would round convolutions to ten bits without a word
            stack.enter_context(torch.backends.cudnn.flags(enabled=True, allow_tf32=False))
        if PRECISIONS[precision] != torch.float32:
            stack.enter_context(torch.autocast(device.type, PRECISIONS[precision]))
            if last is not None:
                stack.callback(last.register_forward_hook(leave).remove)
        yield
