"""Masks and polygons: little is lost on the way, and nothing broken comes out."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from shapely.geometry import Polygon, box
from shapely.ops import unary_union

from inference.polygons import mask_to_polygons, masks_to_polygons, polygon_crop, polygon_to_mask
from labels.raster import rasterise

small_masks = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9), elements=st.integers(0, 1)
)


@st.composite
def blobs(draw):
    """Smooth or ragged blobs with holes, bridges of one pixel and corner touches, up to the picture's border."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    side = draw(st.integers(8, 120))
    field = cv2.GaussianBlur(rng.standard_normal((side, side)), (0, 0), draw(st.floats(0.4, 10)))
    mask = field > np.quantile(field, draw(st.floats(0.2, 0.9)))
    if draw(st.booleans()):
        mask[side // 2] = True
    return mask.astype(np.uint8)


def geometry(outlines):
    return unary_union([Polygon(o.ring, o.holes) for o in outlines])


def painted(outlines, shape):
    mask = np.zeros(shape, np.uint8)
    for outline in outlines:
        mask |= polygon_to_mask(outline.ring, outline.holes, *shape)
    return mask


def iou(a, b):
    return (a & b).sum() / max(1, (a | b).sum())


def sound(outline):
    rings = [outline.ring, *outline.holes]
    return all(len(ring) >= 3 for ring in rings) and Polygon(outline.ring, outline.holes).is_valid


@settings(max_examples=150)
@given(small_masks)
def test_an_unsimplified_outline_runs_along_the_pixel_edges(mask):
    outlines = mask_to_polygons(mask, tolerance_px=0, min_area_px=1)
    pixels = unary_union([box(x - 0.5, y - 0.5, x + 0.5, y + 0.5) for y, x in np.argwhere(mask)])
    a, b, c, d = mask[:-1, :-1], mask[:-1, 1:], mask[1:, :-1], mask[1:, 1:]
    bridges = int(((a == d) & (b == c) & (a != b)).sum())  # each turns four edges by 1/128 px at one end
    assert geometry(outlines).symmetric_difference(pixels).area <= bridges * max(mask.shape) / 64 + 1e-9
    assert all(sound(outline) for outline in outlines)
    assert np.array_equal(painted(outlines, mask.shape), mask)
    parts, _ = cv2.connectedComponents(mask, connectivity=8)
    assert len(outlines) == parts - 1


def test_the_area_of_an_outline_is_the_number_of_its_pixels():
    mask = np.zeros((60, 60), np.uint8)
    mask[10:50, 5:55] = 1
    mask[20:30, 20:25] = 0
    [outline] = mask_to_polygons(mask, tolerance_px=0)
    assert outline.area == mask.sum()
    assert outline.ring.min(axis=0).tolist() == [4.5, 9.5]
    assert outline.ring.max(axis=0).tolist() == [54.5, 49.5]
    assert len(outline.ring) == len(outline.holes[0]) == 4


@settings(max_examples=150)
@given(blobs(), st.floats(0.3, 3))
def test_a_simplified_outline_keeps_its_mask_to_98_percent(mask, tolerance):
    outlines = mask_to_polygons(mask, tolerance_px=tolerance, min_area_px=1)
    assert all(sound(outline) for outline in outlines)
    assert iou(mask, painted(outlines, mask.shape)) >= 0.98
    exact, simple = geometry(mask_to_polygons(mask, tolerance_px=0, min_area_px=1)), geometry(outlines)
    assert exact.intersection(simple).area >= 0.98 * exact.union(simple).area
    assert simple.area == pytest.approx(mask.sum(), rel=0.02)


def test_simplifying_does_not_make_round_colonies_smaller():
    y, x = np.mgrid[:400, :400]
    ratios = [mask_to_polygons((x - 200) ** 2 + (y - 190) ** 2 < r * r)[0].area for r in range(20, 180, 8)]
    truth = [((x - 200) ** 2 + (y - 190) ** 2 < r * r).sum() for r in range(20, 180, 8)]
    assert np.allclose(ratios, truth, rtol=2e-3)


def test_few_points_are_left_of_a_large_outline():
    y, x = np.mgrid[:800, :800]
    [disc] = mask_to_polygons((x - 400) ** 2 + (y - 400) ** 2 < 350**2)
    assert len(disc.ring) < 80


@settings(max_examples=60)
@given(blobs())
def test_holes_are_kept(mask):
    expected = 0
    for outline in mask_to_polygons(mask, tolerance_px=0, min_area_px=12):
        expected += len(outline.holes)
    simple = mask_to_polygons(mask, min_area_px=12)
    assert sum(len(outline.holes) for outline in simple) == expected
    for outline in simple:
        for hole in outline.holes:
            assert Polygon(hole).area >= 11


def test_parts_come_largest_first_and_specks_are_dropped():
    mask = np.zeros((100, 100), np.uint8)
    mask[5:15, 5:15] = 1
    mask[30:80, 30:80] = 1
    mask[90, 90] = 1
    mask[50, 50] = 0
    found = mask_to_polygons(mask)
    assert [round(o.area) for o in found] == [2500, 100]
    assert found[0].holes == []


def test_pixels_that_touch_at_a_corner_stay_one_colony():
    mask = np.zeros((40, 40), np.uint8)
    mask[5:20, 5:20] = mask[20:35, 20:35] = 1
    for tolerance in (0, 1):
        [outline] = mask_to_polygons(mask, tolerance_px=tolerance)
        assert sound(outline)
        assert np.array_equal(polygon_to_mask(outline.ring, outline.holes, 40, 40), mask)


@pytest.mark.parametrize("line", [np.s_[20, 5:45], np.s_[5:45, 20], np.s_[20, :]])
def test_a_line_of_one_pixel_is_an_outline(line):
    mask = np.zeros((50, 50), np.uint8)
    mask[line] = 1
    [outline] = mask_to_polygons(mask)
    assert sound(outline)
    assert np.array_equal(polygon_to_mask(outline.ring, outline.holes, 50, 50), mask)


def test_empty_and_full_masks_are_no_error():
    assert mask_to_polygons(np.zeros((50, 50), np.uint8)) == []
    assert mask_to_polygons(np.zeros((0, 0), bool)) == []
    [full] = mask_to_polygons(np.full((50, 70), 255, np.uint8))
    assert full.area == pytest.approx(3500)
    assert [round(v, 1) for v in (*full.ring.min(axis=0), *full.ring.max(axis=0))] == [-0.5, -0.5, 69.5, 49.5]
    assert masks_to_polygons([], []) == []


@settings(max_examples=40)
@given(st.lists(blobs(), min_size=1, max_size=4), st.integers(0, 50))
def test_many_masks_at_once_give_what_each_gives_alone(masks, shift):
    together = masks_to_polygons(masks, [(shift * i, i) for i in range(len(masks))])
    for number, (mask, found) in enumerate(zip(masks, together, strict=True)):
        alone = mask_to_polygons(mask, offset=(shift * number, number))
        assert len(alone) == len(found)
        for a, b in zip(alone, found, strict=True):
            assert np.allclose(a.ring, b.ring)


@settings(max_examples=80)
@given(st.lists(st.tuples(st.floats(-5, 45), st.floats(-5, 45)), min_size=3, max_size=9))
def test_painting_takes_the_pixels_whose_centres_lie_inside(points):
    polygon = Polygon(points)
    if not polygon.is_valid or polygon.area < 1e-3:
        return
    centres = rasterise(polygon, 40, 40)
    ours = polygon_to_mask(points, [], 40, 40).astype(bool)
    edge = rasterise(polygon.boundary.buffer(1e-6), 40, 40)
    assert not ((centres != ours) & ~edge).any()


def test_polygons_with_a_common_border_never_share_a_pixel():
    left = [(2, 2), (10, 2), (14.5, 9), (10, 20), (2, 20)]
    right = [(10, 2), (30, 2), (30, 20), (10, 20), (14.5, 9)]
    a, b = (polygon_to_mask(ring, [], 32, 32) for ring in (left, right))
    assert (a & b).sum() == 0
    assert np.array_equal(a | b, polygon_to_mask([(2, 2), (30, 2), (30, 20), (2, 20)], [], 32, 32))


def test_a_polygon_outside_the_picture_paints_nothing():
    assert polygon_to_mask([(50, 50), (60, 50), (60, 60)], [], 20, 20).sum() == 0
    crop, left, top = polygon_crop([(-5.0, -5), (5, -5), (5, 5), (-5, 5)], [], (0, 0, 20, 20))
    assert (crop.sum(), left, top) == (25, 0, 0)
