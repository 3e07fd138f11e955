"""Losses against numbers worked out by hand, and against segmentation_models_pytorch."""

import math

import pytest
import torch
from segmentation_models_pytorch.losses import DiceLoss

from trust_core.model.training.losses import dice_loss, label_loss, mask_loss

YES = math.log(3)  # p = 3/4


def test_label_loss_by_hand():
    z, y = torch.tensor([YES, -YES, 0.0]), torch.tensor([1, 1, 0])
    by_hand = (-math.log(0.75) - math.log(0.25) - math.log(0.5)) / 3
    assert label_loss(z, y).item() == pytest.approx(by_hand)


def test_dice_loss_by_hand():
    logits = torch.full((1, 1, 2, 2), YES)
    mask = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    by_hand = 1 - (2 * 0.75 + 1) / (3 + 1 + 1)
    assert dice_loss(logits, mask).item() == pytest.approx(by_hand)


def test_dice_of_each_image_is_that_of_segmentation_models_pytorch():
    torch.manual_seed(0)
    logits, masks = torch.randn(4, 1, 8, 6), (torch.rand(4, 1, 8, 6) > 0.7).float()
    theirs = DiceLoss("binary", smooth=0.5)  # theirs counts it on both sides of the fraction, twice
    each = [theirs(logits[i : i + 1], masks[i : i + 1]).item() for i in range(4)]
    assert dice_loss(logits, masks).item() == pytest.approx(sum(each) / 4, abs=1e-5)


def test_small_and_large_defects_weigh_alike():
    logits = torch.full((2, 1, 10, 10), 20.0)
    small, large = torch.zeros(1, 1, 10, 10), torch.ones(1, 1, 10, 10)
    small[..., 0, 0] = 1
    both = dice_loss(logits, torch.cat([small, large]))
    assert both.item() == pytest.approx((1 - 3 / 102) / 2, abs=1e-4)


def test_an_image_without_a_defect_has_no_dice():
    logits, masks = torch.full((1, 1, 2, 2), YES), torch.zeros(1, 1, 2, 2)
    known = torch.tensor([True])
    assert mask_loss(logits, masks, known).item() == pytest.approx(-math.log(0.25))
    assert mask_loss(-20 + 0 * logits, masks, known).item() == pytest.approx(0, abs=1e-6)


def test_an_unknown_place_teaches_nothing():
    logits = torch.randn(3, 1, 4, 4, requires_grad=True)
    masks = torch.ones(3, 1, 4, 4)
    known = torch.tensor([True, False, True])
    loss = mask_loss(logits, masks, known)
    assert loss.item() == pytest.approx(mask_loss(logits[known], masks[known], known[known]).item())
    loss.backward()
    assert not logits.grad[1].any()
    assert logits.grad[0].any()
    nothing = mask_loss(logits, masks, torch.zeros(3, dtype=torch.bool))
    assert nothing.item() == 0
    nothing.backward()
