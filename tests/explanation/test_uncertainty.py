"""What the answers say of their own doubt, against the same by hand."""

import math

import numpy as np
import pytest
import torch

from tests.small import SIDE, small_detector
from trust_core.explanation.uncertainty import flip_deviation, uncertainty_scores

torch.manual_seed(3)
PIXELS = torch.rand(5, 3, SIDE, SIDE)
GREY = torch.rand(5, 1, SIDE, SIDE).expand(-1, 3, -1, -1).contiguous()


def test_two_outputs_by_hand():
    detector = small_detector()
    response = detector.forward_with_gradients(PIXELS, input_gradient=True)
    found = uncertainty_scores(PIXELS, response)
    for logits, largest, energy in zip(
        response.logits.tolist(), found["max_logit"], found["energy"], strict=True
    ):
        assert largest == pytest.approx(max(logits))
        assert energy == pytest.approx(-np.logaddexp(*logits), rel=1e-6)
    x = PIXELS.clone().requires_grad_()
    logits = detector.module((x - 0.5) / 0.25)
    slope = torch.autograd.grad((logits[:, 1] - logits[:, 0]).sum(), x)[0]
    np.testing.assert_allclose(found["gradient_norm"], slope.flatten(1).norm(dim=1), rtol=1e-4)
    assert np.isnan(found["tta_spread"]).all()


def test_a_grey_image_has_one_derivative_a_pixel():
    response = small_detector().forward_with_gradients(GREY, input_gradient=True)
    summed = response.input_gradient.double().sum(1).flatten(1).norm(dim=1) * math.sqrt(3)
    np.testing.assert_allclose(
        uncertainty_scores(GREY, response)["gradient_norm"], summed, rtol=1e-6
    )


def test_with_one_output_only_the_gradient_is_news():
    found = uncertainty_scores(
        PIXELS, small_detector(1).forward_with_gradients(PIXELS, input_gradient=True)
    )
    assert np.isnan(found["max_logit"]).all()
    assert np.isnan(found["energy"]).all()
    assert np.isfinite(found["gradient_norm"]).all()


def test_without_a_gradient_its_norm_is_unknown():
    found = uncertainty_scores(PIXELS, small_detector().forward_with_gradients(PIXELS))
    assert np.isnan(found["gradient_norm"]).all()
    assert np.isfinite(found["energy"]).all()


def test_flip_spread_by_hand():
    detector = small_detector()
    views = [PIXELS, PIXELS.flip(3), PIXELS.flip(2), PIXELS.flip(2).flip(3)]
    answers = np.stack([detector.log_odds(view).numpy() for view in views])
    np.testing.assert_allclose(flip_deviation(detector, PIXELS), answers.std(0), rtol=1e-4)
    same = torch.full((1, 3, SIDE, SIDE), 0.4)
    assert flip_deviation(detector, same) == pytest.approx(0, abs=1e-4)
