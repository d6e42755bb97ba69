"""Single label rows as the numbers that CVAT's shapes are made of, for tools that talk to CVAT without a task."""

from __future__ import annotations

import numpy as np
from shapely.geometry import Polygon

from labels.formats.cvat.geometry import cut_holes
from labels.formats.cvat.write import cvat_points
from labels.schema import Shape

LEAST_AREA_PX = 1.0
"""Outlines below one pixel cannot be seen, nor hit with a mouse."""


def outline_points(shape: Shape) -> list[float]:
    """A polygon row as CVAT's flat ring, its holes joined by slits (:func:`cut_holes`)."""
    return cvat_points(cut_holes(shape.points, shape.holes))


def drawable(shape: Shape) -> bool:
    """Whether a polygon row has at least three points, finite ones, and an area that can be seen."""
    if len(shape.points) < 6 or len(shape.points) % 2 or not np.isfinite(shape.points).all():
        return False
    return float(Polygon(shape.xy()).area) >= LEAST_AREA_PX
