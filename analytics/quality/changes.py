"""What people did to the proposals: kept, reshaped, relabelled, deleted, added, and how much.

The measure of a reshape is the area that changed hands, and how far the outline moved at its worst place.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from analytics.quality.moves import moved_px
from analytics.quality.overlap import Outlines
from analytics.quality.pictures import PictureQuality
from labels.schema import Kind, Shape

UNCHANGED_IOU = 0.995
"""CVAT rounds coordinates; an outline this alike was not touched."""


class What(StrEnum):
    """What became of a shape."""

    UNCHANGED = "unchanged"
    RESHAPED = "reshaped"
    RELABELLED = "relabelled"
    DELETED = "deleted"
    ADDED = "added"


CHANGE_SCHEMA = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("what", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("label_before", pa.string()),
        pa.field("iou", pa.float64()),
        pa.field("changed_px", pa.float64(), nullable=False),
        pa.field("moved_px", pa.float64()),
        pa.field("model", pa.string()),
        pa.field("annotator", pa.string()),
    ]
)


class Change(NamedTuple):
    """One shape's way from proposal to review.

    Attributes:
        label: in the end (of a deleted one: what it was).
        iou: with what it was; None for added and deleted ones.
        changed_px: pixels that are in one of both outlines only.
        moved_px: Hausdorff distance of both outlines in pixels; None where there are not two polygons.
        model: that proposed it.
        annotator: who answers for the outcome; None where nobody does.
    """

    image_id: str
    what: What
    label: str
    label_before: str | None
    iou: float | None
    changed_px: float
    moved_px: float | None
    model: str | None
    annotator: str | None


def changes_of(picture: PictureQuality) -> list[Change]:
    """What was done to the outlines of one picture, in the order of ``gt``, deleted ones last.

    ``ds`` of the comparison is what was proposed, ``gt`` what came out of it.
    """
    outlines, pairing = picture.outlines, picture.pairing
    if outlines is None or pairing is None:
        return []
    count = len(pairing.similarity)
    before, after = outlines.shapes[:count], outlines.shapes[count:]
    pixels = outlines.pixels()
    one, other = np.array(pairing.pairs, np.int64).reshape(-1, 2).T
    ious = pairing.similarity[one, other]
    # With intersection I, IoU = I / (one + other - I), and the area in one only is one + other - 2 I.
    changed = (pixels[one] + pixels[other + count]) * (1 - ious) / (1 + ious)
    moved = _moved(outlines, one, other + count, ious < 1)
    found: list[Change | None] = [None] * len(after)
    for i, j, iou, pixels_changed, distance in zip(
        one.tolist(), other.tolist(), ious.tolist(), changed.tolist(), moved, strict=True
    ):
        was, is_now = before[i], after[j]
        same = What.UNCHANGED if iou >= UNCHANGED_IOU else What.RESHAPED
        what = same if was.label == is_now.label else What.RELABELLED
        found[j] = Change(
            is_now.image_id, what, is_now.label, was.label, iou, pixels_changed, distance, was.model, is_now.annotator
        )
    areas = pixels.tolist()
    done = [change or _alone(What.ADDED, after[j], areas[count + j]) for j, change in enumerate(found)]
    return [*done, *(_alone(What.DELETED, before[i], areas[i]) for i in pairing.extra)]


def changes_table(changes: Sequence[Change]) -> pa.Table:
    """Changes as a table of :data:`CHANGE_SCHEMA`."""
    columns = {name: [getattr(change, name) for change in changes] for name in CHANGE_SCHEMA.names}
    return pa.Table.from_pydict(columns, schema=CHANGE_SCHEMA)


def _moved(
    outlines: Outlines, one: NDArray[np.int64], other: NDArray[np.int64], differ: NDArray[np.bool_]
) -> list[float | None]:
    """Hausdorff distance of both outlines of each pair: 0 where they do not differ, None where there is a mask."""
    distances = np.zeros(len(one))
    whole = outlines.whole[one] & outlines.whole[other]
    chosen = np.flatnonzero(whole & differ)
    if len(chosen):
        starts, counts = outlines.corners()
        sides = np.stack([one[chosen], other[chosen]])
        distances[chosen] = moved_px(outlines.points.reshape(-1, 2), starts[sides], counts[sides])
    found: list[float | None] = [*distances.tolist()]
    for k in np.flatnonzero(~whole).tolist():
        a, b = outlines.shapes[one[k]], outlines.shapes[other[k]]
        if Kind.MASK in (a.kind, b.kind):
            found[k] = None
        elif differ[k]:  # holes are no part of the distance
            rings = [shapely.linearrings(np.reshape(shape.points, (-1, 2))) for shape in (a, b)]
            found[k] = float(shapely.hausdorff_distance(*rings))
    return found


def _alone(what: What, shape: Shape, pixels: float) -> Change:
    before = shape.label if what == What.DELETED else None
    return Change(shape.image_id, what, shape.label, before, None, pixels, None, shape.model, shape.annotator)
