"""How an audit stands: is a second look worth it, what to do now, and what it would catch.

What Home leads with and Decide begins with, from one place, so that a number means the same on
every page. Nothing sealed is looked at: the verdict is that on `test` once its seal is open, and
before that a preview on `tune`.
"""

import math
from dataclasses import dataclass

import numpy as np

from trust_core.data.roles import ROLES
from trust_core.decision.bootstrap import Interval, group_codes, share_interval
from trust_core.decision.certify import missed_groups
from trust_core.decision.curves import scored, scores_and_misses, tradeoff
from trust_core.decision.indicators.registry import THRESHOLD_SHIFT
from trust_core.decision.journal import SEALED, closed_seals, entries, noted_points
from trust_core.decision.operating_point import (
    FlagCounts,
    OperatingPoint,
    count_flags,
    default_threshold,
    noted_point,
)
from trust_core.decision.proposal import Proposal, propose_indicator
from trust_core.decision.verdict import GREEN, LEAST_GROUPS, RED, Verdict, verdict
from trust_core.storage.audit_files import Audit
from trust_core.storage.memory_cache import MemoryCache

WORTH, NOT_WORTH, UNKNOWN = "worth it", "not worth it", "cannot be told yet"
MOST_TIMES = 20  # so many times the missed parts at hand: beyond it a forecast says nothing
STANDING_MEMORY = 5_000_000  # bytes

_cache = MemoryCache(STANDING_MEMORY)


@dataclass(frozen=True)
class Standing:
    """How an audit stands at one operating point.

    Attributes:
        state: `WORTH`, `NOT_WORTH` or `UNKNOWN`.
        role: of the images that everything here is measured on: `test` once its seal is open.
        point: the operating point.
        judged: the verdict on its indicator, on these images.
        proposal: what `tune` proposes.
        needed: missed parts (groups) that would decide it, were the lead to stay as it is; None
            where no number is in sight.
        sealed_groups: groups of `test` with a missed defect; no score of theirs is looked at.
        counts: images that the point flags, and what the same number catches otherwise.
        catch: 95 % interval of the share of missed defects that it flags, over groups.
        missed: missed defects of every role, `train` left out.
        chosen: the last operating point noted, as the journal has it; None without one.
        closed: roles whose seal nobody has opened.
    """

    state: str
    role: str
    point: OperatingPoint
    judged: Verdict
    proposal: Proposal
    needed: int | None
    sealed_groups: int
    counts: FlagCounts
    catch: Interval
    missed: dict[str, int]
    chosen: dict[str, object] | None
    closed: tuple[str, ...]

    @property
    def more(self) -> int | None:
        """Missed parts that are wanting for a decision; None where no number is in sight."""
        return None if self.needed is None else max(0, self.needed - self.judged.groups)

    @property
    def open_missed(self) -> int:
        """Missed defects among the images that may be looked at."""
        return sum(n for role, n in self.missed.items() if role not in self.closed)


def leading_point(audit: Audit) -> OperatingPoint:
    """Where Home and Decide begin: the last operating point noted, else what `tune` proposes."""
    if noted := noted_point(audit):
        return noted
    proposed = propose_indicator(audit)
    threshold = default_threshold(audit, proposed.indicator, proposed.strength)
    return OperatingPoint(proposed.indicator, proposed.strength, threshold, "tune")


def standing(audit: Audit, point: OperatingPoint) -> Standing:
    """How the audit stands at an operating point; computed once, then kept."""
    return _cache.get(_key(audit, point), lambda: _standing(audit, point))


def has_standing(audit: Audit, point: OperatingPoint) -> bool:
    """Whether `standing` answers at once."""
    return _key(audit, point) in _cache


def parts_needed(judged: Verdict) -> int | None:
    """Groups with a missed defect that would decide a verdict, were its lead to stay as it is.

    The half-width of the interval shrinks with the root of the number of groups. None where the
    lead is so small that more than `MOST_TIMES` as many would be needed.
    """
    low, high = judged.interval
    lead, groups = judged.difference, judged.groups
    if groups < LEAST_GROUPS or math.isnan(low):
        return LEAST_GROUPS
    if low > 0 or high < 0:
        return groups
    half = lead - low if lead > 0 else high - lead
    if not lead or half > math.sqrt(MOST_TIMES) * abs(lead):
        return None
    return max(groups + 1, math.ceil(groups * (half / lead) ** 2))


def state_of(judged: Verdict, role: str, indicator: str, *, shift_proposed: bool) -> str:
    """The state that a verdict stands for.

    Args:
        judged: the verdict.
        role: of its images; on `tune` nothing is worth it yet, because it chose.
        indicator: that was judged; threshold shift needs no second look.
        shift_proposed: `tune` held enough parts to choose by, and nothing beat threshold shift.
    """
    if indicator == THRESHOLD_SHIFT:
        return NOT_WORTH if shift_proposed else UNKNOWN
    if judged.colour == RED:
        return NOT_WORTH
    return WORTH if judged.colour == GREEN and role == "test" else UNKNOWN


def _key(audit: Audit, point: OperatingPoint) -> tuple[object, ...]:
    return str(audit.folder), audit.key, len(entries(audit)), point


def _standing(audit: Audit, point: OperatingPoint) -> Standing:
    closed = closed_seals(audit, SEALED)
    role = "tune" if "test" in closed else "test"
    table = scored(audit, [role], point.indicator, point.strength)
    judged = verdict(table)
    scores = tradeoff(audit, point.indicator, role)
    proposal = propose_indicator(audit)
    values, missed = scores_and_misses(table)
    caught = (np.isnan(values) | (values >= point.threshold))[missed]
    codes = group_codes(table["group"].to_numpy()[missed])
    by_role = audit.manifest.counts_by_role
    unbeaten = bool(proposal.candidates) and proposal.indicator == THRESHOLD_SHIFT
    return Standing(
        state=state_of(judged, role, point.indicator, shift_proposed=unbeaten),
        role=role,
        point=point,
        judged=judged,
        proposal=proposal,
        needed=parts_needed(judged),
        sealed_groups=missed_groups(audit, "test"),
        counts=count_flags(scores.curves[point.strength], scores.shift, point),
        catch=share_interval(caught, codes),
        missed={name: by_role[name].fn for name in ROLES if name in by_role and name != "train"},
        chosen=next(iter(noted_points(audit)), None),
        closed=closed,
    )
