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

MOST_AT_ONCE = 1_000_000
"""Corners beside corners that are looked at together; rings with more by themselves are left to GEOS."""


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
    # Rings are filled up to the longest of their block, so blocks are of about one length.
    size = np.ceil(np.log2(longest)).astype(int)
    if not np.isfinite(corners).all():
        size[:] = 64
    for exponent in np.unique(size).tolist():
        block = np.flatnonzero(size == exponent)
        most = MOST_AT_ONCE >> (2 * exponent + 1)
        for first in range(0, len(block), max(1, most)):
            chosen = block[first : first + max(1, most)]
            measure = _distances if most else _by_geos
            found[chosen] = measure(corners, starts[:, chosen], counts[:, chosen])
    return found


def _distances(
    corners: NDArray[np.float64], starts: NDArray[np.int64], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Both rings of pair k are ``2 k`` and ``2 k + 1`` below, ``(x or y, ring, corner)``; the last corner fills up."""
    start, count = starts.T.reshape(-1, 1), counts.T.reshape(-1, 1)
    nth = np.arange(int(count.max()))
    after = nth + 1
    flat = np.ascontiguousarray(corners.T)
    ring = flat[:, start + np.minimum(nth, count - 1)]
    following = flat[:, start + np.where(after < count, after, 0)]
    partner = np.arange(len(start)) ^ 1
    near = _nearest_corner(ring)
    before = np.where(near > 0, near, count[partner]) - 1
    others = partner[:, None]
    bound = _squares(ring, ring[:, others, near], following[:, others, near])
    np.minimum(bound, _squares(ring, ring[:, others, before], following[:, others, before]), out=bound)
    bound = bound.reshape(len(start) // 2, -1)
    known = _to_ring(ring, following, np.arange(len(bound)), bound.argmax(axis=1))
    pair, corner = np.nonzero(bound > known[:, None])
    np.maximum.at(known, pair, _to_ring(ring, following, pair, corner))
    return np.sqrt(known)


def _to_ring(
    ring: NDArray[np.float64], following: NDArray[np.float64], pair: NDArray[np.int64], corner: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Squared distance of corners to the nearest edge of the other ring; ``corner`` counts through both rings."""
    side, place = np.divmod(corner, ring.shape[2])
    own = 2 * pair + side
    return _squares(ring[:, own, place, None], ring[:, own ^ 1], following[:, own ^ 1]).min(axis=1, initial=np.inf)


def _nearest_corner(ring: NDArray[np.float64]) -> NDArray[np.int64]:
    """Of every corner, which one of the other ring is nearest; roughly, in single precision: any would be right."""
    x, y = (ring - np.repeat(ring[:, ::2, :1], 2, axis=1)).astype(np.float32)
    # |a - b|2 = |a|2 - 2 ab + |b|2, of which |a|2 is the same for all b
    mine = np.stack([-2 * x, -2 * y, np.ones_like(x)], axis=2)
    theirs = np.stack([x, y, x * x + y * y], axis=1)[np.arange(len(x)) ^ 1]
    return (mine @ theirs).argmin(axis=2)


def _squares(point: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distance of points to edges without their ends, which are starts of others; x and y come first."""
    across, down = end - start
    x, y = point - start
    length = across * across + down * down
    share = (x * across + y * down) / np.where(length > 0, length, 1)
    share *= (share > 0) & (share < 1)
    x, y = point - (start + share * (across, down))
    return x * x + y * y


def _by_geos(corners: NDArray[np.float64], starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    sides = []
    for start, count in zip(starts, counts, strict=True):
        ends = np.cumsum(count)
        places = np.arange(int(ends[-1])) + np.repeat(start - ends + count, count)
        sides.append(shapely.linearrings(corners[places], indices=np.repeat(np.arange(len(count)), count)))
    return np.asarray(shapely.hausdorff_distance(*sides), np.float64)
