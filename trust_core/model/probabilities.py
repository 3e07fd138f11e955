"""Networks that return probabilities: the logits before their last step, or its exact inverse.

Evidence is read from logits. A softmax or sigmoid as the last step is left out of the run, so that
nothing is lost to rounding; where it cannot be left out (an average of probabilities, one column of
them) its inverse is taken. How a network ends is read off its calls and its autograd graph, not
guessed from the range of a few outputs.

Notation: N images, K outputs.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.graph import Node
from torch.overrides import TorchFunctionMode

from trust_core.errors import ModelError
from trust_core.model.outputs import is_vector

SOFT = ("softmax", "sigmoid", "expit", "special_expit")
# What probabilities may still go through behind a softmax or sigmoid.
BEHIND = frozenset(
    """View UnsafeView Reshape ReshapeAlias Alias AsStrided Squeeze Unsqueeze Permute Transpose T
    Clone Select Slice Index Stack Cat Mean Sum Div Mul Add Sub Rsub Exp Unbind Split
    ToCopy""".split()  # noqa: SIM905
)
SOFTENED = ("SoftmaxBackward", "SigmoidBackward", "LogSoftmaxBackward")
CLIPPED = ("HardsigmoidBackward", "ClampBackward", "HardtanhBackward")
SUM_TO_ONE = 1e-4
LEFT_OUT = "The network ends in a {step}: its outputs are read before it, as logits."
INVERTED = "The network returns probabilities: their exact inverse is taken as its logits."


@dataclass(frozen=True)
class LastStep:
    """How a network's outputs become logits.

    Attributes:
        index: which of its calls of a softmax or sigmoid is the last step; None to leave out none.
        inverted: whether the outputs are probabilities that have to be inverted.
        note: a sentence on it; "" where the outputs are logits already.
    """

    index: int | None = None
    inverted: bool = False
    note: str = ""

    @contextmanager
    def left_out(self) -> Iterator[None]:
        """The network's last step returns what it was given."""
        if self.index is None:
            yield
            return
        with _Calls(without=self.index):
            yield

    def logits(self, outputs: Tensor) -> Tensor:
        """The logits (N, K) of what the network returned, with its last step left out."""
        if not self.inverted:
            return outputs
        tiny = torch.finfo(outputs.dtype).tiny
        if outputs.shape[1] == 1:
            most = 1 - torch.finfo(outputs.dtype).eps / 2
            return outputs.clamp(tiny, most).logit()
        return outputs.clamp_min(tiny).log()


class _Calls(TorchFunctionMode):
    """Softmaxes and sigmoids that give one vector an image; one of them may be left out."""

    def __init__(self, without: int | None = None) -> None:
        super().__init__()
        self.without = without
        self.calls: list[tuple[str, Tensor, Tensor]] = []

    def __torch_function__(
        self,
        function: Callable[..., object],
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "")
        given = args[0] if args else kwargs.get("input")
        if name not in SOFT or not isinstance(given, Tensor) or not is_vector(given):
            return function(*args, **kwargs)
        left_out = len(self.calls) == self.without
        result = given if left_out else function(*args, **kwargs)
        assert isinstance(result, Tensor)
        self.calls.append((name, given, result))
        return result


@contextmanager
def watched() -> Iterator[Callable[[Tensor], tuple[LastStep, Tensor]]]:
    """Watch one run of a network, with a graph.

    Yields:
        A function, to be called with the outputs (N, K) of that run: the last step, and the logits.

    Raises:
        ModelError: by that function: it cannot be told what the logits were.
    """
    with _Calls() as calls:
        yield lambda outputs: _last_step(outputs, calls.calls)


def _last_step(outputs: Tensor, calls: list[tuple[str, Tensor, Tensor]]) -> tuple[LastStep, Tensor]:
    count = outputs.shape[1]
    for index, (name, given, result) in reversed(list(enumerate(calls))):
        if result.data_ptr() == outputs.data_ptr() and result.numel() == outputs.numel():
            step = "softmax" if name == "softmax" else "sigmoid"
            if step == "sigmoid" and count > 1:
                raise ModelError(
                    f"The network ends in a sigmoid for each of its {count} outputs, so that they "
                    "do not exclude each other and no evidence for one against the rest can be "
                    "told; return the one output that means defective."
                )
            if step == "softmax" and not _sums_to_one(outputs):
                raise ModelError(
                    "The network ends in a softmax that does not run over its outputs, so they are "
                    "no probabilities; correct its dim, or return the logits."
                )
            _refuse_constant(step, count)
            found = LastStep(index, note=LEFT_OUT.format(step=step))
            return found, given.reshape(outputs.shape)
    ends = _ends(outputs.grad_fn)
    clipped = [end for end in ends if end.startswith(CLIPPED)]
    if clipped and len(clipped) == len(ends):
        raise ModelError(
            "The network ends in a clipped value, of which neither evidence nor gradients are left "
            "where it is clipped; return its logits."
        )
    soft = bool(ends) and all(end.startswith(SOFTENED) for end in ends)
    within = bool(((outputs >= 0) & (outputs <= 1)).all())
    if within and (soft if count == 1 else _sums_to_one(outputs)):
        found = LastStep(inverted=True, note=INVERTED)
    elif soft and (count == 1 or not all(end.startswith("LogSoftmax") for end in ends)):
        raise ModelError(
            "The network makes its outputs from probabilities in a way that cannot be undone; "
            "return its logits."
        )
    else:
        found = LastStep()
    return found, found.logits(outputs)


def _sums_to_one(outputs: Tensor) -> bool:
    return bool(((outputs.sum(1) - 1).abs() < SUM_TO_ONE).all())


def _refuse_constant(step: str, count: int) -> None:
    if step == "softmax" and count == 1:
        raise ModelError(
            "The network ends in a softmax over one output, which is always 1; return the output "
            "before it."
        )


def _ends(node: Node | None) -> list[str]:
    """Names of the operations that outputs come from, seen through views, averages and sums."""
    found, stack, seen = [], [node] if node else [], set()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        name = node.name()
        following = [each for each, _ in node.next_functions if each is not None]
        behind = name.partition("Backward")[0] in BEHIND
        if behind and following:
            stack += following
        elif name != "torch::autograd::AccumulateGrad":
            found.append(name)
    return found
