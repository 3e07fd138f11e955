"""Are the promises kept? Monte-Carlo of certificate, verdict, proposal on simulated audits.

    python -m benchmarks.statistics [--quick] [--json] [--picture docs/statistics.png]

A simulated part with a missed defect has 1 to `photos` images; their scores are normal around
`SHIFT`, good parts are standard normal, and `between` is the share of the variance that the images
of a part have in common. `rounded` scores tie as those of an IoU do; `unscored` images count as +∞.
The truth is read off a population of 400,000 parts. The tests call the same functions.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from benchmarks.proposals import null_proposals
from trust_core.decision.auroc import difference_interval
from trust_core.decision.certificate import Demand, needed, prove_at, prove_recall, within_budget
from trust_core.decision.tradeoff import curve

Floats = npt.NDArray[np.float64]

SHIFT = 1.5
POPULATION = 400_000
AUDITS, TRIALS = 2000, 400


@dataclass(frozen=True)
class World:
    """How parts with a missed defect score."""

    name: str
    photos: int = 1
    between: float = 0.0
    rounded: float = 0.0
    unscored: float = 0.0

    def parts(self, draw: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """Scores of the images of that many parts, `(*shape, photos)`; NaN = no such image."""
        common = draw.normal(size=(*shape, 1)) * np.sqrt(self.between)
        own = draw.normal(size=(*shape, self.photos)) * np.sqrt(1 - self.between)
        scores = SHIFT + common + own
        if self.rounded:
            scores = np.round(scores / self.rounded) * self.rounded
        scores[draw.random(scores.shape) < self.unscored] = np.inf
        taken = draw.integers(1, self.photos, (*shape, 1), endpoint=True)
        scores[np.arange(self.photos) >= taken] = np.nan
        return scores


INDEPENDENT = World("independent")
CLUSTERED = World("clustered", photos=8, between=0.6)
TIED = World("clustered, tied, some unscored", photos=8, between=0.6, rounded=0.2, unscored=0.03)
LOTS = World("lots", photos=20, between=0.5)
WORLDS = (INDEPENDENT, CLUSTERED, TIED)


def lowest(parts: Floats) -> Floats:
    """The least suspicious image of each part, ascending along the last axis."""
    return np.sort(np.nanmin(parts, axis=-1), axis=-1)


class Truth:
    """Recall of a world at any threshold."""

    def __init__(self, world: World, seed: int = 99) -> None:
        parts = world.parts(np.random.default_rng(seed), (POPULATION,))
        self.minima = lowest(parts)
        self.images = np.sort(parts[~np.isnan(parts)])

    def recall(self, thresholds: npt.ArrayLike) -> Floats:
        """Share of parts that have all their images at or above each threshold."""
        return 1 - np.searchsorted(self.minima, thresholds) / len(self.minima)

    def image_recall(self, thresholds: npt.ArrayLike) -> Floats:
        """Share of images at or above each threshold."""
        return 1 - np.searchsorted(self.images, thresholds) / len(self.images)

    def best(self, recall: float) -> float:
        """The highest threshold with that recall of parts."""
        below = int(np.floor((1 - recall) * len(self.minima)))
        return float(self.minima[below])


def certificates(
    world: World, truth: Truth, groups: int, demand: Demand, audits: int = AUDITS, seed: int = 0
) -> dict[str, Any]:
    """Share of certified thresholds that break their promise, and what they cost.

    Returns:
        `broken`, and the TN loss above that of the best threshold: `excess` (mean) and `excess_90`
        (90th percentile).
    """
    draw = np.random.default_rng(seed)
    minima = lowest(world.parts(draw, (audits, groups)))
    thresholds = np.array([prove_recall(row, demand).threshold for row in minima])
    excess = ndtr(-thresholds) - ndtr(-truth.best(demand.recall))
    return {
        "world": world.name,
        "groups": groups,
        "recall": demand.recall,
        "broken": float((truth.recall(thresholds) < demand.recall).mean()),
        "excess": float(excess.mean()),
        "excess_90": float(np.quantile(excess, 0.9)),
    }


def naive(truth: Truth, groups: int, recall: float, audits: int = AUDITS, seed: int = 0) -> float:
    """How often the lowest score of a miss, taken as the threshold, has less than that recall."""
    minima = lowest(INDEPENDENT.parts(np.random.default_rng(seed), (audits, groups)))
    return float((truth.recall(minima[:, 0]) < recall).mean())


def image_level(
    world: World, truth: Truth, groups: int, demand: Demand, audits: int = AUDITS, seed: int = 0
) -> float:
    """How often a certificate that takes images for independent breaks its promise of images."""
    parts = world.parts(np.random.default_rng(seed), (audits, groups))
    rows = (np.sort(part[~np.isnan(part)]) for part in parts)
    thresholds = [prove_recall(row, demand).threshold for row in rows]
    return float((truth.image_recall(thresholds) < demand.recall).mean())


def budgets(
    world: World, truth: Truth, groups: int, budget: float, audits: int = AUDITS, seed: int = 0
) -> dict[str, Any]:
    """How often the recall proven within a budget is not there, and the mean of what is proven."""
    draw = np.random.default_rng(seed)
    minima = lowest(world.parts(draw, (audits, groups)))
    broken, proven = [], []
    for row in minima:
        good = draw.normal(size=300)
        threshold = within_budget(curve(good, np.zeros(len(good), dtype=bool)), budget)
        proof = prove_at(row, threshold, 0.95)
        broken.append(truth.recall(threshold) < proof.recall_lower_bound)
        proven.append(proof.recall_lower_bound)
    return {
        "world": world.name,
        "groups": groups,
        "budget": budget,
        "broken": float(np.mean(broken)),
        "proven": float(np.mean(proven)),
    }


def verdicts(
    area: float, rival: float, groups: int, good: int, trials: int = TRIALS, photos: int = 1
) -> dict[str, Any]:
    """How often an indicator of one AUROC is green or red against `p` of another.

    Args:
        area: AUROC of the indicator.
        rival: AUROC of `p`; the two are independent of each other.
        groups: parts with a missed defect.
        good: good parts.
        trials: simulated audits.
        photos: images a part, half of their variance in common when there are several.
    """
    draw = np.random.default_rng(1)
    missed = np.repeat(np.arange(groups + good) < groups, photos)
    codes = np.repeat(np.arange(groups + good), photos)
    between = 0.5 if photos > 1 else 0.0
    ends = []
    for trial in range(trials):
        common = np.repeat(draw.normal(size=(2, groups + good)), photos, axis=1)
        own = draw.normal(size=common.shape)
        scores = np.sqrt(between) * common + np.sqrt(1 - between) * own
        scores += np.sqrt(2) * ndtri([[area], [rival]]) * missed
        ends.append(difference_interval(*scores, missed, codes, resamples=1000, seed=trial))
    low, high = np.array(ends).T
    return {
        "auroc": area,
        "auroc_p": rival,
        "groups": groups,
        "photos": photos,
        "green": float((low > 0).mean()),
        "red": float((high < 0).mean()),
    }


SIZES = (30, 60, 100, 300)
RECALLS = (0.8, 0.9, 0.95)
NULL_SIZES = ((10, 1), (20, 1), (100, 1), (20, 4))  # parts with a missed defect, photos a part
# The same, photos a part, AUROC of p and of every other candidate, each by itself.
NULL_PROPOSALS = ((10, 1, 0.5), (20, 1, 0.75), (10, 4, 0.5))


def run(audits: int = AUDITS, trials: int = TRIALS) -> dict[str, Any]:
    """All simulations."""
    truths = {world.name: Truth(world) for world in (*WORLDS, LOTS)}
    plain = truths[INDEPENDENT.name]
    return {
        "audits": audits,
        "trials": trials,
        "certificates": [
            certificates(world, truths[world.name], groups, Demand(recall), audits)
            for world in WORLDS
            for groups in SIZES
            for recall in RECALLS
            if groups >= needed(Demand(recall))
        ],
        "naive": {str(groups): naive(plain, groups, 0.95, audits) for groups in (20, *SIZES)},
        "image_level": {
            str(groups): image_level(LOTS, truths[LOTS.name], groups, Demand(0.9), audits)
            for groups in (40, 100, 300)
        },
        "budgets": [
            budgets(world, truths[world.name], groups, 0.3, audits)
            for world in WORLDS
            for groups in (10, 60, 300)
        ],
        "null": [
            verdicts(0.75, 0.75, groups, 10 * groups, trials, photos)
            for groups, photos in NULL_SIZES
        ],
        "proposals": [null_proposals(*each, trials) for each in NULL_PROPOSALS],
        "better": [verdicts(0.85, 0.75, groups, 1000, trials) for groups in (20, 50, 100, 200)],
    }


def draw_picture(result: dict[str, Any], path: Path) -> None:
    """The three answers side by side."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, (kept, cost, told) = pyplot.subplots(1, 3, figsize=(13, 4), layout="constrained")
    names = [world.name for world in WORLDS]
    colours = dict(zip(names, ("#2185C5", "#009E73", "#CC79A7"), strict=True))
    for row in result["certificates"]:
        kept.plot(row["groups"], row["broken"], "o", color=colours[row["world"]], alpha=0.75)
    for name, colour in colours.items():
        kept.plot([], [], "o", color=colour, label=f"certified, {name}")
    rivals = {"naive": ("lowest score of a miss", "s"), "image_level": ("images taken alone", "^")}
    for key, (name, mark) in rivals.items():
        values = result[key]
        kept.plot(
            [int(n) for n in values], values.values(), f"{mark}-", color="#D55E00", label=name
        )
    kept.axhline(0.05, color="#868C94", linestyle="--", label="what is promised: 5 %")
    kept.set(title="Promise broken", ylabel="share of audits", ylim=(-0.01, 0.4))
    for recall, mark in zip(RECALLS, "os^", strict=True):
        rows = [r for r in result["certificates"] if r["recall"] == recall]
        for name in (INDEPENDENT.name, CLUSTERED.name):
            mine = [r for r in rows if r["world"] == name]
            style = {"color": colours[name], "label": f"recall {recall:.0%}, {name}"}
            sizes, excess = ([r[key] for r in mine] for key in ("groups", "excess"))
            cost.plot(sizes, excess, f"{mark}-", **style)
    cost.axhline(0.1, color="#868C94", linestyle="--")
    cost.set(title="Good parts lost beyond the best threshold", ylabel="share of good parts")
    for key, name, colour in (
        ("better", "AUROC 0.85 against 0.75", "#009E73"),
        ("null", "0.75 against 0.75", "#D55E00"),
    ):
        rows = [r for r in result[key] if r["photos"] == 1]
        told.plot(
            [r["groups"] for r in rows], [r["green"] for r in rows], "o-", color=colour, label=name
        )
    told.axhline(0.8, color="#868C94", linestyle="--")
    told.axhline(29 / 400, color="#868C94", linestyle=":")
    told.set(title="Verdict green", ylabel="share of audits", ylim=(-0.02, 1.02))
    for axes in (kept, cost, told):
        axes.set(xscale="log", xlabel="parts with a missed defect")
        axes.set_xticks(
            [10, 20, 40, 100, 300], labels=["10", "20", "40", "100", "300"], minor=False
        )
        axes.minorticks_off()
        axes.legend(fontsize=7, frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def table(result: dict[str, Any]) -> str:
    """The numbers in Markdown."""
    rows = [
        "| | parts | recall | broken | good parts lost beyond the best |",
        "|---|---|---|---|---|",
    ]
    rows += [
        f"| certified, {r['world']} | {r['groups']} | {r['recall']:.0%} | {r['broken']:.1%} | "
        f"{100 * r['excess']:+.1f} points |"
        for r in result["certificates"]
    ]
    rows += [
        f"| budget 30 %, {r['world']} | {r['groups']} | {r['proven']:.0%} proven on average | "
        f"{r['broken']:.1%} | |"
        for r in result["budgets"]
    ]
    rows += [
        f"| lowest score of a miss | {n} | 95% | {v:.1%} | |" for n, v in result["naive"].items()
    ]
    rows += [
        f"| images alone, lots | {n} | 90% | {v:.1%} | |" for n, v in result["image_level"].items()
    ]
    rows += ["", "| AUROC against p | parts | photos | green | red |", "|---|---|---|---|---|"]
    rows += [
        f"| {r['auroc']} against {r['auroc_p']} | {r['groups']} | {r['photos']} | "
        f"{r['green']:.1%} | {r['red']:.1%} |"
        for r in result["null"] + result["better"]
    ]
    rows += [
        "",
        "| proposal; AUROC of all | parts | photos | not threshold shift | green | red |",
        "|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {r['auroc']} | {r['groups']} | {r['photos']} | {r['others']} of {r['trials']} | "
        f"{r['green']} | {r['red']} |"
        for r in result["proposals"]
    ]
    return "\n".join(rows)


def main() -> None:
    """Simulate, print, draw."""
    parser = argparse.ArgumentParser(description="Monte-Carlo of certificate and verdict")
    parser.add_argument("--quick", action="store_true", help="a tenth of the audits")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--picture", type=Path, metavar="FILE")
    options = parser.parse_args()
    result = run(AUDITS // 10, TRIALS // 10) if options.quick else run()
    if options.picture:
        draw_picture(result, options.picture)
    print(json.dumps(result) if options.json else table(result))


if __name__ == "__main__":
    main()
