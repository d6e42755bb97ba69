"""The lines outlines are made of: few points that stand for every pixel of a border, and bounds that hold."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from shapely.geometry import Polygon, box
from shapely.ops import unary_union

from inference.polygons import mask_to_polygons, masks_to_polygons, polygon_to_mask
from inference.polygons.borders import borders_of
from inference.polygons.chains import chains_of
from inference.polygons.simplify import fitted

small_masks = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9), elements=st.integers(0, 1)
)


@st.composite
def lobed(draw):
    """Coral-like masks of 40 to 160 px across, lobed and ragged, with a dead patch; cut off by the picture or not."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    side, angle = 200, np.linspace(0, 2 * np.pi, 180, endpoint=False)
    radius, centre = rng.uniform(20, 80), rng.uniform(60, 140, 2)
    r = 1 + draw(st.floats(0, 0.03)) * rng.standard_normal(180)
    for order in (2, 3, 7, 11):
        r += rng.uniform(0, 0.1) * np.cos(order * angle + rng.uniform(0, 6))
    mask = polygon_to_mask(
        centre + radius * r[:, None] * np.column_stack([np.cos(angle), np.sin(angle)]), [], side, side
    )
    cv2.circle(mask, tuple(int(v) for v in centre), int(radius / 3), 0, -1)
    return mask


def rings_of(lines):
    """The lines' points in pixels, without the repeated last one."""
    points = lines.points / 2
    return [points[a : b - 1] for a, b in zip(lines.starts[:-1], lines.starts[1:], strict=True)]


def pixels_inside(mask, hole):
    """The pixels of a filled part or of a hole, as one area."""
    return unary_union([box(x - 0.5, y - 0.5, x + 0.5, y + 0.5) for y, x in np.argwhere(mask == (not hole))])


@settings(max_examples=200)
@given(st.lists(small_masks, min_size=1, max_size=3))
def test_a_border_of_few_points_knows_the_pixels_inside_it(masks):
    offsets = [(7 * number, 100 - number) for number in range(len(masks))]
    few, every = borders_of(masks, offsets), chains_of(masks, offsets)
    assert np.array_equal(few.pixels, every.areas)
    assert np.array_equal(few.masks, every.masks)
    assert np.array_equal(few.parents, every.parents)
    assert np.array_equal(few.lines.target, every.twice_area)
    walked = [abs(Polygon(ring).area) if len(ring) > 2 else 0 for ring in rings_of(few.lines)]
    wide = few.pixels > 1
    assert (np.abs(walked - few.pixels)[wide] <= few.bent[wide] + 1e-9).all()


@settings(max_examples=150)
@given(small_masks)
def test_no_more_lies_between_a_border_and_the_pixel_edges_than_it_says(mask):
    parts, numbers = cv2.connectedComponents(mask, connectivity=8)
    for part in range(1, parts):
        own = (numbers == part).astype(np.uint8)
        borders = borders_of([own], [(0, 0)])
        rings = [Polygon(ring) for ring in rings_of(borders.lines) if len(ring) > 2]
        if len(rings) < len(borders.masks) or not all(ring.is_valid for ring in rings):
            continue  # one pixel, or pixels that touch at a corner
        outer = int(np.flatnonzero(borders.parents < 0)[0])
        holes = unary_union([ring for number, ring in enumerate(rings) if number != outer])
        lost = rings[outer].difference(holes).symmetric_difference(pixels_inside(own, hole=False)).area
        assert lost <= borders.bent.sum() + 1e-9


@settings(max_examples=80)
@given(lobed(), st.floats(0.3, 3))
def test_a_fitted_line_moves_over_no_more_than_it_says(mask, tolerance):
    lines = borders_of([mask], [(0, 0)]).lines
    points, begin, moved = fitted(lines, np.full(len(lines.closed), 2 * tolerance))
    for number, ring in enumerate(rings_of(lines)):
        found = points[begin[number] : begin[number + 1] - 1] / 2
        if len(found) < 3:
            continue
        before, after = Polygon(ring), Polygon(found)
        if before.is_valid and after.is_valid:
            assert before.symmetric_difference(after).area <= moved[number] / 4 + 1e-6
            assert after.hausdorff_distance(before) <= 2.5 * tolerance + 1


