"""Cells on the photograph: the preprocessing undone, for every way of resizing."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from trust_core.explanation.overlap import to_comparison_grid
from trust_core.model.placement import seen_box, spread
from trust_core.model.preprocessing import Preprocessing

WHOLE = (0.0, 0.0, 1.0, 1.0)


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_cells_are_spread_as_on_the_comparison_grid(height: int, width: int, seed: int):
    cells = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    want = to_comparison_grid(torch.from_numpy(cells)[None], 64)[0].numpy()
    np.testing.assert_allclose(spread(cells, WHOLE, (64, 64)), want, atol=1e-5)


def test_what_the_network_saw_of_a_photograph():
    assert seen_box((300, 100), (64, 64), "stretch") == WHOLE
    # crop:100 leaves a photograph of 200 x 100 as it is and cuts the middle 50 x 50 out of it.
    assert seen_box((200, 100), (50, 50), "crop:100") == (0.375, 0.25, 0.625, 0.75)
    # A letterbox sees all of 200 x 100, and as much again of filling above and below.
    assert seen_box((200, 100), (64, 64), "letterbox") == (0.0, -0.5, 1.0, 1.5)


@pytest.mark.parametrize("resize", ["stretch", "crop:40", "letterbox"])
@pytest.mark.parametrize("size", [(120, 80), (64, 64), (50, 90)])
def test_a_bright_spot_lies_where_the_network_saw_it(resize: str, size: tuple[int, int]):
    """Through the real preprocessing and back: the spot of the map lands on the photograph's."""
    photo = np.zeros((size[1], size[0]), np.uint8)
    row, column = size[1] * 3 // 5, size[0] * 2 // 5
    photo[row - 3 : row + 3, column - 3 : column + 3] = 255
    image = Image.fromarray(photo)
    seen = Preprocessing((32, 32), resize, mean=(0.0,)).pixels(image)[0].astype(np.float32)
    box = seen_box(size, (32, 32), resize)
    back = spread(seen, box, (size[1], size[0]))
    weights = back / back.sum()
    rows, columns = np.mgrid[: size[1], : size[0]]
    assert (weights * rows).sum() == pytest.approx(row - 0.5, abs=1.5)
    assert (weights * columns).sum() == pytest.approx(column - 0.5, abs=1.5)


def test_what_was_not_seen_holds_nothing():
    laid = spread(np.ones((2, 2), np.float32), (0.25, 0.25, 0.75, 0.75), (4, 4))
    want = np.zeros((4, 4))
    want[1:3, 1:3] = 1
    np.testing.assert_array_equal(laid, want)
