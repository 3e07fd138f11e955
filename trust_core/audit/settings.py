"""What an audit is asked to do (strengths, maps, mask, decision rule), and what identifies it."""

import math
from dataclasses import dataclass

from trust_core.errors import SettingsError
from trust_core.explanation.map_forms import EVIDENCE_FORM, check_forms, map_names
from trust_core.explanation.overlap import DEFAULT_MASK, check_mask_rule
from trust_core.explanation.perturbation import DIRECTIONS
from trust_core.model.facts import PRECISION_NAMES

DEFAULT_STRENGTHS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class AuditSettings:
    """Settings of one audit, checked when made.

    Attributes:
        strengths: ε in steps of 1/255; made ascending, distinct, and to begin with 0.
        direction: what the enhancement pushes towards, a key of `DIRECTIONS`.
        pgd_steps: 1 is FGSM; more cost one pass each for every strength.
        specific: forms of the specific maps; the first makes the score, the others are kept.
        agnostic: forms of the agnostic map; the first makes the score, the others are kept.
        mask: `half`, `top:q` or `otsu`.
        decision_threshold: on p, `p ≥ threshold` is *defective*; None: the largest output decides.
        precision: what the network computes in, "fp32" or "bf16"; with bf16 what that changes is
            measured on the first passed images, and told.
        tta: also measure how far the answer moves when a passed image is flipped: three more
            forwards for each.

    Raises:
        SettingsError: a value that means nothing, with what to write instead.
    """

    strengths: tuple[float, ...] = DEFAULT_STRENGTHS
    direction: str = "toward_defect"
    pgd_steps: int = 1
    specific: tuple[str, ...] = ("gradcam",)
    agnostic: tuple[str, ...] = ("gradient",)
    mask: str = DEFAULT_MASK
    decision_threshold: float | None = 0.5
    tta: bool = False
    precision: str = "fp32"

    def __post_init__(self) -> None:
        for strength in self.strengths:
            if not (math.isfinite(strength) and 0 <= strength <= 255):
                raise SettingsError(
                    f"Strength {strength:g}: strengths are steps of 1/255 of the pixel range, "
                    "from 0 to 255."
                )
        strengths = tuple(sorted({0.0, *map(float, self.strengths)}))
        object.__setattr__(self, "strengths", strengths)
        if self.direction not in DIRECTIONS:
            raise SettingsError(
                f"Direction '{self.direction}': choose from {', '.join(DIRECTIONS)}."
            )
        if not 1 <= self.pgd_steps <= 1000:
            raise SettingsError(f"PGD steps {self.pgd_steps}: write a whole number from 1 to 1000.")
        if self.decision_threshold is not None and not 0 < self.decision_threshold < 1:
            raise SettingsError(
                f"Decision threshold {self.decision_threshold:g}: write a probability between "
                "0 and 1, without the ends."
            )
        if self.precision not in PRECISION_NAMES:
            raise SettingsError(
                f"Precision '{self.precision}': choose from {', '.join(PRECISION_NAMES)}."
            )
        check_forms(self.specific, self.agnostic)
        if len(set(self.map_names)) < len(self.map_names):
            raise SettingsError("A map is named twice; name each form once.")
        check_mask_rule(self.mask)

    @property
    def evidence(self) -> bool:
        """Whether a map is first-order evidence, which takes an input gradient at every ε."""
        return EVIDENCE_FORM in (*self.specific, *self.agnostic)

    @property
    def map_names(self) -> tuple[str, ...]:
        """Names of the maps that are made at each layer."""
        return map_names(self.specific, self.agnostic)


@dataclass(frozen=True)
class Identity:
    """The hashes that say what was audited (hex sha256).

    Attributes:
        model_pass: model, pixels, preprocessing, layers, maps, strengths, decision rule.
        table: labels, kinds, groups, roles, masks.
        data: paths and bytes of the images.
    """

    model_pass: str
    table: str
    data: str
