"""The self-check of a release: every file is read back by another reader and compared with the labels it came from.

Formats of pixels must give IoU >= 0.999 per object. Outlines must come back to the rounding of their coordinates: IoU
>= 0.999, or a difference no larger than the rounding can make along the outline (small colonies). Where the COCO tools
paint an outline, only pixels that the outline itself touches may differ.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile

import cv2
import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from analytics.geometry import outline_geometry
from analytics.release import readers
from analytics.release.exporters import CORNER_NODES, NO_CORAL
from analytics.release.inputs import SPLIT_NAMES, BatchInput, ReleasePlan
from analytics.release.readers import Seen
from labels.formats.common import Picture, pixels
from labels.schema import Kind, Shape

LEAST_IOU = 0.999
ROUNDING_PX = 0.0075
"""How far a point may move: half of the last decimal in each axis, and 32-bit floats."""
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
    defects = _outlines(_by_id(seen), given, paint=True)
    return defects + _skeletons(plan, given, lambda what: readers.read_coco(files[f"coco/keypoints_{what}.json"]), "")


def _cvat(plan: ReleasePlan, given: BatchInput, files: Files) -> list[str]:
    names = {picture.file_name: picture.image_id for picture in given.pictures()}
    seen = list(readers.read_cvat_xml(files["cvat/corals.xml"]))
    for entry in seen:
        entry.picture = names.get(entry.picture, entry.picture)
    return _outlines(_by_id(seen), given) + _skeletons(
        plan, given, lambda what: readers.read_cvat_xml(files[f"cvat/{what}.xml"]), "name"
    )


def _datumaro(plan: ReleasePlan, given: BatchInput, files: Files) -> list[str]:
    seen = [s for split in SPLIT_NAMES for s in readers.read_datumaro(files[f"datumaro/{split}.json"])]
    return _outlines(_by_id(seen), given)


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
    return defects + _skeletons(
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
    return _painted(given, lambda picture: read[picture], lambda shape: value[shape.label])


def _panoptic(plan: ReleasePlan, given: BatchInput, files: Files) -> list[str]:
    read = {picture: (ids, segments) for picture, ids, segments in readers.read_panoptic(files["coco/panoptic.zip"])}
    return _painted(
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


def _by_id(seen: Iterable[Seen]) -> dict[tuple[str, str | None], Seen]:
    return {(entry.picture, entry.object_id): entry for entry in seen}


def _outlines(found: Mapping[tuple[str, str | None], Seen], given: BatchInput, paint: bool = False) -> list[str]:
    sources = {(s.image_id, s.shape_id): s for s in given.shapes if s.kind in {Kind.POLYGON, Kind.MASK}}
    pictures = {picture.image_id: picture for picture in given.pictures()}
    defects = [f"{key[0]}/{key[1]}: not an object of the release" for key in found if key not in sources]
    for key, shape in sources.items():
        entry = found.get(key)
        if entry is None or entry.label != shape.label:
            defects.append(f"{key[0]}/{key[1]}: {'missing' if entry is None else f'became {entry.label}'}")
            continue
        what = _difference(shape, entry, pictures[shape.image_id], paint)
        if what:
            defects.append(f"{key[0]}/{key[1]}: {what}")
    return defects


def _difference(shape: Shape, seen: Seen, picture: Picture, paint: bool) -> str | None:
    if seen.mask is not None:
        overlap = mask_iou(pixels(shape, picture).on(picture.height, picture.width), seen.mask)
        return None if overlap >= LEAST_IOU else f"IoU {overlap:.4f} of its mask"
    if seen.outline is None or shape.kind != Kind.POLYGON:
        return "no outline"
    if not same_outline(outline_geometry(shape), seen.outline):
        return "another outline"
    if paint and not _painted_alike(shape, picture):
        return "the COCO tools paint other pixels"
    return None


def same_outline(source: BaseGeometry, read: BaseGeometry) -> bool:
    """Whether two outlines are the same to the rounding of coordinates."""
    if source.equals_exact(read, ROUNDING_PX):
        return True
    union = source.union(read).area
    apart = source.symmetric_difference(read).area
    return bool(apart <= (1 - LEAST_IOU) * union or apart <= ROUNDING_PX * max(source.length, read.length))


def mask_iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Overlap of two masks of one picture; 1 when both are empty."""
    if a.shape != b.shape:
        return 0.0
    union = int(np.logical_or(a, b).sum())
    return int(np.logical_and(a, b).sum()) / union if union else 1.0


