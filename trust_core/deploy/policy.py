"""The policy of a guard: what decides on the line, as one JSON file with everything that matters.

A guard is a folder: `policy.json`, the network's weights, what the indicator needs, golden vectors,
a README, and `SHA256SUMS`, which `sha256sum --check` reads too.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trust_core.decision.indicators.registry import indicator_name
from trust_core.errors import NotMet, StoreError
from trust_core.model.preprocessing import Preprocessing, noted_preprocessing
from trust_core.storage.manifest import (
    ConventionRecord,
    PreprocessingRecord,
    Record,
    as_json,
    as_record,
)

if TYPE_CHECKING:
    from trust_core.audit.settings import AuditSettings
    from trust_core.model.open import ModelOptions
    from trust_core.model.outputs import Convention

POLICY_VERSION = 1
POLICY = "policy.json"
WEIGHTS, ONNX_NETWORK = "model.safetensors", "model.onnx"
FITTED = "indicator.safetensors"  # what the indicator was fitted to; absent where nothing was
REFERENCE = "reference.safetensors"  # what the line is compared with
GOLDEN = "golden.safetensors"
ONNX_GUARD = "guard.onnx"
README = "README.md"
SUMS = "SHA256SUMS"
FILES = {POLICY, WEIGHTS, ONNX_NETWORK, FITTED, REFERENCE, GOLDEN, ONNX_GUARD, README}

BY_THRESHOLD, BY_ARGMAX = "threshold", "argmax"
DEFECTIVE, GOOD, RE_INSPECT = "defective", "good", "re_inspect"


class GuardRefused(NotMet):
    """The folder does not do what was exported.

    `differences` says what differs, a sentence each.
    """

    def __init__(self, folder: Path, differences: tuple[str, ...]) -> None:
        super().__init__(
            f"The guard in {folder} is not the one that was exported: {' '.join(differences)} "
            "Export it again."
        )
        self.differences = differences


@dataclass(frozen=True, kw_only=True)
class DecisionRule(Record):
    """What the detector calls defective: `p ≥ threshold`, or the largest output (no threshold)."""

    rule: str = BY_THRESHOLD
    threshold: float | None = 0.5


@dataclass(frozen=True, kw_only=True)
class MapForms(Record):
    """Forms of the heatmaps; the first of each make the IoU difference."""

    specific: tuple[str, ...] = ("gradcam",)
    agnostic: tuple[str, ...] = ("gradient",)


@dataclass(frozen=True, kw_only=True)
class Policy(Record):
    """`policy.json`.

    Attributes:
        schema_version: of the guard's format.
        threshold: τ; a passed part whose indicator reaches it is re-inspected.
        tolerance: how far below τ is taken for τ, so that rounding on another machine lets nothing
            pass; less than half the distance to the next lower score in the audit.
        strength: ε that was decided on.
        indicator: a key of `INDICATORS`.
        variant: how the tuned overlap is scored, for `best_overlap`; "" for others.
        strengths: the ε above 0 that the indicator takes; none where it needs none.
        needs: what of the network it takes beyond z, names of `indicators.NEEDS`.
        decision: rule of the detector.
        layer: explanation layer of the overlap.
        layers: all explanation layers that are needed.
        maps: forms of the heatmaps.
        mask: mask rule.
        direction: what the enhancement pushes towards.
        pgd_steps: of the enhancement.
        precision: of the arithmetic, as the audit's.
        preprocessing: how an image becomes the network's input.
        convention: the meaning of the outputs.
        architecture: of the network.
        weights: name of the file of the network.
        model_sha256: of the audited model file.
        audit_sha256: of the audit's `manifest.json`.
        data_sha256: of the audited images.
        chosen_by: where the operating point came from.
        why: the reason that was noted for it.
        certificate: what is proven of τ, or why nothing is: `certified`, `sentence`, and numbers.
        audit_rate: share of the unflagged passed parts that is inspected all the same.
        created: when.
    """

    schema_version: int = POLICY_VERSION
    threshold: float
    tolerance: float = 0.0
    strength: float
    indicator: str
    variant: str = ""
    strengths: tuple[float, ...] = ()
    needs: tuple[str, ...] = ()
    decision: DecisionRule = DecisionRule()
    layer: str
    layers: tuple[str, ...]
    maps: MapForms = MapForms()
    mask: str = "half"
    direction: str = "toward_defect"
    pgd_steps: int = 1
    precision: str = "fp32"
    preprocessing: PreprocessingRecord
    convention: ConventionRecord
    architecture: str
    weights: str = WEIGHTS
    model_sha256: str = ""
    audit_sha256: str = ""
    data_sha256: str = ""
    chosen_by: str = ""
    why: str = ""
    certificate: Mapping[str, Any] = field(default_factory=dict)
    audit_rate: float = 0.0
    created: str = ""

    @property
    def indicator_name(self) -> str:
        """What the indicator is called where people read it."""
        return indicator_name(self.indicator)

    @property
    def settings(self) -> "AuditSettings":
        """How parts are scored, in the audit's own settings."""
        from trust_core.audit.settings import AuditSettings  # with PyTorch

        return AuditSettings(
            strengths=self.strengths,
            direction=self.direction,
            pgd_steps=self.pgd_steps,
            specific=self.maps.specific,
            agnostic=self.maps.agnostic,
            mask=self.mask,
            decision_threshold=self.decision.threshold,
            precision=self.precision,
        )

    @property
    def model_options(self) -> "ModelOptions":
        """How the network in the folder is opened: nothing is left to a rule."""
        from trust_core.model.open import ModelOptions  # which loads timm, with some 2 s

        outputs = self.convention.outputs
        return ModelOptions(
            arch=None if self.weights == ONNX_NETWORK else self.architecture,
            layers=self.layers,
            defect_index=self.convention.defect if outputs > 1 else None,
            one_logit=(GOOD if self.convention.sign < 0 else "defect") if outputs == 1 else None,
            **vars(self.model_preprocessing),
        )

    @cached_property
    def model_preprocessing(self) -> Preprocessing:
        """How an image becomes the network's input."""
        return noted_preprocessing(self.preprocessing)

    @property
    def outputs(self) -> "Convention":
        """The meaning of the outputs."""
        from trust_core.model.outputs import Convention  # with PyTorch

        given = self.convention
        return Convention(given.outputs, given.defect, given.good, given.sign)


