"""What a window looks like from its surroundings: one convolution, and the Gaussian by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trust_core.errors import SettingsError, StoreError
from trust_core.explanation.evidence.audit_gaussian import load_patch_gaussian, save_patch_gaussian
from trust_core.explanation.evidence.patch_gaussian import (
    ROUNDING_VARIANCE,
    PatchGaussian,
    fit_patch_gaussian,
)

FLOAT = torch.float64


def random_patch_gaussian(window: int, pad: int, channels: int = 1, seed: int = 0) -> PatchGaussian:
    rng = np.random.default_rng(seed)
    pixels = (window + 2 * pad) ** 2
    mixing = rng.normal(size=(channels, pixels, pixels)) / pixels
    return PatchGaussian(
        window=window,
        pad=pad,
        mean=rng.random((channels, pixels)),
        covariance=mixing @ mixing.transpose(0, 2, 1) + 0.01 * np.eye(pixels),
        low=np.zeros(channels),
        high=np.ones(channels),
    )


def direct(given: PatchGaussian, image: np.ndarray, row: int, column: int, marginal: bool = False):
    """Mean and covariance of one window by the textbook, pixel for pixel; one channel."""
    k, pad = given.window, given.pad
    side = k + 2 * pad
    window, around, seen = [], [], []
    for place in range(side**2):
        i, j = row - pad + place // side, column - pad + place % side
        if row <= i < row + k and column <= j < column + k:
            window.append(place)
        elif 0 <= i < image.shape[0] and 0 <= j < image.shape[1] and not marginal:
            around.append(place)
            seen.append(image[i, j])
    mean, covariance = given.mean[0], given.covariance[0]
    across = covariance[np.ix_(window, around)]
    weights = across @ np.linalg.inv(covariance[np.ix_(around, around)])
    return (
        (mean[window] + weights @ (np.array(seen) - mean[around])).reshape(k, k),
        covariance[np.ix_(window, window)] - weights @ across.T,
    )


def means(given: PatchGaussian, image: torch.Tensor, rows, columns, **kwargs) -> np.ndarray:
    """Conditional means of a grid, (rows, columns, c, k, k)."""
    k = given.window
    found = np.full((len(rows), len(columns), len(image), k, k), np.nan)
    for block in given.blocks(image, rows, columns, **kwargs):
        assert list(rows[block.rows]) == list(range(*block.top.indices(10**6)))
        assert list(columns[block.columns]) == list(range(*block.left.indices(10**6)))
        for i, row in enumerate(rows[block.rows]):
            for j, column in enumerate(columns[block.columns]):
                window = image[:, row : row + k, column : column + k]
                found[block.rows.start + i, block.columns.start + j] = (
                    window - block.difference[..., i, j]
                )
    return found


def test_a_pixel_between_two_neighbours_by_hand():
    """x₁ given x₀ and x₂ of a chain with correlation ½: ⅖ of each neighbour's deviation."""
    covariance = np.eye(9)
    for i, j in ((3, 4), (4, 5)):
        covariance[i, j] = covariance[j, i] = 0.5
    covariance[3, 5] = covariance[5, 3] = 0.25
    given = PatchGaussian(1, 1, np.zeros((1, 9)), covariance[None], np.zeros(1), np.ones(1))
    image = torch.tensor([[[9, 9, 9], [1, 7, 3], [9, 9, 9]]], dtype=FLOAT)
    assert means(given, image, [1], [1]).item() == pytest.approx(0.4 * (1 + 3))
    assert means(given, image, [1], [0]).item() == pytest.approx(0.5 * 7)  # one neighbour only
    assert means(given, image, [1], [1], marginal=True).item() == 0
    assert given.case(1, 1, 1, 1).root.item() ** 2 == pytest.approx(0.6)


@settings(max_examples=40)
@given(
    st.integers(1, 3),
    st.integers(0, 2),
    st.integers(3, 9),
    st.integers(3, 9),
    st.integers(1, 3),
    st.booleans(),
    st.integers(0, 2**16),
)
def test_the_convolution_is_the_conditional_mean(window, pad, height, width, step, marginal, seed):
    given = random_patch_gaussian(window, pad, seed=seed)
    image = torch.from_numpy(np.random.default_rng(seed).random((1, height, width)))
    rows = sorted({*range(0, height - window + 1, step), height - window})
    columns = sorted({*range(0, width - window + 1, step), width - window})
    found = means(given, image, rows, columns, marginal=marginal)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            mean, _ = direct(given, image[0].numpy(), row, column, marginal)
            np.testing.assert_allclose(found[i, j, 0], mean, atol=1e-9)


def test_channels_have_gaussians_of_their_own():
    given = random_patch_gaussian(2, 1, channels=3)
    image = torch.rand(3, 6, 7, dtype=FLOAT)
    found = means(given, image, [0, 2, 4], [1, 3])
    for channel in range(3):
        alone = PatchGaussian(
            2, 1, given.mean[[channel]], given.covariance[[channel]], given.low[:1], given.high[:1]
        )
        expected = means(alone, image[[channel]], [0, 2, 4], [1, 3])
        np.testing.assert_allclose(found[:, :, [channel]], expected, atol=1e-12)


