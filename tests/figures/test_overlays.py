"""Overlays, worked out by hand on a few pixels."""

import io

import numpy as np
from PIL import Image

from trust_core.figures import overlays
from trust_core.figures.overlays import CASING, UNSEEN, Outline
from trust_core.model.placement import WHOLE, spread

RED = ((0, 0, 0), (255, 0, 0))


def block(height: int, width: int, top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[top:bottom, left:right] = True
    return mask


def test_a_mask_keeps_its_cells_when_it_is_enlarged():
    mask = np.random.default_rng(0).random((64, 64)) > 0.5
    large = overlays.spread_mask(mask, WHOLE, (64 * 5, 64 * 5))
    np.testing.assert_array_equal(large[2::5, 2::5], mask)


def test_outside_what_was_seen_there_is_no_colour_and_less_light():
    box = (0.25, 0.25, 0.75, 0.75)
    laid = spread(np.ones((2, 2), np.float32), box, (4, 4))
    np.testing.assert_array_equal(laid > 0, block(4, 4, 1, 1, 3, 3))
    photo = Image.new("RGB", (4, 4), (200, 200, 200))
    grey = overlays.grey(photo, box)
    assert grey[1, 1].tolist() == [200, 200, 200]
    assert grey[0, 0].tolist() == [int(200 * UNSEEN)] * 3


def test_heat_is_clear_at_zero_and_full_at_the_end_of_the_scale():
    pixels = np.full((1, 4, 3), 100, np.uint8)
    share = np.array([[0.0, 0.5, 1.0, 7.0]], np.float32)
    hot = overlays.add_heat(pixels, share, RED, 0.8)[0]
    assert hot[0].tolist() == [100, 100, 100]
    # Half way: colour (128, 0, 0), opacity 0.4.
    np.testing.assert_allclose(hot[1], [100 + 0.4 * 28, 60, 60], atol=1.5)
    # The end: colour (255, 0, 0), opacity 0.8; beyond it nothing changes.
    np.testing.assert_allclose(hot[2], [20 + 204, 20, 20], atol=1)
    np.testing.assert_array_equal(hot[2], hot[3])
    np.testing.assert_array_equal(overlays.add_heat(pixels, share, RED, 0.0), pixels)


def test_edge_is_the_ring_of_a_mask_and_reaches_the_border_of_the_picture():
    mask = block(7, 7, 1, 1, 6, 6)
    ring = mask & ~block(7, 7, 2, 2, 5, 5)
    np.testing.assert_array_equal(overlays.edge(mask, 1), ring)
    np.testing.assert_array_equal(overlays.edge(mask, 2), mask & ~block(7, 7, 3, 3, 4, 4))
    whole = np.ones((4, 4), bool)
    np.testing.assert_array_equal(overlays.edge(whole, 1), whole & ~block(4, 4, 1, 1, 3, 3))
    assert not overlays.edge(np.zeros((4, 4), bool), 3).any()


def test_growing_takes_the_four_neighbours():
    point = block(5, 5, 2, 2, 3, 3)
    assert overlays.grown(point, 1).sum() == 5
    assert overlays.grown(point, 2).sum() == 13
    np.testing.assert_array_equal(overlays.grown(point, 0), point)


def test_outlines_leave_the_inside_alone_and_have_a_dark_rim():
    pixels = np.full((12, 12, 3), 50, np.uint8)
    mask = block(12, 12, 3, 3, 9, 9)
    drawn = overlays.add_outlines(pixels, [Outline(mask, (255, 255, 255))], 1)
    assert drawn[3, 5].tolist() == [255, 255, 255]
    assert drawn[2, 5].tolist() == list(CASING)
    assert drawn[5, 5].tolist() == [50, 50, 50]
    assert drawn[0, 0].tolist() == [50, 50, 50]
    assert (pixels == 50).all()


def test_an_outline_around_a_mask_covers_none_of_it():
    pixels = np.full((20, 20, 3), 50, np.uint8)
    mask = block(20, 20, 9, 9, 11, 11)
    drawn = overlays.add_outlines(pixels, [Outline(mask, (0, 255, 0), around=True)], 2)
    assert (drawn[mask] == 50).all()
    assert (drawn == (0, 255, 0)).all(2).any()


def test_a_dashed_line_has_gaps():
    mask = block(40, 40, 2, 2, 38, 38)
    pixels = np.zeros((40, 40, 3), np.uint8)
    line = (overlays.add_outlines(pixels, [Outline(mask, (9, 99, 9), dashed=True)], 1) == 99).any(2)
    assert 0.3 < line.sum() / overlays.edge(mask, 1).sum() < 0.7


def test_hatching_stays_within_what_both_masks_share():
    pixels = np.full((30, 30, 3), 50, np.uint8)
    mask = block(30, 30, 5, 5, 20, 20)
    drawn = overlays.add_hatching(pixels, mask)
    changed = (drawn != 50).any(2)
    assert changed.any()
    assert not (changed & ~mask).any()
    assert (drawn[mask] == 50).all(1).any(), "the photograph has to stay visible between the lines"


def test_pictures_are_jpeg_of_the_size_asked_for():
    picture = Image.open(io.BytesIO(overlays.as_jpeg(np.zeros((20, 30, 3), np.uint8))))
    assert (picture.format, picture.size) == ("JPEG", (30, 20))


def test_a_legend_begins_clear():
    gradient = overlays.css_gradient(RED)
    assert gradient.startswith("linear-gradient(90deg,rgba(0,0,0,0.00)")
    assert gradient.endswith("rgba(255,0,0,1.00))")
