"""The passed images of an audit with every overlap of theirs, at every strength.

Notation: `E` strengths, `N` passed images, `R` recipes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from trust_core.data.roles import ROLES
from trust_core.decision.bootstrap import Flags, group_codes
from trust_core.decision.tradeoff import Counts, Floats
from trust_core.decision.tuning.mask_grid import Recipe, overlaps
from trust_core.storage.audit_files import Audit

# What can be made of the overlaps of an image: at ε, and at ε = 0. Names of `INDICATORS`.
VARIANTS: dict[str, Callable[[Floats, Floats, Floats, Floats], Floats]] = {
    "iou_difference": lambda defect, good, _, __: defect - good,
    "iou_defect": lambda defect, _, __, ___: defect,
    "good_disagreement": lambda _, good, __, ___: 1.0 - good,
    "iou_difference_shift": lambda d, g, d_clean, g_clean: (d - g) - (d_clean - g_clean),
}


@dataclass(frozen=True)
class Choice:
    """One way to score an image from its maps.

    Attributes:
        recipe: layer, pair and mask rule.
        variant: a key of `VARIANTS`.
        strength: ε.
    """

    recipe: Recipe
    variant: str
    strength: float


@dataclass(frozen=True)
class Rescored:
    """Every overlap of every passed image.

    Attributes:
        table: the passed images at ε = 0, sorted by `sample_id`: `Audit.passed` with `role`.
        strengths: `(E,)`, 0 first.
        recipes: `(R,)`, that of the audit itself first.
        log_odds: `(E, N)`.
        iou_defect: `(E, N, R)`.
        iou_good: the same.
    """

    table: pd.DataFrame
    strengths: tuple[float, ...]
    recipes: tuple[Recipe, ...]
    log_odds: Floats
    iou_defect: Floats
    iou_good: Floats

    def role(self, name: str) -> Flags:
        """Which images have a role, `(N,)`."""
        flags: Flags = (self.table["role"] == name).to_numpy(dtype=bool)
        return flags

    @property
    def missed(self) -> Flags:
        """Missed defects, `(N,)`."""
        flags: Flags = (self.table["outcome"] == "FN").to_numpy(dtype=bool)
        return flags

    @property
    def p_defect(self) -> Floats:
        """Threshold shift, `(N,)`."""
        values: Floats = self.table["p_defect"].to_numpy(dtype=np.float64)
        return values

    @property
    def groups(self) -> Counts:
        """Groups as numbers, `(N,)`."""
        return group_codes(self.table["group"])

    @property
    def default(self) -> Choice:
        """What the audit itself scores: its first layer, pair and mask, Δ without enhancement."""
        return Choice(self.recipes[0], "iou_difference", 0.0)

    def choices(self) -> tuple[Choice, ...]:
        """Every choice there is, the default first; a shift at ε = 0 is none."""
        return tuple(
            Choice(recipe, variant, strength)
            for recipe in self.recipes
            for variant in VARIANTS
            for strength in self.strengths
            if strength or not variant.endswith("shift")
        )

    def scores(self, choice: Choice) -> Floats:
        """What a choice gives the images, `(N,)`."""
        r, e = self.recipes.index(choice.recipe), self.strengths.index(choice.strength)
        parts = (a[k, :, r] for k in (e, 0) for a in (self.iou_defect, self.iou_good))
        return VARIANTS[choice.variant](*parts)

    def judged(self, scores: Floats, role: str) -> pd.DataFrame:
        """The images of a role with `indicator`, as `verdict` takes them."""
        return self.table.assign(indicator=scores)[self.role(role)]


def rescore_all(audit: Audit) -> Rescored:
    """Compute every overlap of every passed image; some 0.1 ms for each map and row."""
    passed = audit.passed(ROLES)
    roles = audit.query("SELECT sample_id, role FROM samples")
    found = overlaps(audit, passed["row"].to_numpy(), passed["log_odds"].to_numpy())
    count = len(passed) // len(audit.strengths)
    shape = (len(audit.strengths), count)
    table = passed.iloc[:count].merge(roles, on="sample_id", how="left", validate="one_to_one")
    return Rescored(
        table=table,
        strengths=audit.strengths,
        recipes=found.recipes,
        log_odds=passed["log_odds"].to_numpy(dtype=np.float64).reshape(shape),
        iou_defect=found.iou_defect.reshape(*shape, -1),
        iou_good=found.iou_good.reshape(*shape, -1),
    )
