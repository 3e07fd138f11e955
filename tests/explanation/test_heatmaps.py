"""All maps of a batch by name, and how they are rounded for keeping."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.explanation.networks import TinyResNet, make
from trust_core.errors import SettingsError
from trust_core.explanation.cams import AGNOSTIC, SPECIFIC
from trust_core.explanation.heatmaps import heatmaps, round_maps
from trust_core.explanation.map_forms import check_forms, map_names


def test_names_are_plain_for_the_first_form_and_prefixed_for_further_ones():
    assert map_names(("gradcam",), ("gradient",)) == ("defect", "good", "gradient")
    assert map_names(("hirescam", "package-scorecam"), ("norm", "eigen")) == (
        "defect",
        "good",
        "package-scorecam_defect",
        "package-scorecam_good",
        "norm",
        "eigen",
    )


def test_heatmaps_are_the_maps_of_both_sides():
    torch.manual_seed(0)
    detector = make(TinyResNet())
    pixels = torch.rand(2, 3, 32, 32)
    response = detector.forward_with_gradients(pixels)
    layer = detector.layers[0]
    made = heatmaps(
        detector, pixels, response, layer, ("gradcam", "layercam"), ("norm", "package-gradcam")
    )
    a, g = response.activations[layer], response.gradients[layer]
    assert list(made) == [
        *("defect", "good", "layercam_defect", "layercam_good"),
        *("norm", "package-gradcam"),
    ]
    assert torch.equal(made["defect"], SPECIFIC["gradcam"](a, g))
    assert torch.equal(made["good"], SPECIFIC["gradcam"](a, -g))
    assert torch.equal(made["layercam_good"], SPECIFIC["layercam"](a, -g))
    assert torch.equal(made["norm"], AGNOSTIC["norm"](a, g))
    torch.testing.assert_close(made["package-gradcam"], made["defect"])


@pytest.mark.parametrize(
    ("specific", "agnostic", "sentence"),
    [
        ((), ("gradient",), "Name at least one specific map: gradcam"),
        (("gradcam",), (), "Name at least one agnostic map: gradient"),
        (("norm",), ("gradient",), "There is no specific map 'norm'; choose from gradcam"),
        (("gradcam",), ("gradcam",), "There is no agnostic map 'gradcam'; choose from gradient"),
        (("package-cam",), ("gradient",), "There is no map 'package-cam'"),
        (("gradcam",), ("package-randomcam",), "There is no map 'package-"),
    ],
)
def test_forms_that_do_not_exist_are_refused(specific, agnostic, sentence: str):
    with pytest.raises(SettingsError) as caught:
        check_forms(specific, agnostic)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("specific", [*SPECIFIC, "package-scorecam"])
@pytest.mark.parametrize("agnostic", [*AGNOSTIC, "package-eigencam"])
def test_forms_that_exist_are_taken(specific: str, agnostic: str):
    check_forms((specific,), (agnostic,))  # raises what it refuses
    assert map_names((specific,), (agnostic,)) == ("defect", "good", agnostic)


@given(
    hnp.arrays(np.float32, (3, 4, 5), elements=st.floats(-1, 1, width=32)),
    st.sampled_from([1e-36, 1e-12, 1.0, 1e12]),
)
def test_rounding_keeps_a_map_of_any_scale_to_half_precision(values: np.ndarray, scale: float):
    maps = torch.from_numpy(values) * scale
    half, divisor = round_maps(maps)
    assert half.dtype == torch.float16
    assert divisor.dtype == torch.float32
    assert half.abs().max() <= 1
    back = half.double() * divisor.double().view(-1, 1, 1)
    largest = maps.double().abs().amax((1, 2), keepdim=True)
    assert ((back - maps.double()).abs() <= 2**-11 * largest + 1e-45).all()


def test_an_all_zero_map_keeps_a_divisor_of_one():
    half, divisor = round_maps(torch.zeros(2, 3, 3))
    assert not half.any()
    assert divisor.tolist() == [1, 1]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_map_that_is_not_finite_stays_so(bad: float):
    maps = torch.rand(2, 3, 3)
    maps[1, 0, 0] = bad
    half, _ = round_maps(maps)
    assert half[0].isfinite().all()
    assert not half[1].isfinite().all()
