"""Augmentation: views of the same surface that a camera could as well have seen.

All randomness is drawn from torch's global generator, which the training loop seeds at every step.

Notation: N images, c channels, H, W size.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

SHIFT = 0.06
SCALE = 0.1
BRIGHTNESS = 0.1
CONTRAST = 0.2
KEPT = 0.25  # a moved mask pixel counts when this much of it is defect: thin lines stay whole


def augmented(pixels: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Flips, quarter turns (of square images only), a small shift and scale; then the light.

    `pixels` are (N, c, H, W) in [0, 1], `masks` (N, 1, H, W), moved as their images are;
    both come back in the same shapes, their borders filled by reflection.
    """
    theta = _movements(len(pixels), square=pixels.shape[2] == pixels.shape[3])
    grid = affine_grid(theta, list(pixels.shape), align_corners=False)
    moved = grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)
    places = grid_sample(masks, grid, padding_mode="reflection", align_corners=False)
    return _relit(moved), (places >= KEPT).to(masks.dtype)


def close_ups(pixels: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Windows of half the height and width, which hold some of the defect where there is one.

    A marked pixel, or any pixel of an image without a mark, comes to lie in the middle half of its
    window, as far as the border allows.

    `pixels` are (N, c, H, W), `masks` (N, 1, H, W) 0 or 1; both come back at half the height and
    width.
    """
    count, _, height, width = pixels.shape
    chance = torch.rand(count, height * width)
    marked = masks.flatten(1) > 0
    place = torch.where(marked.any(1), (chance * marked).argmax(1), chance.argmax(1))
    size = torch.tensor([height // 2, width // 2])
    centre = torch.stack([place // width, place % width], dim=1)
    corner = centre - (size * (0.25 + 0.5 * torch.rand(count, 2))).long()
    corner = torch.minimum(corner.clamp(min=0), torch.tensor([height, width]) - size)
    windows = [
        (image[:, y : y + size[0], x : x + size[1]], mask[:, y : y + size[0], x : x + size[1]])
        for image, mask, (y, x) in zip(pixels, masks, corner.tolist(), strict=True)
    ]
    images, marks = zip(*windows, strict=True)
    return torch.stack(images), torch.stack(marks)


def _movements(count: int, *, square: bool) -> Tensor:
    """Affine maps (N, 2, 3) from the place in the new image to the place in the old one."""
    turns = torch.randint(4 if square else 1, (count,)) * (math.pi / 2)
    cosine, sine = turns.cos().round(), turns.sin().round()
    turned = torch.stack([cosine, -sine, sine, cosine], dim=1).view(-1, 2, 2)
    flips = torch.randint(2, (count, 2)) * 2.0 - 1
    zoom = 1 + SCALE * _uniform(count, 1)
    linear = turned * (flips * zoom)[:, None, :]
    return torch.cat([linear, 2 * SHIFT * _uniform(count, 2)[:, :, None]], dim=2)


def _relit(pixels: Tensor) -> Tensor:
    count = len(pixels)
    contrast = 1 + CONTRAST * _uniform(count, 1).view(-1, 1, 1, 1)
    brightness = BRIGHTNESS * _uniform(count, 1).view(-1, 1, 1, 1)
    middle = pixels.mean(dim=(1, 2, 3), keepdim=True)
    return ((pixels - middle) * contrast + middle + brightness).clamp(0, 1)


def _uniform(*shape: int) -> Tensor:
    """Evenly from −1 to 1."""
    return 2 * torch.rand(*shape) - 1
