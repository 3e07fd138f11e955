"""The whole way to a verdict, as often as one likes: fit and choice on `tune`, judged on `test`.

Also what is left of it when the labels of passed parts say nothing.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri

from trust_core.decision.bootstrap import group_codes
from trust_core.decision.indicators.probes import Probes, combined, fit_activations
from trust_core.decision.indicators.registry import DEFAULT_INDICATOR, THRESHOLD_SHIFT
from trust_core.decision.proposal import CANDIDATES, Proposal, propose
from trust_core.decision.tradeoff import Floats, curve
from trust_core.decision.verdict import AMBER, GREEN, RED, verdict

PHOTOS_IN_COMMON = 0.5  # share of the variance
CHANNELS = 4  # of each of two simulated depths
STRENGTHS = 4
GOOD_TIMES = 5  # good parts for one with a missed defect
DETECTED = 0.6  # of the simulated defects

Half = npt.NDArray[np.float16]


def proposed(
    samples: pd.DataFrame, probes: Probes | None, others: dict[str, Floats]
) -> tuple[Proposal, Floats]:
    """What `tune` proposes, and its scores of all passed images, `(N,)`.

    Args:
        samples: of an audit, `(S,)`.
        probes: fitted to these; None where they abstain.
        others: further candidates over the passed images, `(N, E)` at some strengths.
    """
    passed = samples[samples["outcome"].isin(["FN", "TN"])]
    tune = (passed["role"] == "tune").to_numpy()
    missed = (passed["outcome"] == "FN").to_numpy()
    scores = {THRESHOLD_SHIFT: passed["p_defect"].to_numpy(dtype=np.float64)}
    for name, values in others.items():
        areas = [curve(column[tune], missed[tune]).auroc for column in values.T]
        scores[name] = values[:, int(np.nanargmax(areas)) if np.isfinite(areas).any() else 0]
    if probes is not None:
        log_odds = passed["log_odds"].to_numpy(dtype=np.float64)
        scores["probe_combination"] = combined(log_odds, probes.scores, tune & ~missed)
    scores = {name: scores[name] for name in CANDIDATES if name in scores}
    on_tune = {name: values[tune] for name, values in scores.items()}
    codes = group_codes(passed["group"])[tune]
    found = propose(on_tune, missed[tune], codes, dict.fromkeys(scores, 0.0))
    return found, scores[found.indicator]


def colour(samples: pd.DataFrame, found: Proposal, scores: Floats) -> str:
    """Of the verdict on `test` over what is proposed; threshold shift is not judged."""
    if found.indicator == THRESHOLD_SHIFT:
        return AMBER
    passed = samples[samples["outcome"].isin(["FN", "TN"])].assign(indicator=scores)
    return verdict(passed[passed["role"] == "test"]).colour


def shuffled(samples: pd.DataFrame, draw: np.random.Generator) -> pd.DataFrame:
    """Samples with the labels of the passed images dealt out anew among them."""
    passed = np.flatnonzero(samples["outcome"].isin(["FN", "TN"]))
    dealt = draw.permutation(passed)
    changed = samples.copy()
    for name in ("label", "outcome"):
        values = samples[name].to_numpy().copy()
        values[passed] = values[dealt]
        changed[name] = values
    return changed


def simulated(
    groups: int, good: int, photos: int, area: float, draw: np.random.Generator
) -> tuple[Half, pd.DataFrame, dict[str, Floats]]:
    """Activations, samples and other candidates of an audit that tells nothing beyond p.

    `tune` and `test` each hold that many parts with a missed defect and that many good ones; the
    activations know of the defects that the detector finds, and nothing of those it misses.

    Args:
        groups: parts with a missed defect.
        good: good parts.
        photos: images a part, half of their variance in common when there are several.
        area: AUROC of p and of every other candidate, each by itself.
        draw: of the numbers.
    """
    caught = round(groups * DETECTED / (1 - DETECTED))
    outcome = np.repeat(["FN", "TN", "TP"], (groups, good, caught))
    outcome = np.repeat(np.tile(outcome, 2), photos)
    half = photos * (groups + good + caught)
    part = np.arange(2 * half) // photos
    missed, detected = outcome == "FN", outcome == "TP"
    between = PHOTOS_IN_COMMON if photos > 1 else 0.0

    def noise(width: int) -> Floats:
        common, own = draw.normal(size=(part[-1] + 1, width)), draw.normal(size=(2 * half, width))
        return np.sqrt(between) * common[part] + np.sqrt(1 - between) * own

    def known(width: int) -> Floats:
        return noise(width) + curve_shift(area) * missed[:, None]

    activations = noise(2 * 3 * CHANNELS) + 2.0 * detected[:, None]
    evidence = known(1)[:, 0]
    log_odds = np.where(detected, 2.0, -6.0 + evidence)  # of every passed part below 0
    samples = pd.DataFrame(
        {
            "outcome": outcome,
            "label": (outcome != "TN").astype(np.int8),
            "role": np.where(np.arange(2 * half) < half, "tune", "test"),
            "log_odds": log_odds,
            "p_defect": 1 / (1 + np.exp(-log_odds)),
            "group": part.astype(str),
        }
    )
    others = {DEFAULT_INDICATOR: known(STRENGTHS)[~detected], "consensus": known(1)[~detected]}
    return activations.astype(np.float16), samples, others


def curve_shift(area: float) -> float:
    """Standard deviations between two normal distributions with that AUROC."""
    return float(np.sqrt(2) * ndtri(area))


def null_proposals(
    groups: int, photos: int = 1, area: float = 0.5, trials: int = 400
) -> dict[str, Any]:
    """How often the proposal is something else than threshold shift, green, and red.

    Args:
        groups: parts with a missed defect in `tune`, and as many in `test`.
        photos: images a part.
        area: AUROC of p and of Δ and the consensus, which are independent of it.
        trials: simulated audits.
    """
    colours, others = [], 0
    for trial in range(trials):
        draw = np.random.default_rng(trial)
        activations, samples, rest = simulated(groups, GOOD_TIMES * groups, photos, area, draw)
        probes = fit_activations(activations, samples, ("first", "second"), 2 * (3 * CHANNELS,))
        found, scores = proposed(samples, probes, rest)
        others += found.indicator != THRESHOLD_SHIFT
        colours.append(colour(samples, found, scores))
    return {
        "groups": groups,
        "photos": photos,
        "auroc": area,
        "trials": trials,
        "others": others,
        "green": colours.count(GREEN),
        "red": colours.count(RED),
    }
