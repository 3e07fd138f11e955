"""The guard: images of the line in; defective, good or re-inspect out, with the reason.

Data → model → explanation → output, by the functions of the audit: the same parts get the same
decisions. No Streamlit, no audit folder, no labels.
"""

import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_tensors
from torch import nn

from trust_core.audit.engine import fitting_batch
from trust_core.audit.score import map_key
from trust_core.audit.settings import AuditSettings
from trust_core.decision.tradeoff import Floats
from trust_core.deploy.golden import file_differences, golden_differences, read_golden
from trust_core.deploy.indicators import score_parts
from trust_core.deploy.inspection import Answers, Arrays, Inspector, Maps
from trust_core.deploy.measure import INPUT_GRADIENT, MAPS, Measurement, measure
from trust_core.deploy.policy import (
    FITTED,
    GuardRefused,
    Policy,
    read_policy,
)
from trust_core.errors import (
    ModelError,
    StoreError,
    TrustError,
)
from trust_core.explanation.evidence.audit_gaussian import load_patch_gaussian
from trust_core.explanation.evidence.evidence_maps import evidence_window
from trust_core.explanation.evidence.patch_gaussian import PatchGaussian
from trust_core.explanation.overlap import NOT_FINITE, SCORED
from trust_core.model.detector import Detector
from trust_core.storage.audit_files import EVIDENCE
from trust_core.storage.manifest import (
    FINISHED,
    SCHEMA_VERSION,
    Manifest,
    MapRecord,
    SettingsRecord,
)

# On a CPU, with the slope of the whole network: what a pass keeps of more images for its way back
# is more than the allocator gives back at once, so that every layer waits for fresh memory.
SLOPE_BATCH = 8


@dataclass(frozen=True)
class Guard(Inspector):
    """A guard, ready to inspect; from `Guard.load`. Any number of threads may use one.

    Attributes:
        folder: it was loaded from.
        policy: what it decides by.
        detector: the network.
        fitted: what the indicator was fitted to, by name.
        surroundings: what evidence is measured against, for the form `evidence` alone.
        batch_size: images a pass, at most.
    """

    folder: Path
    policy: Policy
    detector: Detector
    fitted: Arrays
    surroundings: PatchGaussian | None
    batch_size: int

    @classmethod
    def load(
        cls,
        folder: Path | str,
        *,
        device: str = "cpu",
        module: nn.Module | None = None,
        verify: bool = True,
    ) -> "Guard":
        """Load the guard in a folder.

        Args:
            folder: that `guard export` wrote.
            device: "cpu" or "cuda".
            module: the network, where its architecture is your own; its weights come from the
                folder.
            verify: refuse a folder that is not as it was exported, or numbers that are not.

        Raises:
            GuardRefused: files, policy, or what the golden vectors give differ.
            StoreError: there is no guard, or a damaged one.
            ModelError: the network cannot be opened.
        """
        folder = Path(folder)
        if verify and (changed := file_differences(folder)):
            read_policy(folder)  # no guard at all is said as such
            raise GuardRefused(folder, changed)
        guard = open_guard(folder, device, module)
        if verify and (apart := golden_differences(guard, read_golden(folder))):
            raise GuardRefused(folder, apart)
        return guard

    def answers(
        self, pixels: npt.NDArray[np.uint8], names: list[str], *, maps: bool = False
    ) -> Answers:
        """What network and indicator say of one batch `(n, c, H, W)`."""
        measured = self.measure(pixels, maps=maps)
        clean, indicator = measured.columns[0.0], np.full(len(pixels), np.nan)
        indicator[measured.passed] = self.score(measured, names)
        status = clean.get("status", [SCORED] * len(pixels))
        return Answers(
            measured.defective,
            clean["log_odds"],
            clean["p_defect"],
            indicator,
            [NOT_FINITE if reason == SCORED else reason for reason in status],
            [_maps(measured, row) for row in range(len(pixels))] if maps else None,
        )

    def measure(self, pixels: npt.NDArray[np.uint8], *, maps: bool = False) -> Measurement:
        """What the indicator takes of one batch `(n, c, H, W)`; heatmaps too when asked for."""
        needs = {*self.policy.needs, *([MAPS] if maps else [])}
        return measure(self.detector, self._settings, pixels, needs, self.surroundings)

    def score(self, measured: Measurement, names: list[str]) -> Floats:
        """The indicator of the passed parts of a batch, `(m,)`; NaN = no score."""
        policy = self.policy
        return score_parts(
            policy.indicator, policy.variant, measured, self._manifest, names, self.fitted
        )

    @cached_property
    def _settings(self) -> AuditSettings:
        return self.policy.settings

    @cached_property
    def _manifest(self) -> Manifest:
        """What an audit with these settings would say, for the indicators that read it."""
        forms = self.policy.maps
        return Manifest(
            schema_version=SCHEMA_VERSION,
            status=FINISHED,
            mask=self.policy.mask,
            settings=SettingsRecord(specific=forms.specific, agnostic=forms.agnostic),
            maps=tuple(
                MapRecord(name=map_key(self.detector, layer, name), layer=layer, map=name, file="")
                for layer in self.detector.layers
                for name in self.policy.settings.map_names
            ),
        )


