"""The map of a probe: by hand, and its sum for any activations."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trust_core.explanation.probe_map import probe_map
from trust_core.model.depths import pooled


def test_by_hand():
    """One channel, 2 x 2 cells 0, 0, 0, 4: mean 1, deviation √3, top 4."""
    maps = torch.tensor([[[0.0, 0.0], [0.0, 4.0]]])
    found = probe_map(maps, torch.tensor([2.0, 0.0, 0.0]), 0.0, 2.0)
    assert found.values.tolist() == [[0, 0], [0, 2]]
    assert (found.exact, found.explained) == (1.0, 1.0)
    # The slope of the deviation is (4 - 1) / (4·√3) at the last cell; times 4, that is √3.
    deviation = probe_map(maps, torch.tensor([0.0, 1.0, 0.0]), 0.0, 3**0.5)
    np.testing.assert_allclose(deviation.values, [[0, 0], [0, 3**0.5]], rtol=1e-6)
    assert deviation.exact == 0
    both = probe_map(maps, torch.tensor([1.0, 0.0, 1.0]), -1.0, 4.0)
    np.testing.assert_allclose(both.values, [[-0.25, -0.25], [-0.25, 4.75]])
    assert both.exact == pytest.approx(1 / 5)
    assert both.explained == pytest.approx(1)


@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 12), width=st.integers(1, 12))
def test_the_cells_add_up_to_the_score_whatever_the_activations(seed, height, width):
    draw = torch.Generator().manual_seed(seed)
    maps = torch.randn(5, height, width, generator=draw)
    maps[1] = 0  # a dead channel
    maps[2] = maps[2].relu()
    weights, offset = torch.randn(15, generator=draw), 0.7
    score = float(pooled(maps[None])[0].double() @ weights.double()) + offset
    found = probe_map(maps, weights, offset, score)
    assert found.values.sum() == pytest.approx(score, abs=1e-4)
    assert 0 <= found.exact <= 1


def test_it_is_activation_times_the_gradient_of_autograd():
    draw = torch.Generator().manual_seed(3)
    maps = torch.randn(4, 9, 11, generator=draw, dtype=torch.float64)
    weights = torch.randn(12, generator=draw, dtype=torch.float64)
    asked = maps.clone().requires_grad_()
    (pooled(asked[None])[0].double() @ weights).backward()
    wanted = (maps * asked.grad).sum(0)
    np.testing.assert_allclose(probe_map(maps, weights, 0.0, 1.0).values, wanted, atol=1e-5)
