"""Golden vectors: a few parts with the numbers that a guard has to give for them anywhere.

Log-odds and heatmaps are those of the audit itself; the indicator is what the guard gave when it
was exported. The file also holds the policy as it was exported, so that what was changed is named.

Notation: g golden parts.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from trust_core.deploy.inspection import Arrays
from trust_core.deploy.policy import (
    GOLDEN,
    POLICY,
    Policy,
    changed_guard_files,
    policy_differences,
)
from trust_core.errors import StoreError

if TYPE_CHECKING:
    from trust_core.deploy.measure import Measurement

LOG_ODDS = 1e-4  # of 1 + |z|: batch sizes and devices agree to that
MAP_VALUES = 1e-3  # of the largest value of a map
INDICATOR = 5e-3  # of 1 + |value|: a flipped cell of a mask moves an overlap by 1e-3 and more
LOWER_PRECISION = 100.0  # times as much where the audit itself was computed in bf16 or TF32
ENHANCED = 10.0  # times as much at ε > 0: the sign of a slope near 0 is anybody's

Floats = npt.NDArray[np.float64]

PIXELS, EXPECTED_INDICATOR = "pixels", "indicator"
POLICY_ENTRY = "policy"  # of the metadata


class Measuring(Protocol):
    """What is checked: a guard."""

    @property
    def policy(self) -> Policy:
        """What it decides by."""

    def measure(self, pixels: npt.NDArray[np.uint8], *, maps: bool = False) -> "Measurement":
        """What was measured of one batch."""

    def score(self, measured: "Measurement", names: list[str]) -> Floats:
        """The indicator of its passed parts."""


@dataclass(frozen=True)
class Golden:
    """Golden vectors.

    Attributes:
        pixels: `(g, c, H, W)` uint8.
        expected: by `log_odds@ε`, `NAME@ε` and `scale_NAME@ε` for maps, and `indicator`; NaN where
            a part has none.
        policy: the text of `policy.json`.
    """

    pixels: npt.NDArray[np.uint8]
    expected: Arrays
    policy: str

    @property
    def names(self) -> list[str]:
        """What the golden parts are called."""
        return [f"golden {number}" for number in range(len(self.pixels))]


def read_golden(folder: Path) -> Golden:
    """The golden vectors of the guard in a folder.

    Raises:
        StoreError: they are not there, or damaged.
    """
    try:
        with safe_open(folder / GOLDEN, "numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            policy = (file.metadata() or {})[POLICY_ENTRY]
        return Golden(arrays.pop(PIXELS), arrays, policy)
    except (OSError, SafetensorError, KeyError) as error:
        raise StoreError(
            f"{folder / GOLDEN} is missing or damaged; export the guard again."
        ) from error


def file_differences(folder: Path) -> tuple[str, ...]:
    """What in the files of a guard is not as exported, a sentence each."""
    found = [*changed_guard_files(folder)]
    if any(sentence.startswith(POLICY) for sentence in found):
        try:
            here = json.loads((folder / POLICY).read_text(encoding="utf-8"))
            exported = json.loads(read_golden(folder).policy)
            found += policy_differences(here, exported)
        except (OSError, ValueError, AttributeError, StoreError):
            found.append(f"{POLICY} cannot be compared with what was exported.")
    return tuple(found)


def golden_differences(guard: Measuring, golden: Golden) -> tuple[str, ...]:
    """What a guard gives for its golden parts otherwise than it has to, a sentence each."""
    return differences(given(guard, golden), golden.expected, guard.policy.precision)


def differences(here: Arrays, expected: Arrays, precision: str = "fp32") -> tuple[str, ...]:
    """What numbers, under the names of `Golden.expected`, are not as expected, a sentence each."""
    factor = 1.0 if precision == "fp32" else LOWER_PRECISION
    found = []
    for what, unit, tolerance, apart in _apart(here, expected):
        worst = float(np.max(apart, initial=0.0))
        if not worst <= factor * tolerance:
            found.append(
                f"{what} differs on the golden parts by {worst:.3g} {unit}, "
                f"{factor * tolerance:.3g} is allowed."
            )
    return tuple(found)


def given(guard: Measuring, golden: Golden) -> Arrays:
    """What a guard gives for golden parts, under the names of `Golden.expected`."""
    wanted = set(golden.expected)
    measured = guard.measure(golden.pixels, maps=any("scale_" in name for name in wanted))
    indicator = np.full(len(golden.pixels), np.nan)
    indicator[measured.passed] = guard.score(measured, golden.names)
    return {EXPECTED_INDICATOR: indicator} | measured_by_name(measured)


def measured_by_name(measured: "Measurement") -> Arrays:
    """Log-odds and maps of a measurement, under the names of `Golden.expected`."""
    found: Arrays = {}
    for strength, columns in measured.columns.items():
        found[f"log_odds@{strength:g}"] = columns["log_odds"]
        for name, values in measured.maps[strength].items():
            found[f"{name}@{strength:g}"] = values
    return found


def _apart(
    here: Mapping[str, npt.NDArray[Any]], expected: Mapping[str, npt.NDArray[Any]]
) -> Iterator[tuple[str, str, float, Floats]]:
    """Name, unit, tolerance, and how far apart each part is; ∞ where one side has no number."""
    for name, wanted in expected.items():
        what, _, strength = name.partition("@")
        wider = ENHANCED if strength and float(strength) else 1.0
        if name not in here or here[name].shape != wanted.shape:
            yield name, "in shape", 0.0, np.array([np.inf])
            continue
        now, then = here[name].astype(np.float64), wanted.astype(np.float64)
        both = np.isnan(now) & np.isnan(then)
        apart = np.where(both, 0.0, np.abs(now - then))
        apart[np.isnan(apart)] = np.inf
        if what == EXPECTED_INDICATOR:
            yield "the indicator", "of 1 + its size", INDICATOR, _relative(apart, then)
        elif what == "log_odds":
            yield (
                f"z at strength {strength}",
                "of 1 + |z|",
                LOG_ODDS * wider,
                _relative(apart, then),
            )
        elif what.startswith("scale_"):
            label = f"the size of the map {what.removeprefix('scale_')} at strength {strength}"
            yield label, "of it", MAP_VALUES * wider, apart / np.maximum(np.abs(then), 1e-12)
        else:
            label = f"the map {what} at strength {strength}"
            yield label, "of its largest value", MAP_VALUES * wider, apart


def _relative(apart: Floats, size: Floats) -> Floats:
    return apart / (1 + np.abs(np.nan_to_num(size)))
