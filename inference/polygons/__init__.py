"""Masks to polygons and back.

One frame everywhere: centres of pixels have whole coordinates, so pixel (x, y) reaches from x - 0.5 to x + 0.5, and
outlines run along the edges between pixels: the area of an outline is the number of its pixels, neighbours share their
border, and what is painted again is what was traced. A picture scaled by s maps x to (x + 0.5) * s - 0.5.

``masks`` traces masks of single objects (many at once), ``coverage`` a map of touching objects with common borders,
``paint`` goes back to pixels.
"""

from __future__ import annotations

from inference.polygons.coverage import labels_to_polygons
from inference.polygons.masks import mask_to_polygons, masks_to_polygons
from inference.polygons.outline import Outline, Ring
from inference.polygons.paint import polygon_crop, polygon_to_mask

__all__ = [
    "Outline",
    "Ring",
    "labels_to_polygons",
    "mask_to_polygons",
    "masks_to_polygons",
    "polygon_crop",
    "polygon_to_mask",
]
