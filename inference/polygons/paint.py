"""Polygons to masks: a pixel belongs to a polygon when its centre lies inside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def polygon_to_mask(ring: ArrayLike, holes: Sequence[ArrayLike], height: int, width: int) -> NDArray[np.uint8]:
    """A polygon as a mask of 0 and 1, ``(height, width)``.

    Centres have whole coordinates. Of a centre that lies exactly on an edge, only left and upper edges are inside, so
    polygons that share a border never share a pixel, and the painted area is not biased. Rings may cross themselves:
    what is inside an odd number of times is painted.
    """
    mask = np.zeros((height, width), np.uint8)
    crop, left, top = polygon_crop(ring, holes, (0, 0, width, height))
    mask[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
    return mask


def polygon_crop(
    ring: ArrayLike, holes: Sequence[ArrayLike], within: tuple[int, int, int, int]
) -> tuple[NDArray[np.uint8], int, int]:
    """A polygon as a mask of its own bounding box, and the box's left and top.

    Args:
        ring: ``(n, 2)`` pixels.
        holes: rings of the same form.
        within: left, top, right, bottom (right and bottom excluded) beyond which nothing is painted.
    """
    outer = np.asarray(ring, np.float64).reshape(-1, 2)
    low, high = np.ceil(outer.min(axis=0)), np.ceil(outer.max(axis=0))
    left, top = (int(max(v, edge)) for v, edge in zip(low, within[:2], strict=True))
    right, bottom = (int(min(v, edge)) for v, edge in zip(high, within[2:], strict=True))
    if left >= right or top >= bottom:
        return np.zeros((0, 0), np.uint8), max(left, 0), max(top, 0)
    rings = [outer, *(np.asarray(hole, np.float64).reshape(-1, 2) for hole in holes)]
    a = np.concatenate(rings)
    b = np.concatenate([np.roll(one, -1, axis=0) for one in rings])
    upper, lower = np.where((a[:, 1] <= b[:, 1])[:, None], a, b), np.where((a[:, 1] <= b[:, 1])[:, None], b, a)
    first = np.clip(np.ceil(upper[:, 1]), top, bottom).astype(np.int64)
    rows = np.clip(np.ceil(lower[:, 1]), top, bottom).astype(np.int64) - first
    edge = np.repeat(np.arange(len(a)), rows)
    begin = np.cumsum(rows) - rows
    y = np.arange(len(edge)) - begin[edge] + first[edge]
    drop = np.where(lower[:, 1] > upper[:, 1], lower[:, 1] - upper[:, 1], 1)
    lean = (lower[:, 0] - upper[:, 0]) / drop
    x = upper[edge, 0] + (y - upper[edge, 1]) * lean[edge]
    column = np.clip(np.ceil(x), left, right).astype(np.int64) - left
    width = right - left + 1
    flips = np.bincount((y - top) * width + column, minlength=(bottom - top) * width)
    inside = np.cumsum(flips.reshape(bottom - top, width), axis=1)[:, :-1] & 1
    return inside.astype(np.uint8), left, top
