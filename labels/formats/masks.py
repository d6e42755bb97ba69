"""Semantic masks: one PNG per picture, class number + 1 per pixel, with a palette; 0 is no coral."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from labels.formats.coco import OUTLINES
from labels.formats.common import FormatError, Picture, by_picture, to_json
from labels.formats.panoptic import on_top_last, paint
from labels.schema import Shape
from labels.taxonomy import Taxonomy

MAX_CLASSES = 255


def semantic_masks(pictures: Sequence[Picture], shapes: Iterable[Shape], taxonomy: Taxonomy) -> dict[str, bytes]:
    """PNG files by name ``<split>/<image_id>.png``. Where outlines overlap, the smaller lies on top.

    Raises:
        FormatError: more than 255 taxa, or an outline that cannot be painted.
        TaxonomyError: a shape belongs to no taxon.
    """
    if len(taxonomy.taxa) > MAX_CLASSES:
        raise FormatError(f"{taxonomy.reference} has {len(taxonomy.taxa)} taxa, a mask holds {MAX_CLASSES}")
    mine = by_picture(shape for shape in shapes if shape.kind in OUTLINES)
    colours = [0, 0, 0] + [int(taxon.color[k : k + 2], 16) for taxon in taxonomy.taxa for k in (1, 3, 5)]
    files = {}
    for picture in pictures:
        classes = np.zeros((picture.height, picture.width), np.uint8)
        for shape, mask in on_top_last(mine.get(picture.image_id, []), picture):
            paint(classes, mask, taxonomy.index(shape.label) + 1)
        image = Image.fromarray(classes, "P")
        image.putpalette(colours)
        buffer = io.BytesIO()
        image.save(buffer, "PNG", compress_level=6)
        files[f"{picture.split or 'train'}/{picture.image_id}.png"] = buffer.getvalue()
    return files


def palette_json(taxonomy: Taxonomy) -> bytes:
    """What each value of a mask means, and its colour."""
    entries = [{"value": 0, "name": "no coral", "color": "#000000"}]
    entries += [{"value": i, "name": t.name, "color": t.color} for i, t in enumerate(taxonomy.taxa, 1)]
    return to_json(entries)
