"""Evidence: every form against the plain formula, against each other, and at its edges."""

import math

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation
from torch import Tensor, nn

from tests.explanation.evidence.test_patch_gaussian import direct, random_patch_gaussian
from tests.explanation.networks import TinyResNet, make
from trust_core.errors import SettingsError, Stopped
from trust_core.explanation.evidence.forms import FORMS, Evidence, evidence, occlude_all
from trust_core.explanation.evidence.occlusion import (
    LAPLACE_K,
    LAPLACE_N,
    mean_over_windows,
)
from trust_core.explanation.evidence.patch_gaussian import PatchGaussian
from trust_core.model.detector import Detector
from trust_core.model.outputs import choose_convention
from trust_core.model.preprocessing import Preprocessing

SIDE, WINDOW, STRIDE, SAMPLES = 11, 3, 2, 4
EXACT = [  # on a linear network; p̄ is not linear in z, and blocks are not windows
    *("first-order", "second-order", "plug-in", "corrected-plug-in", "path")
]


def detector_of(module: nn.Module, side: int = SIDE, channels: str = "grey") -> Detector:
    """In double precision, without normalisation, one logit."""
    return Detector(
        module.double().eval(),
        Preprocessing((side, side), channels=channels),
        choose_convention(1, one_logit="defect"),
    )


def linear_network(channels: int = 1, side: int = SIDE) -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(channels, 3, 3, padding=1), nn.Flatten(), nn.Linear(3 * side**2, 1)
    )


def bent_network(side: int = SIDE) -> nn.Module:
    torch.manual_seed(4)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(6 * side**2, 1)
    )


def image(channels: int = 1, side: int = SIDE) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.rand(channels, side, side, dtype=torch.float64, generator=generator)


def unclipped(given: PatchGaussian) -> PatchGaussian:
    """The same Gaussian with draws that are never clipped."""
    far = np.full(given.channels, 1e9)
    return PatchGaussian(given.window, given.pad, given.mean, given.covariance, -far, far)


def ask(detector: Detector, pixels: Tensor, given: PatchGaussian, form: str, **more) -> Evidence:
    choices = {"window": WINDOW, "stride": STRIDE, "samples": SAMPLES} | more
    return evidence(detector, pixels, given, form, **choices)


def windows_of(found: Evidence) -> np.ndarray:
    return found.windows[:, 2]


@pytest.mark.parametrize("marginal", [False, True])
def test_prediction_difference_is_the_plain_formula_window_by_window(marginal):
    detector, pixels, given = detector_of(bent_network()), image(), random_patch_gaussian(WINDOW, 1)
    plain, noise = [], torch.Generator().manual_seed(5)
    places = [0, 2, 4, 6, 8]

    def corrected(p: float) -> float:
        return (p * LAPLACE_N + 1) / (LAPLACE_N + LAPLACE_K)

    def log_odds(p: float) -> float:
        return math.log2(corrected(p) / (1 - corrected(p)))

    for row in places:
        for column in places:
            mean, covariance = direct(given, pixels[0].numpy(), row, column, marginal)
            root = np.linalg.cholesky(covariance)
            total = 0.0
            for normal in torch.randn(SAMPLES, 1, WINDOW**2, generator=noise).double():
                drawn = mean.ravel() + root @ normal[0].numpy()
                other = pixels.clone()
                other[0, row : row + 3, column : column + 3] = torch.from_numpy(
                    np.clip(drawn, given.low[0], given.high[0]).reshape(3, 3)
                )
                total += float(detector.log_odds(other[None]).sigmoid())
            own = float(detector.log_odds(pixels[None]).sigmoid())
            plain.append([row, column, log_odds(own) - log_odds(total / SAMPLES)])
    found = ask(detector, pixels, given, "prediction-difference", seed=5, marginal=marginal)
    np.testing.assert_allclose(found.windows, plain, atol=1e-6)
    for row, column in ((0, 0), (3, 5), (10, 4)):  # a pixel: the mean over windows that cover it
        over = [b for r, c, b in plain if 0 <= row - r < 3 and 0 <= column - c < 3]
        assert found.bits[row, column] == pytest.approx(np.mean(over), abs=1e-6)
    assert found.forwards == 25 * SAMPLES + 2


