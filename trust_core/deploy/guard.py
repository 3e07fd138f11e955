"""The guard: images of the line in; defective, good or re-inspect out, with the reason.

Data → model → explanation → output, by the functions of the audit: the same parts get the same
decisions. No Streamlit, no audit folder, no labels.
"""

import copy
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_tensors
from torch import nn

from trust_core.audit.engine import fitting_batch
from trust_core.audit.score import map_key
from trust_core.audit.settings import AuditSettings
from trust_core.decision.tradeoff import Floats
from trust_core.deploy.check import file_differences, golden_differences, read_golden
from trust_core.deploy.indicators import score_parts
from trust_core.deploy.measure import MAPS, Arrays, Measurement, measure
from trust_core.deploy.photometry import photometry
from trust_core.deploy.policy import (
    DEFECTIVE,
    FITTED,
    GOOD,
    RE_INSPECT,
    GuardRefused,
    Policy,
    read_policy,
)
from trust_core.errors import (
    ModelError,
    SettingsError,
    StoreError,
    TrustError,
    UnreadableImage,
)
from trust_core.explanation.evidence.fit import load_patch_gaussian
from trust_core.explanation.evidence.heatmaps import evidence_window
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

Picture = Path | str | bytes | Image.Image | npt.NDArray[np.uint8]
Read = npt.NDArray[np.uint8] | str  # the network's input, or why there is none

AUDIT_SAMPLE = "audit sample: inspect it too, so that the certificate can be updated"


@dataclass(frozen=True)
class Inspection:
    """What the guard says of one part.

    Attributes:
        name: path or name of its image.
        decision: `defective`, `good` or `re_inspect`.
        p_defect: p of the detector; None where the image cannot be read.
        log_odds: z.
        indicator: of a passed part; None without a score, and for parts called defective.
        reason: why, in words; "" for a good part that nothing speaks against.
        audit_sample: a good part that is inspected at random all the same.
        brightness: of the network's input, as `photometry`; None where it cannot be read.
        sharpness: the same.
        maps: heatmaps by name, `(h, w)` float32, when they were asked for.
    """

    name: str
    decision: str
    p_defect: float | None
    log_odds: float | None
    indicator: float | None
    reason: str
    audit_sample: bool = False
    brightness: float | None = None
    sharpness: float | None = None
    maps: Mapping[str, npt.NDArray[np.float32]] | None = None

    def as_json(self) -> dict[str, Any]:
        """A JSON object; maps as nested lists, where there are any."""
        told: dict[str, Any] = {
            "path": self.name,
            **{name: getattr(self, name) for name in ("decision", "p_defect", "log_odds")},
            **{name: getattr(self, name) for name in ("indicator", "reason", "audit_sample")},
            **{name: getattr(self, name) for name in ("brightness", "sharpness")},
        }
        if self.maps is not None:
            told["maps"] = {name: values.tolist() for name, values in self.maps.items()}
        return told