@pytest.mark.parametrize(("row", "column"), [(2, 2), (0, 2), (0, 0), (4, 4)])
def test_draws_have_the_conditional_mean_and_covariance(row, column):
    given = random_patch_gaussian(2, 1)
    given = PatchGaussian(2, 1, given.mean, given.covariance, np.array([-9.0]), np.array([9.0]))
    image = np.random.default_rng(1).random((6, 6))
    mean, covariance = direct(given, image, row, column)
    noise = torch.randn(40_000, 1, 4, dtype=FLOAT, generator=torch.Generator().manual_seed(0))
    drawn = (
        given.draw(torch.from_numpy(mean)[None], noise, (row, column), (6, 6))
        .numpy()
        .reshape(-1, 4)
    )
    np.testing.assert_allclose(drawn.mean(0), mean.ravel(), atol=0.005)
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.001)


def test_draws_stay_within_the_pixels_that_were_seen():
    given = random_patch_gaussian(2, 1, channels=3)
    given = PatchGaussian(2, 1, given.mean, given.covariance, np.full(3, 0.4), np.full(3, 0.6))
    drawn = given.draw(torch.full((3, 2, 2), 0.5), 9 * torch.randn(50, 3, 4), (1, 1), (5, 5))
    assert drawn.min() == pytest.approx(0.4)
    assert drawn.max() == pytest.approx(0.6)


def test_the_fit_is_that_of_its_patches():
    generator = torch.Generator().manual_seed(0)
    images = [torch.rand(3, *size, generator=generator) for size in ((9, 11), (20, 8))]
    found = fit_patch_gaussian(images, window=2, pad=1, patches=40_000)
    assert found.mean.shape == (3, 16)
    np.testing.assert_allclose(found.mean.mean(), np.mean([i.mean() for i in images]), atol=0.01)
    whole = torch.rand(3, 9, 9, generator=generator)
    alone = fit_patch_gaussian([whole], window=9, pad=0, patches=2)
    np.testing.assert_allclose(alone.mean, whole.flatten(1), rtol=1e-6)
    np.testing.assert_allclose(alone.low, whole.amin((1, 2)))
    np.testing.assert_allclose(alone.high, whole.amax((1, 2)))


def test_a_fit_learns_what_neighbours_have_in_common():
    noise = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.avg_pool2d(noise, (1, 2), 1)[0]  # neighbours share half
    found = fit_patch_gaussian([smooth], window=1, pad=1)
    correlation = found.covariance[0] / found.covariance[0, 4, 4]
    np.testing.assert_allclose(correlation[4, [3, 5, 1, 7]], [0.5, 0.5, 0, 0], atol=0.05)


def test_flat_images_have_a_regular_gaussian():
    found = fit_patch_gaussian([torch.full((1, 20, 20), 0.25)])
    np.testing.assert_allclose(found.covariance[0], ROUNDING_VARIANCE * np.eye(196), atol=1e-12)
    assert means(found, torch.full((1, 20, 20), 0.25), [5], [5]) == pytest.approx(0.25)


def test_the_same_seed_gives_the_same_fit():
    images = [torch.rand(1, 20, 20)]
    first, again, other = (fit_patch_gaussian(images, patches=50, seed=s) for s in (0, 0, 1))
    assert np.array_equal(first.covariance, again.covariance)
    assert not np.array_equal(first.covariance, other.covariance)


def test_a_smaller_window_is_the_same_gaussian_marginalised():
    given = random_patch_gaussian(4, 1)
    small = given.cut(2)
    inside = [
        7,
        8,
        9,
        10,
        13,
        14,
        15,
        16,
        19,
        20,
        21,
        22,
        25,
        26,
        27,
        28,
    ]  # rows and columns 1 to 4
    np.testing.assert_array_equal(small.mean, given.mean[:, inside])
    np.testing.assert_array_equal(small.covariance[0], given.covariance[0][np.ix_(inside, inside)])
    assert given.cut(4) is given


@pytest.mark.parametrize("window", [0, -1, 5])
def test_a_window_that_was_not_fitted_is_refused(window):
    with pytest.raises(SettingsError, match="write a whole number of pixels from 1 to 4"):
        random_patch_gaussian(4, 1).cut(window)


@pytest.mark.parametrize(("window", "sizes"), [(10, [(13, 40)]), (0, [(40, 40)]), (10, [])])
def test_a_fit_that_cannot_be_is_refused(window, sizes):
    with pytest.raises(SettingsError, match=f"Window {window} with 2 pixels around it does not"):
        fit_patch_gaussian([torch.zeros(1, *size) for size in sizes], window=window)


def test_what_is_saved_is_read_back(tmp_path):
    given = random_patch_gaussian(3, 1, channels=3)
    save_patch_gaussian(given, tmp_path / "evidence.npz")
    found = load_patch_gaussian(tmp_path / "evidence.npz")
    assert (found.window, found.pad, found.channels) == (3, 1, 3)
    np.testing.assert_allclose(found.covariance, given.covariance, rtol=1e-6)
    np.testing.assert_allclose(found.mean, given.mean, rtol=1e-6)
    assert list(tmp_path.iterdir()) == [tmp_path / "evidence.npz"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"\x93NUMPY no archive"])
def test_a_damaged_file_says_so(tmp_path, content):
    (tmp_path / "evidence.npz").write_bytes(content)
    with pytest.raises(StoreError, match=r"evidence\.npz is damaged; delete it"):
        load_patch_gaussian(tmp_path / "evidence.npz")


def test_a_file_without_its_arrays_says_so(tmp_path):
    np.savez(tmp_path / "evidence.npz", window=3)
    with pytest.raises(StoreError, match="is damaged"):
        load_patch_gaussian(tmp_path / "evidence.npz")


def test_grey_is_the_average_of_the_channels():
    given = random_patch_gaussian(2, 1, channels=3)
    np.testing.assert_allclose(given.grey.mean[0], given.mean.mean(0))
    assert given.grey.channels == 1
    assert given.grey.grey is given.grey
