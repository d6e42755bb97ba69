"""COCO instances JSON: polygons where an outline has no holes, run lengths where it has. Equal input, equal bytes.

COCO counts pixels from their outer corner; half a pixel is added to every coordinate.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shapely.geometry import Polygon

from labels.formats.rle import decode_rle, encode_rle
from labels.raster import rasterise
from labels.schema import Kind, Shape
from labels.taxonomy import Taxonomy

_HALF = 0.5
_DECIMALS = 2


@dataclass(frozen=True, slots=True)
class CocoImage:
    """A picture of the data set: its id, file name inside the release, size in pixels, and further facts."""

    image_id: str
    file_name: str
    width: int
    height: int
    extra: Mapping[str, Any] | None = None


def to_coco(
    images: Iterable[CocoImage],
    shapes: Iterable[Shape],
    taxonomy: Taxonomy,
    *,
    info: Mapping[str, Any] | None = None,
    licenses: Sequence[Mapping[str, Any]] = (),
) -> bytes:
    """Pictures and outlines as a COCO instances file.

    Category ids are class numbers of the taxonomy plus 1; pictures and annotations are numbered from 1, sorted by id.
    Provenance (``source``, ``score``, ``model``, ``shape_id``) is kept as further fields. Skeletons, points and tags
    are no instances and are left out.

    Raises:
        ValueError: a shape belongs to no picture, or to no taxon.
    """
    pictures = sorted(images, key=lambda image: image.image_id)
    number = {image.image_id: i for i, image in enumerate(pictures, 1)}
    outlines = [shape for shape in shapes if shape.kind in {Kind.POLYGON, Kind.MASK}]
    annotations: list[dict[str, Any]] = []
    for shape in sorted(outlines, key=lambda shape: (shape.image_id, shape.shape_id)):
        if shape.image_id not in number:
            raise ValueError(f"{shape.image_id}/{shape.shape_id}: the picture is not in the data set")
        image = pictures[number[shape.image_id] - 1]
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": number[shape.image_id],
                "category_id": taxonomy.index(shape.label) + 1,
                **_outline(shape, image),
                "iscrowd": 0,
                "shape_id": shape.shape_id,
                "source": str(shape.source),
                "score": None if shape.score is None else round(float(shape.score), 4),
                "model": shape.model,
            }
        )
    document = {
        "info": dict(info or {}),
        "licenses": [dict(item) for item in licenses],
        "images": [_image(image, number[image.image_id]) for image in pictures],
        "annotations": annotations,
        "categories": [
            {"id": i, "name": taxon.name, "supercategory": taxon.parent or "coral", "color": taxon.color}
            for i, taxon in enumerate(taxonomy.taxa, 1)
        ],
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def _image(image: CocoImage, number: int) -> dict[str, Any]:
    facts = {"file_name": image.file_name, "width": image.width, "height": image.height, "image_id": image.image_id}
    return {**(image.extra or {}), **facts, "id": number}


def _outline(shape: Shape, image: CocoImage) -> dict[str, Any]:
    if shape.kind == Kind.MASK:
        mask = decode_rle(shape.rle or "", image.height, image.width)
        return _mask_fields(mask, shape.rle or "", float(mask.sum()))
    polygon = Polygon(shape.xy(), [list(zip(hole[::2], hole[1::2], strict=True)) for hole in shape.holes])
    if shape.holes:
        mask = rasterise(polygon, image.width, image.height)
        return _mask_fields(mask, encode_rle(mask), polygon.area)
    ring = [round(v + _HALF, _DECIMALS) for v in shape.points]
    x0, y0, x1, y1 = min(ring[::2]), min(ring[1::2]), max(ring[::2]), max(ring[1::2])
    return {"segmentation": [ring], "bbox": _rounded([x0, y0, x1 - x0, y1 - y0]), "area": round(polygon.area, 2)}


def _mask_fields(mask: NDArray[np.bool_], rle: str, area: float) -> dict[str, Any]:
    ys, xs = np.nonzero(mask)
    empty = xs.size == 0
    box = [0, 0, 0, 0] if empty else [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1]
    size = [int(side) for side in mask.shape]
    return {"segmentation": {"size": size, "counts": rle}, "bbox": _rounded(box), "area": round(float(area), 2)}


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(float(v), _DECIMALS) for v in values]