def policy_text(policy: Policy) -> str:
    """The JSON of a policy, as the file holds it."""
    return json.dumps(as_json(policy), indent=1, allow_nan=False) + "\n"


def read_policy(folder: Path) -> Policy:
    """The policy of the guard in a folder, as it stands there; `check` says whether it is right.

    Raises:
        StoreError: no guard there, a damaged policy, or one of a newer program.
    """
    path = folder / POLICY
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["schema_version"]
        policy = as_record(Policy, content) if version == POLICY_VERSION else None
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(
            f"{folder} holds no guard (no {POLICY}); name the folder that `guard export` wrote."
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise StoreError(f"{path} is damaged; export the guard again.") from None
    if policy is None:
        raise StoreError(
            f"{folder} was written in format {version}, this program reads {POLICY_VERSION}; "
            "export the guard again."
        )
    return policy


def write_guard_sums(folder: Path) -> None:
    """Write the sha256 of every file of a guard, as `sha256sum` does."""
    lines = [f"{digest}  {name}\n" for name, digest in sorted(_digests(folder).items())]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def changed_guard_files(folder: Path) -> tuple[str, ...]:
    """Files of a guard that are not as `SHA256SUMS` says, a sentence each."""
    try:
        text = (folder / SUMS).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return (f"{SUMS} is missing or damaged.",)
    lines = (line.partition("  ") for line in text.splitlines())
    noted = {name: digest for digest, _, name in lines}
    if "" in noted:  # torn in the middle of a line
        return (f"{SUMS} is missing or damaged.",)
    here = _digests(folder)
    return (
        *(f"{name} is missing." for name in sorted(noted.keys() - here.keys())),
        *(
            f"{name} has changed."
            for name in sorted(noted.keys() & here)
            if noted[name] != here[name]
        ),
        *(f"{name} is not among {SUMS}." for name in sorted((FILES & here.keys()) - noted.keys())),
    )


def _digests(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != SUMS:
            with path.open("rb") as file:
                found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def policy_differences(
    here: Mapping[str, Any], exported: Mapping[str, Any], at: str = ""
) -> list[str]:
    """What a policy says otherwise than the one that was exported, a sentence for each entry."""
    found = []
    for name in sorted(here.keys() | exported.keys()):
        now, then = here.get(name), exported.get(name)
        if isinstance(now, Mapping) and isinstance(then, Mapping):
            found += policy_differences(now, then, f"{at}{name}.")
        elif now != then:
            found.append(f"{POLICY} says {at}{name} {_short(now)}, exported was {_short(then)}.")
    return found


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
