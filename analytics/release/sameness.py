"""When an object that was read back is the one that went in.

Formats of pixels must give IoU >= 0.999 per object. Outlines must come back to the rounding of their coordinates: IoU
>= 0.999, or a difference no larger than the rounding can make along the outline (small colonies). Where the COCO tools
paint an outline, only pixels that the outline itself touches may differ.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from analytics.geometry import outline_geometry
from analytics.release import readers
from analytics.release.exporters import CORNER_NODES
from analytics.release.inputs import BatchInput, ReleasePlan
from analytics.release.readers import Seen
from labels.formats.common import Picture, pixels
from labels.schema import Kind, Shape

LEAST_IOU = 0.999
ROUNDING_PX = 0.0075
"""How far a point may move: half of the last decimal in each axis, and 32-bit floats."""


def by_id(seen: Iterable[Seen]) -> dict[tuple[str, str | None], Seen]:
    """What was read, by picture and object."""
    return {(entry.picture, entry.object_id): entry for entry in seen}


def outlines(found: Mapping[tuple[str, str | None], Seen], given: BatchInput, paint: bool = False) -> list[str]:
    """Objects that are missing, too many, or have another label or outline; ``paint``: as the COCO tools see them."""
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


def painted(given: BatchInput, read: Callable[[str], NDArray[np.integer]], value: Callable[[Shape], int]) -> list[str]:
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


def skeletons(plan: ReleasePlan, given: BatchInput, read: Callable[[str], Iterable[Seen]], names: str) -> list[str]:
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
