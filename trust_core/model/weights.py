"""Reading weights from an untrusted file: never code, never more memory than the file is large.

`.safetensors` is read after its header has been checked against the file; `.pt` and `.pth` with
`torch.load(weights_only=True)`, which never falls back. What can run code when opened (a pickled
module, TorchScript, an exported program) is refused with the two lines that save it properly.
"""

import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from trust_core.data.files import file_sha256
from trust_core.errors import ModelError
from trust_core.model.foreign_files import refuse_foreign
from trust_core.model.pickles import MOST_DIMENSIONS, PythonObject, scan

LARGEST_FILE = 4 * 2**30
MOST_TENSORS = 20_000
LARGEST_HEADER = 16 * 2**20
SAFETENSORS_TYPES = frozenset(
    """F64 F32 F16 BF16 F8_E4M3 F8_E5M2 I64 I32 I16 I8 U64 U32 U16 U8 BOOL""".split()  # noqa: SIM905
)
SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".onnx")
NESTS = ("state_dict", "model_state_dict", "model", "module", "network", "net", "weights")
DEEPEST = 2  # mappings in mappings around the weights
NO_NETWORK = re.compile(r"^opt|optim|sched|scaler", re.IGNORECASE)  # what training keeps besides
PREFIXES = ("module", "model", "network", "net")
# What torch.compile, FSDP and checkpointing put into keys, anywhere.
WRAPPERS = re.compile(r"(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
AVERAGE = re.compile(r"(^|[_.-])(ema|swa|avg|averaged?|shadow)([_.-]|$)", re.IGNORECASE)
DISTILLED = {"student", "teacher"}
FEWEST, SHARE = 10, 0.9  # tensors of a network; of a file that holds nothing but several
PACKED = ("_packed_params", "_packed_params.dtype")  # of quantised layers
QUANTISED = (
    " is quantised, and rounded numbers have no gradients; open the floating-point weights from "
    "before quantisation."
)
# In code that is advised; a file's own name could be code itself.
FILE, TARGET = "'YOUR_FILE'", "'weights.pth'"
UNSAFE_NESTS = ("model", "state_dict", "model_state_dict", "ema")
# Entries that training frameworks store beside the network's own.
FOREIGN = re.compile(
    r"^((module|_orig_mod)\.)*(criterion|loss|loss_fn|loss_function)\.|^n_averaged$|_extra_state$"
)


@dataclass(frozen=True)
class Weights:
    """A state dict as read from a file.

    Attributes:
        tensors: key -> tensor, floating ones in float32, on the CPU.
        sha256: of the file, hexadecimal.
        notes: what was done to the entries.
    """

    tensors: dict[str, Tensor]
    sha256: str
    notes: tuple[str, ...]


def read_weights(path: Path) -> Weights:
    """Read a state dict safely.

    Args:
        path: `.safetensors`, `.pt` or `.pth` (also `.bin`, `.ckpt` of the same make).

    Raises:
        ModelError: naming the file, what is wrong with it, and what to do.
    """
    check_size(path)
    refuse_foreign(path)
    if path.suffix.lower() == ".safetensors":
        stored: object = _load_safetensors(path)
    else:
        stored = _load_pickled(path)
    tensors, notes = _state_dict(path, stored)
    return Weights(_as_float32(path, tensors, notes), file_sha256(path), tuple(notes))


def check_size(path: Path) -> None:
    """Refuse a file that is absent, empty or larger than any classifier.

    Raises:
        ModelError: in one sentence.
    """
    if path.is_dir():
        files = sorted(each.name for each in path.iterdir() if each.suffix in SUFFIXES)
        inside = f": {', '.join(files[:3])}" if files else ""
        raise ModelError(f"{path.name} is a folder; name the model file in it{inside}.")
    if not path.is_file():
        raise ModelError(f"There is no model file {path}.")
    size = path.stat().st_size
    if size == 0:
        raise ModelError(f"{path.name} is empty (0 bytes).")
    if size > LARGEST_FILE:
        raise ModelError(
            f"{path.name} has {size / 2**30:.1f} GiB; model files up to "
            f"{LARGEST_FILE // 2**30} GiB are read. Save the weights alone, without the optimiser."
        )


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    """All tensors, once the library has held shapes, types and offsets against the file.

    The length of the header is held against it here: the library asks for that much memory.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        header = file.read(length) if length <= min(size - 8, LARGEST_HEADER) else b""
    if len(start) < 8 or length > min(size - 8, LARGEST_HEADER):
        raise ModelError(
            f"{path.name} is no valid safetensors file: it announces a header of {length:,} "
            f"bytes, but the file has {size:,}. Copy or save it again."
        )
    _check_dimensions(path, header)
    try:
        with safe_open(path, "pt") as tensors:
            names = tuple(tensors.keys())
            _check_count(path, len(names))
            for name in names:
                if (kind := tensors.get_slice(name).get_dtype()) not in SAFETENSORS_TYPES:
                    raise ModelError(
                        f"{path.name}: {name} is of the unknown type {kind}; save float32."
                    )
            return {name: tensors.get_tensor(name) for name in names}
    except SafetensorError as error:
        cause = str(error).removeprefix("Error while deserializing header: ")
        raise ModelError(
            f"{path.name} is no valid safetensors file: {cause}. Copy or save it again."
        ) from error


def _check_dimensions(path: Path, header: bytes) -> None:
    """Refuse shapes of millions of sides, of which the library would make a sentence."""
    try:
        entries = json.loads(header)
    except (ValueError, RecursionError):
        return  # the library says what is wrong
    for entry in entries.values() if isinstance(entries, dict) else ():
        shape = entry.get("shape") if isinstance(entry, dict) else None
        if isinstance(shape, list) and len(shape) > MOST_DIMENSIONS:
            raise ModelError(
                f"{path.name} has tensors of more than {MOST_DIMENSIONS} dimensions; save the "
                "weights of the network alone."
            )


def _load_pickled(path: Path) -> object:
    """`torch.load(weights_only=True)` after a look at what kind of file it is."""
    if path.suffix.lower() == ".pt2":
        raise _exported(path)
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise ModelError(f"{path.name} is a damaged PyTorch file: {error}") from error
        inner = [member.filename.partition("/")[2] for member in members]
        if "constants.pkl" in inner or any(part.startswith("code/") for part in inner):
            raise ModelError(
                f"{path.name} is TorchScript, which is code and is never run here; save its "
                "weights:\n"
                f"    model = torch.jit.load({FILE}, map_location='cpu')\n"
                f"    torch.save(model.state_dict(), {TARGET})"
            )
        if {"archive_format", "serialized_exported_program.json"} & {
            *inner,
            *(member.filename for member in members),
        }:
            raise _exported(path)
        _check_count(path, len(members))
        # torch.save stores without compressing, so nothing may unpack to more than the file.
        if sum(member.file_size for member in members) > path.stat().st_size:
            raise ModelError(
                f"{path.name} would unpack to more bytes than it has; PyTorch writes no such file."
            )
    try:
        scan(path)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # of old storages and types: nothing a user could act on
            return torch.load(path, map_location="cpu", weights_only=True)
    except PythonObject as error:
        raise ModelError(
            f"{path.name} holds Python objects ({error}), which can run code when opened; "
            "save the weights alone, where you trust it:\n"
            f"    found = torch.load({FILE}, map_location='cpu', weights_only=False)\n"
            f"    for key in {UNSAFE_NESTS}: found = isinstance(found, dict) and found.get(key) or "
            "found\n"
            "    torch.save(found.state_dict() if hasattr(found, 'state_dict') else {k: v for k, v "
            f"in found.items() if torch.is_tensor(v)}}, {TARGET})"
        ) from error
    except (
        *(pickle.UnpicklingError, RuntimeError, EOFError, ValueError),
        *(LookupError, TypeError, AttributeError, AssertionError),
    ) as error:
        raise ModelError(f"{path.name} is no PyTorch file, or a damaged one.") from error


def _exported(path: Path) -> ModelError:
    return ModelError(
        f"{path.name} is an exported program, which can run code when opened; save its weights:\n"
        f"    program = torch.export.load({FILE})\n"
        f"    torch.save(dict(program.state_dict), {TARGET})"
    )


def _state_dict(path: Path, stored: object) -> tuple[dict[str, Tensor], list[str]]:
    """Find the state dict in what was stored, and take off what wrappers put before its keys."""
    notes: list[str] = []
    taken: list[str] = []
    for _ in range(DEEPEST + 1):
        if not isinstance(stored, Mapping) or any(map(_is_weight, stored.values())):
            break
        nests = _nests(stored)
        if not nests:
            break
        if len(nests) > 1 and nests[0] not in NESTS:
            raise ModelError(
                f"{path.name} holds several networks ({', '.join(nests[:5])}); save the weights of "
                "the one that decides into a file of their own."
            )
        if averages := [key for key in nests[1:] if AVERAGE.search(key)]:
            notes.append(_beside(path, nests[0], averages[0]))
        notes.append(f'{path.name}: the weights under "{nests[0]}" were taken.')
        taken.append(nests[0])
        stored = stored[nests[0]]
    if isinstance(stored, Mapping) and any(str(key).endswith(PACKED) for key in stored):
        raise ModelError(f"{path.name}{QUANTISED}")
    if not isinstance(stored, Mapping) or not any(map(_is_weight, stored.values())):
        raise ModelError(
            f"{path.name} holds no state dict (a mapping of names to tensors, also under "
            f"{', '.join(NESTS[:3])}); save one with torch.save(model.state_dict(), ...)."
        )
    tensors = {
        str(key): value.detach()
        for key, value in stored.items()
        if isinstance(value, Tensor) and not FOREIGN.search(str(key))
    }
    if ignored := [str(key) for key in stored if str(key) not in tensors]:
        notes.append(
            f"{path.name}: {len(ignored)} entries are no weights of the network and were ignored "
            f"({', '.join(ignored[:3])})."
        )
    _check_count(path, len(tensors))
    tensors = _without_average(path, tensors, notes)
    _refuse_several(path, tensors, taken)
    tensors = {WRAPPERS.sub("", key): value for key, value in tensors.items()}
    while len(firsts := {key.partition(".")[0] for key in tensors}) == 1:
        (first,) = firsts
        if first not in PREFIXES:
            break
        tensors = {key.removeprefix(f"{first}."): value for key, value in tensors.items()}
    return tensors, notes


def _is_weight(value: object) -> bool:
    """Whether an entry is a tensor of more than one number: an average counts its steps."""
    return isinstance(value, Tensor) and value.ndim > 0


def _nests(stored: Mapping[object, object], depth: int = DEEPEST) -> list[str]:
    """Keys under which there are weights, the ones to take first; deeper ones for want of them."""
    inside = {
        str(key): value
        for key, value in stored.items()
        if isinstance(value, Mapping) and not NO_NETWORK.search(str(key))
    }
    deeper = [key for key, value in inside.items() if depth and _nests(value, depth - 1)]
    found = [
        key
        for key, value in inside.items()
        if any(map(_is_weight, value.values())) or (key in NESTS and key in deeper)
    ]
    rank = {name: number for number, name in enumerate(NESTS)}
    return sorted(
        found or deeper,
        key=lambda key: (rank.get(key, len(rank)), bool(AVERAGE.search(key))),
    )


def _beside(path: Path, taken: str, average: str) -> str:
    return (
        f'{path.name} holds two sets of weights, "{taken}" and "{average}", a running average '
        f"(EMA) of them; the first was taken. To audit the other, save it alone:\n"
        f"    saved = torch.load({FILE}, map_location='cpu', weights_only=True)\n"
        f"    torch.save(saved[{average!r}], {TARGET})"
    )


def _without_average(path: Path, tensors: dict[str, Tensor], notes: list[str]) -> dict[str, Tensor]:
    """Leave out a running average that lies beside the weights in one state dict."""
    groups: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        groups.setdefault(key.partition(".")[0], {})[key] = value
    averages = [name for name in groups if AVERAGE.search(name)]
    others = [name for name in groups if name not in averages]
    for name in averages:
        inside = {_bare(key, name): value.shape for key, value in groups[name].items()}
        for other in others:
            own = {_bare(key, other): value.shape for key, value in groups[other].items()}
            if own.items() <= inside.items():
                notes.append(
                    f'{path.name}: the weights under "{other}" were taken; those under "{name}", a '
                    "running average (EMA) of them, were left out."
                )
                return {k: v for k, v in tensors.items() if k not in groups[name]}
    return tensors


def _refuse_several(path: Path, tensors: Mapping[str, Tensor], taken: Sequence[str]) -> None:
    """Refuse networks beside each other in one state dict: no file tells which of them decides.

    They have the same names and shapes, or are called student and teacher. `taken` are the names
    below which the state dict was found.

    Raises:
        ModelError: with the code that saves one of them.
    """
    groups: dict[str, dict[str, torch.Size]] = {}
    for key, value in tensors.items():
        groups.setdefault(key.partition(".")[0], {})[_bare(key, key.partition(".")[0])] = (
            value.shape
        )
    large = [name for name, inside in groups.items() if len(inside) >= FEWEST]
    alike = all(groups[name] == groups[large[0]] for name in large)
    most = sum(len(groups[name]) for name in large) >= SHARE * len(tensors)
    if len(large) > 1 and most and (alike or set(large) >= DISTILLED):
        inside = "".join(f"[{name!r}]" for name in taken)
        read = f"saved = torch.load({FILE}, map_location='cpu', weights_only=True){inside}"
        if path.suffix.lower() == ".safetensors":
            read = f"from safetensors.torch import load_file; saved = load_file({FILE})"
        begin = f"{large[0]}."
        raise ModelError(
            f"{path.name} holds several networks ({', '.join(large[:5])}); save the one that "
            f"decides alone, for instance {large[0]}:\n"
            f"    {read}\n"
            f"    saved = {{k: v for k, v in saved.items() if k.startswith({begin!r})}}\n"
            f"    torch.save(saved, {TARGET})"
        )


def _bare(key: str, group: str) -> str:
    return key.removeprefix(f"{group}.").removeprefix("module.")


def _as_float32(path: Path, tensors: dict[str, Tensor], notes: list[str]) -> dict[str, Tensor]:
    """All floating tensors in float32, if they are dense and as large as the file says."""
    if any(tensor.is_quantized for tensor in tensors.values()):
        raise ModelError(f"{path.name}{QUANTISED}")
    strange = [key for key, t in tensors.items() if t.layout != torch.strided or t.is_meta]
    if strange:
        raise ModelError(
            f"{path.name}: {strange[0]} is sparse or without data; "
            "save the dense floating-point weights of the network."
        )
    if 4 * sum(tensor.numel() for tensor in tensors.values()) > LARGEST_FILE:
        raise ModelError(
            f"{path.name} describes tensors of more than {LARGEST_FILE // 2**30} GiB in float32."
        )
    floating = {
        str(t.dtype).removeprefix("torch.") for t in tensors.values() if t.is_floating_point()
    }
    if others := sorted(floating - {"float32"}):
        notes.append(f"{path.name}: weights in {', '.join(others)} were converted to float32.")
    return {
        key: tensor.float() if tensor.is_floating_point() else tensor
        for key, tensor in tensors.items()
    }


def _check_count(path: Path, count: int) -> None:
    if not 0 < count <= MOST_TENSORS:
        raise ModelError(
            f"{path.name} holds {count:,} tensors; a model file holds 1 to {MOST_TENSORS:,}."
        )
