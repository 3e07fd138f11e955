"""Every indicator of an audit against just lowering the decision threshold, kept once computed."""

from dataclasses import dataclass

import numpy as np
import streamlit as st

from trust_core.decision.curves import scored, with_indicator
from trust_core.decision.indicators.registry import ABSENT, THRESHOLD_SHIFT, available
from trust_core.decision.tradeoff import Curve, curve
from trust_core.decision.verdict import Verdict, verdict
from trust_core.storage.audit_columns import PassedColumns
from trust_core.storage.audit_files import Audit
from trust_core.storage.memory_cache import Kept

MEMORY = 60_000_000  # bytes of judged indicators that are kept, of all audits together

_kept = Kept(MEMORY)

# What is left of the IoU difference when a piece of it is taken away.
ABLATIONS = {
    "iou_difference_clean": "without the perturbation",
    "log_odds": "without the heatmaps, perturbed",
    "log_odds_shift": "without the heatmaps, change only",
    "iou_defect": "without the good map",
    "good_disagreement": "without the defect map",
    "iou_random": "with a random map instead",
    "defect_area": "area of the defect map only",
    "defect_entropy": "scatter of the defect map only",
}


@dataclass(frozen=True)
class Judged:
    """An indicator at one strength among the passed images of a role.

    Attributes:
        indicator: a key of `INDICATORS`.
        verdict: against threshold shift; its recall is the usual one.
        points: its trade-off, where it catches one more missed defect.
    """

    indicator: str
    verdict: Verdict
    points: Curve


def judge(audit: Audit, role: str, indicator: str, strength: float, recall: float) -> Verdict:
    """The verdict on one indicator, its costs at `recall`."""
    return _judge(audit, audit.key, role, indicator, strength, recall)


def judge_all(audit: Audit, role: str, strength: float) -> list[Judged]:
    """The verdict on every indicator that the audit has; threshold shift itself is the last.

    Those without a score for any of these images are left out.
    """
    return _kept.get(_key(audit, role, strength), lambda: _judge_all(audit, role, strength))


def is_judged(audit: Audit, role: str, strength: float) -> bool:
    """Whether `judge_all` answers at once; with a million images it takes some seconds."""
    return _key(audit, role, strength) in _kept


def absent(audit: Audit) -> dict[str, str]:
    """Indicators that this audit does not have, and why."""
    return {name: why for name, why in ABSENT.items() if name not in audit.rivals}


@st.cache_data(max_entries=64, show_spinner=False)
def _judge(
    _audit: Audit, key: str, role: str, indicator: str, strength: float, recall: float
) -> Verdict:
    return verdict(scored(_audit, [role], indicator, strength), recall)


def _key(audit: Audit, role: str, strength: float) -> tuple[str, str, str, float]:
    return str(audit.folder), audit.key, role, strength


def _judge_all(audit: Audit, role: str, strength: float) -> list[Judged]:
    found, passed = [], PassedColumns(audit, [role], [strength])
    names = [name for name in available(audit) if name != THRESHOLD_SHIFT]
    for indicator in (*names, THRESHOLD_SHIFT):
        table = with_indicator(passed, indicator, strength)
        values = table["indicator"].to_numpy(dtype=np.float64)
        if np.isnan(values).all():
            continue
        missed = (table["outcome"] == "FN").to_numpy(dtype=bool)
        found.append(Judged(indicator, verdict(table), curve(values, missed).gains()))
    return found
