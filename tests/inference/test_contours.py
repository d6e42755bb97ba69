"""Contours traced in C are OpenCV's, point by point, whatever the mask looks like and however it lies in memory."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.polygons import contours, masks_to_polygons
from inference.polygons.contours import contours_of
from tests.compiling import complaints

needs_compiled = pytest.mark.skipif(
    contours.compiled is None, reason="the C loops are not built: there was no C compiler when reefline was installed"
)


def by_opencv(crops, offsets):
    kept, contours.compiled = contours.compiled, None
    try:
        return contours_of(crops, offsets)
    finally:
        contours.compiled = kept


@st.composite
def masks(draw):
    """Noise of any density, blocks, nested rings, thin lines; as bools or bytes; whole, a crop, mirrored or turned."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    height, width = rng.integers(1, rng.choice([4, 30, 150]), 2)
    mask = rng.random((height, width)) < rng.random()
    kind = rng.integers(4)
    if kind == 1:
        mask = np.repeat(np.repeat(mask, 3, axis=0), 3, axis=1)
    elif kind == 2:
        canvas = np.zeros((height, width), np.uint8)
        for radius in range(int(max(height, width)), 0, -int(rng.integers(1, 6))):
            cv2.circle(canvas, (int(width / 2), int(height / 2)), radius, int(rng.integers(2)), -1)
        mask = canvas > 0
    elif kind == 3:
        canvas = np.zeros((height, width), np.uint8)
        for _ in range(rng.integers(1, 9)):
            ends = rng.integers(-3, 150, (2, 2)).tolist()
            cv2.line(canvas, *ends, 1)
        mask = canvas > 0
    if rng.random() < 0.4:
        around = rng.random((mask.shape[0] + 40, mask.shape[1] + 70)) < 0.5
        around[13 : 13 + mask.shape[0], 31 : 31 + mask.shape[1]] = mask
        mask = around[13 : 13 + mask.shape[0], 31 : 31 + mask.shape[1]]
    turn = rng.integers(5)
    mask = [mask, mask[::-1], mask[:, ::-1], mask.T, mask][turn]
    return mask.view(np.uint8) if rng.random() < 0.7 else mask.astype(np.uint8) * np.uint8(rng.integers(1, 256))


@needs_compiled
@settings(max_examples=400)
@given(st.lists(masks(), max_size=3), st.integers(-3000, 3000))
def test_contours_are_opencvs_point_by_point(crops, offset):
    offsets = [(offset + k, 7 * k - offset) for k in range(len(crops))]
    found, expected = contours_of(crops, offsets), by_opencv([np.ascontiguousarray(crop) for crop in crops], offsets)
    for ours, theirs in zip(found, expected, strict=True):
        assert np.array_equal(ours, theirs)


@needs_compiled
def test_outlines_are_the_same_with_and_without_a_c_compiler(monkeypatch):
    rng = np.random.default_rng(0)
    crops = [cv2.GaussianBlur(rng.random((200, 260)), (0, 0), 6) > 0.5 for _ in range(3)]
    offsets = [(0, 0), (40, 9), (1000, 2000)]
    compiled = masks_to_polygons(crops, offsets)
    monkeypatch.setattr(contours, "compiled", None)
    plain = masks_to_polygons(crops, offsets)
    assert sum(map(len, compiled)) > 10
    for ours, theirs in zip(compiled, plain, strict=True):
        assert [o.ring.tolist() for o in ours] == [o.ring.tolist() for o in theirs]
        assert [[h.tolist() for h in o.holes] for o in ours] == [[h.tolist() for h in o.holes] for o in theirs]


@needs_compiled
def test_a_mask_of_many_borders_and_a_mask_of_none_follow_each_other():
    board = np.indices((90, 1001)).sum(axis=0) % 2 == 0
    board[::2] = True
    crops = [np.zeros((0, 5), bool), board, np.zeros((70, 70), bool), np.ones((1, 1), bool), np.zeros((5, 0), bool)]
    found = contours_of(crops, [(0, 0)] * len(crops))
    assert np.bincount(found.masks, minlength=len(crops)).tolist() == [0, 1 + 44 * 499, 0, 1, 0]
    assert (found.parents[1:-1] == 0).all()


@needs_compiled
@pytest.mark.parametrize(
    ("crops", "offsets"),
    [
        ([np.zeros((4, 4, 3), np.uint8)], np.zeros((1, 2), np.int32)),
        ([np.zeros((4, 4), np.int32)], np.zeros((1, 2), np.int32)),
        ([np.zeros((4, 4), np.uint8)], np.zeros((2, 2), np.int32)),
        ([np.zeros((4, 4), np.uint8), np.zeros(4, np.uint8)], np.zeros((2, 2), np.int32)),
    ],
)
def test_arrays_that_are_no_masks_are_refused(crops, offsets):
    with pytest.raises(ValueError, match="contours:"):
        contours.compiled.contours(crops, offsets)


def test_the_tracer_in_c_compiles_without_a_warning():
    assert complaints(Path(contours.__file__).with_name("_contours.c")) == ""
