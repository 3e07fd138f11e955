"""ONNX networks, converted to PyTorch so that gradients reach the image.

What an exporter writes differently is brought to one form first (`onnx_rewriting`). Where
onnxruntime is installed, the converted network has to give its numbers before it is used.
"""

import hashlib
import math
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from trust_core.data.files import file_sha256
from trust_core.errors import ModelError, first_line
from trust_core.messages import Message
from trust_core.model.outputs import logits_of
from trust_core.model.weights import LARGEST_FILE, check_size

USUAL = (224, 224)
LARGEST_BATCH = 64
WHOLE = 2  # number in ONNX of an input of whole numbers, 0 to 255
DTYPES = {WHOLE: np.uint8, 10: np.float16, 11: np.float64}  # of an input, by its number in ONNX
CLOSE = 1e-3  # of the outputs' size: what rounding in another order may differ by
REDUCED = 5e-2  # the same where the file computes in half precision and we do not


@dataclass(frozen=True)
class OnnxNetwork:
    """A converted network.

    `module` takes (N, c, H, W), whatever N, to logits; `size` is 224x224 where neither the graph
    nor the user says; `largest` is the value of white that the graph's input is made for: 1, or 255
    of whole numbers; `sha256` is of the file, and of the weights beside it.
    """

    module: nn.Module
    outputs: int
    channels: int
    size: tuple[int, int]
    largest: int
    sha256: str
    notes: tuple[str, ...]


def read_onnx(path: Path, size: tuple[int, int] | None = None) -> OnnxNetwork:
    """Read and convert an ONNX graph.

    Weights in a second file are read from the graph's own folder alone. `size` is (H, W) of the
    input, where the graph leaves it open.

    Raises:
        ModelError: ONNX is not installed, or the graph cannot be read or converted.
    """
    try:
        import onnx
        import onnx2torch  # noqa: F401 - that it is there
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    except ImportError as error:
        raise ModelError(
            f"{path.name}: reading ONNX needs two packages more: pip install onnx onnx2torch."
        ) from error
    from trust_core.model import onnx_rewriting

    check_size(path)
    try:
        model = onnx.load(path, load_external_data=False)
        files = _read_weights_beside(path, model)
        with onnx_rewriting.without_weights(model):
            bare = onnx_rewriting.declare_outputs(model)
            onnx.checker.check_model(model)
            onnx_rewriting.infer_outputs(model, bare)
    except (
        *(DecodeError, UnicodeError, onnx.checker.ValidationError),
        onnx.shape_inference.InferenceError,
    ) as error:
        raise ModelError(f"{path.name} is no valid ONNX file: {first_line(error)}") from error
    try:
        largest = 255 if model.graph.input[0].type.tensor_type.elem_type == WHOLE else 1
        module, channels, size, notes = _convert(path, model, size, largest)
        with torch.no_grad():
            outputs = logits_of(module(_noise(channels, size))).shape[1]
    except (
        RuntimeError,
        NotImplementedError,
        ValueError,
        KeyError,
        TypeError,
        IndexError,
    ) as error:
        raise ModelError(
            f"{path.name} cannot be converted with gradients: {first_line(error)} "
            "Where you have the PyTorch module, hand that to the library instead."
        ) from error
    sha256 = _sha256(path, files)
    return OnnxNetwork(module, outputs, channels, size, largest, sha256, tuple(notes))


