"""A quick proof that simplified outlines are valid, so that only the doubtful ones need a geometry library.

A sweep along x finds segments of an outline whose boxes overlap; such a pair is apart when the ends of one lie on the
same side of the other. What is not proved is not wrong: it is only left to the slower, exact test.
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from inference.polygons.simplify import Flags, Floats, Ints

Boxes = tuple[Floats, Floats, Floats, Floats]
Pairs = tuple[Ints, Ints]

SURE = 1e-6
"""Square pixels beyond which the sign of a cross product is no matter of rounding."""
BLOCK = 4
"""Segments in a row that the sweep takes as one."""
CROWDED = 16
"""Pairs per point, and holes per object, above which all is left to the exact test: it need not try every pair."""


def valid(points: Floats, begin: Ints, first: Ints) -> Flags:
    """Which objects are valid polygons; see :func:`surely_valid` for the arguments."""
    found = surely_valid(points, begin, first)
    if found.all():
        return found
    doubtful = np.flatnonzero(~found)
    rings = np.append(first, len(begin) - 1)
    some = np.concatenate([np.arange(rings[number], rings[number + 1]) for number in doubtful])
    inner = np.concatenate([points[begin[ring] : begin[ring + 1]] for ring in some])
    starts = np.concatenate([[0], np.cumsum(np.diff(begin)[some])])
    firsts = np.concatenate([[0], np.cumsum(np.diff(rings)[doubtful])])
    shapes = shapely.from_ragged_array(shapely.GeometryType.POLYGON, inner, (starts, firsts))
    found[doubtful] = shapely.is_valid(shapes)
    return found


def surely_valid(points: Floats, begin: Ints, first: Ints) -> Flags:
    """Which objects are certainly polygons whose rings neither cross nor touch, with holes side by side in the outer.

    Args:
        points: ``(n, 2)`` rings one after the other in pixels, each of at least three points and the first again.
        begin: ``(rings + 1,)`` where each ring begins, and ``n``.
        first: ``(objects,)`` number of the first ring of each object, which is its outer one; ascending from 0.
    """
    sure = np.ones(len(first), bool)
    start = begin[first]
    x, y = np.ascontiguousarray(points[:, 0]), np.ascontiguousarray(points[:, 1])
    # Objects side by side, so that one sweep does for all.
    left = np.floor(np.minimum.reduceat(x, start))
    width = np.maximum.reduceat(x, start) - left
    base = np.concatenate([[0], np.cumsum(np.floor(width) + 2)])
    sizes = np.diff(start, append=len(x))
    x += np.repeat(base[:-1] - left, sizes)
    owner = np.repeat(np.arange(len(first)), sizes)
    sure[owner[_flat(x, y, begin)]] = False
    boxes = _boxes(x, y, begin)
    far = _far(boxes, len(x), int(base[-1]))
    if far is None:
        return np.zeros(len(first), bool)
    one, other = (np.concatenate(some) for some in zip(_near(boxes), far, strict=True))
    sure[owner[one[~_apart(x, y, begin, one, other)]]] = False
    sure[_misplaced(x, y, boxes, begin, first, owner)] = False
    return sure


def _flat(x: Floats, y: Floats, begin: Ints) -> Ints:
    """First points of triangles without area: the only rings that go back on themselves just where they turn."""
    a = begin[:-1][np.diff(begin) == 4]
    area = (x[a + 1] - x[a]) * (y[a + 2] - y[a]) - (y[a + 1] - y[a]) * (x[a + 2] - x[a])
    return np.asarray(a[np.abs(area) <= SURE])


def _boxes(x: Floats, y: Floats, begin: Ints) -> Boxes:
    """Left, right, top and bottom of each segment in whole blocks; empty where there is none, or from ring to ring."""
    sides = []
    for values in (x, y):
        for choose, nowhere in ((np.minimum, np.inf), (np.maximum, -np.inf)):
            side = np.full(BLOCK * -(-(len(x) - 1) // BLOCK), nowhere)
            choose(values[:-1], values[1:], out=side[: len(x) - 1])
            side[begin[1:-1] - 1] = nowhere
            sides.append(side)
    left, right, top, bottom = sides
    return left, right, top, bottom


def _near(boxes: Boxes) -> Pairs:
    """Pairs of segments whose boxes overlap, less than two blocks apart; not those that follow each other."""
    left, right, top, bottom = boxes
    pairs = []
    for step in range(2, min(2 * BLOCK, len(left))):
        a, b = slice(None, -step), slice(step, None)
        meet = (left[b] <= right[a]) & (right[b] >= left[a]) & (top[b] <= bottom[a]) & (bottom[b] >= top[a])
        pairs.append((np.flatnonzero(meet), step))
    one = np.concatenate([found for found, _ in pairs])
    return one, one + np.repeat([step for _, step in pairs], [len(found) for found, _ in pairs])


def _far(boxes: Boxes, points: int, columns: int) -> Pairs | None:
    """Pairs of segments whose boxes overlap, of blocks that do not follow each other; ``None``: too many to try."""
    # The first segments of all blocks, the second ones of all, and so on.
    lefts, rights, tops, bottoms = (np.ascontiguousarray(side.reshape(-1, BLOCK).T) for side in boxes)
    low, high = lefts.min(axis=0).astype(np.int64), rights.max(axis=0).astype(np.int64)
    # Small numbers are sorted by counting.
    order = np.argsort(low.astype(np.uint16) if columns < 2**16 else low, kind="stable")
    until = np.cumsum(np.bincount(low, minlength=columns + 1)).take(high.take(order))
    count = until - np.arange(1, len(order) + 1)
    ends = np.cumsum(count)
    if ends[-1] > CROWDED * points:
        return None
    one = np.repeat(np.arange(len(order)), count)
    other = np.arange(ends[-1]) + np.repeat(until - ends, count)
    top, bottom = tops.min(axis=0).take(order), bottoms.max(axis=0).take(order)
    meet = np.flatnonzero((top.take(other) <= bottom.take(one)) & (bottom.take(other) >= top.take(one)))
    one, other = order.take(one.take(meet)), order.take(other.take(meet))
    loose = np.flatnonzero(np.abs(one - other) > 1)
    one, other = one.take(loose), other.take(loose)
    if BLOCK**2 * len(one) > CROWDED * points:
        return None
    overlap = tops.take(other, axis=1)[None] <= bottoms.take(one, axis=1)[:, None]
    overlap &= bottoms.take(other, axis=1)[None] >= tops.take(one, axis=1)[:, None]
    nth_one, nth_other, pair = np.unravel_index(np.flatnonzero(overlap), overlap.shape)
    one, other = BLOCK * one.take(pair) + nth_one, BLOCK * other.take(pair) + nth_other
    left, right = boxes[:2]
    meet = np.flatnonzero((left.take(other) <= right.take(one)) & (right.take(other) >= left.take(one)))
    return one.take(meet), other.take(meet)


def _apart(x: Floats, y: Floats, begin: Ints, one: Ints, other: Ints) -> Flags:
    """Whether the ends of one segment lie on the same side of the other, or one follows the other."""
    following = np.arange(1, len(x) + 1)
    following[begin[1:] - 2] = begin[:-1]
    apart = (following.take(one) == other) | (following.take(other) == one)
    ax, ay, bx, by = x[one], y[one], x[one + 1], y[one + 1]
    cx, cy, dx, dy = x[other], y[other], x[other + 1], y[other + 1]
    for (px, py, qx, qy), ends in (
        ((ax, ay, bx, by), ((cx, cy), (dx, dy))),
        ((cx, cy, dx, dy), ((ax, ay), (bx, by))),
    ):
        beside, behind = ((qx - px) * (ry - py) - (qy - py) * (rx - px) for rx, ry in ends)
        apart |= (np.minimum(beside, behind) > SURE) | (np.maximum(beside, behind) < -SURE)
    return np.asarray(apart, bool)


def _misplaced(x: Floats, y: Floats, boxes: Boxes, begin: Ints, first: Ints, owner: Ints) -> NDArray[np.int64]:
    """Objects with a hole that lies in an even number of their other rings, and objects of very many holes.

    Rings that do not cross lie in each other or side by side. When each hole lies in an odd number of them, the ring
    around all others is the outer one, and no hole lies in another: the outermost of those would lie in two rings.
    """
    is_hole = np.ones(len(begin) - 1, bool)
    is_hole[first] = False
    holes = np.flatnonzero(is_hole)
    if not len(holes):
        return holes
    objects = owner[begin[holes]]
    crowded = np.flatnonzero(np.bincount(objects, minlength=len(first)) > CROWDED)
    if len(crowded):
        holes = holes[~np.isin(objects, crowded)]
        objects = owner[begin[holes]]
    start = begin[first]
    # Every hole with every segment of its object.
    count = np.diff(start, append=len(x))[objects] - 1
    ends = np.cumsum(count)
    hole = np.repeat(np.arange(len(holes)), count)
    segment = np.arange(len(hole)) + np.repeat(start[objects] + count - ends, count)
    px, py = x[begin[holes]].take(hole), y[begin[holes]].take(hole)
    ax, ay, bx, by = x.take(segment), y.take(segment), x.take(segment + 1), y.take(segment + 1)
    cross = (bx - ax) * (py - ay) - (by - ay) * (px - ax)
    hit = (cross > 0) == (by > ay)
    hit &= (boxes[2].take(segment) <= py) & (py < boxes[3].take(segment))  # from ring to ring never
    own = (segment >= begin[holes].take(hole)) & (segment < begin[holes + 1].take(hole))
    hit &= ~own
    even = np.bincount(hole, hit, minlength=len(holes)) % 2 == 0
    return np.concatenate([crowded, objects[even]])
