"""Datumaro's own JSON: one file per subset, polygons where there are no holes, run lengths where there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from labels.formats.coco import OUTLINES
from labels.formats.common import Picture, by_picture, checked_outline, outer, pixels, to_json
from labels.formats.rle import encode_pixels
from labels.schema import Kind, Shape
from labels.taxonomy import Taxonomy


def datumaro_head(taxonomy: Taxonomy) -> bytes:
    """What stands before the items."""
    labels = [{"name": t.name, "parent": t.parent or "", "attributes": []} for t in taxonomy.taxa]
    categories = {"label": {"labels": labels, "label_groups": [], "attributes": []}}
    start = {"categories": categories, "dm_format_version": "1.0", "infos": {}}
    return to_json(start)[:-1] + b',"items":['


DATUMARO_TAIL = b"]}"


def datumaro_items(
    pictures: Sequence[Picture], shapes: Iterable[Shape], taxonomy: Taxonomy, first: int = 0
) -> list[bytes]:
    """One JSON object per picture.

    Raises:
        FormatError: an outline cannot be written.
        TaxonomyError: a shape belongs to no taxon.
    """
    mine = by_picture(shape for shape in shapes if shape.kind in OUTLINES)
    items, number = [], first
    for frame, picture in enumerate(pictures):
        annotations = []
        for shape in mine.get(picture.image_id, []):
            item = {
                "id": number,
                "group": 0,
                "label_id": taxonomy.index(shape.label),
                "z_order": 0,
                "attributes": {"shape_id": shape.shape_id, "source": str(shape.source)},
            }
            annotations.append(item | _body(shape, picture))
            number += 1
        image = {"path": picture.file_name, "size": [picture.height, picture.width]}
        items.append(
            to_json(
                {
                    "id": picture.image_id,
                    "annotations": annotations,
                    "attr": {"frame": frame},
                    "image": image,
                    "media": {"path": picture.file_name},
                }
            )
        )
    return items


def _body(shape: Shape, picture: Picture) -> dict[str, object]:
    if shape.kind == Kind.POLYGON and not shape.holes:
        checked_outline(shape)
        return {"type": "polygon", "points": outer(shape.points)}
    mask = pixels(shape, picture)
    counts = encode_pixels(mask.mask, mask.left, mask.top, picture.height, picture.width)
    return {"type": "mask", "rle": {"counts": counts, "size": [picture.height, picture.width]}}
