"""The label table: one Arrow schema for every shape, from a model's first guess to a reviewed outline.

A row is one shape. Coordinates are pixels of the picture named by ``image_id`` in the frame of its stage: raw (upright
photo) for corners, rectified for the lattice, clean for corals. Pixel centres have integer coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Any

import pyarrow as pa


class Kind(StrEnum):
    """What a shape is made of."""

    POLYGON = "polygon"
    MASK = "mask"
    SKELETON = "skeleton"
    POINT = "point"
    TAG = "tag"


class Source(StrEnum):
    """Who made the shape: a model, a person, or a person who changed what a model made."""

    MODEL = "model"
    HUMAN = "human"
    EDITED = "edited"


LABEL_SCHEMA = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("shape_id", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("points", pa.list_(pa.float32()), nullable=False),
        pa.field("holes", pa.list_(pa.list_(pa.float32())), nullable=False),
        pa.field("rle", pa.string()),
        pa.field("attributes", pa.map_(pa.string(), pa.string()), nullable=False),
        pa.field("score", pa.float32()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("model", pa.string()),
        pa.field("annotator", pa.string()),
        pa.field("reviewer", pa.string()),
        pa.field("cvat_task", pa.int64()),
        pa.field("cvat_job", pa.int64()),
        pa.field("cvat_frame", pa.int64()),
        pa.field("updated_at", pa.timestamp("us", tz="UTC")),
    ],
    metadata={"reefline.schema": "labels", "reefline.version": "1"},
)

OUTSIDE = "outside"
"""Attribute of a skeleton: comma-separated node ids that are not visible (their points are where they should be)."""


@dataclass(slots=True)
class Shape:
    """One row of a label table.

    Attributes:
        points: flat ``[x0, y0, x1, y1, ...]`` in pixels. For a skeleton: one pair per node, in topology order.
        holes: rings of the same form, each inside the polygon.
        rle: COCO compressed run-length string for ``kind=mask``; ``None`` otherwise.
        score: the model's confidence in 0..1, ``None`` when a person drew the shape.
        model: ``name@version#sha256[:12]`` of the model that made or pre-labelled it.
    """

    image_id: str
    shape_id: str
    kind: str
    label: str
    points: list[float]
    holes: list[list[float]] = field(default_factory=list)
    rle: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    score: float | None = None
    source: str = Source.MODEL
    model: str | None = None
    annotator: str | None = None
    reviewer: str | None = None
    cvat_task: int | None = None
    cvat_job: int | None = None
    cvat_frame: int | None = None
    updated_at: datetime | None = None

    def xy(self) -> list[tuple[float, float]]:
        """Points as pairs, in pixels."""
        return list(zip(self.points[0::2], self.points[1::2], strict=True))

    def outside_nodes(self) -> list[str]:
        """Ids of skeleton nodes that are marked as not visible."""
        raw = self.attributes.get(OUTSIDE, "")
        return [node for node in raw.split(",") if node]


def shapes_to_table(shapes: Iterable[Shape]) -> pa.Table:
    """Rows to an Arrow table of :data:`LABEL_SCHEMA`."""
    rows = list(shapes)
    columns: dict[str, list[Any]] = {f.name: [getattr(shape, f.name) for shape in rows] for f in fields(Shape)}
    columns["attributes"] = [list(value.items()) for value in columns["attributes"]]
    return pa.Table.from_pydict(columns, schema=LABEL_SCHEMA)


def table_to_shapes(table: pa.Table) -> list[Shape]:
    """An Arrow table of :data:`LABEL_SCHEMA` to rows."""
    names = [f.name for f in fields(Shape)]
    columns = [_plain(table.column(name)) for name in names]
    shapes = [Shape(*row) for row in zip(*columns, strict=True)]
    for shape in shapes:
        shape.attributes = dict(shape.attributes or ())
    return shapes


def _plain(column: pa.ChunkedArray) -> list[Any]:
    """A column as Python values; long lists of numbers by numpy, which is many times quicker than value by value."""
    if not pa.types.is_list(column.type) or not pa.types.is_floating(column.type.value_type) or column.null_count:
        return list(column.to_pylist())
    values: list[Any] = []
    for chunk in column.chunks:
        flat, offsets = chunk.values.to_numpy(zero_copy_only=False).astype(float), chunk.offsets.to_numpy()
        values += [flat[a:b].tolist() for a, b in pairwise(offsets)]
    return values


def label_defects(shapes: Sequence[Shape], labels: set[str], sizes: dict[str, tuple[int, int]]) -> list[str]:
    """What is wrong with a label table, one readable line per defect.

    Args:
        shapes: the rows.
        labels: the label names that may occur.
        sizes: ``image_id -> (width, height)`` in pixels, for every picture that may occur.
    """
    defects: list[str] = []
    seen: set[str] = set()
    least = {Kind.POLYGON: 6, Kind.SKELETON: 2, Kind.POINT: 2, Kind.MASK: 0, Kind.TAG: 0}
    for shape in shapes:
        where = f"{shape.image_id}/{shape.shape_id}"
        if shape.shape_id in seen:
            defects.append(f"{where}: shape_id occurs twice")
        seen.add(shape.shape_id)
        if shape.kind not in least:
            defects.append(f"{where}: unknown kind {shape.kind!r}")
            continue
        if shape.label not in labels:
            defects.append(f"{where}: label {shape.label!r} is not in the taxonomy")
        if len(shape.points) % 2 or len(shape.points) < least[Kind(shape.kind)]:
            defects.append(f"{where}: {len(shape.points)} coordinates are too few for a {shape.kind}")
        if any(len(hole) % 2 or len(hole) < 6 for hole in shape.holes):
            defects.append(f"{where}: a hole of fewer than three points")
        if shape.score is not None and not 0 <= shape.score <= 1:
            defects.append(f"{where}: score {shape.score} is not between 0 and 1")
        if not all(math.isfinite(v) for ring in (shape.points, *shape.holes) for v in ring):
            defects.append(f"{where}: coordinates that are no numbers")
            continue
        if shape.kind == Kind.MASK and not shape.rle:
            defects.append(f"{where}: a mask without run lengths")
        if shape.image_id not in sizes:
            defects.append(f"{where}: picture is not in the manifest")
            continue
        width, height = sizes[shape.image_id]
        pairs = zip(shape.points[::2], shape.points[1::2], strict=False)  # an odd coordinate was named above
        outside = any(not (-1 <= x <= width and -1 <= y <= height) for x, y in pairs)
        if outside and shape.kind != Kind.SKELETON:
            defects.append(f"{where}: points outside the {width}x{height} picture")
    return defects
