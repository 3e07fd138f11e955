"""Heatmaps from activations and their gradients: class-specific and class-agnostic.

Notation: `A` activations of the explanation layer and `G = ∂z/∂A`, both `(N, C, h, w)`, for `N`
images and `C` channels on the layer's grid `h, w`. Every map is a function `(A, G) -> (N, h, w)`,
raw: nothing here stretches or normalises, because a display scale is no property of a map.

The map for *defective* takes `G`, the map for *good* takes `−G`, so that networks with one output
have both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from trust_core.registry import Registry

if TYPE_CHECKING:  # takes seconds to load, and settings, forms and pages need names alone
    from torch import Tensor

MapFunction = Callable[["Tensor", "Tensor"], "Tensor"]

SPECIFIC: Registry[MapFunction] = Registry("specific map")
AGNOSTIC: Registry[MapFunction] = Registry("agnostic map")

GRADCAM_PLUS_PLUS_EPSILON = 1e-6  # the guards against division by zero of pytorch-grad-cam,
XGRADCAM_EPSILON = 1e-7  # kept so that both give the same map
SQUARINGS = 14  # the power 16,384: what that leaves of another component is below fp32's noise


def _weighted(weights: Tensor, activations: Tensor) -> Tensor:
    """Rectified sum over channels of `weights` `(N, C)` times `activations` `(N, C, h, w)`."""
    import torch

    return torch.einsum("nc,nchw->nhw", weights, activations).relu()


@SPECIFIC.register("gradcam")
def gradcam(activations: Tensor, gradients: Tensor) -> Tensor:
    """relu(Σ_c mean_hw(G_c)·A_c). Selvaraju et al., Grad-CAM, ICCV 2017, eq. 1 and 2."""
    return _weighted(gradients.mean((2, 3)), activations)


@SPECIFIC.register("hirescam")
def hirescam(activations: Tensor, gradients: Tensor) -> Tensor:
    """relu(Σ_c G_c⊙A_c). Draelos and Carin, HiResCAM, arXiv 2011.08891."""
    return (gradients * activations).sum(1).relu()


@SPECIFIC.register("layercam")
def layercam(activations: Tensor, gradients: Tensor) -> Tensor:
    """relu(Σ_c relu(G_c)⊙A_c). Jiang et al., LayerCAM, IEEE TIP 2021, eq. 6 to 8."""
    return (gradients.relu() * activations).sum(1).relu()


@SPECIFIC.register("gradcam++")
def gradcam_plus_plus(activations: Tensor, gradients: Tensor) -> Tensor:
    """Grad-CAM++ for an exponential score. Chattopadhyay et al., WACV 2018, eq. 19."""
    import torch

    squared = gradients**2
    share = squared / (
        2 * squared
        + activations.sum((2, 3), keepdim=True) * squared * gradients
        + GRADCAM_PLUS_PLUS_EPSILON
    )
    share = torch.where(gradients != 0, share, torch.zeros_like(share))
    return _weighted((gradients.relu() * share).sum((2, 3)), activations)


@SPECIFIC.register("xgradcam")
def xgradcam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Grad-CAM with weights Σ_hw G⊙A / Σ_hw A. Fu et al., XGrad-CAM, BMVC 2020, eq. 8."""
    total = activations.sum((2, 3)) + XGRADCAM_EPSILON
    return _weighted((gradients * activations).sum((2, 3)) / total, activations)


@AGNOSTIC.register("gradient")
def gradient(activations: Tensor, gradients: Tensor) -> Tensor:
    """Σ_c |G_c⊙A_c|: where anything speaks for either class (|−G| = |G|)."""
    return (gradients * activations).abs().sum(1)


@AGNOSTIC.register("activation")
def activation(activations: Tensor, gradients: Tensor) -> Tensor:
    """mean_c(A)."""
    return activations.mean(1)


@AGNOSTIC.register("norm")
def norm(activations: Tensor, gradients: Tensor) -> Tensor:
    """√Σ_c A_c²."""
    return activations.norm(dim=1)


@AGNOSTIC.register("eigen")
def eigen(activations: Tensor, gradients: Tensor) -> Tensor:
    """First principal component of the cells' channels. Muhammad and Yeasin, Eigen-CAM, 2020.

    Channels are centred over the cells. A principal component has no sign of its own: ours points
    so that it correlates positively with Σ_c A_c². It comes from the smaller of the two Gram
    matrices, cells × cells or channels × channels, decomposed in double precision. An image with an
    activation that is not finite has a map of NaN.
    """
    import torch

    _, channels, height, width = activations.shape
    cells = activations.flatten(2).transpose(1, 2)  # (N, h·w, C)
    centred = cells - cells[:, :1]  # first, so that what is constant becomes exactly 0
    centred = centred - centred.mean(1, keepdim=True)
    few = height * width <= channels
    gram = centred @ centred.transpose(1, 2) if few else centred.transpose(1, 2) @ centred
    finite = gram.isfinite().all(2).all(1).view(-1, 1, 1)
    # The solver refuses a whole batch for one NaN.
    value, vector = _leading(torch.where(finite, gram, 0.0).double())
    if few:
        component = vector[:, :, 0] * value[:, None].clamp(min=0).sqrt()
    else:
        component = (centred @ vector.to(centred.dtype)).squeeze(2).double()
    energy = torch.linalg.vector_norm(cells, dim=2).double() ** 2
    agreement = (component * (energy - energy.mean(1, keepdim=True))).sum(1, keepdim=True)
    component = torch.where(agreement < 0, -component, component)
    component = component.reshape(-1, height, width).to(activations.dtype)
    return torch.where(finite, component, torch.nan)


def _leading(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Largest eigenvalue `(N,)` and its vector `(N, n, 1)` of Gram matrices `(N, n, n)`."""
    import torch

    if matrices.device.type != "cpu":  # a GPU solves one matrix after the other, and is waited for
        return by_powers(matrices)
    values, vectors = torch.linalg.eigh(matrices)
    return values[:, -1], vectors[:, :, -1:]


def by_powers(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """First eigenvectors by squaring, of all matrices at once: `M^(2^k)/‖·‖` tends to `v·vᵀ`.

    `matrices` are `(N, n, n)` float64, symmetric, no eigenvalue below 0. Of a matrix of zeros both
    are 0.
    """
    import torch

    smallest = torch.finfo(matrices.dtype).tiny
    power = matrices
    for _ in range(SQUARINGS):
        power = power / torch.linalg.matrix_norm(power, keepdim=True).clamp(min=smallest)
        power = power @ power
    strongest = power.diagonal(dim1=1, dim2=2).argmax(1).view(-1, 1, 1)
    vector = power.take_along_dim(strongest, dim=2)
    vector = vector / torch.linalg.vector_norm(vector, dim=1, keepdim=True).clamp(min=smallest)
    value = (vector * (matrices @ vector)).sum((1, 2))
    return value, vector