def _convert(
    path: Path,
    model: Any,  # noqa: ANN401  an onnx.ModelProto
    size: tuple[int, int] | None,
    largest: int,
) -> tuple[nn.Module, int, tuple[int, int], list[str]]:
    """Module for any number of images, channels, (H, W) and notes.

    Raises:
        ValueError: it cannot be converted; the cause.
    """
    from trust_core.model import onnx_operators, onnx_rewriting

    batch, channels, sides, channels_last = onnx_rewriting.image_input(model)
    if batch > LARGEST_BATCH:
        raise ValueError(f"it was exported for batches of {batch:,} images.")
    size = (sides[0] or (size or USUAL)[0], sides[1] or (size or USUAL)[1])
    noise = _noise(channels, size)
    noise = noise if largest == 1 else (largest * noise).round()
    kind = model.graph.input[0].type.tensor_type.elem_type
    notes = onnx_rewriting.prepare(model)
    close = REDUCED if notes else CLOSE
    if largest > 1:
        notes.append(
            Message(
                "The graph reads whole numbers from 0 to {largest}, so {mean} 0 and {std} {scale} "
                "are taken unless you say otherwise.",
                largest=largest,
                scale=f"{1 / largest:.6g}",
            )
        )
    if channels_last:
        onnx_rewriting.channels_first(model)
    images = noise.permute(0, 2, 3, 1) if channels_last else noise
    original = _original_outputs(path, images.numpy().astype(DTYPES.get(kind, np.float32)), batch)
    wanted = None if isinstance(original, str) else original
    if isinstance(original, str):
        notes.append(
            "The converted network could not be compared with onnxruntime "
            f"({original.rstrip('.')}); compare some of its probabilities with your own program's."
        )
    module = onnx_operators.converted(model)
    if not batch and _answers(module, noise, wanted, close):
        return module, channels, size, notes
    batch = batch or 1
    shapes = onnx_operators.value_shapes(model, module, noise[:1].repeat(batch, 1, 1, 1))
    onnx_rewriting.any_batch(model, batch, shapes)
    module = onnx_operators.converted(model)
    if not _answers(module, noise, wanted, close):
        raise ValueError(
            f"it was exported for a batch of {batch}, and its shapes allow no other; export it "
            "again with a batch axis that is dynamic."
        )
    return module, channels, size, notes


def _noise(channels: int, size: tuple[int, int]) -> Tensor:
    return torch.rand((2, channels, *size), generator=torch.Generator().manual_seed(0))


def _original_outputs(path: Path, images: npt.NDArray[Any], batch: int) -> list[Tensor] | str:
    """What onnxruntime makes of each image, all outputs that are numbers; or why it makes none."""
    try:
        import onnxruntime
    except ImportError:
        return "it is not installed"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [
            session.run(None, {name: np.repeat(image[None], max(batch, 1), 0)}) for image in images
        ]
    except _ort_errors() as error:
        return first_line(error)  # a newer format than it knows, for instance
    return [
        torch.from_numpy(np.concatenate([each[:1] for each in part]).astype(np.float32))
        for part in zip(*answers, strict=True)
        if np.issubdtype(part[0].dtype, np.floating) and part[0].ndim
    ]


