"""Pixels by spans are the COCO tools' pixels, and moves are GEOS' distances, for whatever people and models draw."""

from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from analytics.quality import loops, moves, spans
from analytics.quality.moves import moved_px
from analytics.quality.overlap import outline_iou, outlines_of
from analytics.quality.runs import iou, runs_of
from analytics.quality.spans import iou_of, spans_of
from labels.formats.rle import encode_rle
from labels.schema import Kind, Shape
from tests.compiling import complaints

SCALES = (1, 3, 12, 60, 900)
STEPS = (1, 0.5, 0.2, 0.1, 0.05, 1e-6)
"""Corners on a grid bring about ties, which roundings decide."""


@st.composite
def pictures(draw):
    """A small picture with rings of every sort: tiny, huge, outside, flat, self-crossing, with corners twice."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = rng.integers(1, 40, 2)
    return [ring(rng, size) for _ in range(rng.integers(2, 9))], *size.tolist()


def ring(rng, size):
    middle = size / 2 * rng.integers(-1, 3, 2)
    step = rng.choice(STEPS)
    corners = np.round((middle + rng.normal(0, rng.choice(SCALES), (rng.integers(3, 10), 2))) / step) * step
    if rng.random() < 0.2:
        corners[rng.integers(len(corners))] = corners[0]
    if rng.random() < 0.1:
        corners[:, rng.integers(2)] = corners[0, 0]
    return corners.astype(np.float32 if rng.random() < 0.3 else float).astype(float).ravel()


def found_by_spans(rings, width, height):
    return spans_of(np.concatenate(rings), np.array([len(r) for r in rings]), width, height)


def painted(found, number, width, height):
    """How often each pixel is covered."""
    mask, first, slot = np.zeros((height, width), int), found.rings.first[number], found.rings.slot
    for column, place in enumerate(range(slot[number], slot[number + 1]), first):
        for k in range(found.span[place], found.span[place + 1]):
            mask[found.top[k] : found.bottom[k], column] += 1
    return mask


@settings(max_examples=150)
@given(pictures())
def test_spans_cover_the_pixels_of_pycocotools(picture):
    rings, width, height = picture
    theirs = coco_mask.frPyObjects([(r + 0.5).tolist() for r in rings], height, width)
    found = found_by_spans(rings, width, height)
    for number, runs in enumerate(theirs):
        assert (painted(found, number, width, height) == coco_mask.decode(runs)).all(), rings[number].tolist()
    assert (found.areas == coco_mask.area(theirs)).all()
    for ds in (1, len(rings) - 1):
        expected = np.asarray(coco_mask.iou(theirs[:ds], theirs[ds:], [0] * (len(rings) - ds)))
        assert (iou_of(found, ds) == expected).all()


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_spans_cover_as_many_pixels_in_large_pictures(seed):
    rng = np.random.default_rng(seed)
    width, height = rng.integers(3000, 9000, 2).tolist()
    rings = [rng.uniform(-20_000, 30_000, (rng.integers(3, 8), 2)).ravel() for _ in range(2)]
    rings += [np.round(r / 50) * 50 for r in rings]
    theirs = coco_mask.frPyObjects([(r + 0.5).tolist() for r in rings], height, width)
    found = found_by_spans(rings, width, height)
    assert (found.areas == coco_mask.area(theirs)).all()
    assert (iou_of(found, 2) == np.asarray(coco_mask.iou(theirs[:2], theirs[2:], [0, 0]))).all()


def both_ways():
    """Once with the compiled loops, where there are any, and once with NumPy."""
    compiled = loops.compiled
    if compiled is not None:
        yield compiled
    loops.compiled = None
    try:
        yield None
    finally:
        loops.compiled = compiled


def as_shape(rng, corners, width, height):
    """A whole polygon, one with a hole, a mask, or a line; whole ones are the most."""
    kind = rng.random()
    if kind < 0.08:
        return Shape("a", "m", Kind.MASK, "x", [], rle=encode_rle(rng.random((height, width)) < 0.5))
    holes = [(corners.reshape(-1, 2) / 3 + corners[:2] / 1.5).ravel().tolist()] if kind < 0.16 else []
    return Shape("a", "p", Kind.POLYGON, "x", corners.tolist() if kind < 0.96 else corners[:4].tolist(), holes=holes)


@settings(max_examples=80)
@given(pictures(), st.integers(0, 2**32 - 1))
def test_outlines_of_all_kinds_together_have_the_ious_of_their_run_lengths(picture, seed):
    rings, width, height = picture
    rng = np.random.default_rng(seed)
    shapes = [as_shape(rng, corners, width, height) for corners in rings]
    ds = int(rng.integers(0, len(shapes) + 1))
    expected = iou(runs_of(shapes[:ds], width, height), runs_of(shapes[ds:], width, height))
    for _ in both_ways():
        assert (outline_iou(outlines_of(shapes, width, height), ds) == expected).all()


@pytest.fixture
def without_compiled_loops(monkeypatch):
    monkeypatch.setattr(loops, "compiled", None)


@pytest.mark.usefixtures("without_compiled_loops")
@pytest.mark.parametrize("limit", ["MOST_CROSSINGS", "MOST_MEETINGS"])
def test_what_is_too_much_for_spans_is_left_to_run_lengths(monkeypatch, limit):
    rng = np.random.default_rng(3)
    shapes = [Shape("a", "p", Kind.POLYGON, "x", rng.uniform(0, 60, 40).tolist()) for _ in range(4)]
    outlines = outlines_of(shapes, 60, 60)
    before = outline_iou(outlines, 2)
    monkeypatch.setattr(spans, limit, 3)
    found = spans_of(outlines.points, outlines.sizes, 60, 60)
    assert found is None or iou_of(found, 2) is None
    assert (outline_iou(outlines, 2) == before).all()
    assert before.any()


def test_outlines_without_a_number_or_out_of_all_bounds_stop_no_picture():
    square = [-0.5, -0.5, 19.5, -0.5, 19.5, 19.5, -0.5, 19.5]
    wrong = Shape("a", "w", Kind.POLYGON, "x", [*square[:-1], float("nan")])
    far = Shape("a", "f", Kind.POLYGON, "x", [-3e5, -3e5, 3e5, -3e5, 3e5, 3e5, -3e5, 3e5])
    good = Shape("a", "g", Kind.POLYGON, "x", square)
    for _ in both_ways():
        assert outline_iou(outlines_of([wrong, good, good], 20, 20), 2).tolist() == [[0], [1]]
        assert outline_iou(outlines_of([far, good], 20, 20), 1).tolist() == [[1]]


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_moves_are_geos_distances(seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(3, rng.choice([6, 70]), (2, rng.integers(1, 6)))
    starts = (np.cumsum(counts) - counts.ravel()).reshape(counts.shape)
    corners = rng.normal(0, rng.choice([1, 100, 9000]), (counts.sum(), 2))
    if rng.random() < 0.3:
        corners = np.round(corners / 50) * 50
    sides = [
        [shapely.linearrings(corners[a : a + n]) for a, n in zip(*side, strict=True)]
        for side in zip(starts, counts, strict=True)
    ]
    expected = shapely.hausdorff_distance(*sides)
    for _ in both_ways():
        assert moved_px(corners, starts, counts) == pytest.approx(expected, rel=1e-13)


@pytest.mark.usefixtures("without_compiled_loops")
def test_moves_of_long_outlines_are_the_same_by_another_way(monkeypatch):
    corners = np.random.default_rng(5).normal(0, 100, (90, 2))
    starts, counts = np.array([[0, 30, 5], [40, 35, 60]]), np.array([[30, 5, 20], [40, 5, 30]])
    before = moved_px(corners, starts, counts)
    monkeypatch.setattr(moves, "LONG", 4)
    monkeypatch.setattr(moves, "MOST_AT_ONCE", 120)
    assert moved_px(corners, starts, counts).tolist() == before.tolist()


def test_a_corner_that_is_no_number_does_not_touch_the_moves_of_others():
    corners = np.array([[0, 0], [9, 0], [9, 9], [0, 0], [9, 0], [9, 5], [1, 1], [2, np.nan], [3, 5]])
    assert moved_px(corners, np.array([[0], [3]]), np.array([[3], [3]])) == pytest.approx([4])


def test_the_loops_in_c_compile_without_a_warning():
    assert complaints(Path(loops.__file__).with_name("_loops.c")) == ""


needs_compiled_loops = pytest.mark.skipif(
    loops.compiled is None, reason="the C loops are not built: there was no C compiler when reefline was installed"
)


def ious_of(rings, ds, width, height, most=spans.MOST_CROSSINGS):
    found = np.empty((ds, len(rings) - ds))
    sizes = np.array([len(r) for r in rings])
    return found if loops.compiled.outline_iou(np.concatenate(rings), sizes, ds, width, height, most, found) else None


@needs_compiled_loops
@settings(max_examples=300)
@given(pictures())
def test_compiled_loops_share_the_pixels_of_numpy_to_the_last_bit(picture):
    rings, width, height = picture
    ds = len(rings) // 2
    assert (ious_of(rings, ds, width, height) == iou_of(found_by_spans(rings, width, height), ds)).all()


@needs_compiled_loops
@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_compiled_loops_share_the_pixels_of_numpy_in_large_pictures(seed):
    rng = np.random.default_rng(seed)
    width, height = rng.integers(3000, 9000, 2).tolist()
    rings = [rng.uniform(-20_000, 30_000, (rng.integers(3, 8), 2)).ravel() for _ in range(3)]
    rings += [np.round(r / 50) * 50 for r in rings]
    assert (ious_of(rings, 3, width, height) == iou_of(found_by_spans(rings, width, height), 3)).all()


@needs_compiled_loops
@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_compiled_loops_measure_the_moves_of_numpy_to_the_last_bit(seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, rng.choice([6, 70]), (2, rng.integers(1, 6)))
    starts = (np.cumsum(counts) - counts.ravel()).reshape(counts.shape)
    corners = np.round(rng.normal(0, 100, (counts.sum(), 2)) / 7) * 7
    first, second = (moved_px(corners, starts, counts).tolist() for _ in both_ways())
    assert first == second


@needs_compiled_loops
def test_compiled_loops_leave_what_is_too_much_or_too_far_to_others():
    rng = np.random.default_rng(3)
    rings = [rng.uniform(0, 60, 40) for _ in range(4)]
    assert ious_of(rings, 2, 60, 60).any()
    assert ious_of(rings, 2, 60, 60, most=3) is None
    for number in (np.nan, np.inf, -3e5, 1e300):
        assert ious_of([rings[0], np.append(rings[1][:-1], number)], 1, 60, 60) is None


@needs_compiled_loops
@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"sizes": np.array([40, 42])}, ValueError),
        ({"sizes": np.array([-40, 40])}, ValueError),
        ({"sizes": np.array([39, 41])}, ValueError),
        ({"sizes": np.array([40, 40], np.int32)}, TypeError),
        ({"points": np.zeros(80, np.float32)}, TypeError),
        ({"points": np.zeros(160)[::2]}, (BufferError, ValueError)),
        ({"ds": 3}, ValueError),
        ({"width": 0}, ValueError),
        ({"found": np.zeros((1, 2))}, ValueError),
        ({"found": np.frombuffer(bytes(8))}, (BufferError, ValueError)),
    ],
)
def test_compiled_loops_refuse_arrays_that_do_not_fit(change, error):
    given = {"points": np.zeros(80), "sizes": np.array([40, 40]), "ds": 1, "width": 9, "height": 9, "most": 99}
    with pytest.raises(error):
        loops.compiled.outline_iou(*({**given, "found": np.zeros((1, 1))} | change).values())


@needs_compiled_loops
@pytest.mark.parametrize("wrong", [{"starts": [[0], [4]]}, {"starts": [[-1], [3]]}, {"counts": [[3], [0]]}])
def test_compiled_loops_refuse_rings_that_lie_beside_the_corners(wrong):
    given = {"starts": [[0], [3]], "counts": [[3], [3]]} | wrong
    with pytest.raises(ValueError, match="do not fit"):
        loops.compiled.moved(np.zeros((6, 2)), *(np.array(v) for v in given.values()), np.zeros(1))


@needs_compiled_loops
def test_compiled_loops_take_numbers_out_of_rows_as_numpy_does():
    numbers = [[0.5, -1.0, 2], [], [np.float64(3.25), True, float("nan"), float("-inf")]]
    found = np.zeros(7)
    assert loops.compiled.flatten(numbers, found)
    assert np.array_equal(found, np.concatenate([np.array(n, float) for n in numbers]), equal_nan=True)
    shapes = [Shape("a", "p", Kind.POLYGON, "x", n) for n in ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], (1, 2, 3, 4, 5, 7))]
    for _ in both_ways():  # a tuple is no list, and no less a row
        points, sizes = loops.flat(shapes)
        assert (points.tolist(), sizes.tolist()) == ([1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 7], [6, 6])


@needs_compiled_loops
@pytest.mark.parametrize(
    ("numbers", "error"),
    [([[1.0, "2"]], TypeError), ([[1.0]], ValueError), ([[1.0, 2.0, 3.0]], ValueError), ((1.0, 2.0), TypeError)],
)
def test_compiled_loops_refuse_rows_that_are_no_numbers_or_not_as_many(numbers, error):
    with pytest.raises(error):
        loops.compiled.flatten(numbers, np.zeros(2))
