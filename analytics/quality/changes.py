"""What people did to the proposals: kept, reshaped, relabelled, deleted, added, and how much.

The measure of a reshape is the area that changed hands, and how far the outline moved at its worst place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pyarrow as pa
import shapely

from analytics.quality.moves import moved_px
from analytics.quality.overlap import Outlines
from analytics.quality.pictures import OUTLINES, PictureQuality
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


@dataclass(frozen=True, slots=True)
class Change:
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


def changes_of(picture: PictureQuality, before: Sequence[Shape], after: Sequence[Shape]) -> list[Change]:
    """What was done to the outlines of one picture, in the order of ``after``, deleted ones last."""
    outlines = picture.outlines
    if outlines is None:
        return []
    pixels = dict(zip(map(id, outlines.shapes), outlines.pixels().tolist(), strict=True))
    pairs = [(a, b, value) for a, b, value in picture.pairs if b.kind in OUTLINES]
    distance = _moved(outlines, [(a, b) for a, b, value in pairs if value < 1])
    partner = {id(b): (a, value) for a, b, value in pairs}
    kept = {id(a) for a, _, _ in pairs}
    found = []
    for shape in after:
        if shape.kind not in OUTLINES:
            continue
        if id(shape) in partner:
            found.append(_kept(*partner[id(shape)], shape, pixels, distance))
        else:
            found.append(_alone(What.ADDED, shape, pixels[id(shape)]))
    deleted = [s for s in before if s.kind in OUTLINES and id(s) not in kept]
    return [*found, *(_alone(What.DELETED, shape, pixels[id(shape)]) for shape in deleted)]


def changes_table(changes: Sequence[Change]) -> pa.Table:
    """Changes as a table of :data:`CHANGE_SCHEMA`."""
    return pa.Table.from_pylist(
        [{name: getattr(change, name) for name in CHANGE_SCHEMA.names} for change in changes], schema=CHANGE_SCHEMA
    )


def _kept(
    before: Shape, value: float, after: Shape, pixels: Mapping[int, float], distance: Mapping[int, float]
) -> Change:
    if before.label != after.label:
        what = What.RELABELLED
    else:
        what = What.UNCHANGED if value >= UNCHANGED_IOU else What.RESHAPED
    # With intersection I, IoU = I / (one + other - I), and the area in one only is one + other - 2 I.
    changed = (pixels[id(before)] + pixels[id(after)]) * (1 - value) / (1 + value)
    both = before.kind == after.kind == Kind.POLYGON
    moved = distance.get(id(after)) if value < 1 else 0.0 if both else None
    return Change(after.image_id, what, after.label, before.label, value, changed, moved, before.model, after.annotator)


def _moved(outlines: Outlines, pairs: Sequence[tuple[Shape, Shape]]) -> dict[int, float]:
    """Hausdorff distance of both outlines, by ``id`` of the second; polygons only."""
    place = {id(shape): k for k, shape in enumerate(outlines.shapes)}
    found = {}
    whole, places = outlines.whole.tolist(), []
    for a, b in pairs:
        if whole[place[id(a)]] and whole[place[id(b)]]:
            places.append((place[id(a)], place[id(b)]))
        elif a.kind == b.kind == Kind.POLYGON:  # holes are no part of the distance
            rings = [shapely.linearrings(np.reshape(shape.points, (-1, 2))) for shape in (a, b)]
            found[id(b)] = float(shapely.hausdorff_distance(*rings))
    if places:
        starts, counts = outlines.corners()
        sides = np.array(places).T
        distances = moved_px(outlines.points.reshape(-1, 2), starts[sides], counts[sides])
        found |= zip((id(outlines.shapes[k]) for k in sides[1]), distances.tolist(), strict=True)
    return found


def _alone(what: What, shape: Shape, pixels: float) -> Change:
    before = shape.label if what == What.DELETED else None
    return Change(shape.image_id, what, shape.label, before, None, float(pixels), None, shape.model, shape.annotator)
