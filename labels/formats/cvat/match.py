"""Which drawn shape was which pre-label. CVAT gives pushed shapes ids of its own, so geometry has to tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from shapely.geometry import Polygon

from labels.formats.cvat.geometry import cut_holes, mask_runs
from labels.formats.cvat.specs import CONFIDENCE
from labels.formats.cvat.write import OCCLUDED, confidence_of
from labels.schema import OUTSIDE, Kind, Shape

SAME_PX = 0.02
"""Coordinates this close are the same: CVAT keeps two decimals, label tables hold 32-bit floats."""

SAME_COLONY_IOU = 0.5
"""A redrawn outline continues a pre-label when they overlap at least this much."""

TOUCHED_IOU = 0.1
"""The same for a shape that CVAT itself says began as a pre-label (source ``auto`` or ``semi-auto``)."""


class MaskRuns(tuple[int, ...]):
    """Run lengths and box of a mask, where a ring would stand."""

    __slots__ = ()


Drawn = tuple[Shape, Sequence[float], str]
"""A shape as drawn, its flat ring or nodes as CVAT has them (in reefline's frame), and CVAT's source."""


def unchanged(shape: Shape, ring: Sequence[float], pushed: Shape) -> bool:
    """Whether a drawn shape is the pre-label, untouched: same kind, label, place, and attributes."""
    said = shape.attributes.get(CONFIDENCE)
    return (
        shape.label == pushed.label
        and _same_place(shape, ring, pushed)
        and all(_marks(shape, key) == _marks(pushed, key) for key in (OUTSIDE, OCCLUDED))
        and (said is None or _number(said) == _number(confidence_of(pushed)))
    )


def _marks(shape: Shape, key: str) -> set[str]:
    return {mark for mark in shape.attributes.get(key, "").split(",") if mark}


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _same_place(shape: Shape, ring: Sequence[float], pushed: Shape) -> bool:
    if shape.kind != pushed.kind:
        return False
    if isinstance(ring, MaskRuns):
        return _same_mask(ring, pushed)
    before = cut_holes(pushed.points, pushed.holes) if pushed.kind == Kind.POLYGON else pushed.points
    return len(ring) == len(before) and bool(np.allclose(ring, before, rtol=0, atol=SAME_PX))


def _same_mask(runs: MaskRuns, pushed: Shape) -> bool:
    """Whether a mask is the one that was made of a polygon when it was pushed."""
    x0, y0, x1, y1 = runs[-4:]
    xs, ys = pushed.points[::2], pushed.points[1::2]
    near = abs(min(xs) - x0) <= 1 and abs(max(xs) - x1) <= 1 and abs(min(ys) - y0) <= 1 and abs(max(ys) - y1) <= 1
    return near and tuple(mask_runs(pushed.points, pushed.holes)) == runs


def pair_up(drawn: Sequence[Drawn], pushed: Sequence[Shape]) -> dict[int, Shape]:
    """Index of a drawn shape -> the pre-label it came from; each pre-label at most once, the most alike first."""
    pairs = [
        (likeness, i, j)
        for i, entry in enumerate(drawn)
        for j, before in enumerate(pushed)
        if (likeness := _likeness(entry, before)) > 0
    ]
    partner: dict[int, Shape] = {}
    taken: set[int] = set()
    for _, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if i not in partner and j not in taken:
            partner[i] = pushed[j]
            taken.add(j)
    return partner


def _likeness(entry: Drawn, before: Shape) -> float:
    """How surely a drawn shape continues a pre-label: 2 in the same place, otherwise overlap or nearness; 0 = not."""
    shape, ring, source = entry
    if shape.kind != before.kind:
        return 0.0
    if _same_place(shape, ring, before):
        return 2.0 + (shape.label == before.label)
    if shape.kind == Kind.POLYGON:
        overlap = _iou(shape, before)
        return overlap if overlap >= (TOUCHED_IOU if source in {"auto", "semi-auto"} else SAME_COLONY_IOU) else 0.0
    # A picture has one frame and one lattice: a skeleton of the same name continues the pre-label wherever it went.
    if shape.kind == Kind.SKELETON and shape.label == before.label and len(shape.points) == len(before.points):
        return 1.0 / (1.0 + float(np.abs(np.subtract(shape.points, before.points)).mean()))
    return 0.0


def _iou(a: Shape, b: Shape) -> float:
    one, two = _polygon(a), _polygon(b)
    if not one.intersects(two):
        return 0.0
    common = one.intersection(two).area
    return float(common / (one.area + two.area - common))


def _polygon(shape: Shape) -> shapely.Geometry:
    polygon = Polygon(shape.xy(), [list(zip(hole[::2], hole[1::2], strict=True)) for hole in shape.holes])
    return polygon if polygon.is_valid else shapely.make_valid(polygon, method="structure")
