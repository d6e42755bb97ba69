"""Imported outlines as proposals of the coral gate: from the photo to the straightened picture. No Dagster."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import shapely
from shapely.geometry import Polygon, box

from assets.common.stage import Done
from labels.formats.common import outline_polygon
from labels.manifest import ManifestRow
from labels.schema import Shape
from labels.transforms import Rectification, apply_homography

LOOK_ONCE = "labels are imported: look at them once"


def imports_digest(shapes: Sequence[Shape]) -> str:
    """What a proposal from imported labels depends on."""
    plain = [[s.shape_id, s.label, s.points, s.holes] for s in shapes]
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()[:16]


def proposed_by_import(picture: ManifestRow, shapes: Sequence[Shape]) -> Done:
    """The imported outlines of a picture in its clean frame.

    What lies outside of the frame is cut off and counted; an outline that the frame parts becomes several.
    """
    warp = Rectification.from_json(picture.extra)
    matrix = np.asarray(warp.matrix, float).reshape(3, 3)
    frame = box(-0.5, -0.5, (picture.width or 1) - 0.5, (picture.height or 1) - 0.5)
    moved = [part for shape in shapes for part in _moved(shape, matrix, frame)]
    inside = {part.shape_id.partition("/")[0] for part in moved}
    extra = {
        "score": 1.0,
        "colonies": len(moved),
        "defects": [LOOK_ONCE],
        "imported": len(shapes),
        "imported_outside": len(shapes) - len(inside),
    }
    return Done(extra=extra, shapes=moved)


def _moved(shape: Shape, matrix: np.ndarray, frame: Polygon) -> Iterator[Shape]:
    rings = [apply_homography(matrix, np.asarray(ring, float)) for ring in (shape.points, *shape.holes)]
    flat = replace(shape, points=rings[0].ravel().tolist(), holes=[ring.ravel().tolist() for ring in rings[1:]])
    area = outline_polygon(flat)
    if not frame.covers(area):
        area = shapely.intersection(area, frame)
    parts = [p for p in getattr(area, "geoms", [area]) if isinstance(p, Polygon) and p.area > 0]
    for number, part in enumerate(parts):
        yield replace(
            flat,
            shape_id=shape.shape_id if number == 0 else f"{shape.shape_id}/{number}",
            points=np.asarray(part.exterior.coords[:-1]).ravel().tolist(),
            holes=[np.asarray(hole.coords[:-1]).ravel().tolist() for hole in part.interiors],
        )