@dataclass(frozen=True)
class Guard:
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

    def inspect(
        self, images: Sequence[Picture], names: Sequence[str] = (), *, maps: bool = False
    ) -> list[Inspection]:
        """Decide on parts, in batches.

        Args:
            images: files, bytes of files, pictures, or arrays `(H, W)` or `(H, W, 3)` of RGB.
            names: what they are called; their paths, or their numbers, when not given.
            maps: also give heatmaps.

        Returns:
            One for each image, in order. An image that cannot be read is to be re-inspected.

        Raises:
            SettingsError: as many names as images are needed.
        """
        if names and len(names) != len(images):
            raise SettingsError(f"{len(images)} images have {len(names)} names.")
        called = list(names) or [
            str(image) if isinstance(image, Path | str) else str(number)
            for number, image in enumerate(images)
        ]
        found = []
        for start in range(0, len(images), self.batch_size):
            part = slice(start, start + self.batch_size)
            read = [self.pixels(*one) for one in zip(images[part], called[part], strict=True)]
            found += self.inspect_read(read, called[part], maps=maps)
        return found

    def inspect_read(
        self, read: Sequence[Read], names: list[str], *, maps: bool = False
    ) -> list[Inspection]:
        """Decide on one batch of what `pixels` gave."""
        pixels = [values for values in read if not isinstance(values, str)]
        readable = [n for n, values in zip(names, read, strict=True) if not isinstance(values, str)]
        told = iter(self.inspect_pixels(np.stack(pixels), readable, maps=maps) if pixels else [])
        return [
            Inspection(name, RE_INSPECT, None, None, None, f"unreadable: {values}")
            if isinstance(values, str)
            else next(told)
            for name, values in zip(names, read, strict=True)
        ]

    def pixels(self, image: Picture, name: str = "image") -> Read:
        """The network's input of an image, `(c, H, W)`, or why it cannot be read."""
        rule = self.detector.preprocessing
        try:
            if isinstance(image, np.ndarray):
                image = Image.fromarray(image)
            elif isinstance(image, bytes):
                image = rule.read(Path(name), image)
            elif not isinstance(image, Image.Image):
                image = rule.read(Path(image))
        except UnreadableImage as error:
            return str(error)
        except (TypeError, ValueError):
            return f"{name}: an array must be (H, W) or (H, W, 3) of uint8."
        return rule.pixels(image)

    def inspect_pixels(
        self, pixels: npt.NDArray[np.uint8], names: list[str], *, maps: bool = False
    ) -> list[Inspection]:
        """Decide on one batch of the network's own input, `(n, c, H, W)`."""
        measured = self.measure(pixels, maps=maps)
        values = self.score(measured, names)
        flagged = np.isnan(values) | (values >= self.policy.threshold - self.policy.tolerance)
        clean = measured.columns[0.0]
        suspicious = dict(zip(measured.passed.tolist(), flagged.tolist(), strict=True))
        indicator = dict(zip(measured.passed.tolist(), values.tolist(), strict=True))
        brightness, sharpness = photometry(pixels)
        found = []
        for row, name in enumerate(names):
            value, p = indicator.get(row, np.nan), float(clean["p_defect"][row])
            sampled = False
            if measured.defective[row]:
                decision, reason = DEFECTIVE, self._defective(p)
            elif suspicious[row]:
                decision, reason = RE_INSPECT, self._suspicious(value, measured, row)
            else:
                sampled = _drawn(self.policy.audit_rate)
                decision, reason = GOOD, AUDIT_SAMPLE if sampled else ""
            found.append(
                Inspection(
                    name,
                    decision,
                    _known(p),
                    _known(float(clean["log_odds"][row])),
                    _known(value),
                    reason,
                    sampled,
                    float(brightness[row]),
                    float(sharpness[row]),
                    _maps(measured, row) if maps else None,
                )
            )
        return found

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

    def _defective(self, p: float) -> str:
        if self.policy.decision.threshold is None:
            return f"called defective: p {p:.3g}, the largest output"
        return f"called defective: p {p:.3g}, decision threshold {self.policy.decision.threshold:g}"

    def _suspicious(self, value: float, measured: Measurement, row: int) -> str:
        if np.isnan(value):
            status = measured.columns[0.0].get("status", {row: SCORED})[row]
            return f"no score: {NOT_FINITE if status == SCORED else status}"
        return (
            f"suspicious: {self.policy.indicator_name} {value:.4g}, "
            f"threshold {self.policy.threshold:.4g}"
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
    return Guard(folder, policy, detector, fitted, surroundings, fitting_batch(detector))


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
class Check:
    """Whether a folder still does what was exported.

    Attributes:
        differences: what differs, a sentence each.
    """

    differences: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


def check_guard(folder: Path, device: str = "cpu", module: nn.Module | None = None) -> Check:
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
    return Check(tuple(found))


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _drawn(rate: float) -> bool:
    """Whether a part is drawn, by a source that nobody can foresee."""
    return bool(rate) and secrets.randbelow(2**53) < rate * 2**53


def _maps(measured: Measurement, row: int) -> dict[str, npt.NDArray[np.float32]]:
    """Heatmaps of one part at ε = 0, in their own scale."""
    kept = measured.maps[0.0]
    return {
        name: values[row].astype(np.float32) * kept[f"scale_{name}"][row]
        for name, values in kept.items()
        if not name.startswith("scale_")
    }
