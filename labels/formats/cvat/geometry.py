"""Outlines between reefline and CVAT, whose polygons know no holes and whose users know rectangles and ellipses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import LineString, Polygon, box
from shapely.geometry.polygon import orient

from labels.raster import pixels_of

HALF_PIXEL = 0.5
"""CVAT's (0, 0) is the outer corner of the first pixel, reefline's is its centre."""

MAIN_PART = 0.99
"""A repaired outline is one colony when its largest part has at least this share of the area."""

MAX_MASK = 100_000_000
"""Pixels of the largest mask box that is read; no picture is larger."""

Ring = NDArray[np.float64]


class OutlineError(ValueError):
    """The outline cannot be one colony; the message says why and what to do in CVAT."""


def cut_holes(points: Sequence[float], holes: Sequence[Sequence[float]]) -> list[float]:
    """A ring without holes that covers exactly the polygon with holes: each hole is joined by a slit of no width.

    The slit is walked there and back, so area and filled pixels stay the same, and one colony stays one shape (cutting
    it into pieces would double it). :func:`mend` turns such a ring back into a polygon with holes.

    Args:
        points: flat outer ring, pixels.
        holes: flat inner rings, pixels; those with fewer than three points enclose nothing and are left out.
    """
    ring = _oriented(points, clockwise=False)
    rest = [_oriented(hole, clockwise=True) for hole in holes if len(hole) >= 6]
    if not rest:
        return [float(v) for v in points]
    area = Polygon(ring, rest)
    if not area.is_valid:
        area = None  # no test of visibility is possible; the nearest corners still give the right area
    while rest:
        gaps = [_nearest(ring, hole, area) for hole in rest]
        number = min(range(len(gaps)), key=lambda i: gaps[i][0])
        _, at, start = gaps[number]
        hole = np.roll(rest.pop(number), -start, axis=0)
        ring = np.vstack([ring[: at + 1], hole, hole[:1], ring[at:]])
    return [float(v) for v in ring.ravel()]


def _oriented(flat: Sequence[float], clockwise: bool) -> Ring:
    ring = np.asarray(flat, dtype=float).reshape(-1, 2)
    x, y = ring[:, 0], ring[:, 1]
    negative = float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) < 0
    return ring if negative == clockwise else ring[::-1]


def _nearest(ring: Ring, hole: Ring, area: Polygon | None, tries: int = 200) -> tuple[float, int, int]:
    """Distance and indices of the nearest pair of corners that see each other through the polygon."""
    distance = np.linalg.norm(ring[:, None] - hole[None], axis=2)
    order = np.argsort(distance, axis=None)
    pairs = [divmod(int(flat), len(hole)) for flat in order[:tries]]
    for a, b in pairs:
        if area is None or area.covers(LineString([ring[a], hole[b]])):
            return float(distance[a, b]), a, b
    a, b = pairs[0]
    return float(distance[a, b]), a, b


def mend(points: Sequence[float]) -> tuple[list[float], list[list[float]]]:
    """A drawn ring as outer ring and holes: slits become holes again, tiny loops from a slip of the hand go.

    Raises:
        OutlineError: fewer than three points, no area, or an outline that crosses itself into several large parts.
    """
    ring = np.asarray(points, dtype=float)
    if len(ring) < 6 or len(ring) % 2:
        raise OutlineError(f"an outline of {len(ring) // 2} points: draw at least three")
    if not np.isfinite(ring).all():
        raise OutlineError("an outline with coordinates that are no numbers: delete it and draw it again")
    polygon = Polygon(ring.reshape(-1, 2))
    if polygon.is_valid and polygon.area > 0:
        return [float(v) for v in ring], []
    return main_part(shapely.make_valid(polygon, method="structure", keep_collapsed=False))


def main_part(geometry: Any) -> tuple[list[float], list[list[float]]]:
    """The one large polygon of a geometry as outer ring and holes.

    Raises:
        OutlineError: there is none, or there are several.
    """
    parts = [part for part in getattr(geometry, "geoms", [geometry]) if isinstance(part, Polygon) and part.area > 0]
    if not parts:
        raise OutlineError("an outline without any area: delete it or draw it again")
    largest = max(parts, key=lambda part: part.area)
    if largest.area < MAIN_PART * sum(part.area for part in parts):
        raise OutlineError(f"an outline of {len(parts)} separate parts: draw one polygon per colony")
    flat = orient(largest)
    return _flat(flat.exterior.coords), [_flat(hole.coords) for hole in flat.interiors]


def _flat(coords: Iterable[Sequence[float]]) -> list[float]:
    return [float(v) for xy in list(coords)[:-1] for v in xy[:2]]


def rectangle(points: Sequence[float], rotation: float) -> list[float]:
    """The four corners of a CVAT rectangle ``[x0, y0, x1, y1]``, turned by ``rotation`` degrees clockwise."""
    x0, y0, x1, y1 = points
    return _turned(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]), ((x0 + x1) / 2, (y0 + y1) / 2), rotation)


def ellipse(points: Sequence[float], rotation: float, corners: int = 72) -> list[float]:
    """A CVAT ellipse ``[cx, cy, right, top]`` as a polygon of the same area."""
    cx, cy, right, top = points
    angle = np.linspace(0, 2 * math.pi, corners, endpoint=False)
    grow = math.sqrt(math.pi / (corners / 2 * math.sin(2 * math.pi / corners)))
    ring = np.column_stack([cx + grow * abs(right - cx) * np.cos(angle), cy + grow * abs(cy - top) * np.sin(angle)])
    return _turned(ring, (cx, cy), rotation)


def _turned(ring: Ring, centre: tuple[float, float], degrees: float) -> list[float]:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turned = (ring - centre) @ np.array([[c, s], [-s, c]]) + centre  # y points down, so this is clockwise
    return [float(v) for v in turned.ravel()]


def mask_runs(points: Sequence[float], holes: Sequence[Sequence[float]]) -> list[int]:
    """A polygon with holes as a CVAT mask: run lengths and box, as :func:`mask_outline` reads them.

    Raises:
        OutlineError: no pixel's centre lies in it.
    """
    inner = [list(zip(hole[::2], hole[1::2], strict=True)) for hole in holes]
    polygon = Polygon(np.asarray(points, dtype=float).reshape(-1, 2), inner)
    mask, left, top = pixels_of(polygon if polygon.is_valid else shapely.make_valid(polygon))
    rows, columns = np.nonzero(mask)
    if not rows.size:
        raise OutlineError("an outline that covers no pixel: it cannot be a mask")
    mask = mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    left, top = left + int(columns.min()), top + int(rows.min())
    flat = np.concatenate([[False], mask.ravel()])
    changes = np.flatnonzero(np.diff(flat.astype(np.int8)))
    runs = np.diff(np.concatenate([[0], changes, [mask.size]]))
    return [int(run) for run in runs] + [left, top, left + mask.shape[1] - 1, top + mask.shape[0] - 1]


def mask_outline(points: Sequence[float]) -> tuple[list[float], list[list[float]]]:
    """Outline of a CVAT mask: row-wise run lengths (background first) in the box ``left, top, right, bottom``.

    Raises:
        OutlineError: the run lengths do not fill the box, or the mask has several large parts.
    """
    *runs, left, top, right, bottom = (int(v) for v in points)
    width, height = right - left + 1, bottom - top + 1
    sound = bool(runs) and width > 0 and height > 0 and min(runs) >= 0 and sum(runs) == width * height
    if not sound or width * height > MAX_MASK:
        raise OutlineError("a mask whose run lengths do not fill its box: delete it and draw a polygon")
    values = np.arange(len(runs)) % 2 == 1
    mask = np.repeat(values, runs).reshape(height, width)
    boxes = []
    for row in range(height):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], mask[row].astype(np.int8), [0]])))
        y = top + row
        boxes += [box(left + a, y, left + b, y + 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return main_part(shapely.simplify(shapely.union_all(boxes), 0))
