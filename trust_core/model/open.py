"""Opening a model file: its weights, the card beside it and the user's options make a detector."""

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from trust_core.data.images import is_turned, used_bits
from trust_core.data.samples import Dataset
from trust_core.errors import ModelError, SettingsError, StoreError
from trust_core.messages import Message, amount
from trust_core.model.checks.alternatives import choose_architecture
from trust_core.model.detector import Detector
from trust_core.model.facts import ModelFacts as ModelFacts
from trust_core.model.facts import ModelOptions as ModelOptions
from trust_core.model.onnx import read_onnx
from trust_core.model.outputs import Convention, choose_convention
from trust_core.model.preprocessing import Preprocessing
from trust_core.model.recognition.architectures import PublishedInput, published_input
from trust_core.model.recognition.recognise import recognise
from trust_core.model.weights import SUFFIXES, read_weights
from trust_core.storage.atomic import replacing

LARGEST_CARD = 2**16
MOST_MEASURED = 64  # images whose bits are counted
MOST_OUTPUTS = 10_000
BY_RULE = ModelOptions()
LARGEST = 2**31  # no number of a card is as large


_CARD_TEXTS = frozenset(
    ("architecture", "layer", "resize", "interpolation", "channels", "antialias", "exif")
)


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


def open_detector(
    path: Path, options: ModelOptions = BY_RULE, *, device: str | None = None
) -> Detector:
    """Open a model file safely and make it ready to be audited.

    What is not told comes from the card beside the file (`NAME.json`), else from the architecture
    as published, else from the defaults of the command line; the detector's notes say which.

    Args:
        path: `.safetensors`, `.pt`, `.pth` or `.onnx`.
        options: what the user has said.
        device: "cpu", "cuda", ...; when None, CUDA if there is any.

    Raises:
        ModelError: the file cannot be opened safely, recognised or explained.
        SettingsError: an option means nothing for this network.
    """
    return Opener()(path, options, device=device)


class Opener:
    """Opens model files as `open_detector`, and keeps the last networks with what was traced.

    To be told otherwise how their input is prepared or what their outputs mean then costs nothing.

    Args:
        kept: how many.
    """

    def __init__(self, kept: int = 1) -> None:
        self._kept = kept
        self._opened: dict[Hashable, tuple[_Network, tuple[str, ...], Detector]] = {}

    def __call__(
        self, path: Path, options: ModelOptions = BY_RULE, *, device: str | None = None
    ) -> Detector:
        """A detector; arguments and errors are those of `open_detector`."""
        card = read_card(path)
        arch = _architecture(path, options, card)
        size = options.size or (card.preprocessing.size if card else None)
        layers = options.layers or ((card.layer,) if card and card.layer else ())
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        # Networks are traced with the channels and the normalisation that are given them.
        shape = [each and len(each) for each in (options.mean, options.std)]
        state = path.stat().st_mtime_ns if path.exists() else 0
        known = path, state, arch, size, device, options.channels == "grey", *shape
        kept = self._opened.pop(known, None)
        network = kept[0] if kept else _network(path, arch, size)
        preprocessing, taken = _preprocessing(options, card, network)
        convention = _convention(options, card, network.outputs)
        if kept and kept[1] == layers:
            traced = kept[2]
        else:
            traced = Detector(
                network.module,
                preprocessing,
                convention,
                layers,
                architecture=network.architecture,
                sha256=network.sha256,
                device=device,
            )
            traced.alternatives = network.alternatives
            traced.assumed, traced.other_heads = network.assumed, network.other_heads
            network = replace(network, module=traced.module)  # its copy is enough
        while len(self._opened) >= self._kept:
            del self._opened[next(iter(self._opened))]
        self._opened[known] = network, layers, traced  # the last to go
        detector = traced.prepared(preprocessing)
        detector.convention = convention
        detector.notes = (*network.notes, *taken, *traced.notes)
        return detector


