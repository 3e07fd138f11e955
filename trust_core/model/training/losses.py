"""Losses of training: of the decision and of the mask.

Notation: N images, H', W' grid of the mask.
"""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def label_loss(log_odds: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy of the decision, a scalar.

    `log_odds`, evidence for *defective*, and `labels`, 0 or 1, are (N,).
    """
    return binary_cross_entropy_with_logits(log_odds, labels.to(log_odds.dtype))


def mask_loss(logits: Tensor, masks: Tensor, known: Tensor) -> Tensor:
    """Binary cross-entropy over the pixels plus the Dice loss of each marked image, a scalar.

    Dice is taken image by image, so that a defect of fifty pixels counts as much as one of five
    thousand; an image with nothing to find has none, its pixels speak in the cross-entropy.

    `logits`, evidence for *defective*, and `masks`, 0 or 1, are (N, 1, H', W'). Where a defect's
    place is not `known`, (N,), the image is left out.
    """
    if not known.any():
        return logits.sum() * 0
    logits, masks = logits[known], masks[known].to(logits.dtype)
    entropy = binary_cross_entropy_with_logits(logits, masks)
    marked = masks.flatten(1).any(1)
    if not marked.any():
        return entropy
    return entropy + dice_loss(logits[marked], masks[marked])


def dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """1 − (2 Σ p·m + 1) / (Σ p + Σ m + 1) of each image, the mean over the images, a scalar.

    Milletari, Navab, Ahmadi, "V-Net" (2016), with p = sigmoid(logits) and sums over the pixels.
    """
    p, m = torch.sigmoid(logits).flatten(1), masks.flatten(1)
    overlap, total = (p * m).sum(1), p.sum(1) + m.sum(1)
    return (1 - (2 * overlap + 1) / (total + 1)).mean()
