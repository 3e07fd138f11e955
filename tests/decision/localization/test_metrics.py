"""Masks judged sample by sample: by hand, against scikit-learn, and as laws."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, jaccard_score, recall_score
from torchmetrics.functional.classification import binary_jaccard_index

from trust_core.decision.bootstrap import RATIO_BLOCKS
from trust_core.decision.localization.metrics import (
    METRICS,
    SIZES,
    THRESHOLDS,
    Masks,
    count_pixels,
    localize,
    metric_difference,
    size_class,
)

# Ten pictures of 100 pixels: |P|, |G|, |P∩G|, label.
BY_HAND = [
    (0, 0, 0, False),  # true negative: left out of Seg_mIoU
    (0, 0, 0, False),
    (7, 0, 0, False),  # false alarm: 0
    (0, 4, 0, True),  # miss: 0
    (1, 1, 1, True),  # a defect of one pixel, found: 1
    (2, 1, 0, True),  # a defect of one pixel, beside it: 0, found in the loose form only
    (20, 40, 20, True),  # half
    (50, 50, 30, True),  # 30 of 70
    (3, 0, 0, True),  # defective, its mask empty: left out
    (0, 9, 0, False),  # good, its mask marked: left out
]


def made(rows: list[tuple[int, int, int, bool]], codes: list[int] | None = None) -> Masks:
    predicted, true, overlap, defective = (np.array(column) for column in zip(*rows, strict=True))
    groups = np.arange(len(rows)) if codes is None else np.array(codes)
    return Masks(predicted, overlap, true, np.full(len(rows), 100), defective, groups)


def random_masks(seed: int, count: int = 60, groups: int = 15) -> Masks:
    draw = np.random.default_rng(seed)
    defective = draw.random(count) < 0.5
    true = np.where(defective, draw.integers(1, 60, count), 0)
    overlap = (true * draw.random(count)).astype(int) * (draw.random(count) < 0.8)
    beside = draw.integers(0, 40, count) * (draw.random(count) < 0.5)
    return Masks(
        overlap + beside, overlap, true, np.full(count, 100), defective, np.arange(count) % groups
    )


def test_by_hand() -> None:
    told = localize(made(BY_HAND))
    assert (told.images, told.groups, told.no_location, told.marked_good) == (8, 8, 1, 1)
    assert told.seg_miou.value == pytest.approx((0 + 0 + 1 + 0 + 1 / 2 + 3 / 7) / 6)
    assert (told.seg_miou.total, told.seg_miou.hits) == (6, pytest.approx(1 + 1 / 2 + 3 / 7))
    assert (told.seg_recall.hits, told.seg_recall.total) == (4, 5)
    assert (told.seg_recall_strict.hits, told.seg_recall_strict.total) == (3, 5)
    assert (told.seg_accuracy.hits, told.seg_accuracy.total) == (6, 8)
    assert (told.false_alarms.hits, told.false_alarms.total) == (1, 3)
    pooled_union = 7 + 4 + 1 + 3 + 40 + 70
    assert told.pooled_miou.value == pytest.approx((1 + 20 + 30) / pooled_union)


def test_a_small_mask_counts_as_none() -> None:
    told = localize(made(BY_HAND), min_area=0.02)
    assert (told.seg_recall.hits, told.seg_recall_strict.hits) == (3, 2)  # the single pixel is gone
    assert told.seg_miou.value == pytest.approx((1 / 2 + 3 / 7) / 6)
    assert told.false_alarms.hits == 1
    assert localize(made(BY_HAND), min_area=0.08).false_alarms.hits == 0
    assert localize(made(BY_HAND), min_area=0.07).false_alarms.hits == 1  # 7 of 100 is enough


def test_by_size() -> None:
    rows = [(100 * p, 100 * g, 100 * o, True) for p, g, o in ((1, 1, 1), (0, 9, 0))]
    masks = made([(0, 9, 0, True), (9, 10, 9, True), *rows, (40, 0, 0, False)])
    masks = dataclasses.replace(masks, area=np.full(5, 10_000))
    assert size_class(masks.at(masks.defective)).tolist() == [0, 1, 2, 2]
    told = localize(masks).by_size
    assert [size.seg_recall.total for size in told] == [1, 1, 2, 0]
    assert [size.seg_recall.hits for size in told] == [0, 1, 1, 0]
    assert told[1].iou.value == pytest.approx(0.9)
    assert told[2].iou.value == pytest.approx(0.5)
    assert math.isnan(told[3].seg_recall.value)
    assert [size.name for size in told] == [name for name, _ in SIZES]


def test_nothing_to_judge_is_nan_and_not_a_crash() -> None:
    told = localize(made(BY_HAND).at(np.zeros(10, dtype=bool)))
    for name in METRICS:
        assert math.isnan(getattr(told, name).value), name
    only_good = localize(made([(0, 0, 0, False)] * 3))
    assert math.isnan(only_good.seg_miou.value)
    assert math.isnan(only_good.seg_recall.value)
    assert only_good.seg_accuracy.value == 1


@pytest.mark.parametrize("seed", range(4))
def test_it_agrees_with_scikit_learn_where_the_definitions_coincide(seed: int) -> None:
    draw = np.random.default_rng(seed)
    values = draw.random((12, 9, 7)).astype(np.float32)
    truth = draw.random((12, 9, 7)) < 0.3
    truth[::4] = False
    threshold = 0.5 + 0.49 * (seed % 2)  # the upper one leaves masks empty
    column = int(np.flatnonzero(np.isclose(threshold, THRESHOLDS))[0])
    predicted, overlap = np.stack(
        [count_pixels(v, t)[:, column] for v, t in zip(values, truth, strict=True)], axis=1
    ).astype(np.int64)
    shown = values >= np.float32(threshold)
    y, d = truth.any((1, 2)), shown.any((1, 2))
    masks = Masks(
        predicted, overlap, truth.sum((1, 2)), np.full(12, 63), y, np.arange(12, dtype=np.int64)
    )
    told = localize(masks)
    ious = [
        jaccard_score(t.ravel(), s.ravel())
        for t, s in zip(truth, shown, strict=True)
        if t.any() or s.any()
    ]
    assert told.seg_miou.value == pytest.approx(np.mean(ious))
    assert told.pooled_miou.value == pytest.approx(jaccard_score(truth.ravel(), shown.ravel()))
    assert told.seg_recall.value == pytest.approx(recall_score(y, d))
    assert told.seg_accuracy.value == pytest.approx(accuracy_score(y, d))


def test_parity_with_torchmetrics() -> None:
    draw = np.random.default_rng(7)
    values, truth = draw.random((20, 16, 16)).astype(np.float32), draw.random((20, 16, 16)) < 0.2
    column = 59  # 0.6
    counts = np.stack([count_pixels(v, t) for v, t in zip(values, truth, strict=True)])
    predicted, overlap = counts[:, :, column].T.astype(np.int64)
    masks = Masks(
        predicted,
        overlap,
        truth.sum((1, 2)),
        np.full(20, 256),
        np.ones(20, dtype=bool),
        np.arange(20, dtype=np.int64),
    )
    told = localize(masks)
    shown = torch.from_numpy((values >= np.float32(THRESHOLDS[column])).astype(int))
    target = torch.from_numpy(truth.astype(int))
    each = [binary_jaccard_index(p, t) for p, t in zip(shown, target, strict=True)]
    assert told.seg_miou.value == pytest.approx(float(torch.stack(each).mean()), abs=1e-6)
    pooled = binary_jaccard_index(shown, target)
    assert told.pooled_miou.value == pytest.approx(float(pooled), abs=1e-6)


def test_counts_are_those_of_a_comparison_at_every_threshold() -> None:
    draw = np.random.default_rng(1)
    values = draw.random((31, 17)).astype(np.float32)
    values[:5, :5] = np.repeat(np.float32([0.0, 0.3, 0.5, 0.7, 1.0])[:, None], 5, axis=1)
    truth = draw.random((31, 17)) < 0.4
    counts = count_pixels(values, truth)
    for index, threshold in enumerate(THRESHOLDS):
        shown = values >= np.float32(threshold)
        assert counts[:, index].tolist() == [shown.sum(), (shown & truth).sum()]


def test_a_difference_is_paired() -> None:
    first = random_masks(3)
    same = metric_difference(first, first, "seg_miou")
    assert (same.value, same.interval) == (0.0, (0.0, 0.0))
    nothing = dataclasses.replace(
        first, predicted=np.zeros_like(first.predicted), overlap=np.zeros_like(first.overlap)
    )
    worse = metric_difference(first, nothing, "seg_miou")
    both = localize(nothing).seg_miou.value - localize(first).seg_miou.value
    assert worse.value == pytest.approx(both)
    assert worse.interval[0] <= worse.value <= worse.interval[1] < 0
    for name in METRICS:
        told = metric_difference(nothing, first, name)
        expected = getattr(localize(first), name).value - getattr(localize(nothing), name).value
        assert told.value == pytest.approx(expected), name


def test_shares_of_images_never_collapse_to_a_point() -> None:
    told = localize(made([(5, 5, 5, True)] * 8))
    low, high = told.seg_recall.interval
    exact = binomtest(8, 8).proportion_ci(0.95, "exact")
    assert (low, high) == (pytest.approx(exact.low), 1.0)


def test_photographs_of_one_part_are_not_independent() -> None:
    masks = random_masks(5, count=400, groups=400)
    own = localize(masks).seg_miou.interval
    together = localize(dataclasses.replace(masks, codes=np.arange(400) // 100)).seg_miou.interval
    assert own[1] - own[0] < together[1] - together[0]


def test_many_groups_are_resampled_in_blocks_to_the_same_interval() -> None:
    masks = random_masks(11, count=4 * RATIO_BLOCKS, groups=4 * RATIO_BLOCKS)
    told = localize(masks)
    ious = masks.iou[~np.isnan(masks.iou)]
    error = 1.96 * ious.std() / math.sqrt(len(ious))
    low, high = told.seg_miou.interval
    assert high - low == pytest.approx(2 * error, rel=0.15)
    assert low < told.seg_miou.value < high


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.05, 0.2]))
def test_laws(seed: int, least: float) -> None:
    masks = random_masks(seed, count=24, groups=8)
    told = localize(masks, least)
    for name in METRICS:
        estimate = getattr(told, name)
        if not math.isnan(estimate.value):
            assert 0 <= estimate.value <= 1
        if not math.isnan(estimate.interval[0]):
            assert 0 <= estimate.interval[0] <= estimate.interval[1] <= 1
    if told.seg_recall.total:
        assert told.seg_recall_strict.hits <= told.seg_recall.hits
        assert sum(size.seg_recall.total for size in told.by_size) == told.seg_recall.total
        assert sum(size.seg_recall.hits for size in told.by_size) == told.seg_recall.hits
    # Another true negative changes no mIoU; the order of the images changes nothing at all.
    good = Masks(*(np.append(getattr(masks, f.name), 0) for f in dataclasses.fields(Masks)))
    good = dataclasses.replace(
        good, area=np.append(masks.area, 100), defective=np.append(masks.defective, False)
    )
    more = localize(good, least)
    for name in ("seg_miou", "pooled_miou", "seg_recall"):
        np.testing.assert_equal(getattr(more, name).value, getattr(told, name).value)
    turned = localize(masks.at(np.arange(24)[::-1]), least)
    for name in METRICS:
        assert getattr(turned, name).value == pytest.approx(getattr(told, name).value, nan_ok=True)


@given(st.integers(0, 2**32 - 1))
def test_masks_shrink_as_the_threshold_rises(seed: int) -> None:
    draw = np.random.default_rng(seed)
    values = draw.random((6, 5)).astype(np.float32)
    truth = draw.random((6, 5)) < 0.5
    counts = count_pixels(values, truth)
    assert (np.diff(counts, axis=1) <= 0).all()
    assert (counts[1] <= counts[0]).all()
    assert (counts[1] <= truth.sum()).all()


@pytest.mark.parametrize("groups", [12, 40, 2 * RATIO_BLOCKS])
def test_intervals_hold_what_they_promise(groups: int) -> None:
    """Photographs of one part alike: the true mean lies inside about 95 of 100 intervals."""
    draw = np.random.default_rng(groups)
    photos, times = 4, 200
    inside = 0
    for _ in range(times):
        quality = np.repeat(draw.beta(2, 2, groups), photos)  # of each part; mean one half
        true = np.full(groups * photos, 1000)
        overlap = draw.binomial(true, quality)
        masks = Masks(
            overlap, overlap, true, true * 10, true > 0, np.repeat(np.arange(groups), photos)
        )
        low, high = localize(masks).seg_miou.interval
        inside += low <= 0.5 <= high
    assert inside / times >= 0.91
    assert inside / times <= 0.995
