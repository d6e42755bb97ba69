"""The quick proof that outlines are valid: it proves nothing wrong, and enough to be worth its while."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Polygon

from inference.polygons import masks_to_polygons, polygon_to_mask
from inference.polygons.crossings import CROWDED, surely_valid, valid

SQUARE = [(0, 0), (20, 0), (20, 20), (0, 20)]
HOLE = [(5, 5), (5, 9), (9, 9), (9, 5)]


@st.composite
def objects(draw):
    """Star-shaped rings, some with shuffled, rounded or repeated points, and holes that may lie anywhere."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    rough, shuffled, rounded = draw(st.floats(0, 0.9)), draw(st.booleans()), draw(st.booleans())
    found = []
    for _ in range(draw(st.integers(1, 5))):
        rings = []
        for hole in range(rng.integers(1, 4)):
            angle = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 40)))
            centre = rng.uniform(-6, 6, 2) if hole else np.zeros(2)
            radius = (3 if hole else 10) * rng.uniform(1 - rough, 1, len(angle))
            ring = centre + radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
            if shuffled and rng.random() < 0.3:
                ring = rng.permutation(ring)
            rings.append(np.round(ring) if rounded else ring)
        found.append(rings)
    return found


def laid_out(found):
    """Objects, each a list of rings, as the functions take them."""
    rings = [np.vstack([ring, ring[:1]]).astype(float) for parts in found for ring in parts]
    begin = np.cumsum([0, *map(len, rings)])
    return np.concatenate(rings), begin, np.cumsum([0, *map(len, found)])[:-1]


def true_validity(found):
    return np.array([Polygon(rings[0], rings[1:]).is_valid for rings in found])


@settings(max_examples=300)
@given(objects())
def test_what_is_proved_is_valid_and_the_rest_is_tested(found):
    truth, given_points = true_validity(found), laid_out(found)
    before = given_points[0].copy()
    assert not (surely_valid(*given_points) & ~truth).any()
    assert np.array_equal(valid(*given_points), truth)
    assert np.array_equal(given_points[0], before)


@pytest.mark.parametrize(
    "rings",
    [
        [[(0, 0), (10, 10), (10, 0), (0, 10)]],
        [[(0, 0), (10, 0), (10, 10), (5, 0), (0, 10)]],
        [[(0, 0), (10, 0), (15, 0), (10, 0), (10, 10)]],
        [[(0, 0), (10, 0), (10, 10), (4, 4), (0, 10), (4, 4)]],
        [[(0, 0), (10, 0), (5, 0)]],
        [[(0, 0), (0, 0), (10, 0), (10, 10), (10, 0)]],
        [SQUARE, [(x + 30, y) for x, y in HOLE]],
        [SQUARE, [(x + 13, y) for x, y in HOLE]],
        [SQUARE, [(2, 2), (2, 18), (18, 18), (18, 2)], HOLE],
        [HOLE, SQUARE],
        [SQUARE, HOLE, HOLE],
        [SQUARE, [(0, 5), (5, 8), (0, 11)]],
    ],
    ids="bow-tie touching spike eight flat back outside crossing nested swapped twice along-an-edge".split(),
)
def test_what_is_broken_is_found_in_any_company(rings):
    sound = [SQUARE, HOLE]
    assert surely_valid(*laid_out([sound])).all()
    for company in ([rings], [sound, rings], [rings, sound], [sound, rings, sound]):
        assert true_validity(company).tolist() == valid(*laid_out(company)).tolist()
        assert sum(valid(*laid_out(company))) == len(company) - 1


def test_rings_that_meet_at_a_point_are_left_to_the_exact_test():
    touching = [SQUARE, [(0, 5), (5, 3), (5, 8)]]
    assert surely_valid(*laid_out([touching, [SQUARE]])).tolist() == [False, True]
    assert valid(*laid_out([touching, [SQUARE]])).all()


def test_crowded_objects_are_tested_too():
    holes = [[(x + 3 * i, y) for x, y in ((1, 1), (1, 2), (2, 2))] for i in range(CROWDED + 4)]
    outer = [(0, 0), (100, 0), (100, 9), (0, 9)]
    comb = [(x, y) for i in range(0, 400, 4) for x, y in ((0, i), (500, i + 1), (500, i + 2), (0, i + 3))]
    combed = [*comb, (-5, 399), (-5, 0)]
    broken = [*comb, (250, 399), (250, 0)]
    found = [[outer, *holes], [outer, *holes, holes[3]], [SQUARE, HOLE], [combed], [broken]]
    assert valid(*laid_out(found)).tolist() == [True, False, True, True, False]


def test_few_outlines_of_colonies_need_the_exact_test():
    rng, angle = np.random.default_rng(7), np.linspace(0, 2 * np.pi, 180, endpoint=False)
    crops = []
    for _ in range(20):
        r = 1 + 0.02 * rng.standard_normal(180)
        for order in (2, 3, 7, 11):
            r += rng.uniform(0, 0.1) * np.cos(order * angle + rng.uniform(0, 6))
        ring = 100 + rng.uniform(20, 65) * r[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
        crops.append(polygon_to_mask(ring, [], 200, 200))
    traced = masks_to_polygons(crops, [(0, 0)] * len(crops))
    found = [[outline.ring, *outline.holes] for outlines in traced for outline in outlines]
    assert surely_valid(*laid_out(found)).mean() > 0.9
    assert shapely.is_valid([Polygon(rings[0], rings[1:]) for rings in found]).all()