def open_guard(folder: Path, device: str = "cpu", module: nn.Module | None = None) -> Guard:
    """The guard in a folder as it stands there, unverified; arguments as of `Guard.load`.

    Raises:
        StoreError: there is no guard, or a damaged one.
        ModelError: the network cannot be opened.
    """
    policy = read_policy(folder)
    path = folder / policy.weights
    if not path.is_file():
        raise ModelError(f"{path} is not there; export the guard again.")
    if module is None:
        from trust_core.model.open import open_detector  # which loads timm, with some 2 s

        detector = open_detector(path, policy.model_options, device=device)
    else:
        detector = _with_weights(module, path, policy, device)
    try:
        fitted = load_file(folder / FITTED) if (folder / FITTED).exists() else {}
    except (SafetensorError, OSError) as error:
        raise StoreError(
            f"{folder / FITTED} is damaged ({error}); export the guard again."
        ) from error
    surroundings = None
    if policy.settings.evidence:
        window = evidence_window(detector.preprocessing.size)
        surroundings = load_patch_gaussian(folder / EVIDENCE).cut(window)
    return Guard(folder, policy, detector, fitted, surroundings, batch_of(detector, policy))


def batch_of(detector: Detector, policy: Policy) -> int:
    """Images a pass, at most."""
    slope = bool(policy.strengths) or INPUT_GRADIENT in policy.needs
    most = fitting_batch(detector)
    return min(most, SLOPE_BATCH) if slope and detector.device.type == "cpu" else most


def _with_weights(module: nn.Module, path: Path, policy: Policy, device: str) -> Detector:
    """A network of the user's own architecture with the weights of a guard."""
    own = copy.deepcopy(module)
    try:
        own.load_state_dict(load_tensors(path))
    except (RuntimeError, SafetensorError, OSError) as error:
        raise ModelError(
            f"{path.name} does not fit the network that was given: {str(error).splitlines()[0]} "
            "Give the architecture that was exported."
        ) from error
    seen = policy.model_preprocessing
    return Detector(own, seen, policy.outputs, policy.layers, device=device)


@dataclass(frozen=True)
class GuardCheck:
    """Whether a folder still does what was exported.

    `differences` says what differs, a sentence each.
    """

    differences: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


def check_guard(folder: Path, device: str = "cpu", module: nn.Module | None = None) -> GuardCheck:
    """Compare files, policy and golden vectors of a guard with what was exported.

    Arguments as of `Guard.load`.

    Raises:
        StoreError: there is no guard in the folder.
    """
    read_policy(folder)
    found = list(file_differences(folder))
    try:
        found += golden_differences(open_guard(folder, device, module), read_golden(folder))
    except TrustError as error:
        found.append(f"It cannot be loaded: {error}")
    return GuardCheck(tuple(found))


def _maps(measured: Measurement, row: int) -> Maps:
    """Heatmaps of one part at ε = 0, in their own scale."""
    kept = measured.maps[0.0]
    return {
        name: values[row].astype(np.float32) * kept[f"scale_{name}"][row]
        for name, values in kept.items()
        if not name.startswith("scale_")
    }
