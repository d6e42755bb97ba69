"""Shape rows as geometries."""

from __future__ import annotations

import numpy as np
import shapely
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
