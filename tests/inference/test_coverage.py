"""Label maps to polygons: neighbours share their border exactly, and every label keeps its ground."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import coverage_is_valid, union_all
from shapely.geometry import Polygon

from inference.polygons import labels_to_polygons, polygon_to_mask


@st.composite
def label_maps(draw):
    """Noise, or smooth regions with junctions, islands and enclaves."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    side, labels = draw(st.integers(2, 48)), draw(st.integers(2, 5))
    if draw(st.booleans()):
        return rng.integers(0, labels, (min(side, 14), side)).astype(np.int32)
    sigma = draw(st.floats(0.7, 8))
    fields = [cv2.GaussianBlur(rng.standard_normal((side, side)), (0, 0), sigma) for _ in range(labels)]
    return np.argmax(fields, axis=0).astype(np.int32)


def geometries(found):
    return {label: [Polygon(o.ring, o.holes) for o in outlines] for label, outlines in found.items()}


def painted(found, shape):
    back = np.zeros(shape, np.int32)
    for label, outlines in found.items():
        for outline in outlines:
            back += label * polygon_to_mask(outline.ring, outline.holes, *shape)
    return back


@settings(max_examples=40, deadline=None)
@given(label_maps(), st.sampled_from([0.0, 0.5, 1.0, 2.0]))
def test_neighbours_have_neither_gap_nor_overlap(labels, tolerance):
    found = labels_to_polygons(labels, tolerance_px=tolerance, min_area_px=1)
    shapes = geometries(found)
    assert set(shapes) == set(np.unique(labels)) - {0}
    every = [shape for parts in shapes.values() for shape in parts]
    assert all(shape.is_valid for shape in every)
    assert coverage_is_valid(every)
    back = painted(found, labels.shape)
    if tolerance == 0:
        assert np.array_equal(back, labels)
    for label, parts in shapes.items():
        mask = labels == label
        assert sum(part.area for part in parts) == pytest.approx(mask.sum(), rel=0.02)
        assert ((back == label) & mask).sum() >= 0.98 * ((back == label) | mask).sum()


def test_a_full_map_leaves_no_ground_uncovered():
    y, x = np.mgrid[:90, :120]
    labels = 1 + (np.hypot(x - 50, y - 40) < 30) + 2 * (np.hypot(x - 80, y - 50) < 25) + (x > 100)
    shapes = [shape for parts in geometries(labels_to_polygons(labels)).values() for shape in parts]
    assert union_all(shapes).area == pytest.approx(90 * 120, rel=1e-3)
    assert sum(shape.area for shape in shapes) == pytest.approx(union_all(shapes).area, rel=1e-9)


def test_an_enclave_fills_the_hole_around_it_exactly():
    labels = np.zeros((60, 60), np.int32)
    labels[5:55, 5:55] = 1
    cv2.circle(labels, (30, 30), 12, 2, -1)
    found = geometries(labels_to_polygons(labels))
    [outer], [inner] = found[1], found[2]
    assert len(outer.interiors) == 1
    assert Polygon(outer.interiors[0]).symmetric_difference(inner).area < 1e-9


def test_parts_of_a_label_that_touch_at_a_corner_are_outlines_of_their_own():
    labels = np.full((20, 20), 2, np.int32)
    labels[:10, :10] = labels[10:, 10:] = 1
    found = geometries(labels_to_polygons(labels))
    assert [len(found[1]), len(found[2])] == [2, 2]
    assert coverage_is_valid([*found[1], *found[2]])


def test_specks_are_dropped_and_an_empty_map_is_no_error():
    labels = np.zeros((40, 40), np.int32)
    labels[5:30, 5:30] = 7
    labels[10, 10] = 3
    found = labels_to_polygons(labels)
    assert list(found) == [7]
    assert found[7][0].area == pytest.approx(25 * 25)
    assert labels_to_polygons(np.zeros((9, 9), np.int32)) == {}
