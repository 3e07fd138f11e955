"""Fingerprints of all known architectures, by which a state dict finds the names it may have.

Building all of timm takes minutes; comparing fingerprints of 24 numbers takes a millisecond. A
fingerprint is a MinHash (Broder, "On the resemblance and containment of documents", 1997) of the
entries `key:shape`: the share of equal numbers estimates the share of equal entries. It only makes
the short list; what is on it is built and compared key by key. `python -m
trust_core.model.recognition.fingerprints` writes `architectures.json` anew for the installed
versions.
"""

import base64
import functools
import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import segmentation_models_pytorch as smp
import timm

from trust_core.model.recognition.architectures import (
    Blueprint,
    WeightsOnMeta,
    meta_shapes,
    smp_encoders,
    torchvision_names,
)

NUMBERS = 24
SHORT_LIST = 24
INDEX = Path(__file__).with_name("architectures.json")
# Buffers that depend on the version of a library, not on the architecture.
DERIVED = ("num_batches_tracked", "relative_position_index", "attn_mask")

Shapes = Mapping[str, tuple[int, ...]]


def fingerprint(shapes: Shapes) -> npt.NDArray[np.uint16]:
    """The MinHash of a state dict's keys and shapes, (24,) uint16."""
    entries = [f"{key}:{shape}" for key, shape in shapes.items() if not key.endswith(DERIVED)]
    digests = b"".join(
        hashlib.shake_128(entry.encode()).digest(4 * NUMBERS) for entry in entries or [""]
    )
    lowest = np.frombuffer(digests, dtype="<u4").reshape(-1, NUMBERS).min(axis=0)
    return (lowest & 0xFFFF).astype("<u2")


def nearest(shapes: Shapes, *, encoders: bool = False) -> list[str]:
    """Names of the architectures whose fingerprint is most like this one, nearest first.

    With `encoders` it looks among those of segmentation_models_pytorch ("smp/NAME"); then the
    shapes are those of the encoder alone.
    """
    names, fingerprints = _index()
    alike = (fingerprints == fingerprint(shapes)).mean(axis=1)
    wanted = [index for index, name in enumerate(names) if name.startswith("smp/") == encoders]
    wanted.sort(key=lambda index: (-alike[index], len(names[index]), names[index]))
    best = max(alike[wanted[0]] - 0.4, 0.0)
    return [names[index] for index in wanted[:SHORT_LIST] if alike[index] >= best]


def likeness(shapes: Shapes) -> float:
    """The share of equal numbers with the most similar architecture, 0 to 1."""
    return float((_index()[1] == fingerprint(shapes)).mean(axis=1).max())


@functools.cache
def _index() -> tuple[list[str], npt.NDArray[np.uint16]]:
    stored = json.loads(INDEX.read_text())
    names = [name for group in stored.values() for name in group]
    fingerprints = [
        np.frombuffer(base64.b64decode(code), dtype="<u2") for code, g in stored.items() for _ in g
    ]
    return names, np.stack(fingerprints)


def write_index() -> None:
    """Fingerprint every classification network of the installed libraries."""
    groups: dict[str, list[str]] = defaultdict(list)
    names = [f"torchvision/{name}" for name in torchvision_names()]
    names += [f"timm/{name}" for name in timm.list_models()]
    for name in sorted(names):
        shapes = meta_shapes(Blueprint(name, outputs=1000, auxiliary=True))
        groups[_code(shapes)].append(name)
    for name in smp_encoders():
        with WeightsOnMeta():
            state = smp.encoders.get_encoder(name, weights=None).state_dict()
        groups[_code({key: tuple(tensor.shape) for key, tensor in state.items()})].append(
            f"smp/{name}"
        )
    INDEX.write_text(json.dumps(dict(sorted(groups.items())), indent=0) + "\n")


def _code(shapes: Shapes) -> str:
    return base64.b64encode(fingerprint(shapes).tobytes()).decode()


if __name__ == "__main__":
    write_index()
