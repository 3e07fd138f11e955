"""Other views: image and mask move together, thin defects stay, close-ups show the defect."""

import pytest
import torch

from trust_core.model.training import augmentation
from trust_core.model.training.augmentation import augmented, close_ups


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def spots(count: int, height: int = 32, width: int = 32, radius: int = 2):
    """Grey images with one bright square each, and masks of exactly these squares."""
    masks = torch.zeros(count, 1, height, width)
    for mask in masks:
        y, x = (int(torch.randint(8, side - 8, ())) for side in (height, width))
        mask[:, y - radius : y + radius + 1, x - radius : x + radius + 1] = 1
    return 0.2 + 0.6 * masks, masks


def centres(values: torch.Tensor) -> torch.Tensor:
    weights = values.flatten(1) / values.flatten(1).sum(1, keepdim=True)
    y, x = torch.meshgrid(*(torch.arange(side) for side in values.shape[2:]), indexing="ij")
    return torch.stack([weights @ y.flatten().float(), weights @ x.flatten().float()], dim=1)


@pytest.mark.parametrize("shape", [(32, 32), (32, 64)])
def test_image_and_mask_move_together(shape):
    pixels, masks = spots(24, *shape)
    moved, marked = augmented(pixels, masks)
    assert moved.shape == pixels.shape
    assert marked.shape == masks.shape
    assert set(marked.unique().tolist()) == {0.0, 1.0}
    assert moved.min() >= 0
    assert moved.max() <= 1
    bright = (moved - moved.flatten(1).min(1).values.view(-1, 1, 1, 1)).clamp(min=0) ** 3
    assert (centres(bright) - centres(marked)).abs().max() < 1
    assert (centres(marked) - centres(masks)).abs().max() > 3


def test_square_images_are_turned_and_others_only_flipped(monkeypatch):
    for name in ("SHIFT", "SCALE", "BRIGHTNESS", "CONTRAST"):
        monkeypatch.setattr(augmentation, name, 0)
    image = torch.arange(16.0).view(1, 1, 4, 4) / 16
    turned = [torch.rot90(image, k, (2, 3)) for k in range(4)]
    eight = [t for turn in turned for t in (turn, turn.flip(3))]
    seen = augmented(image.expand(200, -1, -1, -1), torch.zeros(200, 1, 4, 4))[0]
    which = torch.stack([(seen - view).abs().flatten(1).max(1).values < 1e-4 for view in eight])
    assert (which.sum(0) == 1).all()
    assert which.any(1).all()

    wide = torch.arange(8.0).view(1, 1, 2, 4) / 8
    four = [wide.flip(axes) for axes in ((), (2,), (3,), (2, 3))]
    seen = augmented(wide.expand(100, -1, -1, -1), torch.zeros(100, 1, 2, 4))[0]
    which = torch.stack([(seen - view).abs().flatten(1).max(1).values < 1e-4 for view in four])
    assert (which.sum(0) == 1).all()
    assert which.any(1).all()


def test_a_line_of_one_pixel_survives():
    masks = torch.zeros(40, 1, 32, 32)
    masks[:, :, 16, 4:28] = 1
    _, marked = augmented(masks, masks)
    assert (marked.flatten(1).sum(1) >= 20).all()


def test_light_changes_within_its_limits(monkeypatch):
    for name in ("SHIFT", "SCALE"):
        monkeypatch.setattr(augmentation, name, 0)
    grey = torch.full((200, 1, 4, 4), 0.5)
    lit = augmented(grey, torch.zeros(200, 1, 4, 4))[0].mean((1, 2, 3))
    assert 0.4 <= lit.min() < 0.43
    assert 0.57 < lit.max() <= 0.6


def test_close_ups_show_the_defect_and_cost_a_quarter():
    pixels, masks = spots(60, 64, 64)
    near, marked = close_ups(pixels, masks)
    assert near.shape == (60, 1, 32, 32)
    assert marked.flatten(1).any(1).all()
    assert torch.equal(near, 0.2 + 0.6 * marked)
    assert len(centres(marked).round().unique(dim=0)) > 20


def test_close_ups_of_good_parts_come_from_everywhere():
    place = torch.arange(64.0).view(1, 1, 64, 1).expand(100, 1, 64, 64)
    near, _ = close_ups(place, torch.zeros(100, 1, 64, 64))
    tops = near[:, 0, 0, 0]
    assert tops.min() == 0
    assert tops.max() == 32
    assert len(tops.unique()) > 15


def test_chance_comes_from_the_global_generator():
    pixels, masks = spots(4)
    views = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        views.append(augmented(pixels, masks)[0])
    assert torch.equal(views[0], views[1])
    assert not torch.equal(views[0], views[2])
