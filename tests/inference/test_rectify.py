"""Rectifying maps the frame's corners to the square's corners."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.rectify import rectify
from labels.transforms import Rectification

CORNERS = np.array([[60.0, 50], [330, 70], [345, 350], [45, 330]])


def _spotted(spots: np.ndarray, size: int = 400, radius: float = 4.0) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    picture = np.zeros((size, size))
    for sx, sy in spots:
        picture += np.exp(-((x - sx) ** 2 + (y - sy) ** 2) / (2 * radius**2))
    return np.repeat((picture.clip(0, 1) * 255).astype(np.uint8)[:, :, None], 3, axis=2)


def _centroid(picture: np.ndarray) -> np.ndarray:
    weight = picture[:, :, 0].astype(float)
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


@settings(max_examples=15, deadline=None)
@given(st.integers(90, 800), st.floats(0.2, 0.8), st.floats(0.2, 0.8))
def test_a_spot_lands_where_the_homography_says(side: int, u: float, v: float) -> None:
    transform = Rectification.from_corners(CORNERS, side, 50.0)
    target = np.array([[u, v]]) * (side - 1)
    raw = transform.to_raw(target)
    square = rectify(_spotted(raw), CORNERS, side)
    assert square.shape == (side, side, 3)
    # Shrinking or growing the picture must not shift it, not even by half a pixel.
    assert np.abs(_centroid(square) - target[0]).max() < 0.35


def test_fine_stripes_shrink_to_grey_instead_of_a_false_pattern() -> None:
    stripes = np.zeros((1200, 1200, 3), np.uint8)
    stripes[:, ::2] = 255
    square = rectify(stripes, [[0, 0], [1199, 0], [1199, 1199], [0, 1199]], 210)
    assert square[5:-5, 5:-5].std() < 6
    assert abs(square.mean() - 127) < 6


def test_a_square_frame_at_its_own_size_keeps_every_pixel() -> None:
    picture = np.random.default_rng(3).integers(0, 255, (80, 80, 3)).astype(np.uint8)
    square = rectify(picture, [[10, 10], [59, 10], [59, 59], [10, 59]], 50)
    assert np.array_equal(square, picture[10:60, 10:60])


def test_what_lies_outside_the_photo_is_black() -> None:
    white = np.full((100, 100, 3), 255, np.uint8)
    square = rectify(white, [[-50, 0], [99, 0], [99, 99], [-50, 99]], 150)
    assert square[:, :45].max() == 0
    assert square[5:-5, 60:].min() == 255


@pytest.mark.parametrize(
    ("corners", "side"),
    [(np.zeros((4, 2)), 100), (np.zeros((3, 2)), 100), (np.full((4, 2), np.nan), 100), (CORNERS, 1)],
)
def test_corners_that_span_nothing_are_refused_with_a_reason(corners: np.ndarray, side: int) -> None:
    with pytest.raises(ValueError, match=r"four finite corners|line|at least 2"):
        rectify(np.zeros((50, 50, 3), np.uint8), corners, side)


def test_large_photos_rectify_too() -> None:
    small = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (300, 300, 3)).astype(np.uint8), (0, 0), 3)
    large = cv2.resize(small, (3000, 3000), interpolation=cv2.INTER_CUBIC)
    corners = np.array([[30.0, 30], [270, 40], [260, 280], [20, 265]])
    a = rectify(small, corners, 200).astype(float)
    b = rectify(large, (corners + 0.5) * 10 - 0.5, 200).astype(float)
    assert np.abs(a - b).mean() < 1.5
