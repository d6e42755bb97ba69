"""Shape rows as geometries."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from labels.schema import Shape


def outline_geometry(shape: Shape) -> BaseGeometry:
    """A polygon row as a valid geometry in pixels of its picture.

    Empty where it has under three points or coordinates that are no numbers. A self-crossing outline keeps every area
    it encloses.
    """
    if len(shape.points) < 6 or not np.isfinite(shape.points).all():
        return Polygon()
    holes = [np.array(hole).reshape(-1, 2) for hole in shape.holes if len(hole) >= 6]
    polygon = Polygon(np.array(shape.points).reshape(-1, 2), holes)
    return polygon if polygon.is_valid else shapely.make_valid(polygon, method="structure", keep_collapsed=False)


def outlines_flat(shapes: Sequence[Shape]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The outer rings of rows one after the other, several times quicker than array by array.

    Returns:
        ``(n,)`` float64 x, y, x, y, ... in pixels, and ``(len(shapes),)`` how many of them are each row's.
    """
    sizes = np.array([len(shape.points) for shape in shapes], np.int64)
    values: list[float] = []
    for shape in shapes:
        values += shape.points
    flat = np.empty(len(values))
    struct.pack_into(f"{len(values)}d", flat.data, 0, *values)  # a third of the time that numpy takes for a list
    return flat, sizes
