"""Files that are no PyTorch weights: what they are, from their first bytes, and what to do."""

import zipfile
from pathlib import Path

from trust_core.errors import ModelError

BY_ONNX = "convert it to ONNX where it was made, and open that"
TENSORRT = "a TensorRT engine, compiled for one GPU; open the network that it was built from"
KERAS = f"a Keras model (HDF5); {BY_ONNX} (tf2onnx does it)"
# What stands at a place in the file, and what such a file is.
MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"version https://git-lfs", "a Git LFS pointer, not the file; fetch that (git lfs pull)"),
    (0, b"\x89HDF\r\n\x1a\n", KERAS),
    (4, b"TFL3", f"a TensorFlow Lite model, whose numbers have no gradients; {BY_ONNX}"),
    (0, b"ptrt", TENSORRT),
    (0, b"ftrt", TENSORRT),
    (0, b"GGUF", "a language model (GGUF), not a classifier of images"),
    (0, b"\x89PNG", "a picture (PNG)"),
    (0, b"\xff\xd8\xff", "a picture (JPEG)"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\x1f\x8b", "compressed (gzip); unpack it first"),
    (0, b"7z\xbc\xaf", "compressed (7z); unpack it first"),
    (0, b"Rar!", "compressed (RAR); unpack it first"),
    (0, b"\x93NUMPY", "an array of NumPy; save the network's state_dict with torch.save"),
)  # fmt: skip
SUFFIXES = {
    ".engine": TENSORRT,
    ".plan": TENSORRT,
    ".trt": TENSORRT,
    ".pb": f"a TensorFlow graph; {BY_ONNX} (tf2onnx does it)",
    ".pdparams": f"a PaddlePaddle model; {BY_ONNX} (paddle2onnx does it)",
    ".caffemodel": f"a Caffe model; {BY_ONNX}",
    ".mlmodel": "a Core ML model; open the network that it was converted from",
    ".joblib": f"a pickle of Python objects, which can run code when opened; {BY_ONNX}",
    ".mar": "an archive of TorchServe; open the weights that it was made from",
}  # fmt: skip
INSIDE = {  # members of a zip archive
    "model.weights.h5": f"a Keras model; {BY_ONNX} (tf2onnx does it)",
    "MAR-INF/MANIFEST.json": "an archive of TorchServe; open the weights that it was made from",
}
HEAD = 4096


def refuse_foreign(path: Path) -> None:
    """Say of a file that is no PyTorch weights what it is.

    Raises:
        ModelError: it is something else; in one sentence with what to do.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    words = next((words for at, magic, words in MAGIC if head[at:].startswith(magic)), None)
    words = words or _text(head) or SUFFIXES.get(path.suffix.lower())
    if words is None and zipfile.is_zipfile(path):
        words = _zipped(path)
    if words:
        raise ModelError(f"{path.name} is {words}.")


def _text(head: bytes) -> str | None:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return (
            "a web page, not the file itself (often a page to sign in, saved in its place); "
            "download it again"
        )
    if start.startswith(b"<?xml") or start.startswith(b"<net"):
        if b"<net" in start:
            return "a network of OpenVINO; open the ONNX or PyTorch file that it was made from"
        return "a text (XML)"
    if start.startswith((b"{", b"[")) and b"\0" not in head:
        return "a text (JSON); the weights are in another file"
    return None


def _zipped(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return None  # read_weights says that it is damaged
    if names and all(name.endswith(".npy") for name in names):
        return "arrays of NumPy (.npz); save the network's state_dict with torch.save"
    return next((words for name, words in INSIDE.items() if name in names), None)