def _ort_errors() -> tuple[type[Exception], ...]:
    """Onnxruntime's errors, which share no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as ort

    kinds = vars(ort).values()
    own = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError)


def _answers(module: nn.Module, noise: Tensor, wanted: list[Tensor] | None, close: float) -> bool:
    """Whether the converted graph answers a batch as it answers each image alone.

    Raises:
        ValueError: its answers are not those of onnxruntime.
    """
    with torch.no_grad():
        try:
            found = _listed(module(noise))
            wanted_here = wanted or [
                torch.cat(parts)
                for parts in zip(*(_listed(module(image[None])) for image in noise), strict=True)
            ]
        except (RuntimeError, ValueError, TypeError, IndexError):
            return False
    if [part.shape for part in found] != [part.shape for part in wanted_here]:
        return False
    apart = max(
        ((one - other).abs().max() / (1 + other.abs().max())).item()
        for one, other in zip(found, wanted_here, strict=True)
    )
    if not apart < close:
        raise ValueError(
            f"converted, it answers otherwise than before (by {apart:.1g} of the largest output)."
        )
    return True


def _listed(output: object) -> list[Tensor]:
    parts = output if isinstance(output, (list, tuple)) else [output]
    return [part for part in parts if isinstance(part, Tensor)]


def copy_as_one_file(path: Path, out: Path) -> None:
    """Copy an ONNX file; weights that lie beside it go into the copy.

    Raises:
        ModelError: they are not as the graph says, or more than one file can hold.
    """
    import onnx

    model = onnx.load(path, load_external_data=False)
    if not _read_weights_beside(path, model):
        shutil.copy(path, out)
        return
    try:
        out.write_bytes(model.SerializeToString())
    except ValueError as error:  # protobuf's, above 2 GB
        raise ModelError(
            f"{path.name} and the weights beside it are more than one file can hold; audit the "
            "PyTorch network instead."
        ) from error


def _read_weights_beside(path: Path, model: Any) -> list[Path]:  # noqa: ANN401  an onnx.ModelProto
    """Take weights from the files that a graph names, if they lie right beside it.

    Every span is held against the file, and no byte is read twice.

    Raises:
        ModelError: a file is absent or elsewhere, or is not as the graph says.
    """
    from onnx import helper
    from onnx.external_data_helper import ExternalDataInfo, uses_external_data

    contents: dict[str, bytes] = {}
    left: dict[str, int] = {}
    for tensor in _tensors(model):
        if not uses_external_data(tensor):
            continue
        info = ExternalDataInfo(tensor)
        name = info.location
        if not isinstance(name, str):  # bytes that are no text
            raise ModelError(f"{path.name} is no valid ONNX file: it names weights in no words.")
        file = path.parent / name
        if Path(name).name != name or "\\" in name or file.is_symlink():
            raise ModelError(
                f"{path.name} keeps its weights in another folder ({name[:80]}), which is not "
                "read; save it again with the weights beside it or inside."
            )
        if name not in contents:
            if not file.is_file():
                raise ModelError(
                    Message(
                        "{file} keeps its weights in {name}, which is not beside it; put both into "
                        "one folder, or export again with the weights inside "
                        "(external_data=False).",
                        "{file} keeps its weights in {name}, which is not beside it; drop a zip of "
                        "both, or export again with the weights inside (external_data=False).",
                        file=path.name,
                        name=name,
                    )
                )
            check_size(file)
            contents[name] = file.read_bytes()
            left[name] = len(contents[name])
        try:
            kind = helper.tensor_dtype_to_np_dtype(tensor.data_type)
        except KeyError as error:
            raise ModelError(
                f"{path.name} is no valid ONNX file: {tensor.name[:80]} is of no type."
            ) from error
        length = math.prod(tensor.dims) * kind.itemsize
        start = info.offset or 0
        left[name] -= length
        data = contents[name][start : start + length]
        if info.length not in (None, length) or len(data) != length or left[name] < 0:
            raise ModelError(
                f"{name} is not the file that {path.name} was saved with: {tensor.name[:80]} does "
                "not fit into it. Copy or export both again."
            )
        tensor.ClearField("external_data")
        tensor.data_location = type(tensor).DEFAULT
        tensor.raw_data = data
    if sum(map(len, contents.values())) > LARGEST_FILE:
        raise ModelError(f"{path.name} has more than {LARGEST_FILE // 2**30} GiB of weights.")
    return [path.parent / name for name in contents]


def _tensors(message: Any) -> Iterator[Any]:  # noqa: ANN401  an onnx.ModelProto, its TensorProtos
    """Every tensor wherever it stands: in graphs inside of nodes, functions, sparse ones too."""
    if message.DESCRIPTOR.name == "TensorProto":
        yield message
        return
    for kind, value in message.ListFields():
        if kind.message_type is not None:
            for part in value if isinstance(value, Iterable) else (value,):
                yield from _tensors(part)


def _sha256(path: Path, beside: list[Path]) -> str:
    """Of the file; with weights beside it, of the hashes of all."""
    hashes = [file_sha256(file) for file in (path, *beside)]
    return hashes[0] if not beside else hashlib.sha256("".join(hashes).encode()).hexdigest()
