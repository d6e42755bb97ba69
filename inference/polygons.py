"""Masks to polygons and back.

Contours are taken on crops, holes are kept, outlines are simplified within a stated tolerance, and what comes out is
valid: at least three points, no self-crossing, no specks. An outline runs through the centres of a mask's outermost
pixels; :func:`polygon_to_mask`, and the painting of training pictures, colour those pixels too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from shapely.geometry import MultiPolygon, Polygon
from shapely.validation import make_valid

Ring = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outline:
    """A polygon with holes; rings are ``(n >= 3, 2)`` pixels, not closed."""

    ring: Ring
    holes: list[Ring] = field(default_factory=list)


def mask_to_polygons(mask: NDArray[np.uint8], *, tolerance_px: float = 1.0, min_area_px: float = 16.0) -> list[Outline]:
    """The outlines of a mask's connected parts, largest first.

    Args:
        mask: ``(H, W)``; anything but 0 belongs to the object.
        tolerance_px: how far a simplified outline may lie from the mask's edge.
        min_area_px: parts and holes below this area are dropped.
    """
    binary = (np.asarray(mask) > 0).astype(np.uint8)
    x, y, width, height = cv2.boundingRect(binary)
    if width == 0:
        return []
    crop = cv2.copyMakeBorder(binary[y : y + height, x : x + width], 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    contours, tree = cv2.findContours(crop, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    outlines: list[Outline] = []
    for index, contour in enumerate(contours):
        if tree[0][index][3] >= 0:
            continue
        holes = []
        child = tree[0][index][2]
        while child >= 0:
            holes.append(contours[child])
            child = tree[0][child][0]
        outlines += _outlines(contour, holes, (x - 1, y - 1), tolerance_px, min_area_px)
    return sorted(outlines, key=lambda o: -_area(o))


def polygon_to_mask(ring: ArrayLike, holes: Sequence[ArrayLike], height: int, width: int) -> NDArray[np.uint8]:
    """A polygon as a mask of 0 and 1, ``(height, width)``."""
    mask = np.zeros((height, width), np.uint8)
    # 1/16 px: rounding outlines to whole pixels would cost small colonies several per cent of their area.
    cv2.fillPoly(mask, [np.round(np.asarray(ring, float) * 16).astype(np.int32)], 1, cv2.LINE_8, 4)
    for hole in holes:
        cv2.fillPoly(mask, [np.round(np.asarray(hole, float) * 16).astype(np.int32)], 0, cv2.LINE_8, 4)
    return mask


def _outlines(
    contour: NDArray, holes: Sequence[NDArray], offset: tuple[int, int], tolerance: float, least: float
) -> list[Outline]:
    shell = _simplified(contour, tolerance)
    if shell is None:
        return []
    inner = [h for h in (_simplified(hole, tolerance) for hole in holes) if h is not None]
    shape = Polygon(shell, inner)
    if not shape.is_valid:
        shape = make_valid(shape)
    parts = (
        [shape]
        if isinstance(shape, Polygon)
        else [p for p in getattr(shape, "geoms", []) if isinstance(p, Polygon | MultiPolygon)]
    )
    flat = [q for p in parts for q in (p.geoms if isinstance(p, MultiPolygon) else [p])]
    made = []
    for part in flat:
        if part.area < least:
            continue
        rings = [np.array(r.coords[:-1]) + offset for r in part.interiors if Polygon(r).area >= least]
        made.append(Outline(np.array(part.exterior.coords[:-1]) + offset, rings))
    return made


def _simplified(contour: NDArray, tolerance: float) -> NDArray | None:
    points = cv2.approxPolyDP(contour, tolerance, True).reshape(-1, 2)
    if len(points) < 3:
        points = contour.reshape(-1, 2)
    return points.astype(float) if len(points) >= 3 else None


def _area(outline: Outline) -> float:
    return float(Polygon(outline.ring, outline.holes).area)
