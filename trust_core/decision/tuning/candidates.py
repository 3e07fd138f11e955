"""The passed images of an audit with every overlap of theirs, and the ways to score by them.

Notation: `E` strengths, `N` passed images, `R` recipes.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from trust_core.data.roles import ROLES
from trust_core.decision.bootstrap import Flags, group_codes
from trust_core.decision.indicators.registry import INDICATORS
from trust_core.decision.tradeoff import Counts, Floats
from trust_core.decision.tuning.mask_grid import Recipe, overlaps, recipes_of
from trust_core.errors import DataError
from trust_core.storage.audit_files import Audit

# The indicators that are made of the overlaps of an image alone, at ε and at ε = 0.
VARIANTS = ("iou_difference", "iou_defect", "good_disagreement", "iou_difference_shift")


@dataclass(frozen=True)
class OverlapCandidate:
    """One way to score an image from its maps.

    `variant` is one of `VARIANTS`.
    """

    recipe: Recipe
    variant: str
    strength: float

    def as_json(self) -> dict[str, Any]:
        """A flat JSON object."""
        return asdict(self.recipe) | {"variant": self.variant, "strength": self.strength}


@dataclass(frozen=True)
class OverlapTable:
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
        return (self.table["role"] == name).to_numpy(dtype=bool)

    @property
    def missed(self) -> Flags:
        """Missed defects, `(N,)`."""
        return (self.table["outcome"] == "FN").to_numpy(dtype=bool)

    @property
    def p_defect(self) -> Floats:
        """Threshold shift, `(N,)`."""
        return self.table["p_defect"].to_numpy(dtype=np.float64)

    @property
    def groups(self) -> Counts:
        """Groups as numbers, `(N,)`."""
        return group_codes(self.table["group"])

    @property
    def default(self) -> OverlapCandidate:
        """What the audit itself scores: its first layer, pair and mask, Δ without enhancement."""
        return OverlapCandidate(self.recipes[0], "iou_difference", 0.0)

    def candidates(self) -> tuple[OverlapCandidate, ...]:
        """Every candidate there is, the default first; a shift at ε = 0 is none."""
        return tuple(
            OverlapCandidate(recipe, variant, strength)
            for recipe in self.recipes
            for variant in VARIANTS
            for strength in self.strengths
            if strength or not variant.endswith("shift")
        )

    def scores(self, candidate: OverlapCandidate) -> Floats:
        """What a candidate gives the images, `(N,)`."""
        recipe = self.recipes.index(candidate.recipe)
        at = self._columns(self.strengths.index(candidate.strength), recipe)
        return INDICATORS[candidate.variant](at, self._columns(0, recipe))

    def _columns(self, strength: int, recipe: int) -> dict[str, Floats]:
        """The overlaps at a strength and of a recipe, named as in `scores.parquet`."""
        defect, good = (a[strength, :, recipe] for a in (self.iou_defect, self.iou_good))
        return {"iou_defect": defect, "iou_good": good, "iou_difference": defect - good}

    def scored(self, scores: Floats, role: str) -> pd.DataFrame:
        """The images of a role with `indicator`, as `verdict` takes them."""
        return self.table.assign(indicator=scores)[self.role(role)]


def overlap_table(audit: Audit) -> OverlapTable:
    """Compute every overlap of every passed image; some 0.1 ms for each map and row.

    Raises:
        DataError: no image was called good.
    """
    passed = audit.passed(ROLES)
    if passed.empty:
        raise DataError(
            "The detector of this audit calls no image good, so there are no overlaps to choose "
            "from; look at what its outputs mean and at the decision threshold."
        )
    roles = audit.query("SELECT sample_id, role FROM samples")
    recipes = recipes_of(audit.manifest)
    log_odds = passed["log_odds"].to_numpy(dtype=np.float64)
    defect, good = overlaps(audit, passed["row"].to_numpy(), log_odds, recipes)
    count = len(passed) // len(audit.strengths)
    shape = (len(audit.strengths), count)
    table = passed.iloc[:count].merge(roles, on="sample_id", how="left", validate="one_to_one")
    return OverlapTable(
        table=table,
        strengths=audit.strengths,
        recipes=recipes,
        log_odds=log_odds.reshape(shape),
        iou_defect=defect.reshape(*shape, -1),
        iou_good=good.reshape(*shape, -1),
    )
