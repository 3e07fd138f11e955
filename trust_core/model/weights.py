"""Reading weights from an untrusted file: never code, never more memory than the file is large.

`.safetensors` is read after its header has been checked against the file; `.pt` and `.pth` with
`torch.load(weights_only=True)`, which never falls back. What can run code when opened (a pickled
module, TorchScript, an exported program) is refused with the two lines that save it properly.
"""

import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from trust_core.data.files import file_sha256
from trust_core.errors import ModelError

LARGEST_FILE = 4 * 2**30
MOST_TENSORS = 20_000
LARGEST_HEADER = 16 * 2**20
SAFETENSORS_TYPES = frozenset(
    """F64 F32 F16 BF16 F8_E4M3 F8_E5M2 I64 I32 I16 I8 U64 U32 U16 U8 BOOL""".split()  # noqa: SIM905
)
NESTS = ("state_dict", "model_state_dict", "model", "module", "network", "net", "weights")
PREFIXES = ("module", "model", "_orig_mod", "network", "net")
# Entries that training frameworks store beside the network's own.
FOREIGN = re.compile(r"^(criterion|loss|loss_fn|loss_function)\.|^n_averaged$|_extra_state$")


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
    if len(start) < 8 or length > min(size - 8, LARGEST_HEADER):
        raise ModelError(
            f"{path.name} is no valid safetensors file: it announces a header of {length:,} "
            f"bytes, but the file has {size:,}. Copy or save it again."
        )
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


def _load_pickled(path: Path) -> object:
    """`torch.load(weights_only=True)` after a look at what kind of file it is."""
    name, target = path.name, f"{path.stem}_weights.pth"
    if path.suffix.lower() == ".pt2":
        raise _exported(name, target)
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise ModelError(f"{name} is a damaged PyTorch file: {error}") from error
        inner = [member.filename.partition("/")[2] for member in members]
        if "constants.pkl" in inner or any(part.startswith("code/") for part in inner):
            raise ModelError(
                f"{name} is TorchScript, which is code and is never run here; save its weights:\n"
                f'    model = torch.jit.load("{name}")\n'
                f'    torch.save(model.state_dict(), "{target}")'
            )
        if {"archive_format", "serialized_exported_program.json"} & {
            *inner,
            *(member.filename for member in members),
        }:
            raise _exported(name, target)
        _check_count(path, len(members))
        # torch.save stores without compressing, so nothing may unpack to more than the file.
        if sum(member.file_size for member in members) > path.stat().st_size:
            raise ModelError(
                f"{name} would unpack to more bytes than it has; PyTorch writes no such file."
            )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        if found is None:
            raise ModelError(f"{name} is no PyTorch file, or a damaged one.") from error
        raise ModelError(
            f"{name} holds Python objects ({found[1]}), which can run code when opened; "
            "save the weights alone, where you trust it:\n"
            f'    model = torch.load("{name}", weights_only=False)\n'
            f'    torch.save(model.state_dict(), "{target}")'
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{name} is no PyTorch file, or a damaged one.") from error


def _exported(name: str, target: str) -> ModelError:
    return ModelError(
        f"{name} is an exported program, which can run code when opened; save its weights:\n"
        f'    program = torch.export.load("{name}")\n'
        f'    torch.save(dict(program.state_dict), "{target}")'
    )


def _state_dict(path: Path, stored: object) -> tuple[dict[str, Tensor], list[str]]:
    """Find the state dict in what was stored, and take off what wrappers put before its keys."""
    notes: list[str] = []
    for _ in range(3):
        if not isinstance(stored, Mapping) or any(isinstance(v, Tensor) for v in stored.values()):
            break
        nest = next((key for key in NESTS if isinstance(stored.get(key), Mapping)), None)
        if nest is None:
            break
        stored = stored[nest]
        notes.append(f'{path.name}: the weights under "{nest}" were taken.')
    if not isinstance(stored, Mapping) or not any(isinstance(v, Tensor) for v in stored.values()):
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
    while len(firsts := {key.partition(".")[0] for key in tensors}) == 1:
        (first,) = firsts
        if first not in PREFIXES:
            break
        tensors = {key.removeprefix(f"{first}."): value for key, value in tensors.items()}
    return tensors, notes


def _as_float32(path: Path, tensors: dict[str, Tensor], notes: list[str]) -> dict[str, Tensor]:
    """All floating tensors in float32, if they are dense and as large as the file says."""
    strange = [
        key
        for key, t in tensors.items()
        if t.layout != torch.strided or t.is_quantized or t.is_meta
    ]
    if strange:
        raise ModelError(
            f"{path.name}: {strange[0]} is sparse, quantised or without data; "
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
