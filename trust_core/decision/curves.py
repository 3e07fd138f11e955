"""The trade-off of an indicator at every strength, from the stored scores of an audit.

Arrays that a slider can move over: no table, no model.

Notation: `N` passed images, `F` of them missed defects, `E` strengths, `T` thresholds.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from trust_core.data.roles import ROLES
from trust_core.decision.indicators.registry import DEFAULT_INDICATOR, INDICATORS, THRESHOLD_SHIFT
from trust_core.decision.tradeoff import Counts, Curve, Floats, curve
from trust_core.errors import SettingsError
from trust_core.storage.audit_columns import PassedColumns, number_column, text_column
from trust_core.storage.audit_files import Audit
from trust_core.storage.memory_cache import MemoryCache

ALL_ROLES = "all"
TRADEOFF_MEMORY = 220_000_000  # bytes of trade-offs that are kept, of all audits together
HEAT_SHARES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75)
HEAT_SAMPLE = 50_000  # good parts that the columns of a heat table are laid out by, about

_cache = MemoryCache(TRADEOFF_MEMORY)


def roles_of(role: str) -> tuple[str, ...]:
    """The roles a choice stands for: `all` is every role but `train`.

    Raises:
        SettingsError: no such role, or `train`, which enters no curve.
    """
    fair = tuple(r for r in ROLES if r != "train")
    if role == ALL_ROLES:
        return fair
    if role not in fair:
        raise SettingsError(
            f"Role '{role}': choose from {', '.join(fair)}, {ALL_ROLES}; images the detector has "
            "been trained on enter no curve."
        )
    return (role,)


def scored(audit: Audit, roles: Sequence[str], indicator: str, strength: float) -> pd.DataFrame:
    """The passed images of some roles with an indicator at one strength.

    Only the columns that it takes are read: a million images take some 40 MB. `strength` is one of
    the audit's.

    Returns:
        `place` (among all images, in the order of `sample_id`), `outcome`, `kind` (categories),
        `group` (a number), `p_defect` of the clean image and `indicator` (NaN where unscored).

    Raises:
        SettingsError: an indicator that this audit does not have.
    """
    return with_indicator(PassedColumns(audit, roles, [strength]), indicator, strength)


def with_indicator(passed: PassedColumns, indicator: str, strength: float) -> pd.DataFrame:
    """The table of `scored` from columns that are open already."""
    found = INDICATORS.find(indicator)(passed.at(strength), passed.at(0.0))
    described = {
        name: text_column(passed.audit, name).at(passed.places) for name in ("outcome", "kind")
    }
    described["group"] = text_column(passed.audit, "group").codes[passed.places]
    shift = number_column(passed.audit, THRESHOLD_SHIFT)[passed.places]
    columns = {"place": passed.places, **described, THRESHOLD_SHIFT: shift, "indicator": found}
    return pd.DataFrame(columns, copy=False)


def scores_and_misses(table: pd.DataFrame) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """The indicator of a table of `scored`, and which of its images are missed defects, `(N,)`."""
    missed = (table["outcome"] == "FN").to_numpy(dtype=bool)
    return table["indicator"].to_numpy(dtype=np.float64), missed


@dataclass(frozen=True)
class Tradeoff:
    """One indicator over the passed images of some roles. Shared by all sessions: never written to.

    Attributes:
        folder: of the audit.
        indicator: a key of `INDICATORS`.
        role: of the images, as `roles_of` takes it.
        curves: trade-off by strength ε.
        shift: trade-off of just lowering the decision threshold.
        values: the indicator, +∞ where unscored, by strength, each `(N,)` in one order of images.
        missed: True for a missed defect, `(N,)`.
        kinds: names of the kinds of defect, the most frequent first.
        kind_of: index into `kinds` of each missed defect, `(F,)`.
    """

    folder: Path
    indicator: str
    role: str
    curves: dict[float, Curve]
    shift: Curve
    values: dict[float, Floats]
    missed: npt.NDArray[np.bool_]
    kinds: tuple[str, ...]
    kind_of: Counts

    def as_json(self) -> dict[str, Any]:
        """A JSON object: a curve for each strength, with that of threshold shift beside them."""
        return {
            "audit": str(self.folder),
            "role": self.role,
            "indicator": self.indicator,
            "counts": {"fn": self.shift.fn, "tn": self.shift.tn},
            "curves": [{"strength": e, **points.as_json()} for e, points in self.curves.items()],
            "threshold_shift": {"strength": 0.0, **self.shift.as_json()},
        }


def tradeoff(audit: Audit, indicator: str = DEFAULT_INDICATOR, role: str = "tune") -> Tradeoff:
    """The trade-off of an indicator over the passed images of a role; read once, then kept.

    `role` is `tune`, `certify`, `test`, or `all` for every role but `train`. Who looks at a sealed
    one opens its seal (`journal.open_seals`).

    Raises:
        SettingsError: unknown role or indicator.
    """
    key = str(audit.folder), audit.key, role, indicator
    return _cache.get(key, lambda: _tradeoff(audit, indicator, role))


def _tradeoff(audit: Audit, indicator: str, role: str) -> Tradeoff:
    score = INDICATORS.find(indicator)
    passed = PassedColumns(audit, roles_of(role))
    missed = text_column(audit, "outcome").equal("FN")[passed.places]
    kind = text_column(audit, "kind").at(passed.places[missed])
    frequency = Counter(kind.tolist())
    kinds = tuple(sorted(frequency, key=lambda name: (-frequency[name], name)))
    clean = passed.at(0.0)
    found: dict[float, Floats] = {}
    values: dict[float, Floats] = {}
    curves: dict[float, Curve] = {}
    for strength in audit.strengths:
        found[strength] = score(passed.at(strength), clean)
        # An indicator that does not depend on ε is one and the same array.
        first = next(e for e, known in found.items() if known is found[strength])
        if first == strength:
            values[strength] = np.where(np.isnan(found[strength]), np.inf, found[strength])
            curves[strength] = curve(values[strength], missed)
        else:
            values[strength], curves[strength] = values[first], curves[first]
    return Tradeoff(
        folder=audit.folder,
        indicator=indicator,
        role=role,
        curves=curves,
        shift=curve(INDICATORS.find(THRESHOLD_SHIFT)(clean, clean), missed),
        values=values,
        missed=missed,
        kinds=kinds,
        kind_of=kind.set_categories(list(kinds)).codes.astype(np.int64),
    )


def caught_by_kind(
    found: Tradeoff, strength: float, threshold: float, most: int
) -> list[tuple[str, int, int]]:
    """`(kind, caught, total)` of the missed defects, the most frequent kinds first.

    What is beyond `most` kinds is one row. Empty when the data names no kinds.
    """
    if not any(found.kinds):
        return []
    caught = found.values[strength][found.missed] >= threshold
    total, hits = (
        np.bincount(kinds, minlength=len(found.kinds)).tolist()
        for kinds in (found.kind_of, found.kind_of[caught])
    )
    names = [kind or "no kind named" for kind in found.kinds]
    rows = list(zip(names, hits, total, strict=True))
    if len(rows) <= most:
        return rows
    rest = rows[most - 1 :]
    last = (f"{len(rest)} other kinds", sum(k for _, k, _ in rest), sum(n for *_, n in rest))
    return [*rows[: most - 1], last]


def heat_thresholds(found: Tradeoff) -> Floats:
    """Round thresholds for the columns of a heat table, descending, `(T,)`.

    They spread over what good parts score at any strength, denser where few are flagged.
    """
    good = np.flatnonzero(~found.missed)
    if not len(good):
        good = np.arange(len(found.missed))
    some = good[:: 1 + len(good) // HEAT_SAMPLE]  # ids are hashes, so any of them do
    pooled = np.concatenate([v[some] for v in found.values.values()])
    pooled = pooled[np.isfinite(pooled)]
    if not len(pooled):
        return pooled
    shares = np.quantile(pooled, [1 - share for share in HEAT_SHARES])
    rounded = {float(f"{value:.2g}") for value in shares.tolist()}
    return np.array(sorted(rounded, reverse=True))


def heat_counts(found: Tradeoff, thresholds: Sequence[float] | Floats) -> tuple[Counts, Counts]:
    """Missed defects and good parts flagged at each strength and threshold, both `(E, T)`."""
    rows = [(points, [points.at(t) for t in thresholds]) for points in found.curves.values()]
    return (
        np.stack([points.flagged_fn[row] for points, row in rows]),
        np.stack([points.flagged_tn[row] for points, row in rows]),
    )