def test_plug_in_is_captums_ablation_with_the_same_replacement():
    """Windows side by side: each is a feature, and its conditional mean is the baseline."""
    detector, pixels = detector_of(bent_network(12), 12), image(side=12)
    given = random_patch_gaussian(WINDOW, 1)
    baseline, features = pixels.clone(), torch.zeros(12, 12, dtype=torch.long)
    for number, (row, column) in enumerate(
        (r, c) for r in range(0, 12, 3) for c in range(0, 12, 3)
    ):
        place = (..., slice(row, row + 3), slice(column, column + 3))
        baseline[place] = torch.from_numpy(direct(given, pixels[0].numpy(), row, column)[0])
        features[place] = number
    expected = FeatureAblation(lambda x: detector.log_odds(x)).attribute(
        pixels[None], baselines=baseline[None], feature_mask=features[None, None]
    )
    found = ask(detector, pixels, given, "plug-in", stride=3)
    np.testing.assert_allclose(found.bits, expected[0, 0] / math.log(2), atol=1e-6)


@pytest.mark.parametrize("form", EXACT)
@pytest.mark.parametrize("channels", [1, 3])
def test_on_a_linear_network_forms_are_the_mean_over_draws(form, channels):
    """Draws in mirrored pairs have their mean exactly; no clipping, no Laplace."""
    network = linear_network(channels)
    detector = detector_of(network, channels="grey" if channels == 1 else "rgb")
    pixels, given = image(channels), unclipped(random_patch_gaussian(WINDOW, 1, channels))
    expected = []
    for row in range(0, 9, 2):
        for column in range(0, 9, 2):
            mean = np.stack(
                [
                    direct(
                        PatchGaussian(
                            3,
                            1,
                            *(
                                v[[c]]
                                for v in (given.mean, given.covariance, given.low, given.high)
                            ),
                        ),
                        pixels[c].numpy(),
                        row,
                        column,
                    )[0]
                    for c in range(channels)
                ]
            )
            noise = torch.randn(6, channels, 9, dtype=torch.float64)
            drawn = given.draw(
                torch.from_numpy(mean), torch.cat([noise, -noise]), (row, column), (SIDE, SIDE)
            )
            others = pixels.repeat(12, 1, 1, 1)
            others[..., row : row + 3, column : column + 3] = drawn
            differences = detector.log_odds(pixels[None]) - detector.log_odds(others)
            expected.append(float(differences.mean()) / math.log(2))
    found = ask(detector, pixels, given, form)
    np.testing.assert_allclose(windows_of(found), expected, atol=1e-5)
    assert found.total == pytest.approx(found.expected, abs=1e-5)


def test_prediction_difference_comes_to_the_same_on_a_linear_network_with_small_steps():
    network = linear_network()
    with torch.no_grad():
        network[2].weight *= 1e-3
    detector, given = detector_of(network), unclipped(random_patch_gaussian(WINDOW, 1))
    exact = windows_of(ask(detector, image(), given, "plug-in"))
    drawn = windows_of(ask(detector, image(), given, "prediction-difference", samples=400))
    assert np.abs(drawn - exact).max() < 0.1 * np.abs(exact).max()


def test_coarse_to_fine_ends_at_plug_in_where_it_looks_closely():
    detector, given = detector_of(bent_network(), SIDE), random_patch_gaussian(WINDOW, 1)
    fine = windows_of(ask(detector, image(), given, "plug-in", stride=1))
    found = ask(detector, image(), given, "coarse-to-fine", stride=1)
    coarse = windows_of(found)
    alike = np.isclose(fine, coarse, atol=1e-6)
    assert 10 <= alike.sum() < len(fine)
    assert found.forwards < len(fine)


@pytest.mark.parametrize("form", ["first-order", "plug-in", "path", "coarse-to-fine"])
def test_where_the_image_is_its_conditional_mean_there_is_no_evidence(form):
    """A Gaussian whose mean is the constant image: nothing differs from what is expected."""
    given = random_patch_gaussian(WINDOW, 1)
    flat = PatchGaussian(3, 1, np.full((1, 25), 0.5), given.covariance, given.low, given.high)
    found = ask(detector_of(bent_network()), torch.full((1, SIDE, SIDE), 0.5).double(), flat, form)
    np.testing.assert_allclose(found.bits, 0, atol=1e-12)
    assert found.expected == pytest.approx(0, abs=1e-12)


