"""Hostile files of all kinds, made by mutation from good ones and from attacks, and opened.

Every file is opened in the sandbox of the Run page. Counted are files that execute something (all
checkpoints carry a payload that would leave a file behind), processes that die, calls that are
given up, and anything but a sentence for an error.
"""

import io
import json
import pickle
import resource
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from safetensors.torch import save

from tests.model.test_pickles import ATTACKS, TENSOR, saved
from trust_core.audit.sandbox import GivenUp, Limits, Sandbox
from trust_core.data.archives import extract
from trust_core.data.mask_decoding import read_masks
from trust_core.data.tables import read_table
from trust_core.errors import TrustError
from trust_core.model.facts import ModelOptions
from trust_core.model.open import open_detector, read_card
from trust_core.model.preprocessing import Preprocessing
from trust_core.model.weights import read_weights

BATCH = 50  # files in one call
LIMITS = Limits(seconds=60, memory=2**30)
CANARY = "executed"  # what a payload would leave in the folder
PLAIN = ModelOptions(mean=(0.0,), std=(1.0,))
INPUT = Preprocessing((32, 32), resize="crop:32")
EXTREMES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\1\0\0\0")


@dataclass
class Opened:
    """What came of the files of one kind.

    Attributes:
        name: of the kind.
        files: how many.
        opened: that were taken as good.
        executed: that have run something.
        crashes: that broke the process.
        given_up: that took too much.
        faults: answered with anything but a sentence.
        seconds: the slowest.
        memory: MiB above the process before, at most.
    """

    name: str
    files: int = 0
    opened: int = 0
    executed: int = 0
    crashes: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0
    memory: float = 0.0

    @property
    def is_clean(self) -> bool:
        """Whether nothing went wrong."""
        return not (self.executed or self.crashes or self.given_up or self.faults)

    def add(self, other: "Opened") -> None:
        """Count another batch of the same kind."""
        self.files += other.files
        self.opened += other.opened
        self.executed += other.executed
        self.faults += other.faults
        self.seconds = max(self.seconds, other.seconds)
        self.memory = max(self.memory, other.memory)


class _Payload:
    def __reduce__(self) -> tuple[object, ...]:
        return open, (CANARY, "w")


class _Command:
    def __reduce__(self) -> tuple[object, ...]:
        import os

        return os.system, (f"touch {CANARY}",)


