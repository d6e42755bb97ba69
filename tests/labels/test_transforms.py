"""Homographies: there and back, exact on their points, refused where undefined; pixels to centimetres."""

import json

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from labels.transforms import Rectification, apply_homography, homography_from_points

_shift = st.tuples(st.floats(-0.15, 0.15), st.floats(-0.15, 0.15))
_side = st.integers(50, 6000)


@st.composite
def quadrats(draw):
    """Four corners of a frame photographed more or less from above, in pixels of the raw photo."""
    side = draw(_side)
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
    corners = square + np.array(draw(st.tuples(_shift, _shift, _shift, _shift)))
    angle = draw(st.floats(-3.1, 3.1))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return corners @ turn.T * side + np.array(draw(st.tuples(st.floats(0, 3000), st.floats(0, 3000))))


@given(quadrats(), st.integers(256, 4096), st.sampled_from([50.0, 100.0]))
def test_the_corners_of_the_frame_become_the_corners_of_the_square(corners, side, cm):
    warp = Rectification.from_corners(corners, side, cm)
    end = side - 1
    assert np.allclose(warp.to_rectified(corners), [[0, 0], [end, 0], [end, end], [0, end]], atol=1e-5)
    assert np.allclose(warp.to_cm([[end, end]]), [[cm, cm]])


@given(quadrats(), st.lists(st.tuples(st.floats(0, 1919), st.floats(0, 1919)), min_size=1, max_size=20))
def test_there_and_back_is_the_same_place(corners, points):
    warp = Rectification.from_corners(corners, 1920, 100)
    assert np.allclose(warp.to_rectified(warp.to_raw(points)), points, atol=1e-4)


@given(quadrats())
def test_plain_data_gives_the_same_transform(corners):
    warp = Rectification.from_corners(corners, 1920, 50)
    assert Rectification.from_json(json.loads(json.dumps(warp.to_json()))) == warp


@given(quadrats(), st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=12, unique=True))
def test_more_than_four_exact_pairs_give_the_same_homography(corners, more):
    true = homography_from_points([[0, 0], [1, 0], [1, 1], [0, 1]], corners)
    source = np.vstack([[[0, 0], [1, 0], [1, 1], [0, 1]], more])
    found = homography_from_points(source, apply_homography(true, source))
    assert np.allclose(apply_homography(found, more), apply_homography(true, more), atol=1e-4)


@pytest.mark.parametrize(
    "points",
    [
        [[0, 0], [1, 0], [1, 1]],
        [[0, 0], [1, 1], [2, 2], [3, 3]],
        [[5, 5]] * 4,
        [[0, 0], [1, 0], [2, 0], [0, 1]],
        [[0, 0], [0, 0], [1, 1], [0, 1]],
        [[0, 0], [float("nan"), 0], [1, 1], [0, 1]],
    ],
)
def test_points_on_a_line_or_too_few_are_refused(points):
    target = [[0, 0], [9, 0], [9, 9], [0, 9]][: len(points)]
    with pytest.raises(ValueError, match="homography"):
        homography_from_points(points, target)
    if len(points) == 4:
        with pytest.raises(ValueError, match="homography"):
            homography_from_points(target, points)


@given(st.tuples(st.floats(-100, 100), st.floats(-100, 100)), st.floats(0.01, 50))
def test_moving_and_scaling_is_found_exactly(move, scale):
    source = np.array([[0, 0], [10, 0], [10, 10], [0, 10], [3, 7]], float)
    target = source * scale + move
    assume(np.isfinite(target).all())
    expected = [[scale, 0, move[0]], [0, scale, move[1]], [0, 0, 1]]
    assert np.allclose(homography_from_points(source, target), expected, atol=1e-6)
