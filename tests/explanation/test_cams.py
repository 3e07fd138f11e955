"""Heatmaps against the package grad-cam, and by hand."""

import numpy as np
import pytest
import pytorch_grad_cam as package
import torch
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection
from torch import Tensor

from tests.explanation.networks import FAMILIES, SIDE, TinyResNet, make
from trust_core.errors import SettingsError
from trust_core.explanation.cams import AGNOSTIC, SPECIFIC, by_powers, eigen
from trust_core.model.detector import Detector

PARITY = 1e-4  # of the largest value of the map

REFERENCES = {
    "gradcam": package.GradCAM,
    "hirescam": package.HiResCAM,
    "layercam": package.LayerCAM,
    "gradcam++": package.GradCAMPlusPlus,
    "xgradcam": package.XGradCAM,
}


def reference_map(form: str, detector: Detector, layer: str, pixels: Tensor, target) -> np.ndarray:
    """The package's map of a class, on the layer's grid, before any scaling."""
    part = detector.module.get_submodule(layer)
    with REFERENCES[form](model=detector.module, target_layers=[part]) as cam:
        outputs = cam.activations_and_grads(pixels.clone().requires_grad_())
        sum(target(output) for output in outputs).backward()
        activations = cam.activations_and_grads.activations[0].numpy()
        gradients = cam.activations_and_grads.gradients[0].numpy()
        targets = [target] * len(pixels)
        image = cam.get_cam_image(pixels, part, targets, activations, gradients, False)
    return np.maximum(image, 0)


def assert_parity(detector: Detector, pixels: Tensor, target) -> None:
    layer = detector.layers[0]
    response = detector.forward_with_gradients(pixels)
    for form in REFERENCES:
        make_map = SPECIFIC.find(form)
        seen = 0.0
        for sign in (1, -1):
            wanted = reference_map(form, detector, layer, pixels, lambda o, s=sign: s * target(o))
            ours = make_map(response.activations[layer], sign * response.gradients[layer]).numpy()
            assert ours.shape == wanted.shape == (len(pixels), *detector.grids[layer])
            largest = np.abs(wanted).max((1, 2), keepdims=True)
            assert (np.abs(ours - wanted) <= PARITY * largest).all(), form
            seen = max(seen, float(largest.max()))
        assert seen > 0, f"{form} is empty on both sides: nothing was compared"


@pytest.mark.parametrize("family", FAMILIES)
def test_specific_maps_equal_the_package(family: str):
    torch.manual_seed(3)
    detector = make(FAMILIES[family](2), side=SIDE)
    assert_parity(detector, torch.rand(3, 3, SIDE, SIDE), lambda out: out[1] - out[0])


@pytest.mark.parametrize("positive", ["defect", "good"])
def test_specific_maps_equal_the_package_for_one_output(positive: str):
    torch.manual_seed(4)
    detector = make(FAMILIES["resnet18"](1), outputs=1, side=SIDE, one_logit=positive)
    sign = 1 if positive == "defect" else -1
    assert_parity(detector, torch.rand(2, 3, SIDE, SIDE), lambda out: sign * out[0])


def test_specific_maps_equal_the_package_where_defective_is_the_first_output():
    torch.manual_seed(5)
    detector = make(TinyResNet(), defect_index=0)
    assert_parity(detector, torch.rand(2, 3, 32, 32), lambda out: out[0] - out[1])


def test_specific_maps_equal_the_package_on_an_earlier_layer():
    torch.manual_seed(6)
    detector = make(FAMILIES["resnet18"](2), side=(64, 96), layers=("layer2",))
    assert_parity(detector, torch.rand(2, 3, 64, 96), lambda out: out[1] - out[0])


def test_gradcam_is_hirescam_before_pooling_and_a_linear_layer():
    torch.manual_seed(7)
    detector = make(TinyResNet())
    response = detector.forward_with_gradients(torch.rand(4, 3, 32, 32))
    activations, gradients = (
        next(iter(r.values())) for r in (response.activations, response.gradients)
    )
    torch.testing.assert_close(
        SPECIFIC["gradcam"](activations, gradients), SPECIFIC["hirescam"](activations, gradients)
    )


A = torch.tensor([[[[1.0, 2.0], [0.0, 4.0]], [[3.0, 0.0], [1.0, 1.0]]]])
G = torch.tensor([[[[2.0, -2.0], [0.0, 4.0]], [[-1.0, -1.0], [1.0, -3.0]]]])
# mean G = (1, −1); G⊙A = [[2, −4], [0, 16]] and [[−3, 0], [1, −3]]


@pytest.mark.parametrize(
    ("form", "sign", "wanted"),
    [
        ("gradcam", 1, [[0, 2], [0, 3]]),
        ("gradcam", -1, [[2, 0], [1, 0]]),
        ("hirescam", 1, [[0, 0], [1, 13]]),
        ("hirescam", -1, [[1, 4], [0, 0]]),
        ("layercam", 1, [[2, 0], [1, 16]]),
        ("layercam", -1, [[3, 4], [0, 3]]),
        ("xgradcam", 1, [[2 - 3, 4], [-1, 8 - 1]]),  # weights 14/7 and −5/5
        ("xgradcam", -1, [[-2 + 3, -4], [1, -8 + 1]]),
    ],
)
def test_specific_maps_by_hand(form: str, sign: int, wanted: list[list[float]]):
    torch.testing.assert_close(
        SPECIFIC[form](A, sign * G)[0], torch.tensor(wanted).float().clamp(min=0)
    )


