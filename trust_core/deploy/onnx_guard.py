"""A guard run by onnxruntime, without PyTorch: the same interface, the same decisions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trust_core.deploy.golden import (
    EXPECTED_INDICATOR,
    differences,
    file_differences,
    read_golden,
)
from trust_core.deploy.inspection import Answers, Arrays, Inspector
from trust_core.deploy.policy import ONNX_GUARD, GuardRefused, Policy, read_policy
from trust_core.errors import ModelError

BATCH_SIZE = 32
PIXELS = "pixels"  # the graph's input


@dataclass(frozen=True)
class OnnxGuard(Inspector):
    """A guard as one ONNX graph; from `load_onnx_guard`. Any number of threads may use one."""

    folder: Path
    policy: Policy
    session: Any
    batch_size: int = BATCH_SIZE

    def run(self, pixels: npt.NDArray[np.uint8]) -> Arrays:
        """All outputs of the graph by name, for pixels `(n, c, H, W)`."""
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, {PIXELS: pixels}), strict=True))

    def answers(
        self, pixels: npt.NDArray[np.uint8], names: list[str], *, maps: bool = False
    ) -> Answers:
        """What network and indicator say of one batch `(n, c, H, W)`."""
        found = self.run(pixels)
        kept = [name for name in found if f"scale_{name}" in found]
        return Answers(
            found["defective"],
            found["log_odds"],
            found["p_defect"],
            found["indicator"],
            [""] * len(pixels),
            [
                {n: found[n][row].astype(np.float32) * found[f"scale_{n}"][row] for n in kept}
                for row in range(len(pixels))
            ]
            if maps
            else None,
        )


def load_onnx_guard(folder: Path, *, threads: int = 0, verify: bool = True) -> OnnxGuard:
    """Load the ONNX graph of a guard.

    All cores take part in a pass where `threads` is 0. `verify` refuses a folder that is not as it
    was exported, or numbers that are not.

    Raises:
        GuardRefused: files, policy, or what the golden vectors give differ.
        StoreError: there is no guard, or a damaged one.
        ModelError: it has no ONNX graph, or onnxruntime is not installed.
    """
    policy = read_policy(folder)
    if verify and (changed := file_differences(folder)):
        raise GuardRefused(folder, changed)
    path = folder / ONNX_GUARD
    if not path.is_file():
        raise ModelError(
            f"{folder} has no {ONNX_GUARD}; export the guard again, with its ONNX graph."
        )
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(
            "An ONNX guard needs one package more: pip install onnxruntime."
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    guard = OnnxGuard(folder, policy, session)
    if verify and (apart := onnx_differences(guard)):
        raise GuardRefused(folder, apart)
    return guard


def onnx_differences(guard: OnnxGuard) -> tuple[str, ...]:
    """What the graph gives for the golden parts otherwise than it has to, a sentence each."""
    golden = read_golden(guard.folder)
    given = guard.run(golden.pixels)
    here = {EXPECTED_INDICATOR: given["indicator"]}
    here |= {f"{name}@0": values for name, values in given.items()}
    # The graph gives its own numbers at ε = 0 alone, beside the indicator at whatever ε it takes.
    told = [n for n in golden.expected if n == EXPECTED_INDICATOR or n.endswith("@0")]
    found = differences(here, {name: golden.expected[name] for name in told})
    return tuple(f"{ONNX_GUARD}: {text}" for text in found)
