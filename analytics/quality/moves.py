"""How far outlines moved: the Hausdorff distance of rings, of all pairs of a picture at once.

The distance is GEOS' (``hausdorff_distance`` of two linear rings): the farthest that a corner of one ring lies from the
nearest place on the other ring's edges. GEOS looks at every corner with every edge. Here each corner is first held
against the two edges at its nearest corner, which bounds its distance from above; only corners that could still lie
farther than the farthest one known are held against all edges. Coordinates and distances are pixels of the picture.
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from analytics.quality import loops

MOST_AT_ONCE = 500_000
"""Corners beside corners that are looked at together."""
LONG = 500
"""From so many corners on, the nearest ones are looked up in a tree."""
ROOM = np.float32(1e-9)
"""Beside a thousandth of it, what single precision may take from a squared distance, by the square of the extent."""


def moved_px(corners: NDArray[np.float64], starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Hausdorff distance of pairs of rings.

    Args:
        corners: ``(m, 2)`` of all rings.
        starts: ``(2, pairs)`` first corner of both rings of each pair.
        counts: ``(2, pairs)`` how many corners they have, at least one; the last is joined to the first.

    Returns:
        ``(pairs,)`` pixels.
    """
    found = np.empty(starts.shape[1])
    longest = counts.max(axis=0, initial=1)
    if not np.isfinite(corners).all():
        return _by_geos(corners, starts, counts)
    if loops.compiled is not None and (counts.prod(axis=0) <= LONG * LONG).all():
        loops.compiled.moved(corners, np.ascontiguousarray(starts), np.ascontiguousarray(counts), found)
        return found
    # Rings are filled up to the longest of their block, so blocks are of about one length.
    size = np.ceil(np.log2(longest)).astype(int)
    for exponent in np.unique(size).tolist():
        block = np.flatnonzero(size == exponent)
        most = max(1, MOST_AT_ONCE >> (2 * exponent + 1))
        for first in range(0, len(block), most):
            chosen = block[first : first + most]
            found[chosen] = _distances(corners, starts[:, chosen], counts[:, chosen])
    return found


def _distances(
    corners: NDArray[np.float64], starts: NDArray[np.int64], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    start, count = starts.T.reshape(-1, 1), counts.T.reshape(-1, 1)  # the rings of pair k are 2 k and 2 k + 1
    places = start + np.minimum(np.arange(int(count.max())), count - 1)  # the last corner fills short rings up
    bound = _bounds(corners, places, count).reshape(len(start) // 2, -1)

    def to_other_ring(pair: NDArray[np.int64], corner: NDArray[np.int64]) -> NDArray[np.float64]:
        """Squared distance of corners, counted through both rings of a pair, to the other ring."""
        side, place = np.divmod(corner, places.shape[1])
        own = 2 * pair + side
        edges = places[own ^ 1]
        ends = np.where(edges + 1 < start[own ^ 1] + count[own ^ 1], edges + 1, start[own ^ 1])
        return _squares(corners[places[own, place]], corners, edges, ends).min(axis=1, initial=np.inf)

    pairs, farthest = np.arange(len(bound)), bound.argmax(axis=1)
    known = to_other_ring(pairs, farthest)
    bound[pairs, farthest] = 0
    most = max(1, MOST_AT_ONCE // places.shape[1])
    while len((left := np.nonzero(bound > known[:, None]))[0]):
        if len(left[0]) > most:  # those first that may raise what is known the most
            highest = np.argpartition(-bound[left], most)[:most]
            left = left[0][highest], left[1][highest]
        np.maximum.at(known, left[0], to_other_ring(*left))
        bound[left] = 0
    return np.sqrt(known)


def _bounds(corners: NDArray[np.float64], places: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.float32]:
    """No corner's squared distance to the other ring is larger; in single precision, with room for its roundings."""
    origin = corners[np.repeat(places[::2, 0], 2)].T[:, :, None]
    x, y = (corners[:, axis][places] - origin[axis] for axis in (0, 1))
    x, y = x.astype(np.float32), y.astype(np.float32)
    partner = np.arange(len(places)) ^ 1
    near = _nearest_corners(x, y, count)
    others = partner[:, None] * places.shape[1]
    before = np.where(near > 0, near, count[partner]) - 1
    after = np.where(near + 1 < count[partner], near + 1, 0)
    bound = np.minimum(*(_to_edges(x, y, others + near, others + beside) for beside in (before, after)))
    return np.asarray(bound * np.float32(1.001) + ROOM * (x * x + y * y).max())


def _nearest_corners(x: NDArray[np.float32], y: NDArray[np.float32], count: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of every corner the number of the one of the other ring that is nearest, or as good as."""
    if x.shape[1] > LONG:
        from scipy.spatial import cKDTree  # slow to load

        rings = np.stack([x, y], axis=2)
        trees = [cKDTree(ring[:own]) for ring, own in zip(rings, count[:, 0], strict=True)]
        return np.stack([trees[k ^ 1].query(ring)[1] for k, ring in enumerate(rings)])
    # |a - b|2 = |a|2 - 2 ab + |b|2, of which |a|2 is the same for all b
    mine = np.stack([-2 * x, -2 * y, np.ones_like(x)], axis=2)
    theirs = np.stack([x, y, x * x + y * y], axis=1)[np.arange(len(x)) ^ 1]
    return np.asarray((mine @ theirs).argmin(axis=2))


def _to_edges(
    x: NDArray[np.float32], y: NDArray[np.float32], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Squared distance of every corner to an edge of its own, by places in ``x`` and ``y``."""
    start_x, start_y = x.take(starts), y.take(starts)
    across, down = x.take(ends) - start_x, y.take(ends) - start_y
    off_x, off_y = x - start_x, y - start_y
    share = (off_x * across + off_y * down) / np.maximum(across * across + down * down, np.float32(1e-30))
    np.minimum(np.maximum(share, 0, out=share), 1, out=share)
    off_x -= share * across
    off_y -= share * down
    return off_x * off_x + off_y * off_y


def _squares(
    point: NDArray[np.float64], corners: NDArray[np.float64], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Squared distance of points to edges without their ends, which are starts of others; in the order of GEOS."""
    start_x, start_y = corners[:, 0][starts], corners[:, 1][starts]
    across, down = corners[:, 0][ends] - start_x, corners[:, 1][ends] - start_y
    x, y = point.T[:, :, None]
    length = across * across + down * down
    share = ((x - start_x) * across + (y - start_y) * down) / np.where(length > 0, length, 1)
    share *= (share > 0) & (share < 1)
    x, y = x - (start_x + share * across), y - (start_y + share * down)
    return np.asarray(x * x + y * y)


def _by_geos(corners: NDArray[np.float64], starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    sides = []
    for start, count in zip(starts, counts, strict=True):
        ends = np.cumsum(count)
        places = np.arange(int(ends[-1])) + np.repeat(start - ends + count, count)
        sides.append(shapely.linearrings(corners[places], indices=np.repeat(np.arange(len(count)), count)))
    return np.asarray(shapely.hausdorff_distance(*sides), np.float64)
