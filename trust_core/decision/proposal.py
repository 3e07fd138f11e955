"""The indicator that is proposed to be judged, chosen on `tune` alone.

Of threshold shift, the IoU difference, the probe combination and the consensus, the simplest whose
lead lies within one standard error of the largest (Breiman et al., Classification and Regression
Trees, 1984). What is fitted scores `tune` out of fold, so its lead there is cross-validated.
"""

from dataclasses import dataclass

import numpy as np

from trust_core.decision.auroc import differences_of_resamples
from trust_core.decision.bootstrap import Flags, count_groups
from trust_core.decision.curves import scored, scores_and_misses
from trust_core.decision.indicators.registry import (
    DEFAULT_INDICATOR,
    THRESHOLD_SHIFT,
    available,
    indicator_name,
)
from trust_core.decision.operating_point import default_strength
from trust_core.decision.tradeoff import Counts, Floats, curve
from trust_core.decision.verdict import LEAST_GROUPS
from trust_core.messages import amount
from trust_core.storage.audit_files import Audit
from trust_core.storage.memory_cache import MemoryCache

# By simplicity: p, the overlap, z and one more reading, z and two more.
CANDIDATES = (THRESHOLD_SHIFT, DEFAULT_INDICATOR, "probe_combination", "consensus")
RESAMPLES = 500
PROPOSAL_MEMORY = 1_000_000  # bytes

_cache = MemoryCache(PROPOSAL_MEMORY)


@dataclass(frozen=True)
class Candidate:
    """An indicator on `tune`.

    Attributes:
        indicator: a key of `INDICATORS`.
        strength: ε with the highest AUROC on `tune`.
        lead: AUROC less that of threshold shift.
        behind: how much less than the largest lead.
        error: standard error of that, by a bootstrap over groups.
    """

    indicator: str
    strength: float
    lead: float
    behind: float
    error: float


@dataclass(frozen=True)
class Proposal:
    """What to judge, and why.

    `groups` of `tune` hold a missed defect; `candidates` come from the simplest, none where there
    are too few groups.
    """

    indicator: str
    strength: float
    sentence: str
    groups: int
    candidates: tuple[Candidate, ...]


def propose_indicator(audit: Audit) -> Proposal:
    """The indicator to be judged; threshold shift where nothing is shown to beat it.

    Computed once, then kept; a million images take some seconds.
    """
    return _cache.get(_key(audit), lambda: _propose(audit))


def is_proposed(audit: Audit) -> bool:
    """Whether `propose_indicator` answers at once."""
    return _key(audit) in _cache


def _key(audit: Audit) -> tuple[str, str]:
    return str(audit.folder), audit.key


def _propose(audit: Audit) -> Proposal:
    names = [name for name in CANDIDATES if name in available(audit)]
    strengths = {
        name: default_strength(audit, name) if name == DEFAULT_INDICATOR else 0.0 for name in names
    }
    tables = {name: scored(audit, ["tune"], name, strength) for name, strength in strengths.items()}
    scores = {name: scores_and_misses(table)[0] for name, table in tables.items()}
    _, missed = scores_and_misses(tables[THRESHOLD_SHIFT])
    codes = tables[THRESHOLD_SHIFT]["group"].to_numpy(dtype=np.int64)
    return propose(scores, missed, codes, strengths)


def propose(
    scores: dict[str, Floats], missed: Flags, codes: Counts, strengths: dict[str, float]
) -> Proposal:
    """The simplest of indicators on passed images of `tune` that is as good as the best.

    `scores` of each indicator, the simplest first, threshold shift among them, and `missed` and
    `codes`, groups as numbers, are `(N,)`; NaN = unscored.
    """
    groups, good_groups = (count_groups(codes, chosen) for chosen in (missed, ~missed))
    if min(groups, good_groups) < LEAST_GROUPS:
        return Proposal(
            THRESHOLD_SHIFT,
            0.0,
            "Use threshold shift: the parts for choosing hold "
            f"{amount(groups, 'missed one', 'missed ones')} and "
            f"{amount(good_groups, 'good one', 'good ones')}, too few to choose anything else by; "
            f"{LEAST_GROUPS} of each are the least.",
            groups,
            (),
        )
    candidates = compare(scores, missed, codes, strengths)
    chosen = next(each for each in candidates if each.behind <= each.error)
    return Proposal(
        chosen.indicator, chosen.strength, _sentence(chosen, candidates), groups, candidates
    )


def compare(
    scores: dict[str, Floats], missed: Flags, codes: Counts, strengths: dict[str, float]
) -> tuple[Candidate, ...]:
    """The candidates in the order given, threshold shift among them.

    The arguments are those of `propose`.
    """
    areas = {name: curve(values, missed).auroc for name, values in scores.items()}
    best = max(areas, key=lambda name: areas[name])  # the simplest of equals

    def error(name: str) -> float:
        """Of how far an indicator is behind the best."""
        drawn = differences_of_resamples(
            scores[best], scores[name], missed, codes, resamples=RESAMPLES
        )
        return float(np.nanstd(drawn))

    return tuple(
        Candidate(
            name,
            strengths[name],
            areas[name] - areas[THRESHOLD_SHIFT],
            areas[best] - areas[name],
            error(name),
        )
        for name in scores
    )


def _sentence(chosen: Candidate, candidates: tuple[Candidate, ...]) -> str:
    if chosen.indicator == THRESHOLD_SHIFT:
        best = max(candidates, key=lambda each: each.lead)
        if best is chosen:
            return (
                "Use threshold shift: on the parts for choosing nothing else ranks missed defects "
                "higher."
            )
        return (
            "Use threshold shift: on the parts for choosing the largest lead over it, "
            f"{best.lead:+.3f}, is within one standard error ({chosen.error:.3f})."
        )
    name = indicator_name(chosen.indicator)
    return (
        f"{name[:1].upper()}{name[1:]} is proposed: on the parts for choosing its AUROC lies "
        f"{chosen.lead:+.3f} above that of threshold shift, and it is the simplest indicator that "
        "is about as good as the best."
    )
