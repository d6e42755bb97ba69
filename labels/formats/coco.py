"""COCO: instances and keypoints. Equal input, equal bytes; written picture by picture, so of any size.

Polygons where an outline has no holes, run lengths where it has. COCO counts pixels from their outer corner; half a
pixel is added to every coordinate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labels.formats.common import (
    DECIMALS,
    FormatError,
    Picture,
    Pixels,
    by_picture,
    checked_outline,
    outer,
    outline_polygon,
    pixels,
    to_json,
    trimmed,
    where,
)
from labels.formats.rle import encode_pixels
from labels.schema import Kind, Shape
from labels.taxonomy import Taxonomy

OUTLINES = frozenset({Kind.POLYGON, Kind.MASK})
OCCLUDED = "occluded"
FINE_32_BITS = 65_536
"""Up to here numbers of 32 bits hold two decimals: they are at most 0.004 apart."""


@dataclass(frozen=True, slots=True)
class CocoText:
    """The parts of a COCO file: what stands before the annotations, between them and the images, and at the end."""

    head: bytes
    middle: bytes
    tail: bytes

    def joined(self, annotations: bytes, images: bytes) -> bytes:
        """The whole file."""
        return self.head + annotations + self.middle + images + self.tail


def instance_categories(taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """Categories: ids are class numbers of the taxonomy plus 1."""
    return [
        {"id": i, "name": taxon.name, "supercategory": taxon.parent or "coral", "color": taxon.color}
        for i, taxon in enumerate(taxonomy.taxa, 1)
    ]


def coco_text(
    categories: Sequence[Mapping[str, Any]],
    info: Mapping[str, Any] | None = None,
    licenses: Sequence[Mapping[str, Any]] = (),
) -> CocoText:
    """The frame of a file whose annotations and images are written one after the other."""
    rest = to_json({"categories": list(categories), "info": dict(info or {}), "licenses": list(licenses)})
    return CocoText(b'{"annotations":[', b'],"images":[', b"]," + rest[1:])


def to_coco(
    images: Iterable[Picture],
    shapes: Iterable[Shape],
    taxonomy: Taxonomy,
    *,
    info: Mapping[str, Any] | None = None,
    licenses: Sequence[Mapping[str, Any]] = (),
) -> bytes:
    """Pictures and outlines as a COCO instances file.

    Pictures and annotations are numbered from 1, sorted by id. Provenance (``source``, ``score``, ``model``,
    ``shape_id``) is kept as further fields. Skeletons, points and tags are no instances and are left out.

    Raises:
        FormatError: a shape belongs to no picture, or has no sound outline.
        TaxonomyError: a shape belongs to no taxon.
    """
    pictures = sorted(images, key=lambda image: image.image_id)
    annotations = coco_instances(pictures, shapes, taxonomy)
    return coco_text(instance_categories(taxonomy), info, licenses).joined(
        annotations, b",".join(coco_images(pictures))
    )


def coco_images(pictures: Sequence[Picture], first: int = 1) -> list[bytes]:
    """One JSON object per picture, numbered from ``first``."""
    return [
        to_json(
            {
                **(image.extra or {}),
                "file_name": image.file_name,
                "width": image.width,
                "height": image.height,
                "image_id": image.image_id,
                "id": number,
            }
        )
        for number, image in enumerate(pictures, first)
    ]


def coco_instances(
    pictures: Sequence[Picture],
    shapes: Iterable[Shape],
    taxonomy: Taxonomy,
    first_image: int = 1,
    first: int = 1,
) -> bytes:
    """A JSON object per outline or mask, with commas between, in the order of the pictures, numbered from ``first``.

    Raises:
        FormatError: a shape belongs to no picture, or has no sound outline.
        TaxonomyError: a shape belongs to no taxon.
    """
    mine = by_picture(shape for shape in shapes if shape.kind in OUTLINES)
    ordered = [(number, image, mine.pop(image.image_id, [])) for number, image in enumerate(pictures, first_image)]
    for left in mine.values():
        raise FormatError(f"{where(left[0])}: the picture is not in the data set")
    categories = {name: number for number, name in enumerate(taxonomy.names, 1)}
    plain = iter(_plain_rings([s for _, _, found in ordered for s in found if _is_plain(s)]))
    texts: list[bytes] = []
    for number, image, found in ordered:
        items = [
            {
                "id": place,
                "image_id": number,
                "category_id": categories.get(shape.label) or taxonomy.index(shape.label) + 1,
                "iscrowd": 0,
                "shape_id": shape.shape_id,
                "source": str(shape.source),
                "score": None if shape.score is None else round(float(shape.score), 4),
                "model": shape.model,
                **(next(plain) if _is_plain(shape) else _runs(shape, image)),
            }
            for place, shape in enumerate(found, first)
        ]
        first += len(items)
        texts += [to_json(items)[1:-1]] if items else []  # a picture in one go takes a third of the time
    return b",".join(texts)


def _is_plain(shape: Shape) -> bool:
    return shape.kind == Kind.POLYGON and not shape.holes


def _plain_rings(shapes: Sequence[Shape]) -> list[dict[str, Any]]:
    """Segmentation, box and area of outlines without holes; all at once is many times quicker."""
    if not shapes:
        return []
    sizes = np.array([len(shape.points) for shape in shapes])
    exact = np.fromiter(chain.from_iterable(shape.points for shape in shapes), float, int(sizes.sum()))
    if (sizes < 6).any() or (sizes % 2).any() or not np.isfinite(exact).all():
        for shape in shapes:
            checked_outline(shape)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    x, y, first = exact[::2], exact[1::2], starts // 2
    after = np.arange(1, len(x) + 1)
    after[first + sizes // 2 - 1] = first
    areas = np.abs(np.add.reduceat(x * y[after] - x[after] * y, first)) / 2
    moved = outer(exact)
    low = np.column_stack([np.minimum.reduceat(moved[k::2], first) for k in (0, 1)])
    high = np.column_stack([np.maximum.reduceat(moved[k::2], first) for k in (0, 1)])
    boxes = np.round(np.column_stack([low, high - low]), DECIMALS)
    written = _short(moved)
    return [
        {"segmentation": [written[start : start + size]], "bbox": box, "area": area}
        for start, size, box, area in zip(
            starts.tolist(), sizes.tolist(), boxes.tolist(), np.round(areas, DECIMALS).tolist(), strict=True
        )
    ]


def _short(rounded: NDArray[np.float64]) -> NDArray[Any]:
    """Coordinates at :data:`DECIMALS` for writing: the same text from half the bits, in half the time.

    Below 65,536 the numbers of 32 bits lie closer to each other than hundredths, so that the shortest text that tells
    one from its neighbours is the hundredth it came from.
    """
    return rounded.astype(np.float32) if np.abs(rounded).max(initial=0.0) < FINE_32_BITS else rounded


def _runs(shape: Shape, image: Picture) -> dict[str, Any]:
    mask = pixels(shape, image)
    area = float(mask.area) if shape.kind == Kind.MASK else outline_polygon(shape).area
    return _mask_fields(mask, image, area)


def _mask_fields(mask: Pixels, image: Picture, area: float) -> dict[str, Any]:
    tight = trimmed(mask.mask, mask.left, mask.top)
    height, width = tight.mask.shape
    box = [tight.left, tight.top, width, height] if tight.area else [0, 0, 0, 0]
    counts = encode_pixels(tight.mask, tight.left, tight.top, image.height, image.width)
    segmentation = {"size": [image.height, image.width], "counts": counts}
    return {"segmentation": segmentation, "bbox": box, "area": round(float(area), 2)}


def keypoint_category(name: str, nodes: Sequence[str], edges: Iterable[tuple[int, int]]) -> dict[str, Any]:
    """The category of a skeleton; ``edges`` are pairs of node indices from 0, COCO counts from 1."""
    return {
        "id": 1,
        "name": name,
        "supercategory": "frame",
        "keypoints": list(nodes),
        "skeleton": [[a + 1, b + 1] for a, b in edges],
    }


def coco_keypoints(
    pictures: Sequence[Picture],
    shapes: Iterable[Shape],
    nodes: Sequence[str],
    first_image: int = 1,
    first: int = 1,
) -> list[bytes]:
    """One JSON object per skeleton. Visibility: 0 = outside (no place is given), 1 = occluded, 2 = seen.

    Raises:
        FormatError: a skeleton has another number of nodes, or belongs to no picture.
    """
    mine = by_picture(shape for shape in shapes if shape.kind == Kind.SKELETON)
    lines: list[bytes] = []
    for number, image in enumerate(pictures, first_image):
        for shape in mine.pop(image.image_id, []):
            places, seen = skeleton_places(shape, nodes)
            known = places[seen > 0]
            low = known.min(axis=0) if len(known) else np.zeros(2)
            size = known.max(axis=0) - low if len(known) else np.zeros(2)
            flat = np.column_stack([np.where(seen[:, None] > 0, places, 0.0), seen])
            item = {
                "id": first + len(lines),
                "image_id": number,
                "category_id": 1,
                "keypoints": [value for x, y, v in flat.tolist() for value in (x, y, int(v))],
                "num_keypoints": len(known),
                "bbox": np.round([*low, *size], 2),
                "area": round(float(size[0] * size[1]), 2),
                "iscrowd": 0,
                "shape_id": shape.shape_id,
                "source": str(shape.source),
                "model": shape.model,
            }
            lines.append(to_json(item))
    for left in mine.values():
        raise FormatError(f"{where(left[0])}: the picture is not in the data set")
    return lines


def skeleton_places(shape: Shape, nodes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Places ``(n, 2)`` from the outer corner of the first pixel, and COCO's visibility ``(n,)`` of the nodes.

    Raises:
        FormatError: the skeleton has another number of nodes.
    """
    places = outer(shape.points).reshape(-1, 2)
    if len(places) != len(nodes):
        raise FormatError(f"{where(shape)}: {len(places)} points, where {len(nodes)} nodes are expected")
    outside, hidden = set(shape.outside_nodes()), set(shape.attributes.get(OCCLUDED, "").split(","))
    return places, np.array([0 if node in outside else 1 if node in hidden else 2 for node in nodes])


__all__ = [
    "OCCLUDED",
    "OUTLINES",
    "CocoText",
    "coco_images",
    "coco_instances",
    "coco_keypoints",
    "coco_text",
    "instance_categories",
    "keypoint_category",
    "skeleton_places",
    "to_coco",
]
