"""Masks and polygons: little is lost on the way, and nothing broken comes out."""

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Polygon

from inference.polygons import mask_to_polygons, polygon_to_mask


def iou(a, b):
    return (a & b).sum() / max(1, (a | b).sum())


def blob(seed, side=200):
    rng = np.random.default_rng(seed)
    field = cv2.GaussianBlur(rng.standard_normal((side, side)), (0, 0), 14)
    return (field > np.quantile(field, 0.6)).astype(np.uint8)


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_a_mask_comes_back_from_its_polygons(seed):
    mask = blob(seed)
    back = np.zeros_like(mask)
    for outline in mask_to_polygons(mask, tolerance_px=0.8, min_area_px=4):
        back |= polygon_to_mask(outline.ring, outline.holes, *mask.shape)
        assert len(outline.ring) >= 3
        assert Polygon(outline.ring, outline.holes).is_valid
    assert iou(mask, back) >= 0.95


def test_holes_are_kept():
    mask = np.zeros((100, 100), np.uint8)
    mask[10:90, 10:90] = 1
    mask[40:60, 40:60] = 0
    [outline] = mask_to_polygons(mask)
    assert len(outline.holes) == 1
    assert polygon_to_mask(outline.ring, outline.holes, 100, 100)[50, 50] == 0


def test_parts_come_largest_first_and_specks_are_dropped():
    mask = np.zeros((100, 100), np.uint8)
    mask[5:15, 5:15] = 1
    mask[30:80, 30:80] = 1
    mask[90, 90] = 1
    areas = [Polygon(o.ring).area for o in mask_to_polygons(mask)]
    assert len(areas) == 2
    assert areas[0] > areas[1]


def test_an_empty_mask_a_line_and_a_full_mask_are_no_error():
    assert mask_to_polygons(np.zeros((50, 50), np.uint8)) == []
    line = np.zeros((50, 50), np.uint8)
    line[20, 5:45] = 1
    assert mask_to_polygons(line) == []
    assert len(mask_to_polygons(np.ones((50, 50), np.uint8))) == 1