def _painted_alike(shape: Shape, picture: Picture) -> bool:
    """Whether the COCO tools paint the outline alike, but for pixels that the outline itself touches."""
    ring = np.asarray(shape.points, float).reshape(-1, 2)
    low = np.floor(ring.min(axis=0)) - 2
    width, height = (np.ceil(ring.max(axis=0)) - low + 4).astype(int).tolist()
    local = ring - low
    theirs = readers.painted((local + 0.5).ravel().tolist(), height, width)
    ours, band = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint8)
    fixed = [np.round(local * 16).astype(np.int32)]
    cv2.fillPoly(ours, fixed, 1, cv2.LINE_8, 4)
    cv2.polylines(band, fixed, True, 1, 3, cv2.LINE_8, 4)
    return not ((theirs != (ours > 0)) & (band == 0)).any()


def _painted(given: BatchInput, read: Callable[[str], NDArray[np.integer]], value: Callable[[Shape], int]) -> list[str]:
    """Formats with one object per pixel: each object must have all pixels that it shares with no other."""
    mine: dict[str, list[Shape]] = defaultdict(list)
    for shape in given.shapes:
        mine[shape.image_id].append(shape)
    defects = []
    for picture in given.pictures():
        values = read(picture.image_id)
        cover = np.zeros((picture.height, picture.width), np.uint16)
        masks = [(s, pixels(s, picture)) for s in mine[picture.image_id] if s.kind in {Kind.POLYGON, Kind.MASK}]
        for _, mask in masks:
            cover[mask.top : mask.top + mask.mask.shape[0], mask.left : mask.left + mask.mask.shape[1]] += mask.mask
        if values.shape != cover.shape or mask_iou(values > 0, cover > 0) < LEAST_IOU:
            defects.append(f"{picture.image_id}: other pixels are coral")
            continue
        for shape, mask in masks:
            box = np.s_[mask.top : mask.top + mask.mask.shape[0], mask.left : mask.left + mask.mask.shape[1]]
            alone = mask.mask & (cover[box] == 1)
            if alone.any() and (values[box][alone] == value(shape)).mean() < LEAST_IOU:
                defects.append(f"{picture.image_id}/{shape.shape_id}: its pixels belong to another")
    return defects


def _skeletons(plan: ReleasePlan, given: BatchInput, read: Callable[[str], Iterable[Seen]], names: str) -> list[str]:
    """Places and visibility of corners and lattice; ``names``: how the format names pictures and nodes."""
    defects = []
    sets: list[tuple[str, list[Shape], Sequence[str], list[Picture]]] = [
        ("corners", given.corners, CORNER_NODES, given.photos())
    ]
    if plan.topology:
        sets.append(("lattice", given.lattice, plan.topology.node_ids, given.straightened()))
    for what, shapes, nodes, pictures in sets:
        files = {picture.image_id: picture.file_name for picture in pictures}
        found: dict[str, list[Seen]] = defaultdict(list)
        for seen in read(what):
            found[seen.picture].append(seen)
        for shape in shapes:
            candidates = found[files[shape.image_id] if names == "name" else shape.image_id]
            keys = [str(k) for k in range(len(nodes))] if names == "order" else list(nodes)
            if not any(_same_skeleton(shape, seen, keys, nodes) for seen in candidates):
                defects.append(f"{what} {shape.image_id}/{shape.shape_id}: its nodes do not come back")
    return defects


def _same_skeleton(shape: Shape, seen: Seen, keys: Sequence[str], nodes: Sequence[str]) -> bool:
    outside = set(shape.outside_nodes())
    if len(seen.nodes) != len(nodes):
        return False
    for key, node, (x, y) in zip(keys, nodes, shape.xy(), strict=True):
        read_x, read_y, visible = seen.nodes[key]
        if (visible == 0) != (node in outside):
            return False
        if visible and (abs(read_x - x) > ROUNDING_PX or abs(read_y - y) > ROUNDING_PX):
            return False
    return True