class _LeftHalf(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.fc = nn.Linear(4 * SIDE * 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv(x * (torch.arange(SIDE) < 4))[..., :4].tanh().flatten(1))


@pytest.mark.parametrize("form", [form for form in FORMS if form != "coarse-to-fine"])
def test_what_the_network_does_not_see_has_no_evidence(form):
    found = ask(detector_of(_LeftHalf()), image(), random_patch_gaussian(WINDOW, 1), form)
    assert np.abs(found.bits[:, 6:]).max() < 1e-12  # windows from column 4 on begin there
    assert np.abs(found.bits[:, :4]).min() > 0


def test_gradient_times_input_and_saliency_are_limits_of_the_first_order_form():
    detector, pixels = detector_of(bent_network()), image()
    gradient = (
        detector.forward_with_gradients(pixels[None], input_gradient=True)
        .input_gradient[0, 0]
        .numpy()
    )
    given = random_patch_gaussian(1, 1)
    times = ask(detector, pixels, given, "gradient-x-input", window=1, stride=1)
    np.testing.assert_allclose(times.bits, gradient * pixels[0].numpy() / math.log(2), atol=1e-6)
    plain = ask(detector, pixels, given, "saliency", window=1, stride=1)
    np.testing.assert_allclose(plain.bits, gradient / 255 / math.log(2), atol=1e-8)


def test_the_path_adds_up_to_the_log_odds_it_explains():
    """Side by side over the whole image: integrated gradients' completeness."""
    detector, pixels = (
        detector_of(nn.Sequential(*list(bent_network())[:3], nn.Linear(864, 1)), 12),
        image(side=12),
    )
    found = ask(detector, pixels, random_patch_gaussian(WINDOW, 1), "path", stride=3, samples=200)
    assert found.total == pytest.approx(found.expected, abs=1e-4)
    rough = ask(detector, pixels, random_patch_gaussian(WINDOW, 1), "first-order", stride=3)
    assert abs(rough.total - rough.expected) > 10 * abs(found.total - found.expected)


def test_second_order_forms_come_nearer_to_many_draws():
    """A network that answers to texture: x² of every pixel, where the mean has too little."""

    class Square(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x**2

    torch.manual_seed(0)
    linear = nn.Linear(2 * SIDE**2, 1)
    nn.init.uniform_(linear.weight, 0, 0.1)
    network = nn.Sequential(nn.Conv2d(1, 2, 1), Square(), nn.Flatten(), linear)
    detector, given = detector_of(network), unclipped(random_patch_gaussian(WINDOW, 1))
    reference = windows_of(
        ask(detector, image(), given, "prediction-difference", stride=3, samples=2000)
    )

    def off(form: str) -> float:
        found = windows_of(ask(detector, image(), given, form, stride=3, samples=400))
        return float(np.abs(found - reference).mean())

    assert off("corrected-plug-in") < 0.3 * off("plug-in")
    assert off("second-order") < 0.5 * off("first-order")


def test_a_grey_image_has_the_evidence_of_one_channel():
    """Shown as three equal channels it is neither counted three times nor replaced by colours."""
    torch.manual_seed(0)
    three, one = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(1, 4, 3, padding=1)
    with torch.no_grad():
        one.weight.copy_(three.weight.sum(1, keepdim=True))
        one.bias.copy_(three.bias)
    rest = nn.Sequential(nn.Tanh(), nn.Flatten(), nn.Linear(4 * SIDE**2, 1))
    grey = detector_of(nn.Sequential(one, rest))
    colour = detector_of(nn.Sequential(three, rest), channels="rgb")
    given = random_patch_gaussian(WINDOW, 1)
    thrice = PatchGaussian(
        3,
        1,
        *(np.repeat(v, 3, axis=0) for v in (given.mean, given.covariance, given.low, given.high)),
    )
    for form in FORMS:
        alone = ask(grey, image(), given, form)
        shown = ask(colour, image().expand(3, -1, -1), thrice, form)
        np.testing.assert_allclose(shown.bits, alone.bits, atol=1e-6)
        assert shown.expected == pytest.approx(alone.expected, abs=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_the_check_alone_is_the_check_that_comes_with_it(form):
    detector, given = detector_of(bent_network()), random_patch_gaussian(WINDOW, 1)
    whole = ask(detector, image(), given, form)
    alone = occlude_all(detector, image(), given, form, window=WINDOW, stride=STRIDE)
    assert alone == pytest.approx(whole.expected, abs=1e-12)
    assert whole.expected != 0


@pytest.mark.parametrize(
    ("form", "forwards", "backwards"),
    [
        ("first-order", 1, 1),
        ("second-order", 1 + 4, 1 + 4),
        ("plug-in", 25 + 1, 0),
        ("corrected-plug-in", 25 + 1 + 4, 4),
        ("path", 4, 4),
        ("prediction-difference", 25 * 4 + 1, 0),
    ],
)
def test_what_a_form_costs(form, forwards, backwards):
    detector, given = detector_of(bent_network()), random_patch_gaussian(WINDOW, 1)
    told: list[tuple[int, int]] = []
    found = ask(
        detector, image(), given, form, check=False, progress=lambda *state: told.append(state)
    )
    assert (found.forwards, found.backwards) == (forwards, backwards)
    assert math.isnan(found.expected)
    done, totals = zip(*told, strict=True)
    assert list(done) == sorted(done)
    assert set(totals) == {forwards}
    assert done[-1] == forwards
    checked = ask(detector, image(), given, form)
    assert checked.forwards == forwards + (2 if form == "path" else 1)


def test_a_pixel_is_the_mean_of_its_windows():
    found = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    spread_out = mean_over_windows(found, [0, 1], [0, 2], 2, (3, 4))
    expected = [[1, 1, 2, 2], [2, 2, 4, 4], [3, 3, 6, 6]]
    assert spread_out.tolist() == expected


def test_the_check_is_made_of_windows_that_do_not_overlap():
    """A linear network: the sum of some windows is what replacing all of them at once costs."""
    detector, given = detector_of(linear_network(side=14), 14), random_patch_gaussian(WINDOW, 1)
    found = ask(detector, image(side=14), given, "plug-in", stride=2)
    chosen = np.isin(found.windows[:, 0], [0, 4, 8, 11]) & np.isin(
        found.windows[:, 1], [0, 4, 8, 11]
    )
    assert found.total == pytest.approx(windows_of(found)[chosen].sum(), abs=1e-5)
    assert found.total == pytest.approx(found.expected, abs=1e-5)


def test_a_smaller_window_than_that_of_the_fit_is_cut_from_it():
    detector, given = detector_of(bent_network()), random_patch_gaussian(5, 1)
    cut = ask(detector, image(), given, "plug-in")
    fitted = ask(detector, image(), given.cut(WINDOW), "plug-in")
    assert np.array_equal(cut.bits, fitted.bits)


def test_the_same_seed_gives_the_same_evidence():
    detector, given = detector_of(bent_network()), random_patch_gaussian(WINDOW, 1)
    for form in ("prediction-difference", "second-order"):
        first, again, other = (ask(detector, image(), given, form, seed=s).bits for s in (0, 0, 1))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)


def test_a_stop_ends_it():
    detector, given = detector_of(bent_network()), random_patch_gaussian(WINDOW, 1)
    asked = iter([False, False, True])
    with pytest.raises(Stopped, match="stopped before it was complete"):
        ask(detector, image(), given, "prediction-difference", stride=1, stop=lambda: next(asked))


@pytest.mark.parametrize("outputs", [1, 2])
def test_two_outputs_and_odd_shapes(outputs):
    choice = {"one_logit": "defect"} if outputs == 1 else {}
    detector = make(TinyResNet(outputs), outputs=outputs, side=(40, 27), **choice)
    given = random_patch_gaussian(5, 2, channels=3)
    for form in FORMS:
        found = evidence(detector, torch.rand(3, 40, 27), given, form, window=5, samples=3)
        assert found.bits.shape == (40, 27)
        assert np.isfinite(found.bits).all()
        assert found.bits.dtype == np.float32


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"form": "shap"}, "There is no form of evidence 'shap'; choose from first-order"),
        ({"stride": 0}, "Stride 0: write a whole number from 1 to the window, 3"),
        ({"stride": 4}, "Stride 4: write a whole number from 1 to the window, 3"),
        ({"samples": 0}, "Samples 0: write a whole number, 1 or more"),
        ({"window": 4}, "Window 4: write a whole number of pixels from 1 to 3"),
    ],
)
def test_what_means_nothing_is_refused(choices, sentence):
    with pytest.raises(SettingsError, match=sentence):
        ask(
            detector_of(bent_network()),
            image(),
            random_patch_gaussian(3, 1),
            **({"form": "plug-in"} | choices),
        )


def test_a_window_larger_than_the_image_is_refused():
    with pytest.raises(
        SettingsError, match="Window 13 is larger than the network's input of 11x11"
    ):
        ask(
            detector_of(bent_network()), image(), random_patch_gaussian(13, 0), "plug-in", window=13
        )


def test_surroundings_of_other_channels_are_refused():
    with pytest.raises(SettingsError, match="fitted on images of 3 channels, this one has 1"):
        ask(detector_of(bent_network()), image(), random_patch_gaussian(3, 1, 3), "plug-in")
