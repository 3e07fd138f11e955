"""The certificate: by hand, against its definition, against MAPIE, and by Monte-Carlo."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from benchmarks.statistics import (
    AUDITS,
    CLUSTERED,
    INDEPENDENT,
    LOTS,
    RECALLS,
    SIZES,
    TIED,
    WORLDS,
    Truth,
    World,
    budgets,
    certificates,
    image_level,
    naive,
)
from trust_core.decision.certificate import (
    Budget,
    Demand,
    group_minima,
    needed,
    percent_floor,
    plan,
    proof_sentence,
    prove,
    prove_at,
    prove_recall,
    proven,
    rank,
    within_budget,
)
from trust_core.decision.tradeoff import curve
from trust_core.errors import SettingsError

INF, NAN = math.inf, math.nan
NO_TUNE = curve(np.array([]), np.array([], bool))
DELTA = 0.05


def error(audits: int) -> float:
    """Three standard errors of a simulated share of δ."""
    return 3 * math.sqrt(DELTA * (1 - DELTA) / audits)


def test_a_group_is_as_suspicious_as_its_least_suspicious_miss():
    scores = np.array([0.9, 0.2, NAN, 0.5, NAN, 0.1, 0.7])
    missed = np.array([True, True, True, True, True, False, False])
    groups = np.array(["a", "a", "b", "b", "c", "c", "d"])
    assert group_minima(scores, missed, groups).tolist() == [0.2, 0.5, INF]


@given(
    st.lists(
        st.tuples(
            st.one_of(st.just(NAN), st.sampled_from([0.0, 0.5]), st.floats(-1, 1)),
            st.booleans(),
            st.sampled_from("abcdefgh"),
        ),
        max_size=40,
    )
)
def test_minima_by_counting(rows):
    wanted = {}
    for score, missed, group in rows:
        if missed:
            wanted[group] = min(wanted.get(group, INF), INF if math.isnan(score) else score)
    scores, missed, groups = (np.array(c) for c in zip(*rows, strict=True)) if rows else ([],) * 3
    found = group_minima(np.array(scores, float), np.array(missed, bool), np.array(groups, str))
    assert found.tolist() == sorted(wanted.values())


def test_59_parts_with_none_overlooked_prove_95_percent():
    minima = np.linspace(0.1, 0.9, 59)
    proof = prove_recall(minima, Demand(0.95))
    assert (proof.certified, proof.threshold, proof.caught) == (True, minima[0], 59)
    assert proof.recall_lower_bound == pytest.approx(0.05 ** (1 / 59))
    short = prove_recall(minima[1:], Demand(0.95))
    assert (short.certified, short.threshold) == (False, None)


def test_93_parts_may_overlook_one():
    minima = np.linspace(0.1, 0.9, 93)
    proof = prove_recall(minima, Demand(0.95))
    assert (proof.threshold, proof.caught) == (minima[1], 92)
    assert 0.95 <= proof.recall_lower_bound < 0.951


def test_10_of_10_prove_74_percent_and_no_more():
    proof = prove_recall(np.arange(10.0), Demand(0.95))
    assert not proof.certified
    assert proof.recall_lower_bound == pytest.approx(0.741, abs=5e-4)
    assert (proof.groups, proof.caught, proof.lowest) == (10, 10, 0)
    said = proof_sentence(proof, Demand(0.95))
    assert "Cannot be certified: 10 missed parts; 59 are needed for 95 %" in said
    assert said.endswith("10 of 10 prove at most 74.1 %.")


def test_without_a_missed_part_nothing_is_proven():
    proof = prove_recall(np.array([]), Demand(0.5))
    assert (proof.certified, proof.recall_lower_bound, proof.lowest) == (False, 0, INF)
    assert "0 missed parts" in proof_sentence(proof, Demand(0.5))


def test_parts_without_a_score_are_always_caught():
    minima = np.r_[np.zeros(2), np.full(91, INF)]
    assert prove_recall(minima, Demand(0.95)).threshold == 0
    assert prove_recall(np.sort(np.r_[0.0, np.full(92, INF)]), Demand(0.95)).threshold == INF


@given(
    st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.3, INF]), min_size=1, max_size=120),
    st.floats(0.3, 0.97),
    st.floats(0.5, 0.99),
)
def test_the_highest_threshold_whose_binomial_statement_holds(scores, recall, confidence):
    minima, demand = np.sort(scores), Demand(recall, confidence)
    n, proof = len(minima), prove_recall(np.sort(scores), demand)
    # Candidates are group scores alone; the k-th overlooks at most k − 1.
    delta = (1 - confidence) * (1 + 1e-12)
    ranks = [k for k in range(1, n + 1) if binom.cdf(k - 1, n, 1 - recall) <= delta]
    assert proof.certified == bool(ranks)
    if ranks:
        k = max(ranks)
        assert proof.threshold == minima[k - 1]
        assert proof.caught >= n - k + 1
        exact = binomtest(n - k + 1, n, alternative="greater").proportion_ci(confidence, "exact")
        assert proof.recall_lower_bound == pytest.approx(exact.low)
        assert proof.recall_lower_bound >= recall - 1e-9


@pytest.mark.parametrize(
    "atoms",
    [
        {0.0: 0.05, 1.0: 0.95},  # the promise is met with nothing to spare
        {0.0: 0.0501, 1.0: 0.9499},
        {0.0: 0.02, 0.5: 0.0301, 1.0: 0.9499},
        {0.0: 0.049, 0.5: 0.5, INF: 0.451},
    ],
)
@pytest.mark.parametrize("groups", [59, 93, 124, 150])
def test_ties_never_break_the_promise_exactly(atoms, groups: int):
    """The chance of a broken promise among tied scores, computed and not simulated."""
    values, chances = np.array(list(atoms)), np.array(list(atoms.values()))
    recall = chances[::-1].cumsum()[::-1]
    k = rank(groups, Demand(0.95))
    # τ is above an atom when fewer than k scores lie at or below it.
    above = binom.cdf(k - 1, groups, chances.cumsum())
    chance_of = -np.diff(np.r_[1.0, above])
    broken = chance_of[recall < 0.95 - 1e-12].sum()
    assert broken <= DELTA + 1e-12
    draw = np.random.default_rng(0)
    for _ in range(20):
        minima = np.sort(draw.choice(values, groups, p=chances))
        assert prove_recall(minima, Demand(0.95)).threshold == minima[k - 1]


def test_a_bound_from_the_parts_caught_would_promise_too_much_under_ties():
    """Why `recall_lower_bound` is that of k − 1 overlooked, whatever ties leave."""
    minima = np.r_[np.full(5, 0.2), np.full(88, 0.9)]
    proof = prove_recall(minima, Demand(0.95))
    assert proof.caught == 93
    assert proof.recall_lower_bound < 0.05 ** (1 / 93)


def mapie_thresholds(scores: np.ndarray, recall: float) -> np.ndarray:
    """What MAPIE certifies by learn-then-test, in a fixed sequence from the lowest score on."""
    controller = pytest.importorskip("mapie.risk_control").BinaryClassificationController(
        predict_function=lambda x: np.column_stack([1 - x[:, 0], x[:, 0]]),
        risk="recall",
        target_level=recall,
        confidence_level=0.95,
        list_predict_params=np.sort(scores),
        fwer_method="fixed_sequence",
    )
    controller.calibrate(scores[:, None], np.ones(len(scores), dtype=int))
    return controller.valid_predict_params


@pytest.mark.parametrize(
    ("groups", "recall"), [(32, 0.8), (32, 0.9), (64, 0.9), (64, 0.95), (256, 0.8), (256, 0.95)]
)
def test_agreement_with_mapie(groups: int, recall: float):
    """Powers of two: MAPIE counts 1 − 99/100 of 100, which floating point puts above 1, as 2."""
    scores = np.random.default_rng(groups).random(groups)
    minima = group_minima(scores, scores >= 0, np.arange(groups))
    theirs = mapie_thresholds(scores, recall)
    assert prove_recall(minima, Demand(recall)).threshold == max(theirs)


@pytest.mark.filterwarnings("ignore:No predict parameters were found:UserWarning")
def test_mapie_too_certifies_nothing_from_58_parts():
    scores = np.random.default_rng(0).random(58)
    assert not len(mapie_thresholds(scores, 0.95))
    assert not prove_recall(np.sort(scores), Demand(0.95)).certified


def test_the_lowest_threshold_within_a_budget():
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, NAN])
    missed = np.array([False, True, False, True, True, False, False, False])
    points = curve(scores, missed)  # good parts at ∞, 0.9, 0.7, 0.4, 0.3
    assert within_budget(points, 0.6) == 0.5
    assert within_budget(points, 0.59) == 0.8
    assert within_budget(points, 0.2) == INF
    assert within_budget(points, 0.19) is None
    assert within_budget(points, 1) == 0.3
    assert within_budget(NO_TUNE, 0.5) is None


def test_what_a_budget_proves():
    tune = curve(np.array([0.9, 0.5, 0.1]), np.array([False, True, False]))
    proof = prove(np.array([0.2, 0.5, 0.7, INF]), tune, Budget(0.5))
    assert (proof.certified, proof.threshold, proof.caught, proof.groups) == (True, 0.5, 3, 4)
    exact = binomtest(3, 4, alternative="greater").proportion_ci(0.95, "exact")
    assert proof.recall_lower_bound == pytest.approx(exact.low)
    assert "at least 24.8 %" in proof_sentence(proof, Budget(0.5))
    for nothing in (
        prove(np.array([0.2]), tune, Budget(0.5)),
        prove(np.array([0.2]), NO_TUNE, Budget(0.5)),
        prove(np.array([]), tune, Budget(0.5)),
    ):
        assert (nothing.certified, nothing.threshold) == (False, None)
        assert "Nothing can be proven within a loss of 50 %" in proof_sentence(nothing, Budget(0.5))


def test_a_budget_that_means_nothing_is_refused():
    with pytest.raises(SettingsError, match="max TN loss 8: write a share"):
        Budget(8)
    with pytest.raises(SettingsError, match="confidence 1 cannot be proven"):
        Budget(0.1, 1)
    assert prove_at(np.array([0.5]), 0.5, 0.95).recall_lower_bound == pytest.approx(0.05)
    Budget(0), Budget(1)


def test_promised_shares_are_never_rounded_up():
    assert [percent_floor(x) for x in (0.95, 0.9, 0.7411, 0.99996, 1.0, 0.29)] == [
        "95 %", "90 %", "74.1 %", "99.9 %", "100 %", "29 %",
    ]  # fmt: skip


# Fewer parts certify nothing, whatever they show.
ENOUGH = [(n, recall) for n in SIZES for recall in RECALLS if n >= needed(Demand(recall))]


@pytest.fixture(scope="module")
def truths() -> dict[World, Truth]:
    return {world: Truth(world) for world in (*WORLDS, LOTS)}


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_promises_are_kept(world: World, truths):
    found = certificates(world, truths[world], 60, Demand(0.95), audits=600)
    assert found["broken"] <= DELTA + error(600)


def test_the_obvious_thresholds_break_their_promise(truths):
    assert naive(truths[INDEPENDENT], 20, 0.95, audits=600) > 0.3
    assert image_level(LOTS, truths[LOTS], 40, Demand(0.9), audits=600) > 0.15


@pytest.mark.slow
@pytest.mark.parametrize(("groups", "recall"), ENOUGH)
@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_certified_thresholds_keep_their_promise(world: World, groups: int, recall: float, truths):
    found = certificates(world, truths[world], groups, Demand(recall), audits=2 * AUDITS)
    assert found["broken"] <= DELTA + error(2 * AUDITS)


@pytest.mark.slow
@pytest.mark.parametrize("recall", RECALLS)
@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_300_parts_cost_little_more_than_the_best_threshold(world: World, recall: float, truths):
    assert certificates(world, truths[world], 300, Demand(recall))["excess"] <= 0.1


@pytest.mark.slow
@pytest.mark.parametrize("groups", [10, 60, 300])
@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_what_is_proven_within_a_budget_is_there(world: World, groups: int, truths):
    assert budgets(world, truths[world], groups, 0.3)["broken"] <= DELTA + error(AUDITS)


@pytest.mark.slow
def test_how_often_the_obvious_thresholds_break_their_promise(truths):
    """The lowest of 20 scores has less than 95 % recall in 0.95 ** 20 = 36 % of audits."""
    assert naive(truths[INDEPENDENT], 20, 0.95) == pytest.approx(0.95**20, abs=0.035)
    assert 0.17 < image_level(LOTS, truths[LOTS], 40, Demand(0.9)) < 0.27
    for world in (CLUSTERED, TIED, LOTS):
        honest = certificates(world, truths[world], 40, Demand(0.9))
        assert honest["broken"] <= DELTA + error(AUDITS)


share = st.floats(0.3, 0.995)


@pytest.mark.parametrize(
    ("groups", "recall"), [(3, 0.368), (5, 0.549), (10, 0.741), (20, 0.861), (30, 0.905)]
)
def test_what_all_of_few_prove(groups: int, recall: float):
    assert proven(groups, groups, 0.95) == pytest.approx(recall, abs=5e-4)
    assert proven(groups, groups, 0.95) == pytest.approx(0.05 ** (1 / groups))


@pytest.mark.parametrize(("recall", "groups"), [(0.9, 29), (0.95, 59), (0.99, 299)])
def test_parts_needed_with_none_overlooked(recall: float, groups: int):
    assert needed(Demand(recall)) == groups
    assert rank(groups, Demand(recall)) == 1
    assert rank(groups - 1, Demand(recall)) == 0


def test_the_plan_by_hand():
    assert plan(Demand(0.95), 3) == {0: 59, 1: 93, 2: 124, 3: 153}


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), share)
def test_clopper_pearson_is_that_of_scipy(counts: tuple[int, int], confidence: float):
    caught, groups = counts
    interval = binomtest(caught, groups, alternative="greater").proportion_ci(confidence, "exact")
    assert proven(caught, groups, confidence) == pytest.approx(interval.low, abs=1e-9)


@pytest.mark.parametrize(("caught", "groups"), [(0, 4), (1, 1), (9, 12), (58, 59), (300, 300)])
def test_clopper_pearson_is_that_of_statsmodels(caught: int, groups: int):
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    # Its interval is two-sided: 90 % has 5 % below.
    low, _ = proportion.proportion_confint(caught, groups, alpha=0.1, method="beta")
    assert proven(caught, groups, 0.95) == pytest.approx(float(low), abs=1e-12)


@given(st.integers(0, 300), share, share)
def test_the_rank_is_the_largest_that_the_binomial_allows(n: int, recall: float, confidence: float):
    k = rank(n, Demand(recall, confidence))
    delta = 1 - confidence
    if k:
        assert binom.cdf(k - 1, n, 1 - recall) <= delta * (1 + 1e-9)
        assert proven(n - k + 1, n, confidence) >= recall - 1e-9
    assert binom.cdf(k, n, 1 - recall) > delta * (1 - 1e-9)


@given(share, share, st.integers(0, 6))
def test_needed_is_the_least(recall: float, confidence: float, overlooked: int):
    demand = Demand(recall, confidence)
    groups = needed(demand, overlooked)
    assert rank(groups, demand) > overlooked
    assert rank(groups - 1, demand) <= overlooked
    if not overlooked:
        assert groups == math.ceil(math.log(1 - confidence) / math.log(recall) - 1e-9)


def test_a_bound_that_is_met_exactly_counts():
    """0.5 ** 2 is 1 − 0.75, whatever the rounding."""
    assert rank(2, Demand(0.5, 0.75)) == 1


@pytest.mark.parametrize("value", [-0.1, 0, 1, 1.5, 95, math.nan, math.inf])
@pytest.mark.parametrize("name", ["recall", "confidence"])
def test_what_cannot_be_proven_is_refused(name: str, value: float):
    with pytest.raises(SettingsError, match=f"^{name} .*write a share between 0 and 1, such as"):
        Demand(**{"recall": 0.9, "confidence": 0.9, name: value})
    Demand(**{"recall": 0.9, "confidence": 0.9, name: 0.001})