def _architecture(path: Path, options: ModelOptions, card: ModelCard | None) -> str | None:
    """What the user or the card beside the file calls it; None where neither does."""
    architectures = [name for name in (options.arch, card and card.architecture) if name]
    if len({name.rpartition("/")[2] for name in architectures}) > 1:
        raise ModelError(
            Message(
                "{card} beside the model says it is {architecture}, {arch} says {name}; change one "
                "of them.",
                "{card} beside the model says it is {architecture}, you chose {name}; change one "
                "of them.",
                card=path.with_suffix(".json").name,
                architecture=architectures[1],
                name=architectures[0],
            )
        )
    return architectures[0] if architectures else None


def check_file(path: Path) -> None:
    """Refuse a model file that nothing which is said of it would open.

    Raises:
        ModelError: as `read_weights` or `read_onnx`.
    """
    if path.suffix.lower() == ".onnx":
        read_onnx(path)
    else:
        read_weights(path)


def open_for_audit(
    path: Path,
    options: ModelOptions,
    dataset: Dataset,
    opening: Callable[[Path, ModelOptions], Detector] = open_detector,
) -> Detector:
    """Open a model file for an audit: where its weights fit several architectures, images choose.

    Everything that audits, or shows what an audit would see, opens its model here.

    Args:
        path: the model file.
        options: what the user has said; a named architecture is taken as it is.
        dataset: what is to be audited; its labels are not used.
        opening: opens a model file, for those who keep what was opened.

    Raises:
        ModelError: as `open_detector`.
        SettingsError: as `open_detector`.
        DataError: there are several architectures, and none of the images can be read.
    """
    detector = opening(path, options)
    if read_card(path) is None:
        paths = sorted(dataset.samples["path"])
        some = [dataset.root / p for p in paths[:: max(1, -(-len(paths) // MOST_MEASURED))]]
        if options.bits is None:
            detector = _with_bits_of(some, detector)
        if options.exif is None:
            detector = _with_orientation_note(some, detector)
    return choose_architecture(detector, dataset)


def _with_orientation_note(some: Sequence[Path], detector: Detector) -> Detector:
    """The same detector with a note where cameras were turned: programs read that differently."""
    turned = sum(map(is_turned, some))
    if not turned:
        return detector
    found = copy(detector)
    note = Message(
        "{turned} an EXIF orientation, by which pictures are turned upright, as OpenCV does. "
        "torchvision's ImageFolder does not: if the network was trained so, say {exif:ignore}.",
        turned=f"{turned} of {amount(len(some), 'image', 'images')} looked at "
        f"{'has' if turned == 1 else 'have'}",
    )
    found.notes = (*detector.notes, note)
    return found


def _with_bits_of(some: Sequence[Path], detector: Detector) -> Detector:
    """The same detector that reads 16-bit pictures by the bits that these use."""
    bits = used_bits(some)
    if bits in (None, detector.preprocessing.bits):
        return detector
    found = copy(detector)
    found.preprocessing = replace(detector.preprocessing, bits=bits)
    found.notes = (
        *detector.notes,
        Message(
            "The images have 16 bits, of which {used} are used ({count} looked at): their values "
            "are read from 0 to {top:,}. If the network was trained otherwise, say {bits:16}.",
            "The images have 16 bits, of which {used} are used ({count} looked at): their values "
            "are read from 0 to {top:,}. If the network was trained otherwise, say so at {bits}.",
            used=bits,
            count=len(some),
            top=2**bits - 1,
        ),
    )
    return found


def read_facts(path: Path, arch: str | None = None) -> ModelFacts:
    """Recognise a model file.

    Args:
        path: the model file.
        arch: architecture, when it is not to be recognised.

    Raises:
        ModelError: it cannot be opened safely, recognised or explained.
    """
    card = read_card(path)
    rule = card.convention if card else None
    try:
        found = open_detector(path, ModelOptions(arch=arch))
        rule = rule or choose_convention(found.convention.outputs)
    except ModelError as problem:
        # More than two outputs have to be told apart by the user: any choice shows how many.
        try:
            found = open_detector(path, ModelOptions(arch=arch, good_index=(0,)))
        except ModelError:
            raise problem from None
    return ModelFacts(
        architecture=found.architecture,
        outputs=found.convention.outputs,
        convention=rule,
        preprocessing=found.preprocessing,
        layer=found.layers[0],
        layers=found.layer_grids(),
        notes=found.notes,
        assumed=found.assumed,
        other_heads=found.other_heads,
    )


def read_card(path: Path) -> ModelCard | None:
    """The card beside a model file, if there is one.

    Args:
        path: the model file. Its card is `NAME.SUFFIX.json`, or `NAME.json` unless that names
            another file (`"file"`) or weights stand beside an ONNX file. A JSON file that has no
            key "architecture" is not a card.

    Raises:
        ModelError: there is a card, and it is wrong; in one sentence.
    """
    for file in (path.with_name(path.name + ".json"), path.with_suffix(".json")):
        if file == path or not file.is_file() or file.stat().st_size > LARGEST_CARD:
            continue
        try:
            content = json.loads(file.read_bytes())
        except (ValueError, RecursionError) as error:
            raise ModelError(
                f"{file.name} beside the model is not readable JSON: {error}."
            ) from error
        if not isinstance(content, dict) or "architecture" not in content:
            continue
        if not _belongs(content.pop("file", None), str(content["architecture"]), path):
            continue
        try:
            return _card(content)
        except SettingsError as error:
            raise ModelError(f"{file.name} beside the model is no valid card: {error}") from error
    return None


def _belongs(named: object, architecture: str, path: Path) -> bool:
    """Whether a card is this model file's: by the file it names, also where both were renamed."""
    if isinstance(named, str):
        here = path.with_name(Path(named).name)
        return here == path or (here.suffix == path.suffix and not here.exists())
    weights = any(path.with_suffix(each).exists() for each in SUFFIXES if each != ".onnx")
    return path.suffix.lower() != ".onnx" or architecture == "ONNX" or not weights


def card_content(card: ModelCard, file: str) -> dict[str, Any]:
    """A card as it is written beside the file that it belongs to."""
    content = {"file": file, "architecture": card.architecture, **asdict(card.preprocessing)}
    if card.convention:
        content["convention"] = asdict(card.convention)
    if card.layer:
        content["layer"] = card.layer
    return content


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
    content = card_content(card, path.name)
    try:
        for target, data in (
            (path, save(tensors)),
            (path.with_suffix(".json"), json.dumps(content, indent=2).encode() + b"\n"),
        ):
            with replacing(target) as unfinished:
                unfinished.write_bytes(data)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.") from error


@dataclass(frozen=True)
class _Network:
    """A network with its weights, and what is known of it."""

    module: nn.Module
    architecture: str
    outputs: int
    channels: int
    published: PublishedInput
    sha256: str
    notes: tuple[str, ...]
    alternatives: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    other_heads: tuple[str, ...] = ()


def _network(path: Path, arch: str | None, size: tuple[int, int] | None) -> _Network:
    if path.suffix.lower() == ".onnx":
        return _open_onnx(path, size)
    return _open_weights(path, arch, size)


def _open_weights(path: Path, arch: str | None, size: tuple[int, int] | None) -> _Network:
    weights = read_weights(path)
    found = recognise(path, weights.tensors, arch=arch, size=size)
    return _Network(
        module=found.module,
        architecture=found.blueprint.full_name,
        outputs=found.blueprint.outputs,
        channels=found.blueprint.channels,
        published=published_input(found.blueprint, found.module),
        sha256=weights.sha256,
        notes=(*weights.notes, *found.notes, *_no_decision(found.blueprint.name, arch)),
        alternatives=found.others,
        assumed=found.assumed,
        other_heads=found.other_heads,
    )


def _no_decision(name: str, named: str | None) -> list[str]:
    """What is taken of a network for masks alone, unless the user has named it as one."""
    if named or not name.startswith("multitask/mask:"):
        return []
    return [
        "The network gives a mask but no decision, so a part is taken as defective when any pixel "
        "of its mask is, at 0.5."
    ]


def _open_onnx(path: Path, size: tuple[int, int] | None) -> _Network:
    onnx = read_onnx(path, size)
    published = PublishedInput(onnx.size, (0.0,), (1 / onnx.largest,))
    return _Network(
        onnx.module, "ONNX", onnx.outputs, onnx.channels, published, onnx.sha256, onnx.notes
    )


def _convention(options: ModelOptions, card: ModelCard | None, outputs: int) -> Convention:
    chosen = options.defect_index is not None or options.good_index or options.one_logit
    if not chosen and card and card.convention:
        if card.convention.outputs != outputs:
            raise ModelError(
                f"The card beside the model speaks of {card.convention.outputs} outputs, but the "
                f"network has {outputs}."
            )
        return card.convention
    return choose_convention(
        outputs,
        defect_index=options.defect_index,
        good_index=options.good_index,
        one_logit=options.one_logit,
    )


def _preprocessing(
    options: ModelOptions, card: ModelCard | None, network: _Network
) -> tuple[Preprocessing, list[str]]:
    """Options over card over the architecture as published, and a note on the last."""
    given = {
        key: value
        for key in Preprocessing.__dataclass_fields__
        if (value := getattr(options, key)) is not None
    }
    if network.channels == 1 and given.setdefault("channels", "grey") != "grey":
        raise SettingsError(
            Message(
                "The network reads one channel, so {channels} {given} does not apply; leave it out "
                "or say {channels:grey}.",
                given=given["channels"],
            )
        )
    if card:
        return replace(card.preprocessing, **given), []
    published = network.published
    defaults = {"size": published.size, "mean": published.mean, "std": published.std}
    if network.channels == 1:
        defaults |= {key: (sum(defaults[key]) / len(defaults[key]),) for key in ("mean", "std")}
    taken = [
        f"{key} {'x'.join(map(str, value)) if key == 'size' else ','.join(f'{v:g}' for v in value)}"
        for key, value in defaults.items()
        if key not in given
    ]
    rule = Preprocessing(**(defaults | given))
    note = Message(
        "Not told, so taken as {architecture} was published: {taken}. If the network was trained "
        "otherwise, say {size}, {mean}, {std}.",
        architecture=network.architecture,
        taken="; ".join(taken),
    )
    notes: list[str] = [note] if taken else []
    resized = [key for key in ("resize", "interpolation", "antialias") if key not in given]
    if resized:
        source = ", ".join(
            filter(None, (network.published.resize, network.published.interpolation))
        )
        notes.append(
            Message(
                "Not told, so by default: {resized}{source}. If the network was trained "
                "otherwise, say {resize}, {interpolation}, {antialias:no}.",
                resized="; ".join(f"{key} {getattr(rule, key)}" for key in resized),
                source=f" (published with {source})" if source else "",
            )
        )
    return rule, notes


def _card(content: Mapping[str, object]) -> ModelCard:
    """The card in a JSON object.

    Raises:
        SettingsError: an entry that is unknown, missing or means nothing.
    """
    settings = Preprocessing.__dataclass_fields__.keys()
    unknown = content.keys() - settings - {"architecture", "convention", "layer"}
    if unknown:
        raise SettingsError(f"unknown entry {min(unknown)}.")
    for key in _CARD_TEXTS & content.keys():
        if not isinstance(content[key], str):
            raise SettingsError(f"{key} must be text.")
    values: dict[str, Any] = {
        key: _numbers(key, content[key]) if key in ("size", "mean", "std") else content[key]
        for key in settings & content.keys()
    }
    if "size" not in values:
        raise SettingsError("it must say the size as [height, width].")
    if not all(float(side).is_integer() for side in values["size"]):
        raise SettingsError("size must be whole numbers.")
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
        raise SettingsError("convention must have the entries outputs, defect, good and sign.")
    outputs, sign = content["outputs"], content["sign"]
    if type(outputs) is not int or not 1 <= outputs <= MOST_OUTPUTS or sign not in (1, -1):
        raise SettingsError(
            f"convention: outputs must be from 1 to {MOST_OUTPUTS:,}, and sign 1 or -1."
        )
    defect, good = (tuple(map(int, _numbers(k, content[k]))) for k in ("defect", "good"))
    if outputs == 1 and not defect and not good:
        return Convention(1, (), (), sign)
    if sorted(defect + good) != list(range(outputs)) or not defect or not good:
        raise SettingsError(
            "convention: each output must be either defect or good, and both occur."
        )
    return Convention(outputs, defect, good)


def _numbers(key: str, value: object) -> tuple[float, ...]:
    numbers = value if isinstance(value, list) else [value]
    if not all(isinstance(number, (int, float)) and abs(number) < LARGEST for number in numbers):
        raise SettingsError(f"{key} must be numbers.")
    return tuple(numbers)
