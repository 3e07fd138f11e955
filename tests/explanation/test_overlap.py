"""Comparison grid, masks, IoU and Δ: by hand, against independent libraries, and at every edge."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import jaccard_score
from torch import Tensor

from trust_core.errors import SettingsError
from trust_core.explanation.overlap import (
    COMPARISON_GRID,
    CONSTANT,
    EMPTY,
    MASKS,
    NOT_FINITE,
    SCORED,
    check_mask_rule,
    iou,
    mask_of,
    overlap,
    to_comparison_grid,
)

RULES = ("half", "top:0.2", "otsu")
S = COMPARISON_GRID


def grid(*rows: list[float]) -> Tensor:
    """One tiny map, blown up without interpolation so that cells stay countable."""
    values = torch.tensor(rows, dtype=torch.float32)
    factors = S // values.shape[0], S // values.shape[1]
    return values.repeat_interleave(factors[0], 0).repeat_interleave(factors[1], 1)[None]


def one(result, name: str = "iou_difference") -> float:
    return float(getattr(result, name)[0])


maps_2d = hnp.arrays(
    np.float16,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=9),
    elements=st.floats(0, 1, width=16),
)


@st.composite
def triples(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
    """Three non-negative maps of one size, as they are kept."""
    shape = draw(st.tuples(st.just(1), st.integers(2, 9), st.integers(2, 9)))
    values = hnp.arrays(np.float16, shape, elements=st.floats(0, 1, width=16))
    return tuple(torch.from_numpy(draw(values)).float() for _ in range(3))


# Comparison grid


@pytest.mark.parametrize(
    "shape", [(1, 1), (2, 2), (7, 7), (6, 9), (64, 64), (64, 31), (65, 100), (128, 200), (3, 300)]
)
def test_comparison_grid_is_torchs_bilinear_resize(shape: tuple[int, int]):
    maps = torch.rand(3, *shape, generator=torch.Generator().manual_seed(0))
    wanted = torch.nn.functional.interpolate(
        maps[:, None], (S, S), mode="bilinear", align_corners=False
    )
    torch.testing.assert_close(to_comparison_grid(maps), wanted[:, 0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (7, 7), (13, 5), (64, 64), (200, 90)])
def test_comparison_grid_gives_the_same_bits_alone_and_in_a_batch(shape: tuple[int, int]):
    maps = torch.randn(33, *shape, generator=torch.Generator().manual_seed(1))
    together = to_comparison_grid(maps)
    for index in (0, 7, 32):
        assert torch.equal(together[index], to_comparison_grid(maps[index : index + 1])[0])


@pytest.mark.parametrize("side", [1, 3, 7, 14, 48, 64, 65, 129, 300])
def test_comparison_grid_of_equal_cells_is_exactly_constant(side: int):
    assert (to_comparison_grid(torch.full((1, side, side), 0.1)) == 0.1).all()


# Masks


def test_half_holds_what_is_strictly_above_the_middle_of_the_range():
    mask = mask_of(grid([0.0, 4.0], [2.0, 3.0]), "half", specific=False)
    assert torch.equal(mask, grid([0, 1], [0, 1]).bool())
    shifted = mask_of(grid([-4.0, 0.0], [-2.0, -1.0]), "half", specific=False)
    assert torch.equal(shifted, mask)


def test_a_specific_mask_holds_only_positive_cells():
    maps = grid([-4.0, 0.0], [-2.0, 0.5])
    assert torch.equal(mask_of(maps, "half", specific=True), grid([0, 0], [0, 1]).bool())
    assert mask_of(maps, "half", specific=False).sum() == 2 * (S // 2) ** 2


@pytest.mark.parametrize("rule", RULES)
def test_the_specific_mask_of_nothing_is_empty(rule: str):
    assert not mask_of(torch.zeros(2, 7, 7), rule, specific=True).any()


@given(
    hnp.arrays(np.float32, (S, S), elements=st.sampled_from([0, 0.25, 0.5, 1])),
    st.floats(0.001, 0.99),
)
def test_top_takes_the_largest_cells_with_equal_ones_in_index_order(maps: np.ndarray, share: float):
    mask = mask_of(torch.from_numpy(maps)[None], f"top:{share}", specific=False)[0].numpy()
    order = np.argsort(-maps.ravel(), kind="stable")[: round(share * S * S)]
    wanted = np.zeros(S * S, bool)
    wanted[order] = True
    assert np.array_equal(mask.ravel(), wanted)


def otsu_in_plain_numpy(values: np.ndarray) -> float:
    """The threshold with the largest variance between the classes, one candidate after another."""
    counts, edges = np.histogram(values, 256)
    centres = (edges[:-1] + edges[1:]) / 2
    best, threshold = -1.0, 0.0
    for index in range(255):
        below, above = counts[: index + 1], counts[index + 1 :]
        means = [
            np.average(c, weights=n) if n.sum() else 0.0
            for c, n in ((centres[: index + 1], below), (centres[index + 1 :], above))
        ]
        between = float(below.sum() * above.sum() * (means[0] - means[1]) ** 2)
        if between > best * (1 + 1e-12):
            best, threshold = between, centres[index]
    return threshold


@pytest.mark.parametrize("seed", range(6))
def test_otsu_is_otsus_threshold(seed: int):
    draw = np.random.default_rng(seed)
    values = draw.normal(0, 1, (S, S))
    values[: draw.integers(4, 40)] += draw.uniform(1, 6)
    maps = torch.from_numpy(values.astype(np.float32))[None]
    wanted = maps[0].numpy() > otsu_in_plain_numpy(maps[0].double().numpy())
    assert np.array_equal(mask_of(maps, "otsu", specific=False)[0].numpy(), wanted)


@pytest.mark.parametrize("seed", range(3))
def test_otsu_is_that_of_scikit_image(seed: int):
    filters = pytest.importorskip("skimage.filters", reason="scikit-image is not installed")
    values = np.random.default_rng(seed).gamma(1.5, 1.0, (S, S)).astype(np.float32)
    wanted = values > filters.threshold_otsu(values.astype(np.float64))
    assert np.array_equal(
        mask_of(torch.from_numpy(values)[None], "otsu", specific=False)[0], wanted
    )


def test_otsu_leaves_out_what_equals_its_threshold():
    """Over 0 to 256 bins are 1 wide, so the centre of the first is 0.5, and it is the threshold."""
    mask = mask_of(grid([0.0, 0.5], [0.0, 256.0]), "otsu", specific=False)
    assert torch.equal(mask, grid([0, 0], [0, 1]).bool())


def test_otsu_splits_two_values():
    mask = mask_of(grid([0.0, 1.0], [0.0, 0.0]), "otsu", specific=False)
    assert torch.equal(mask, grid([0, 1], [0, 0]).bool())


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("third", "There is no mask rule 'third'; choose from half, top, otsu"),
        ("", "There is no mask rule ''; choose from"),
        ("top", "Mask rule 'top:': write the share of cells to keep"),
        ("top:", "for example top:0.2"),
        ("top:a lot", "Mask rule 'top:a lot': write the share"),
        ("top:0", "between 0 and 1"),
        ("top:-0.1", "between 0 and 1"),
        ("top:1", "between 0 and 1"),
        ("top:20", "between 0 and 1"),
        ("top:nan", "between 0 and 1"),
        ("top:inf", "between 0 and 1"),
        ("top:0.0001", "between 0 and 1"),  # not one cell
        ("top:0.9999", "between 0 and 1"),  # every cell
        ("half:0.3", "Mask rule 'half:0.3': 'half' takes no number; write half"),
        ("otsu:64", "'otsu' takes no number"),
    ],
)
def test_a_mask_rule_that_means_nothing_is_refused(rule: str, sentence: str):
    with pytest.raises(SettingsError) as caught:
        check_mask_rule(rule)
    assert sentence in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("rule", [*RULES, "top:0.0002", "top:0.9998", "top:1e-1"])
def test_a_mask_rule_that_means_something_is_taken(rule: str):
    check_mask_rule(rule)
    mask = mask_of(torch.rand(1, 7, 7), rule, specific=False)
    assert 0 < mask.sum() < S * S


def test_every_rule_is_tested_here():
    assert {rule.partition(":")[0] for rule in RULES} == set(MASKS)


# IoU


def test_iou_by_hand():
    first, second = grid([1, 1], [0, 0]).bool(), grid([1, 0], [1, 0]).bool()
    assert iou(first, second).tolist() == [pytest.approx(1 / 3)]
    assert iou(first, first).tolist() == [1.0]
    assert iou(first, ~first).tolist() == [0.0]
    assert iou(first & ~first, first).tolist() == [0.0]
    assert np.isnan(iou(first & ~first, first & ~first)).all()


masks = hnp.arrays(bool, (2, 6, 5))


@given(masks, masks)
def test_iou_is_the_jaccard_score_and_symmetric(first: np.ndarray, second: np.ndarray):
    ours = iou(torch.from_numpy(first), torch.from_numpy(second))
    assert np.array_equal(
        ours, iou(torch.from_numpy(second), torch.from_numpy(first)), equal_nan=True
    )
    for value, a, b in zip(ours, first, second, strict=True):
        if (a | b).any():
            assert value == pytest.approx(jaccard_score(a.ravel(), b.ravel()), abs=1e-15)
        else:
            assert math.isnan(value)


# Δ


def test_difference_by_hand():
    defect, good = grid([1.0, 0.0], [0.0, 0.0]), grid([0.0, 0.0], [1.0, 1.0])
    result = overlap(defect, good, grid([1.0, 1.0], [1.0, 0.0]))
    assert one(result, "iou_defect") == pytest.approx(1 / 3)
    assert one(result, "iou_good") == pytest.approx(1 / 4)
    assert one(result) == pytest.approx(1 / 12)
    assert result.status.tolist() == [SCORED]


@given(triples(), st.sampled_from(RULES))
def test_difference_lies_between_minus_one_and_one_or_says_why_not(maps, rule: str):
    result = overlap(*maps, rule)
    if result.status[0] == SCORED:
        assert -1 <= one(result) <= 1
        assert one(result) == one(result, "iou_defect") - one(result, "iou_good")
    else:
        assert result.status[0] in (CONSTANT, EMPTY)
        assert all(math.isnan(one(result, n)) for n in ("iou_defect", "iou_good", "iou_difference"))


@given(triples(), st.sampled_from(RULES))
def test_swapping_the_classes_negates_the_difference(maps, rule: str):
    defect, good, agnostic = maps
    first, second = overlap(defect, good, agnostic, rule), overlap(good, defect, agnostic, rule)
    assert np.array_equal(first.iou_difference, -second.iou_difference, equal_nan=True)
    assert np.array_equal(first.iou_defect, second.iou_good, equal_nan=True)
    assert first.status[0] == second.status[0]


@given(triples(), st.sampled_from(RULES), st.tuples(*[st.integers(-30, 30)] * 3))
def test_the_scale_of_a_map_does_not_matter(maps, rule: str, powers: tuple[int, int, int]):
    """By powers of two, which rounds nothing: any other factor may move a cell on the border."""
    scaled = (values * 2.0**power for values, power in zip(maps, powers, strict=True))
    first, second = overlap(*maps, rule), overlap(*scaled, rule)
    assert np.array_equal(first.iou_difference, second.iou_difference, equal_nan=True)
    assert first.status[0] == second.status[0]


@given(st.data(), st.floats(-8, 8, width=16), st.sampled_from(RULES))
def test_a_constant_agnostic_map_gives_a_reason_and_never_a_zero(data, value: float, rule: str):
    maps = torch.from_numpy(data.draw(maps_2d)).float()[None]
    result = overlap(maps, maps.flip(1), torch.full_like(maps, value), rule)
    assert result.status.tolist() == [CONSTANT]
    assert math.isnan(one(result))


@pytest.mark.parametrize("rule", RULES)
def test_an_agnostic_map_that_is_constant_on_the_comparison_grid_gives_a_reason(rule: str):
    """A layer grid finer than the comparison grid can hold a cell that no sample falls on."""
    agnostic = torch.zeros(1, 320, 320)
    agnostic[0, 0, 0] = 1
    assert not to_comparison_grid(agnostic).any()
    result = overlap(torch.rand(1, 320, 320), torch.rand(1, 320, 320), agnostic, rule)
    assert result.status.tolist() == [CONSTANT]
    assert math.isnan(one(result))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_value_that_is_not_finite_spoils_its_own_image_only(rule: str, bad: float, which: int):
    maps = [torch.rand(3, 7, 7, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    before = overlap(*maps, rule)
    maps[which] = maps[which].clone()
    maps[which][1, 3, 3] = bad
    after = overlap(*maps, rule)
    assert after.status.tolist() == [SCORED, NOT_FINITE, SCORED]
    assert math.isnan(after.iou_difference[1])
    assert np.array_equal(after.iou_difference[[0, 2]], before.iou_difference[[0, 2]])


def test_an_empty_defect_mask_is_the_least_suspicious_not_unscorable():
    agnostic = grid([1.0, 0.0], [1.0, 0.0])
    result = overlap(torch.zeros_like(agnostic), agnostic, agnostic)
    assert (one(result, "iou_defect"), one(result)) == (0.0, -1.0)
    assert result.status.tolist() == [SCORED]
    swapped = overlap(agnostic, torch.zeros_like(agnostic), agnostic)
    assert one(swapped) == 1.0


def test_both_specific_masks_empty_is_a_score_of_zero():
    agnostic = grid([1.0, 0.0], [1.0, 0.0])
    result = overlap(torch.zeros_like(agnostic), torch.zeros_like(agnostic), agnostic)
    assert result.status.tolist() == [SCORED]
    assert one(result) == 0.0


def test_an_empty_union_has_no_score(monkeypatch: pytest.MonkeyPatch):
    """No rule of ours leaves a map that is not constant empty; another one might."""
    monkeypatch.setitem(MASKS, "none", lambda maps, argument: maps > maps.max())
    values = grid([1.0, 0.0], [1.0, 0.0])
    result = overlap(values, values, values, "none")
    assert result.status.tolist() == [EMPTY]
    assert math.isnan(one(result))


@pytest.mark.parametrize("rule", RULES)
def test_scores_are_the_same_bits_alone_and_in_a_batch(rule: str):
    draw = torch.Generator().manual_seed(5)
    maps = [torch.rand(17, 7, 5, generator=draw).half().float() for _ in range(3)]
    together = overlap(*maps, rule).iou_difference
    alone = [one(overlap(*(m[i : i + 1] for m in maps), rule)) for i in range(17)]
    assert together.tolist() == alone
