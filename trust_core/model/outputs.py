"""Class convention: which outputs mean *defective* and which *good*, and the log-odds of them.

Notation: N images, K outputs of the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from trust_core.errors import ModelError, SettingsError
from trust_core.messages import Message, none_of, option

if TYPE_CHECKING:  # takes seconds to load, and settings, forms and pages need names alone
    from torch import Tensor


@dataclass(frozen=True)
class Convention:
    """The meaning of each output.

    Attributes:
        outputs: number of outputs K.
        defect: indices of the outputs that mean defective (empty for one output).
        good: indices of the outputs that mean good (empty for one output).
        sign: for one output, +1 when a positive value means defective and -1 when it means good;
            +1 and unused for more outputs.
    """

    outputs: int
    defect: tuple[int, ...]
    good: tuple[int, ...]
    sign: int = 1

    def log_odds(self, logits: Tensor) -> Tensor:
        """The network's evidence for *defective*, z; p(defective) = sigmoid(z).

        One output: `± logit`. Two: `logit[defect] - logit[good]`. More: `logsumexp(defect) -
        logsumexp(good)`, which is the log-odds of the softmax mass of the two sides.

        Logits are (N, K), before any softmax or sigmoid; (N, K, H, W) gives (N, H, W).
        """
        if self.outputs == 1:
            return self.sign * logits[:, 0]
        return _evidence(logits, self.defect) - _evidence(logits, self.good)

    def argmax_defective(self, logits: Tensor) -> Tensor:
        """Whether the largest output is a defective one (one output: z ≥ 0).

        Logits (N, K) to (N,) bool.
        """
        import torch

        if self.outputs == 1:
            return self.log_odds(logits) >= 0
        winner = logits.argmax(dim=1)
        return torch.isin(winner, torch.tensor(self.defect, device=logits.device))

    def inverted(self) -> Convention:
        """The same outputs read the other way round."""
        if self.outputs == 1:
            return Convention(1, (), (), -self.sign)
        return Convention(self.outputs, self.good, self.defect)

    def option(self) -> Message:
        """The option that chooses this convention."""
        if self.outputs == 1:
            return option("one_logit", "defect" if self.sign > 0 else "good")
        if self.outputs == 2:
            return option("defect_index", str(self.defect[0]))
        return option("good_index", ",".join(map(str, self.good)))


def _evidence(logits: Tensor, indices: tuple[int, ...]) -> Tensor:
    """Log of the summed odds of several outputs; a single one is taken as it is, exactly."""
    if len(indices) == 1:
        return logits[:, indices[0]]
    return logits[:, list(indices)].logsumexp(dim=1)


def choose_convention(
    outputs: int,
    *,
    defect_index: int | Sequence[int] | None = None,
    good_index: Sequence[int] = (),
    one_logit: str | None = None,
) -> Convention:
    """The convention for a network with `outputs` outputs and what the user has said about them.

    Without a word, one output means defective when positive, and of two outputs the second is
    the defective one. More outputs must be told.

    Args:
        outputs: number of outputs K.
        defect_index: output(s) that mean defective; all others mean good.
        good_index: outputs that mean good; all others mean defective.
        one_logit: "defect" or "good": what a positive single output means.

    Raises:
        SettingsError: an index or option that does not fit the number of outputs.
        ModelError: more than two outputs and nothing said about them.

    Example:
        >>> choose_convention(3, good_index=[0]).defect
        (1, 2)
    """
    defect = (defect_index,) if isinstance(defect_index, int) else tuple(defect_index or ())
    good = tuple(good_index)
    if outputs == 1:
        if defect or good:
            raise SettingsError(
                Message(
                    "The network has one output, so there is no index to choose; say what a "
                    "positive value means: {one_logit:defect} or {one_logit:good}."
                )
            )
        if one_logit not in (None, "defect", "good"):
            raise SettingsError(none_of("one_logit", one_logit, ("defect", "good")))
        return Convention(1, (), (), -1 if one_logit == "good" else 1)
    if one_logit is not None:
        raise SettingsError(
            Message(
                "The network has {outputs} outputs, so {one_logit} does not apply; say which one "
                "means defective, e.g. {defect_index:0}.",
                outputs=outputs,
            )
        )
    if defect and good:
        raise SettingsError(Message("Give either {defect_index} or {good_index}, not both."))
    if not defect and not good:
        if outputs > 2:
            raise ModelError(
                Message(
                    "The network has {outputs} outputs: say which mean good, e.g. {good_index:0}.",
                    "The network has {outputs} outputs: say in step 1 which of them mean good.",
                    outputs=outputs,
                )
            )
        defect = (1,)
    given = defect or good
    if outside := sorted({index for index in given if not 0 <= index < outputs}):
        raise SettingsError(
            f"The network has {outputs} outputs, numbered 0 to {outputs - 1}; "
            f"there is no output {', '.join(map(str, outside))}."
        )
    rest = tuple(index for index in range(outputs) if index not in given)
    if not rest:
        raise SettingsError(
            "All outputs are named as one class; at least one has to be left for the other."
        )
    given = tuple(sorted(set(given)))
    return Convention(outputs, given, rest) if defect else Convention(outputs, rest, given)


def logits_of(output: object) -> Tensor:
    """The class logits in what a module returns.

    A tensor (N, K), (N, K, 1, 1) or (N,) is taken as it is. Of a tuple or a mapping (a network
    with a mask beside its classification head) the one entry of such a shape is taken.

    Returns:
        (N, K) logits.

    Raises:
        ModelError: there is no such tensor, or there are several.
    """
    import torch

    parts = [output["logits"]] if _named(output, "logits") else _parts(output)
    found = [part for part in parts if isinstance(part, torch.Tensor) and is_vector(part)]
    # Labels (an argmax) may stand beside the logits.
    found = [part for part in found if part.is_floating_point()] or found
    if len(found) != 1:
        shapes = (
            ", ".join(str(tuple(p.shape)) for p in parts if isinstance(p, torch.Tensor)) or "none"
        )
        raise ModelError(
            "The network must return one tensor of class logits (N, K); "
            f"tensors it returned for two images: {shapes}."
        )
    return found[0].reshape(found[0].shape[0], -1)


def mask_logits_of(output: object, convention: Convention) -> Tensor | None:
    """The evidence for *defective* of each pixel in what a module returns.

    Of a tuple or a mapping (where an entry "masks" comes first) the one grid beside the class
    logits is taken: one channel as it is, positive = defective; as many channels as there are
    classes by the convention of the classes. Other grids are no mask.

    Returns:
        (N, 1, H', W') log-odds; None without a mask head.
    """
    import torch

    parts = [output["masks"]] if _named(output, "masks") else _parts(output)
    grids = [
        part
        for part in parts
        if isinstance(part, torch.Tensor) and part.ndim == 4 and not is_vector(part)
    ]
    if len(grids) != 1 or grids[0].shape[1] not in (1, convention.outputs):
        return None
    grid = grids[0]
    return grid if grid.shape[1] == 1 else convention.log_odds(grid)[:, None]


def _named(output: object, name: str) -> TypeGuard[Mapping[str, object]]:
    return isinstance(output, Mapping) and name in output


def _parts(output: object) -> list[object]:
    if isinstance(output, Mapping):
        return list(output.values())
    return list(output) if isinstance(output, (tuple, list)) else [output]


def is_vector(tensor: Tensor) -> bool:
    """Whether a tensor holds one vector an image: (N,), (N, K) or (N, K, 1, 1)."""
    return tensor.ndim in (1, 2) or (tensor.ndim == 4 and tensor.shape[2:] == (1, 1))
