"""COCO panoptic: every pixel belongs to one object; and the painting that other formats of pixels share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from labels.formats.coco import OUTLINES
from labels.formats.common import Picture, Pixels, by_picture, pixels, to_json, trimmed
from labels.schema import Shape
from labels.taxonomy import Taxonomy


def panoptic(
    pictures: Sequence[Picture], shapes: Iterable[Shape], taxonomy: Taxonomy, first_image: int = 1
) -> tuple[list[bytes], dict[str, bytes]]:
    """COCO panoptic: one JSON object per picture, and the pictures' PNG files by name.

    A pixel has one object: where outlines overlap, the smaller lies on top. Segment ids are 1, 2, ... in a picture,
    as R + 256 G + 65536 B; 0 is no coral.
    """
    import cv2

    mine = by_picture(shape for shape in shapes if shape.kind in OUTLINES)
    lines, files = [], {}
    for number, image in enumerate(pictures, first_image):
        ids, segments = np.zeros((image.height, image.width), np.uint32), []
        for segment, (shape, mask) in enumerate(on_top_last(mine.get(image.image_id, []), image), 1):
            paint(ids, mask, segment)
            segments.append((segment, shape))
        name = f"{image.image_id}.png"
        colours = np.stack([(ids >> 16) & 255, (ids >> 8) & 255, ids & 255], axis=-1).astype(np.uint8)  # BGR for OpenCV
        files[name] = cv2.imencode(".png", colours)[1].tobytes()
        info = [_segment(ids, segment, shape, taxonomy) for segment, shape in segments]
        kept = [item for item in info if item["area"]]
        lines.append(to_json({"image_id": number, "file_name": name, "segments_info": kept}))
    return lines, files


def _segment(ids: np.ndarray, segment: int, shape: Shape, taxonomy: Taxonomy) -> dict[str, Any]:
    seen = trimmed(ids == segment)
    box = [seen.left, seen.top, seen.mask.shape[1], seen.mask.shape[0]]
    category = taxonomy.index(shape.label) + 1
    return {
        "id": segment,
        "category_id": category,
        "area": seen.area,
        "bbox": box,
        "iscrowd": 0,
        "shape_id": shape.shape_id,
    }


def on_top_last(shapes: Sequence[Shape], image: Picture) -> list[tuple[Shape, Pixels]]:
    """Shapes with their pixels, the largest first: painted in this order, small colonies stay in sight."""
    painted = [(shape, pixels(shape, image)) for shape in shapes]
    return sorted(painted, key=lambda item: (-item[1].area, item[0].shape_id))


def paint(canvas: np.ndarray, mask: Pixels, value: int) -> None:
    """Put ``value`` where the mask is."""
    height, width = mask.mask.shape
    canvas[mask.top : mask.top + height, mask.left : mask.left + width][mask.mask] = value
