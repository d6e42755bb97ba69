"""Frames read from the corner network's maps: order, missing corners, two frames, frames cut off."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.corners.quads import at_corners, cut_sides, quads

CELLS, PHOTO = 64, (2400, 1600)


def _maps(*frames: np.ndarray, without: tuple[int, ...] = ()) -> np.ndarray:
    rows, columns = np.mgrid[:CELLS, :CELLS]
    maps = np.zeros((5, CELLS, CELLS), np.float32)
    for frame in frames:
        for k, (x, y) in enumerate(frame):
            if k not in without:
                maps[k] = np.maximum(maps[k], 0.9 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 1.2**2)))
        opening = np.zeros((CELLS, CELLS), np.uint8)
        cv2.fillPoly(opening, [np.round(frame).astype(np.int32)], 1)
        maps[4] = np.maximum(maps[4], opening)
    return maps


def _frame(x: float, y: float, width: float, height: float) -> np.ndarray:
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])


@given(x=st.floats(4, 12), y=st.floats(4, 12), jitter=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_a_frame_is_read_in_order_from_its_four_hills(x: float, y: float, jitter: int) -> None:
    frame = _frame(x, y, 30, 44) + np.random.default_rng(jitter).uniform(-1.5, 1.5, (4, 2))
    best, *others = quads(_maps(frame), PHOTO)
    assert np.hypot(*(best.corners - frame).T).max() < 0.25
    assert best.overlap > 0.85
    assert not others


@pytest.mark.parametrize("hidden", range(4))
def test_a_corner_that_is_hidden_is_completed_from_the_other_three(hidden: int) -> None:
    frame = _frame(10, 8, 30, 44)
    best = quads(_maps(frame, without=(hidden,)), PHOTO)[0]
    assert np.hypot(*(best.corners - frame).T).max() < 0.8
    assert best.heat[hidden] == 0
    assert best.heat.max() > 0.8


def test_two_corners_are_not_enough() -> None:
    assert quads(_maps(_frame(10, 8, 30, 44), without=(0, 2)), PHOTO) == []


def test_of_two_frames_both_are_read_the_larger_one_first() -> None:
    large, small = _frame(3, 6, 30, 44), _frame(40, 14, 18, 27)
    found = quads(_maps(large, small), PHOTO)
    assert len(found) == 2
    assert np.hypot(*(found[0].corners - large).T).max() < 0.5
    assert np.hypot(*(found[1].corners - small).T).max() < 0.5


@pytest.mark.parametrize(
    ("x", "y", "sides"), [(-14, 10, ["left"]), (46, 10, ["right"]), (20, -16, ["top"]), (48, 48, ["right", "bottom"])]
)
def test_the_border_that_cuts_an_opening_off_is_named(x: float, y: float, sides: list[str]) -> None:
    assert cut_sides(_maps(_frame(x, y, 30, 38))[4]) == sides
    assert cut_sides(_maps(_frame(12, 12, 30, 38))[4]) == []


def test_maps_say_how_well_they_agree_with_corners_found_otherwise() -> None:
    frame = _frame(10, 8, 30, 44)
    heat, away, overlap = at_corners(frame + 0.5, _maps(frame))
    assert heat.min() > 0.8
    assert away.max() < 1
    assert overlap > 0.9
    heat, away, overlap = at_corners(frame + 20, _maps(frame))
    assert heat.max() == 0
    assert overlap < 0.5
