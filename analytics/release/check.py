"""The self-check of a release: every file is read back by another reader and compared with the labels it came from.

One function per format; when two objects are one and the same is said in ``sameness``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
import shapely
from shapely.geometry.base import BaseGeometry

from analytics.geometry import outline_geometry
from analytics.release import readers
from analytics.release.exporters import NO_CORAL
from analytics.release.inputs import SPLIT_NAMES, BatchInput, ReleasePlan
from analytics.release.sameness import by_id, outlines, painted, same_outline, skeletons
from labels.schema import Kind

CHECKED_OBJECTS = 50_000
"""Objects of a release that are all read back; beyond them a share of the batches, drawn by their content."""
CHECKED_SHARE = 0.05


_UNREADABLE = (LookupError, TypeError, ValueError, OSError, EOFError, SyntaxError, BadZipFile, pa.ArrowException)


def check_batch(plan: ReleasePlan, given: BatchInput, files: Mapping[str, Path], formats: Sequence[str]) -> list[str]:
    """What does not come back as it went in, a line per object; ``files`` hold this batch alone."""
    defects = []
    for name in formats:
        try:
            defects += [f"{name}: {line}" for line in _CHECKS[name](plan, given, files)]
        except _UNREADABLE as error:
            defects.append(f"{name}: cannot be read back ({type(error).__name__}: {error})")
    return defects


Files = Mapping[str, Path]


def _parquet(plan: ReleasePlan, given: BatchInput, files: Files) -> list[str]:
    defects = []
    for path, shapes in (("labels.parquet", given.shapes), ("keypoints.parquet", [*given.corners, *given.lattice])):
        rows = readers.read_labels(files[path])
        if len(rows) != len(shapes):
            defects.append(f"{path}: {len(rows)} rows of {len(shapes)}")
        for row, shape in zip(rows, shapes, strict=False):
            same = (row["image_id"], row["shape_id"], row["label"], row["rle"]) == (
                shape.image_id,
                shape.shape_id,
                shape.label,
                shape.rle,
            )
            points = np.array_equal(np.asarray(row["points"], np.float32), np.asarray(shape.points, np.float32))
            holes = len(row["holes"]) == len(shape.holes) and all(
                np.array_equal(np.asarray(a, np.float32), np.asarray(b, np.float32))
                for a, b in zip(row["holes"], shape.holes, strict=True)
            )
            if not (same and points and holes):
                defects.append(f"{path}: {shape.image_id}/{shape.shape_id}")
    return defects


def _coco(plan: ReleasePlan, given: BatchInput, files: Files) -> list[str]:
    seen = [s for split in SPLIT_NAMES for s in readers.read_coco(files[f"coco/instances_{split}.json"])]
    defects = outlines(by_id(seen), given, paint=True)
    return defects + skeletons(plan, given, lambda what: readers.read_coco(files[f"coco/keypoints_{what}.json"]), "")


def _cvat(plan: ReleasePlan, given: BatchInput, files: Files) -> list[str]:
    names = {picture.file_name: picture.image_id for picture in given.pictures()}
    seen = list(readers.read_cvat_xml(files["cvat/corals.xml"]))
    for entry in seen:
        entry.picture = names.get(entry.picture, entry.picture)
    return outlines(by_id(seen), given) + skeletons(
        plan, given, lambda what: readers.read_cvat_xml(files[f"cvat/{what}.xml"]), "name"
    )


def _datumaro(plan: ReleasePlan, given: BatchInput, files: Files) -> list[str]:
    seen = [s for split in SPLIT_NAMES for s in readers.read_datumaro(files[f"datumaro/{split}.json"])]
    return outlines(by_id(seen), given)


def _yolo(plan: ReleasePlan, given: BatchInput, files: Files) -> list[str]:
    """YOLO has no ids: every object must find its like among those of its taxon in its picture."""
    sizes = {picture.image_id: (picture.width, picture.height) for picture in given.pictures()}
    found: dict[tuple[str, str], list[BaseGeometry]] = defaultdict(list)
    for seen in readers.read_yolo(files["yolo/seg.zip"], sizes):
        if seen.outline is not None:
            found[seen.picture, seen.label].append(seen.outline)
    defects = []
    for shape in given.shapes:
        if shape.kind == Kind.POLYGON:
            source, rings = outline_geometry(shape), found[shape.image_id, shape.label]
            parts = getattr(source, "geoms", [source]) if shape.holes else [source]
            if not all([_taken(part, rings) for part in parts]):
                defects.append(f"{shape.image_id}/{shape.shape_id}: no ring of the file is its outline")
    masks = any(shape.kind == Kind.MASK for shape in given.shapes)
    if not masks and any(found.values()):
        defects.append(f"{sum(map(len, found.values()))} rings that are no object's")
    read = {"corners": given.photos(), "lattice": given.straightened()}
    return defects + skeletons(
        plan,
        given,
        lambda what: readers.read_yolo(
            files[f"yolo/pose-{what}.zip"], {p.image_id: (p.width, p.height) for p in read[what]}
        ),
        "order",
    )


def _taken(source: BaseGeometry, rings: list[BaseGeometry]) -> bool:
    """Whether one of the rings is this outline; it is taken out."""
    index = next((k for k, ring in enumerate(rings) if same_outline(source, ring)), None)
    if index is not None:
        rings.pop(index)
    return index is not None


def _masks(plan: ReleasePlan, given: BatchInput, files: Files) -> list[str]:
    meaning, pictures = readers.read_masks(files["masks.zip"])
    read = dict(pictures)
    value = {name: number for number, name in meaning.items()}
    return painted(given, lambda picture: read[picture], lambda shape: value[shape.label])


def _panoptic(plan: ReleasePlan, given: BatchInput, files: Files) -> list[str]:
    read = {picture: (ids, segments) for picture, ids, segments in readers.read_panoptic(files["coco/panoptic.zip"])}
    return painted(
        given,
        lambda picture: read[picture][0],
        lambda shape: read[shape.image_id][1].get(shape.shape_id, (-1, ""))[0],
    )


def _coralnet(plan: ReleasePlan, given: BatchInput, files: Files) -> list[str]:
    names = {p.file_name.rpartition("/")[2]: p for p in given.pictures()}
    shapes: dict[tuple[str, str], list[BaseGeometry]] = defaultdict(list)
    for shape in given.shapes:
        shapes[shape.image_id, shape.label].append(outline_geometry(shape))
    defects = []
    for name, x, y, label in readers.read_points(files["coralnet.csv"]):
        picture = names[name]
        on = [g for g in shapes[picture.image_id, label] if g.intersects(shapely.Point(x, y))]
        if (label != NO_CORAL and not on) or not (0 <= x < picture.width and 0 <= y < picture.height):
            defects.append(f"{name}: the point at column {x}, row {y} is not on {label}")
    return defects


def _dwca(plan: ReleasePlan, given: BatchInput, files: Files) -> list[str]:
    tables = readers.read_archive(files["dwca.zip"])
    events = {row["eventID"] for row in tables["event.txt"]}
    defects = [
        f"{name}: {row['id']} is no event" for name, rows in tables.items() for row in rows
        if name != "event.txt" and row["id"] not in events
    ]  # fmt: skip
    covers = [float(r["measurementValue"]) for r in tables["extendedmeasurementorfact.txt"]
              if r["measurementType"] == "cover"]  # fmt: skip
    stated = [100 * share for share in given.cover["share"].to_pylist()]
    if len(events) != len(given.images) or not np.allclose(sorted(covers), sorted(stated), atol=1e-4):
        defects.append(f"{len(events)} events of {len(given.images)} pictures, {len(covers)} covers of {len(stated)}")
    return defects


_CHECKS: Mapping[str, Callable[[ReleasePlan, BatchInput, Files], list[str]]] = {
    "parquet": _parquet,
    "coco": _coco,
    "cvat": _cvat,
    "datumaro": _datumaro,
    "yolo": _yolo,
    "masks": _masks,
    "panoptic": _panoptic,
    "coralnet": _coralnet,
    "dwca": _dwca,
}