def mutated(seed: bytes, other: bytes, draw: np.random.Generator) -> bytes:
    """One to six changes: bytes, extremes, slices cut, repeated, moved, taken from another file."""
    content = bytearray(seed)
    for _ in range(draw.integers(1, 7)):
        size = max(len(content), 1)
        place = int(draw.integers(size))
        length = int(draw.integers(1, 1 + min(64, size)))
        match int(draw.integers(7)):
            case 0:
                content[place : place + 1] = bytes([int(draw.integers(256))])
            case 1:
                content[place : place + 4] = EXTREMES[int(draw.integers(len(EXTREMES)))]
            case 2:
                del content[place : place + length]
            case 3:
                content[place:place] = content[place : place + length]
            case 4:
                start = int(draw.integers(max(len(other), 1)))
                content[place : place + length] = other[start : start + length]
            case 5:
                content[place:place] = draw.bytes(int(draw.integers(1, 9)))
            case 6:
                del content[int(draw.integers(size // 2, size)) :]
    return bytes(content)


@cache
def checkpoints() -> list[bytes]:
    """Pickles of torch.save in both forms, with payloads, and the attacks that are known."""
    state = {"conv.weight": torch.ones(4, 3, 3, 3), "fc.weight": torch.ones(2, 4).half()}
    contents = [state, {"state_dict": state, "epoch": 3}]
    contents += [{**state, "x": _Payload()}, {"x": _Command(), **state}]
    found = []
    for content in contents:
        for zipped in (True, False):
            file = io.BytesIO()
            torch.save(content, file, _use_new_zipfile_serialization=zipped)
            found.append(file.getvalue())
    with tempfile.TemporaryDirectory() as folder:
        found += [saved(Path(folder, "net.pt"), attack).read_bytes() for attack in ATTACKS.values()]
    return [*found, pickle.dumps(_Payload()), pickle.dumps(_Command(), 2)]


@cache
def inner_pickles() -> list[bytes]:
    """The pickle inside of a checkpoint alone: a zip around it is made anew, its sums right."""
    found = list(ATTACKS.values())
    for content in (TENSOR, {"model": TENSOR, "epoch": 3}, {**TENSOR, "x": _Payload()}):
        file = io.BytesIO()
        torch.save(content, file)
        with zipfile.ZipFile(file) as archive:
            found += [archive.read(n) for n in archive.namelist() if n.endswith("/data.pkl")]
    return found


@cache
def tensors() -> list[bytes]:
    """Files of safetensors."""
    whole = {"conv.weight": torch.ones(4, 3, 3, 3), "fc.weight": torch.ones(2, 4).half()}
    return [save(whole), save({"a": torch.ones(2)}, {"format": "pt"}), save({"b": torch.ones(0)})]


@cache
def graphs() -> list[bytes]:
    """ONNX networks: one that opens, one with weights elsewhere, one with many operators."""
    weights = {
        "w": np.full((4, 3, 3, 3), 0.1, np.float32),
        "f": np.full((2, 4), 0.1, np.float32),
        "b": np.zeros(2, np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["q"]),
        helper.make_node("Gemm", ["q", "f", "b"], ["y"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 32, 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    elsewhere = onnx.ModelProto()
    elsewhere.CopyFrom(model)
    first = elsewhere.graph.initializer[0]
    first.ClearField("raw_data")
    first.data_location = TensorProto.EXTERNAL
    first.external_data.add(key="location", value="../../etc/passwd")
    return [model.SerializeToString(), model.SerializeToString(), elsewhere.SerializeToString()]


@cache
def pictures() -> list[bytes]:
    """Small pictures of every format, grey, coloured, with a palette, of 16 bits, turned, thin."""
    values = np.arange(32 * 40 * 3, dtype=np.uint32).reshape(32, 40, 3) % 256
    colour = Image.fromarray(values.astype(np.uint8))
    deep = Image.fromarray((values[:, :, 0] * 200).astype(np.uint16))
    turned = Image.Exif()
    turned[0x0112] = 6
    found = []
    for picture, kind, options in (
        (colour, "PNG", {}),
        (colour.convert("P"), "PNG", {}),
        (deep, "PNG", {}),
        (colour, "JPEG", {"exif": turned}),
        (colour.convert("L"), "JPEG", {}),
        (colour, "WEBP", {"lossless": True}),
        (colour, "BMP", {}),
        (colour, "TIFF", {"compression": "tiff_lzw"}),
        (deep, "TIFF", {}),
        (Image.new("RGB", (16_000, 1)), "WEBP", {"lossless": True}),
    ):
        file = io.BytesIO()
        picture.save(file, kind, **options)
        found.append(file.getvalue())
    return found


@cache
def archives() -> list[bytes]:
    """Archives of pictures; some climb, nest, repeat names or lie."""
    found = []
    picture = pictures()[0]
    for names in (
        ("good/1.png", "bad/1.png"),
        ("../up.png", "good/1.png"),
        ("/etc/1.png", "C:/1.png"),
        ("d/" * 70 + "1.png", "a.png"),
        ("inner.zip", "good/1.png"),
        ("good/1.png", "GOOD/1.PNG"),
    ):
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            file = io.BytesIO()
            with zipfile.ZipFile(file, "w", method) as archive:
                for name in names:
                    archive.writestr(name, picture)
            found.append(file.getvalue())
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.bmp", bytes(3_000_000))
    return [*found, file.getvalue()]


@cache
def tables() -> list[bytes]:
    """Tables of samples with other separators, encodings, formulas, and texts without an end."""
    return [
        b"path,label,group\na.png,0,1\nb.png,1,2\n",
        b"path;label\r\na.png;good\r\n=cmd|'/c calc'!A0;crack\r\n",
        "path\tlabel\nä.png\t0\n".encode("utf-16"),
        b'path,label\n"a\n.png",0\n"' + b"x" * 2000,
        b"\xef\xbb\xbfpath,label\n../../etc/passwd,0\n",
    ]


@cache
def cards() -> list[bytes]:
    """Cards beside a model, some with values that mean nothing."""
    card = {"architecture": "resnet18", "size": [32, 32], "mean": [0.5], "std": [0.25]}
    meaning = {"outputs": 2, "defect": [1], "good": [0], "sign": 1}
    return [
        json.dumps(content).encode()
        for content in (
            {**card, "convention": meaning, "layer": "layer4"},
            {**card, "architecture": "smp/Unet:tu-hf-hub:timm/resnet18"},
            {**card, "convention": {**meaning, "outputs": 10**9}},
            {**card, "size": [10**9, 1], "resize": "crop:100000"},
        )
    ]


def _checkpoint(file: Path) -> None:
    read_weights(saved(file.with_suffix(".pt"), file.read_bytes()))


def _picture(file: Path) -> None:
    INPUT.pixels(INPUT.read(file))


def _archive(file: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        extract(file, Path(folder, "out"))
        outside = [path for path in Path(folder).iterdir() if path.name != "out"]
        assert not outside, f"{outside} written beside the folder"


KINDS: dict[str, tuple[Callable[[], list[bytes]], str, Callable[[Path], object], int]] = {
    "checkpoints (.pt)": (checkpoints, "net.pt", read_weights, 4000),
    "pickles inside of them": (inner_pickles, "net.pkl", _checkpoint, 4000),
    "safetensors": (tensors, "net.safetensors", read_weights, 3000),
    "ONNX": (graphs, "net.onnx", lambda file: open_detector(file, PLAIN), 1500),
    "pictures": (pictures, "a.png", _picture, 6000),
    "masks": (pictures, "m.png", lambda file: read_masks(file.parent, file.name), 2000),
    "archives (.zip)": (archives, "set.zip", _archive, 2500),
    "tables (.csv)": (tables, "t.csv", lambda file: read_table(file, ("path", "label")), 2000),
    "cards (.json)": (cards, "net.json", lambda f: read_card(f.with_suffix(".pt")), 2000),
}  # fmt: skip


def open_some(kind: str, first: int, count: int) -> Opened:
    """Make and open files number `first` and on, here; in a folder of their own."""
    import os

    seeds, name, opening, _ = KINDS[kind]
    found = Opened(kind, count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for number in range(first, first + count):
            draw = np.random.default_rng(number)
            seed, other = (seeds()[int(i)] for i in draw.integers(len(seeds()), size=2))
            file = Path(folder, name)
            file.write_bytes(seed if number < len(seeds()) else mutated(seed, other, draw))
            start = time.perf_counter()
            try:
                opening(file)
                found.opened += 1
            except TrustError as error:
                if not str(error).strip():
                    found.faults.append(f"{number}: no sentence")
            except Exception as error:
                found.faults.append(f"{number}: {type(error).__name__}: {error}"[:300])
            found.seconds = max(found.seconds, time.perf_counter() - start)
            found.executed += Path(folder, CANARY).exists()
    found.memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return found


def open_all(share: float = 1.0) -> Iterator[Opened]:
    """Every kind in turn; a file whose process dies is found by opening its batch one by one."""
    sandbox = Sandbox("tests.hostile_files")
    try:
        for kind, (_, _, _, count) in KINDS.items():
            total = Opened(kind)
            whole = max(BATCH, round(count * share))
            for first in range(0, whole, BATCH):
                batch = min(BATCH, whole - first)
                try:
                    total.add(_call(sandbox, kind, first, batch))
                except GivenUp:
                    for number in range(first, first + batch):
                        try:
                            total.add(_call(sandbox, kind, number, 1))
                        except GivenUp as death:
                            total.files += 1
                            died = total.crashes if "broke" in str(death) else total.given_up
                            died.append(f"{number}: {death}")
            yield total
    finally:
        sandbox.close()


def _call(sandbox: Sandbox, kind: str, first: int, count: int) -> Opened:
    found = sandbox.call(
        "tests.hostile_files:open_some", kind, first, count, what=kind, limits=LIMITS
    )
    assert isinstance(found, Opened)
    return found
