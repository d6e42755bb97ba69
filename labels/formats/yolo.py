"""YOLO text labels: outlines (seg) and skeletons (pose), one text per picture, coordinates as shares of the sides.

A YOLO outline is one ring. A hole is joined to it by a slit of no width (see ``cvat.cut_holes``), so the area stays;
what is lost is stated in :data:`LOSS`: points move by rounding, and a mask becomes the outline of its pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import shapely
from shapely.geometry import Polygon, box

from labels.formats.coco import OUTLINES, skeleton_places
from labels.formats.common import (
    HALF,
    FormatError,
    Picture,
    Pixels,
    by_picture,
    checked_outline,
    number_text,
    outline_polygon,
    pixels,
    where,
)
from labels.formats.cvat.geometry import cut_holes
from labels.schema import Kind, Shape
from labels.taxonomy import Taxonomy

SHARE_DECIMALS = 7
"""Of a side: at most 0.0005 px in a picture of 10,000 px."""

LOSS = "holes are slits of no width; points move by less than 0.001 px; parts of a mask become objects of their own"


def yolo_name(picture: Picture, folder: str = "labels") -> str:
    """Where the text of a picture lies: ``labels/<split>/<image_id>.txt``."""
    return f"{folder}/{picture.split or 'train'}/{picture.image_id}.txt"


def yolo_seg(pictures: Sequence[Picture], shapes: Iterable[Shape], taxonomy: Taxonomy) -> dict[str, bytes]:
    """A text per picture, by name: ``class x y x y ...`` a line; empty for a picture without colonies.

    Raises:
        FormatError: an outline cannot be written.
        TaxonomyError: a shape belongs to no taxon.
    """
    mine = by_picture(shape for shape in shapes if shape.kind in OUTLINES)
    number = {name: i for i, name in enumerate(taxonomy.names)}
    texts = {}
    for picture in pictures:
        lines = []
        for shape in mine.get(picture.image_id, []):
            label = number[shape.label] if shape.label in number else taxonomy.index(shape.label)
            lines += [b"%d %s\n" % (label, _shares(ring, picture)) for ring in yolo_rings(shape, picture)]
        texts[yolo_name(picture)] = b"".join(lines)
    return texts


def yolo_rings(shape: Shape, picture: Picture) -> list[np.ndarray]:
    """The rings that stand for an object: one, or one per part of a mask; in the label table's pixels."""
    if shape.kind == Kind.MASK:
        return [np.asarray(_single_ring(part)) for part in mask_parts(pixels(shape, picture))]
    checked_outline(shape)
    if not shape.holes:
        return [np.asarray(shape.points, float)]
    area = outline_polygon(shape)  # a hole that reaches over its outline can part it
    parts = [part for part in getattr(area, "geoms", [area]) if isinstance(part, Polygon)]
    return [np.asarray(_single_ring(part)) for part in parts]


def mask_parts(mask: Pixels) -> list[Polygon]:
    """The connected parts of a mask as polygons along the edges of its pixels, in the label table's pixels."""
    boxes = []
    for row in range(mask.mask.shape[0]):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.mask[row].astype(np.int8), [0]])))
        y = mask.top + row - HALF
        boxes += [
            box(mask.left + a - HALF, y, mask.left + b - HALF, y + 1)
            for a, b in zip(edges[::2], edges[1::2], strict=True)
        ]
    union = shapely.simplify(shapely.union_all(boxes), 0)
    return [part for part in getattr(union, "geoms", [union]) if isinstance(part, Polygon) and not part.is_empty]


def _single_ring(part: Polygon) -> list[float]:
    rings = [np.asarray(ring.coords[:-1]).ravel().tolist() for ring in (part.exterior, *part.interiors)]
    return cut_holes(rings[0], rings[1:])


def yolo_pose(pictures: Sequence[Picture], shapes: Iterable[Shape], nodes: Sequence[str]) -> dict[str, bytes]:
    """A text per picture: ``0 cx cy w h  x y v ...`` a line, visibility as in COCO.

    Raises:
        FormatError: a skeleton has another number of nodes, or none that is seen.
    """
    mine = by_picture(shape for shape in shapes if shape.kind == Kind.SKELETON)
    texts = {}
    for picture in pictures:
        lines = []
        for shape in mine.get(picture.image_id, []):
            places, seen = skeleton_places(shape, nodes)
            if not seen.any():
                raise FormatError(f"{where(shape)}: no node is seen, so it has no box: delete it")
            shares = places / (picture.width, picture.height)
            low, high = shares[seen > 0].min(axis=0), shares[seen > 0].max(axis=0)
            nodes_text = b" ".join(
                b"%s %d" % (_texts(place), v)
                for place, v in zip(np.where(seen[:, None] > 0, shares, 0.0), seen.tolist(), strict=True)
            )
            box = _texts(np.array([*(low + high) / 2, *(high - low)]))
            lines.append(b"0 %s %s\n" % (box, nodes_text))
        texts[yolo_name(picture)] = b"".join(lines)
    return texts


def data_yaml(names: Sequence[str], splits: Sequence[str], nodes: Sequence[str] | None = None) -> bytes:
    """``data.yaml`` of a data set whose pictures lie in ``images/<split>`` beside it; ``nodes`` for pose.

    It states no ``path``: ultralytics would take ``.`` for the folder that it was started in.
    """
    lines = [f"{split}: images/{split}" for split in splits]
    if nodes is not None:
        lines += [f"kpt_shape: [{len(nodes)}, 3]"]
    lines += ["names:"] + [f"  {i}: {_quoted(name)}" for i, name in enumerate(names)]
    return ("\n".join(lines) + "\n").encode()


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _shares(flat: np.ndarray, picture: Picture) -> bytes:
    return _texts(((flat.reshape(-1, 2) + HALF) / (picture.width, picture.height)).ravel())


def _texts(values: np.ndarray) -> bytes:
    return number_text(np.round(values, SHARE_DECIMALS))[1:-1].replace(b",", b" ")
