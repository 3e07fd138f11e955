"""Places for the names of curves, worked out by hand."""

import numpy as np

from trust_core.figures.curve_names import NARROWEST, place_names

NONE = np.empty((0, 3))
STRAIGHT = np.linspace(0, 1, 50)


def test_a_lone_curve_has_its_name_close_by() -> None:
    (place,) = place_names([10], [(STRAIGHT, STRAIGHT)], NONE)
    assert abs(place.x - place.y) < 0.01  # a point of the curve
    assert np.hypot(place.right, place.up) < 40


def test_a_name_keeps_away_from_what_marks_can_cover() -> None:
    marks = np.stack((STRAIGHT, np.minimum(1, STRAIGHT + 0.6), STRAIGHT), axis=-1)
    (place,) = place_names([10], [(STRAIGHT, STRAIGHT)], marks)
    assert place.up > 0 or place.right < 0  # right of the curve they lie
    assert np.hypot(place.right, place.up) > 11


def test_of_curves_that_are_one_in_part_a_name_leads_to_where_they_are_apart() -> None:
    bent = np.where(STRAIGHT < 0.7, STRAIGHT, 0.7)
    places = place_names([5, 5], [(STRAIGHT, STRAIGHT), (STRAIGHT, bent)], NONE)
    assert min(place.x for place in places) > 0.7


def test_a_point_is_named_off_the_lines_through_it_and_inside_a_low_picture() -> None:
    point = np.full(2, 0.9)
    level = (STRAIGHT, np.full(50, 0.9))
    (place,) = place_names([3], [(point, point)], NONE, [level], height=100)
    assert (place.x, place.y) == (0.9, 0.9)
    assert place.up <= -13  # half a line of text below that line; above it there is no room


def test_where_nothing_is_free_every_curve_still_has_its_name_inside() -> None:
    many = [(STRAIGHT, np.full(50, height)) for height in np.linspace(0, 1, 60)]
    for place in place_names([24] * 60, many, NONE):
        start = place.x * NARROWEST + place.right
        end = start + np.copysign(24 * 7, place.right)
        assert min(start, end) >= -1
        assert max(start, end) <= NARROWEST + 1