@pytest.mark.parametrize(
    ("form", "wanted"),
    [
        ("gradient", [[5, 4], [1, 19]]),
        ("activation", [[2, 1], [0.5, 2.5]]),
        ("norm", [[10**0.5, 2], [1, 17**0.5]]),
    ],
)
def test_agnostic_maps_by_hand(form: str, wanted: list[list[float]]):
    torch.testing.assert_close(AGNOSTIC[form](A, G)[0], torch.tensor(wanted).float())


@pytest.mark.parametrize("form", AGNOSTIC)
def test_agnostic_maps_are_the_same_for_both_classes(form: str):
    torch.manual_seed(8)
    activations, gradients = torch.rand(3, 5, 4, 4), torch.randn(3, 5, 4, 4)
    first, second = (AGNOSTIC[form](activations, s * gradients) for s in (1, -1))
    assert torch.equal(first, second)


@pytest.mark.parametrize("form", [*SPECIFIC, *AGNOSTIC])
def test_maps_of_an_image_do_not_depend_on_its_batch(form: str):
    torch.manual_seed(9)
    activations, gradients = torch.rand(5, 7, 6, 4), torch.randn(5, 7, 6, 4)
    make_map = {**SPECIFIC, **AGNOSTIC}[form]
    together = make_map(activations, gradients)
    alone = torch.cat(
        [make_map(a[None], g[None]) for a, g in zip(activations, gradients, strict=True)]
    )
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


GRAMS = {
    "cells are fewer": (3, 40, 4, 5),
    "channels are fewer": (3, 6, 5, 7),
    "equal": (3, 20, 4, 5),
}


@pytest.mark.parametrize("shape", GRAMS.values(), ids=GRAMS)
def test_eigen_is_the_packages_projection_up_to_its_sign(shape: tuple[int, ...]):
    torch.manual_seed(10)
    activations = torch.randn(shape).relu()
    ours = eigen(activations, activations).numpy()
    for image, wanted in zip(ours, get_2d_projection(activations.numpy()), strict=True):
        sign = np.sign((image * wanted).sum())
        np.testing.assert_allclose(image, sign * wanted, atol=PARITY * np.abs(wanted).max())


@pytest.mark.parametrize("shape", GRAMS.values(), ids=GRAMS)
def test_eigen_points_to_where_activations_are_large(shape: tuple[int, ...]):
    torch.manual_seed(11)
    for activations in (torch.randn(shape).relu(), -torch.rand(shape)):
        energy = (activations**2).sum(1).flatten(1).numpy()
        component = eigen(activations, activations).flatten(1).numpy()
        for first, second in zip(component, energy, strict=True):
            assert np.corrcoef(first, second)[0, 1] > 0


def test_eigen_is_the_same_from_either_gram_matrix():
    """Channels that are always zero change nothing but which of the two is smaller."""
    torch.manual_seed(12)
    activations = torch.rand(2, 6, 4, 4)
    padded = torch.cat([activations, torch.zeros(2, 30, 4, 4)], 1)
    torch.testing.assert_close(eigen(activations, activations), eigen(padded, padded))


def test_powers_of_gram_matrices_have_the_solvers_component():
    """What a GPU takes instead of the solver, at every scale; of zeros nothing."""
    torch.manual_seed(0)
    cells = torch.randn(6, 49, 80, dtype=torch.float64).relu()
    cells = cells - cells.mean(1, keepdim=True)
    gram = cells @ cells.transpose(1, 2) * torch.logspace(-30, 30, 6)[:, None, None]
    values, vectors = torch.linalg.eigh(gram)
    value, vector = by_powers(gram)
    torch.testing.assert_close(value, values[:, -1])
    agreement = (vector[:, :, 0] * vectors[:, :, -1]).sum(1).abs()
    torch.testing.assert_close(agreement, torch.ones_like(agreement), atol=1e-6, rtol=0)
    assert not any(part.any() for part in by_powers(torch.zeros(2, 5, 5, dtype=torch.float64)))


def test_eigen_of_constant_activations_is_exactly_constant():
    constant = torch.full((1, 3, 5, 5), 0.1)
    assert torch.equal(eigen(constant, constant), torch.zeros(1, 5, 5))


@pytest.mark.parametrize("shape", GRAMS.values(), ids=GRAMS)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_eigen_of_an_image_that_is_not_finite_spoils_only_its_own_map(shape, bad: float):
    torch.manual_seed(13)
    activations = torch.rand(shape)
    spoilt = activations.clone()
    spoilt[1, 2, 0, 1] = bad
    maps = eigen(spoilt, spoilt)
    assert maps[1].isnan().all()
    torch.testing.assert_close(maps[[0, 2]], eigen(activations, activations)[[0, 2]])


def test_an_unknown_map_is_refused_with_the_known_ones():
    with pytest.raises(SettingsError, match="no specific map 'cam'; choose from gradcam, hirescam"):
        SPECIFIC.find("cam")
    assert SPECIFIC.find("gradcam") is SPECIFIC["gradcam"]