@settings(max_examples=60)
@given(lobed())
def test_a_lobed_colony_of_fewer_points_loses_little(mask):
    exact, simple = mask_to_polygons(mask, tolerance_px=0), mask_to_polygons(mask)
    assert [len(outline.holes) for outline in simple] == [len(outline.holes) for outline in exact]
    for fine, coarse in zip(exact, simple, strict=True):
        a, b = Polygon(fine.ring, fine.holes), Polygon(coarse.ring, coarse.holes)
        assert b.is_valid
        assert a.intersection(b).area >= 0.98 * a.union(b).area
        if a.area > 4000:
            assert len(coarse.ring) < 0.85 * len(fine.ring)  # a third for smooth ones, more the more ragged
            assert b.area == pytest.approx(a.area, rel=2e-3)


@settings(max_examples=40)
@given(lobed())
def test_an_outline_kept_within_its_picture_leaves_it_nowhere_and_loses_little(mask):
    height, width = mask.shape
    for outline in mask_to_polygons(mask):
        inside = outline.within(width, height)
        for ring in (inside.ring, *inside.holes):
            assert (ring >= -0.5).all()
            assert (ring <= (width - 0.5, height - 0.5)).all()
        whole, kept = (Polygon(one.ring, one.holes) for one in (outline, inside))
        assert kept.is_valid
        assert len(inside.holes) == len(outline.holes)
        assert kept.difference(whole).area < 1e-6
        assert whole.difference(kept).area <= 0.02 * whole.area


@given(lobed(), st.integers(0, 40_000), st.integers(0, 40_000))
def test_an_outline_is_the_same_wherever_its_colony_lies(mask, x, y):
    for here, there in zip(mask_to_polygons(mask), mask_to_polygons(mask, offset=(x, y)), strict=True):
        assert np.allclose(here.ring, there.ring - (x, y), atol=1e-6)
        assert len(here.holes) == len(there.holes)


def test_points_are_told_apart_in_pictures_far_larger_than_any_photo():
    y, x = np.mgrid[:200, :200]
    disc = ((x - 100) ** 2 + (y - 90) ** 2 < 80**2).astype(np.uint8)
    [[alone]] = masks_to_polygons([disc], [(0, 0)])
    [[near], [far]] = masks_to_polygons([disc, disc], [(0, 0), (900_000, 3)])
    for found, shift in ((near, (0, 0)), (far, (900_000, 3))):
        apart = Polygon(alone.ring).symmetric_difference(Polygon(found.ring - shift)).area
        assert apart < 0.01 * alone.area
        assert found.area == pytest.approx(disc.sum(), rel=1e-3)


@pytest.mark.parametrize(
    "boxes",
    [[np.s_[:, :]], [np.s_[10:60, 20:80]], [np.s_[0:50, 0:30]], [np.s_[10:60, 10:30], np.s_[40:60, 10:90]]],
    ids=["picture", "box", "corner", "angle"],
)
def test_boxes_keep_their_corners_exactly(boxes):
    mask = np.zeros((80, 100), np.uint8)
    for area in boxes:
        mask[area] = 1
    [outline] = mask_to_polygons(mask)
    assert outline.area == pytest.approx(mask.sum())
    assert len(outline.ring) == 4 if len(boxes) == 1 else 6
    assert np.allclose(outline.ring % 1, 0.5)


def test_what_no_simplified_outline_suits_keeps_its_pixel_edges():
    comb = np.zeros((21, 40), np.uint8)
    comb[:, ::2] = 1
    comb[10] = 1
    [outline] = mask_to_polygons(comb)
    assert outline.area == pytest.approx(comb.sum(), rel=1e-6)
    assert np.allclose(outline.ring % 1, 0.5)
    chess = np.indices((12, 12)).sum(axis=0) % 2
    [board] = mask_to_polygons(chess)
    assert np.abs(board.ring % 1 - 0.5).max() <= 1 / 64
    assert Polygon(board.ring, board.holes).is_valid


def test_masks_may_be_views_of_any_kind():
    y, x = np.mgrid[:70, :90]
    mask = ((x - 40) ** 2 / 2 + (y - 30) ** 2 < 25**2) & ((x - 45) ** 2 + (y - 30) ** 2 > 50)
    mask.flags.writeable = False
    for view in (mask[::-1], mask[:, ::-1], mask.T, mask[::2, 1::3], mask[5:60, 7:80], mask.astype(np.int64)):
        [expected] = mask_to_polygons(np.array(view, bool))
        [[found]] = masks_to_polygons([view], [(0, 0)])
        left, top = np.array(np.nonzero(view))[::-1].min(axis=1)
        assert np.allclose(found.ring, expected.ring)
        assert found.ring.min(axis=0) == pytest.approx([left - 0.5, top - 0.5], abs=1)
