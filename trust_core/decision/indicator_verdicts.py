"""Every indicator of an audit against threshold shift: verdict and trade-off of each."""

from dataclasses import dataclass

import numpy as np

from trust_core.decision.curves import scores_and_misses, with_indicator
from trust_core.decision.indicators.registry import THRESHOLD_SHIFT, available
from trust_core.decision.tradeoff import Curve, curve
from trust_core.decision.verdict import Verdict, verdict
from trust_core.storage.audit_columns import PassedColumns
from trust_core.storage.audit_files import Audit
from trust_core.storage.memory_cache import MemoryCache

VERDICT_MEMORY = 60_000_000  # bytes of verdicts that are kept, of all audits together

_cache = MemoryCache(VERDICT_MEMORY)


@dataclass(frozen=True)
class IndicatorVerdict:
    """An indicator at one strength among the passed images of a role.

    The verdict is against threshold shift, at the usual recall; `points` is the trade-off where it
    catches one more missed defect.
    """

    indicator: str
    verdict: Verdict
    points: Curve


def indicator_verdicts(audit: Audit, role: str, strength: float) -> list[IndicatorVerdict]:
    """The verdict on every indicator that the audit has; threshold shift itself is the last.

    Those without a score for any of these images are left out. Computed once, then kept.
    """
    return _cache.get(_key(audit, role, strength), lambda: _verdicts(audit, role, strength))


def has_verdicts(audit: Audit, role: str, strength: float) -> bool:
    """Whether `indicator_verdicts` answers at once; a million images take some seconds."""
    return _key(audit, role, strength) in _cache


def _key(audit: Audit, role: str, strength: float) -> tuple[str, str, str, float]:
    return str(audit.folder), audit.key, role, strength


def _verdicts(audit: Audit, role: str, strength: float) -> list[IndicatorVerdict]:
    found, passed = [], PassedColumns(audit, [role], [strength])
    names = [name for name in available(audit) if name != THRESHOLD_SHIFT]
    for indicator in (*names, THRESHOLD_SHIFT):
        table = with_indicator(passed, indicator, strength)
        values, missed = scores_and_misses(table)
        if np.isnan(values).all():
            continue
        points = curve(values, missed).gains()
        found.append(IndicatorVerdict(indicator, verdict(table), points))
    return found
