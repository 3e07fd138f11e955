"""The card beside a model file: `NAME.json` next to `NAME.safetensors`, all that a detector needs.

A model written here opens without a single option; what the command line says still wins.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import nn

from trust_core.errors import ModelError, SettingsError, StoreError
from trust_core.model.convention import Convention
from trust_core.model.preprocessing import Preprocessing

LARGEST_CARD = 2**16


@dataclass(frozen=True)
class ModelCard:
    """What a model file does not say itself.

    Attributes:
        architecture: full name, e.g. "timm/lcnet_050".
        preprocessing: of the network's input.
        convention: what its outputs mean; None = by rule.
        layer: explanation layer; None = by rule.
    """

    architecture: str
    preprocessing: Preprocessing
    convention: Convention | None = None
    layer: str | None = None


def write_model(path: Path, module: nn.Module, card: ModelCard) -> None:
    """Write weights and card side by side, each by an atomic rename.

    Args:
        path: `NAME.safetensors`; the card becomes `NAME.json`.
        module: the network; shared tensors are written once each by name.
        card: what is needed to open it.

    Raises:
        StoreError: the folder cannot be written to.
    """
    tensors = {
        key: tensor.detach().cpu().clone().contiguous()
        for key, tensor in module.state_dict().items()
    }
    settings = asdict(card.preprocessing)
    content = {"architecture": card.architecture, **settings}
    if card.convention:
        content["convention"] = asdict(card.convention)
    if card.layer:
        content["layer"] = card.layer
    try:
        for target, data in (
            (path, save(tensors)),
            (path.with_suffix(".json"), json.dumps(content, indent=2).encode() + b"\n"),
        ):
            part = target.with_name(f".{target.name}.part")
            part.write_bytes(data)
            part.replace(target)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.") from error


def read_card(path: Path) -> ModelCard | None:
    """The card beside a model file, if there is one.

    Args:
        path: the model file. A JSON file of its name that has no key "architecture" is not a card.

    Raises:
        ModelError: there is a card, and it is wrong; in one sentence.
    """
    place = path.with_suffix(".json")
    if place == path or not place.is_file() or place.stat().st_size > LARGEST_CARD:
        return None
    try:
        content = json.loads(place.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{place.name} beside the model is not readable JSON: {error}.") from error
    if not isinstance(content, dict) or "architecture" not in content:
        return None
    try:
        return _card(content)
    except (TypeError, ValueError, KeyError, SettingsError) as error:
        raise ModelError(f"{place.name} beside the model is no valid card: {error}") from error


def _card(content: Mapping[str, object]) -> ModelCard:
    settings = Preprocessing.__dataclass_fields__.keys()
    unknown = content.keys() - settings - {"architecture", "convention", "layer"}
    if unknown:
        raise ValueError(f"unknown entry {min(unknown)}.")
    texts = {"architecture", "layer", "resize", "interpolation", "channels"} & content.keys()
    for key in texts:
        if not isinstance(content[key], str):
            raise TypeError(f"{key} must be text.")
    values: dict[str, Any] = {
        key: _numbers(key, content[key]) if key in ("size", "mean", "std") else content[key]
        for key in settings & content.keys()
    }
    if "size" not in values:
        raise ValueError("it must say the size as [height, width].")
    if not all(float(side).is_integer() for side in values["size"]):
        raise ValueError("size must be whole numbers.")
    values["size"] = tuple(int(side) for side in values["size"])
    layer = content.get("layer")
    return ModelCard(
        str(content["architecture"]),
        Preprocessing(**values),
        _card_convention(content["convention"]) if "convention" in content else None,
        str(layer) if layer else None,
    )


def _card_convention(content: object) -> Convention:
    """A convention in which every output has exactly one meaning."""
    if not isinstance(content, dict) or content.keys() != Convention.__dataclass_fields__.keys():
        raise ValueError("convention must have the entries outputs, defect, good and sign.")
    outputs, sign = content["outputs"], content["sign"]
    if type(outputs) is not int or outputs < 1 or sign not in (1, -1):
        raise ValueError("convention: outputs must be at least 1, and sign 1 or -1.")
    defect, good = (tuple(map(int, _numbers(k, content[k]))) for k in ("defect", "good"))
    if outputs == 1 and not defect and not good:
        return Convention(1, (), (), sign)
    if sorted(defect + good) != list(range(outputs)) or not defect or not good:
        raise ValueError("convention: each output must be either defect or good, and both occur.")
    return Convention(outputs, defect, good)


def _numbers(key: str, value: object) -> tuple[float, ...]:
    numbers = value if isinstance(value, list) else [value]
    if not all(isinstance(number, (int, float)) for number in numbers):
        raise TypeError(f"{key} must be numbers.")
    return tuple(numbers)
