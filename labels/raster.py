"""Outlines as pixels. A pixel belongs to an outline when its centre lies in it; centres have integer coordinates."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry


def rasterise(polygon: BaseGeometry, width: int, height: int) -> NDArray[np.bool_]:
    """Pixels ``(height, width)`` whose centres lie in a polygon."""
    mask = np.zeros((height, width), dtype=bool)
    inner, left, top = pixels_of(polygon, (0, 0, width - 1, height - 1))
    mask[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return mask


def pixels_of(
    polygon: BaseGeometry, within: tuple[int, int, int, int] | None = None
) -> tuple[NDArray[np.bool_], int, int]:
    """The pixels of a polygon in its own bounding box, and the box's left and top.

    Args:
        polygon: coordinates in pixels.
        within: left, top, right, bottom (inclusive) beyond which nothing is counted.

    Returns:
        ``(h, w)`` bool, left, top; ``(0, 0)`` where no pixel centre lies in the box.
    """
    if polygon.is_empty:
        return np.zeros((0, 0), dtype=bool), 0, 0
    x0, y0, x1, y1 = polygon.bounds
    left, top, right, bottom = int(np.ceil(x0)), int(np.ceil(y0)), int(np.floor(x1)), int(np.floor(y1))
    if within is not None:
        left, top = max(left, within[0]), max(top, within[1])
        right, bottom = min(right, within[2]), min(bottom, within[3])
    if left > right or top > bottom:
        return np.zeros((0, 0), dtype=bool), 0, 0
    shapely.prepare(polygon)
    xs, ys = np.meshgrid(np.arange(left, right + 1), np.arange(top, bottom + 1))
    return np.asarray(shapely.intersects_xy(polygon, xs, ys)), left, top
