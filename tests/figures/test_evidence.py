"""Signed evidence as pictures and as numbers for the cursor."""

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image

from trust_core.figures.evidence import (
    BOTH,
    DEFECT,
    GOOD,
    OPACITY,
    block_means,
    cells,
    css_signed,
    evidence_panel,
    evidence_pixels,
    one_side,
    scale_end,
)
from trust_core.figures.overlays import CASING, LINES, RAMPS
from trust_core.model.placement import WHOLE


def photo(side: int = 8) -> Image.Image:
    return Image.fromarray(np.full((side, side), 100, np.uint8))


def bits(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def read(values: str) -> list[int]:
    return np.frombuffer(base64.b64decode(values), "<i2").tolist()


@pytest.mark.parametrize("scale", [1.0, 0.0])  # 0: of images without any evidence
def test_nothing_is_clear(scale: float):
    pixels = evidence_pixels(photo(), WHOLE, np.zeros((8, 8), np.float32), scale)
    assert (pixels == 100).all()


def test_1_in_200_pixels_lies_beyond_the_scale():
    field = np.linspace(-1000, 0, 201, dtype=np.float32).reshape(3, 67)
    assert scale_end(field) == pytest.approx(995)
    assert scale_end(-field) == scale_end(field)


def test_the_ends_of_the_scale_are_the_ends_of_the_colours_and_beyond_is_no_more():
    field = np.zeros((8, 8), np.float32)
    field[:, 6:], field[0, :] = -2.0, -40.0
    pixels = evidence_pixels(photo(), WHOLE, field, 2.0)
    for end in (pixels[4, 7], pixels[0, 0]):
        want = OPACITY * np.array(RAMPS["good"][-1]) + (1 - OPACITY) * 100
        assert np.abs(end - want).max() <= 1
    assert (pixels[4, 0] == 100).all()


def test_for_and_against_have_the_same_opacity_at_the_same_strength():
    weak = 0.4 * np.ones((8, 8), np.float32)  # below the outline
    for side, sign in (("defect", 1), ("good", -1)):
        pixels = evidence_pixels(photo(), WHOLE, sign * weak, 1.0)
        level = round(0.4 * 255)
        ramp = np.array(
            [np.interp(level, (0, 127.5, 255), c) for c in zip(*RAMPS[side], strict=True)]
        )
        want = OPACITY * level / 255 * ramp + (1 - OPACITY * level / 255) * 100
        assert np.abs(pixels[4, 4] - want).max() <= 2


def test_what_is_strongly_for_defective_is_outlined_and_nothing_else():
    field = np.zeros((40, 40), np.float32)
    field[10:20, 10:20], field[25:35, 25:35] = 0.5, -1.0
    pixels = evidence_pixels(photo(40), WHOLE, field, 1.0)
    lines = (pixels == LINES["defect"]).all(2)
    assert lines[10, 10:20].all()
    assert not lines[20:].any()
    assert not (pixels == LINES["good"]).all(2).any()
    assert (pixels == CASING).all(2)[9, 12]


def test_what_the_network_did_not_see_has_no_colour():
    half = (0.0, 0.0, 0.5, 1.0)
    pixels = evidence_pixels(photo(), half, np.full((4, 4), -1.0, np.float32), 1.0)
    assert (pixels[:, 4:, 0] == pixels[:, 4:, 2]).all()
    assert (pixels[:, :4, 0] < pixels[:, :4, 2]).all()


def test_a_side_leaves_the_other_out_of_picture_and_numbers():
    field = bits([1.0, -1.0], [0.25, -0.5])
    assert one_side(field, BOTH) is field
    assert one_side(field, DEFECT).tolist() == [[1.0, 0.0], [0.25, 0.0]]
    assert one_side(field, GOOD).tolist() == [[0.0, -1.0], [0.0, -0.5]]
    _, numbers = evidence_panel(photo(), WHOLE, field, 1.0, GOOD)
    assert read(numbers.values) == [0, -32767, 0, pytest.approx(-16384, abs=1)]
    both, good = (evidence_panel(photo(), WHOLE, field, 1.0, side)[0] for side in (BOTH, GOOD))
    assert both != good


def test_numbers_are_those_of_the_evidence_row_by_row():
    field = bits([0.5, -0.25, 0.0], [1.0, -1.0, 0.125])
    numbers = cells(field)
    assert (numbers.rows, numbers.columns) == (2, 3)
    back = np.array(read(numbers.values)).reshape(2, 3) * numbers.step
    assert np.abs(back - field).max() <= 1 / 32767
    assert read(cells(np.zeros((2, 2), np.float32)).values) == [0, 0, 0, 0]


def test_a_large_field_is_carried_as_means_of_blocks():
    field = np.arange(12, dtype=np.float32).reshape(2, 6)
    assert block_means(field, 6) is field
    assert block_means(field, 3).tolist() == [[3.5, 5.5, 7.5]]
    ragged = np.arange(5, dtype=np.float32).reshape(1, 5)
    assert block_means(ragged, 3).tolist() == [[0.5, 2.5, 4.0]]


@given(rows=some.integers(1, 30), columns=some.integers(1, 30), largest=some.integers(1, 30))
def test_means_of_blocks_keep_a_constant_and_the_size(rows: int, columns: int, largest: int):
    small = block_means(np.full((rows, columns), 0.75, np.float32), largest)
    assert max(small.shape) <= largest
    assert np.allclose(small, 0.75)


def test_the_legend_runs_from_good_to_defective():
    good, defect = css_signed().split(" left ")
    assert good.startswith("linear-gradient(270deg,")
    assert "rgba(120,206,255" in good
    assert "rgba(255,196,84" in defect
