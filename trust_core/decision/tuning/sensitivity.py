"""Does the verdict survive another layer, pair, mask, ε or variant? One change at a time."""

from dataclasses import asdict, dataclass, replace

from trust_core.decision.cross_validation import parts_of_both
from trust_core.decision.tradeoff import curve
from trust_core.decision.tuning.candidates import VARIANTS, Choice, Rescored
from trust_core.decision.verdict import AMBER, GREEN, LEAST_GROUPS, RED, difference_interval

RESAMPLES = 500
AXES = ("layer", "specific", "agnostic", "mask", "variant", "strength")


@dataclass(frozen=True)
class Neighbour:
    """A neighbour of the choice.

    Attributes:
        axis: what was changed, one of `AXES`.
        value: to what.
        chosen: True for the choice itself.
        auroc: on the images of the role.
        difference: AUROC − that of p.
        low: lower end of the 95 % interval of the difference; NaN when it is not defined.
        high: upper end.
        colour: as of a verdict.
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
    """The choice and its neighbours.

    Attributes:
        role: the images it was measured on.
        points: axis by axis, in the audit's order; the choice itself is on every axis.
        sentence: how many neighbours share the colour.
    """

    role: str
    points: tuple[Neighbour, ...]
    sentence: str


def sensitivity(rescored: Rescored, choice: Choice, role: str) -> Sensitivity:
    """Measure the choice and every choice that differs from it in one thing."""
    known: dict[Choice, tuple[float, float, float, float, str]] = {}
    points = []
    for axis in AXES:
        for value, neighbour in _along(rescored, choice, axis):
            if neighbour not in known:
                known[neighbour] = _measured(rescored, neighbour, role)
            points.append(Neighbour(axis, value, neighbour == choice, *known[neighbour]))
    mine = known[choice][-1]
    others = [measured[-1] for other, measured in known.items() if other != choice]
    same = sum(colour == mine for colour in others)
    sentence = (
        f"The verdict of the choice on {role} is {mine}; {same} of {len(others)} choices that "
        "differ in one thing share it."
    )
    return Sensitivity(role, tuple(points), sentence)


def _along(rescored: Rescored, choice: Choice, axis: str) -> list[tuple[str, Choice]]:
    if axis == "strength":
        found = [(f"{e:g}", replace(choice, strength=e)) for e in rescored.strengths]
    elif axis == "variant":
        found = [(name, replace(choice, variant=name)) for name in VARIANTS]
    else:
        values = dict.fromkeys(str(asdict(recipe)[axis]) for recipe in rescored.recipes)
        found = [(v, replace(choice, recipe=replace(choice.recipe, **{axis: v}))) for v in values]
    there = set(rescored.choices())
    return [(value, neighbour) for value, neighbour in found if neighbour in there]


def _measured(
    rescored: Rescored, choice: Choice, role: str
) -> tuple[float, float, float, float, str]:
    inside = rescored.role(role)
    scores, missed = rescored.scores(choice)[inside], rescored.missed[inside]
    rival = rescored.p_defect[inside]
    codes = rescored.groups[inside]
    auroc = curve(scores, missed).auroc
    difference = auroc - curve(rival, missed).auroc
    low, high = difference_interval(scores, rival, missed, codes, resamples=RESAMPLES)
    decided = parts_of_both(codes, missed) >= LEAST_GROUPS and not low <= 0 <= high
    return auroc, difference, low, high, (GREEN if low > 0 else RED) if decided else AMBER
