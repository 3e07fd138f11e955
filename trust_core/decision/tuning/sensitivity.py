"""Sensitivity: does the verdict survive another layer, pair, mask, variant or ε, one at a time?"""

from dataclasses import asdict, dataclass, replace

from trust_core.decision.auroc import difference_interval
from trust_core.decision.bootstrap import groups_of_rarer
from trust_core.decision.tradeoff import curve
from trust_core.decision.tuning.candidates import VARIANTS, OverlapCandidate, OverlapTable
from trust_core.decision.verdict import colour_of

SENSITIVITY_RESAMPLES = 500
AXES = ("layer", "specific", "agnostic", "mask", "variant", "strength")


@dataclass(frozen=True)
class Neighbour:
    """A candidate that differs from the chosen one in one thing, or the chosen one itself.

    `axis`, one of `AXES`, was changed to `value`. `difference` is the AUROC less that of p, with
    its 95 % interval, NaN when it is not defined; `colour` is as of a verdict.
    """

    axis: str
    value: str
    chosen: bool
    auroc: float
    difference: float
    low: float
    high: float
    colour: str


@dataclass(frozen=True)
class Sensitivity:
    """The chosen candidate and its neighbours.

    `points` stand axis by axis, in the audit's order; the chosen one is on every axis.
    """

    role: str
    points: tuple[Neighbour, ...]
    sentence: str


def sensitivity(overlaps: OverlapTable, chosen: OverlapCandidate, role: str) -> Sensitivity:
    """Measure the chosen candidate and every one that differs from it in one thing."""
    known: dict[OverlapCandidate, tuple[float, float, float, float, str]] = {}
    points = []
    for axis in AXES:
        for value, candidate in _along(overlaps, chosen, axis):
            if candidate not in known:
                known[candidate] = _measured(overlaps, candidate, role)
            points.append(Neighbour(axis, value, candidate == chosen, *known[candidate]))
    mine = known[chosen][-1]
    others = [measured[-1] for other, measured in known.items() if other != chosen]
    same = sum(colour == mine for colour in others)
    sentence = (
        f"The verdict of the choice on {role} is {mine}; {same} of {len(others)} choices that "
        "differ in one thing share it."
    )
    return Sensitivity(role, tuple(points), sentence)


def _along(
    overlaps: OverlapTable, chosen: OverlapCandidate, axis: str
) -> list[tuple[str, OverlapCandidate]]:
    if axis == "strength":
        found = [(f"{e:g}", replace(chosen, strength=e)) for e in overlaps.strengths]
    elif axis == "variant":
        found = [(name, replace(chosen, variant=name)) for name in VARIANTS]
    else:
        values = dict.fromkeys(str(asdict(recipe)[axis]) for recipe in overlaps.recipes)
        found = [(v, replace(chosen, recipe=replace(chosen.recipe, **{axis: v}))) for v in values]
    there = set(overlaps.candidates())
    return [(value, candidate) for value, candidate in found if candidate in there]


def _measured(
    overlaps: OverlapTable, candidate: OverlapCandidate, role: str
) -> tuple[float, float, float, float, str]:
    """AUROC, difference, its interval and colour."""
    inside = overlaps.role(role)
    scores, missed = overlaps.scores(candidate)[inside], overlaps.missed[inside]
    rival, codes = overlaps.p_defect[inside], overlaps.groups[inside]
    auroc = curve(scores, missed).auroc
    low, high = difference_interval(scores, rival, missed, codes, resamples=SENSITIVITY_RESAMPLES)
    colour = colour_of((low, high), groups_of_rarer(codes, missed))
    return auroc, auroc - curve(rival, missed).auroc, low, high, colour
