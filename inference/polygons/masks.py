"""Masks of single objects to polygons."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from inference.polygons.chains import Chains, chains_of
from inference.polygons.outline import Outline, Ring
from inference.polygons.simplify import Floats, Ints, Lines, fitted

TOLERANCE_PX = 1.0
MIN_AREA_PX = 16.0
MIN_IOU = 0.98
FINEST = 0.24
"""Tolerance in pixels below which an object is not simplified at all but keeps its pixel edges."""
HOLE_LOSS = 0.1
"""Share of a ring's own area that may change sides, so that holes stay what they are."""
BRIDGE_PX = 1 / 128
"""Half the width, along each axis, of the bridge that joins pixels which touch at a corner only."""

Box = tuple[int, int, int, int]


def mask_to_polygons(
    mask: NDArray,
    *,
    tolerance_px: float = TOLERANCE_PX,
    min_area_px: float = MIN_AREA_PX,
    min_iou: float = MIN_IOU,
    offset: tuple[int, int] = (0, 0),
) -> list[Outline]:
    """The outlines of a mask's parts, largest first; see :func:`masks_to_polygons`.

    Args:
        mask: ``(H, W)``; anything but 0 belongs to the object.
        offset: (left, top) of the mask in the picture, when it is a crop.
    """
    binary = np.asarray(mask) != 0
    crop, left, top = cropped(binary)
    shift = (left + offset[0], top + offset[1])
    return masks_to_polygons([crop], [shift], tolerance_px=tolerance_px, min_area_px=min_area_px, min_iou=min_iou)[0]


def masks_to_polygons(
    crops: Sequence[NDArray],
    offsets: Sequence[tuple[int, int]],
    *,
    tolerance_px: float = TOLERANCE_PX,
    min_area_px: float = MIN_AREA_PX,
    min_iou: float = MIN_IOU,
) -> list[list[Outline]]:
    """Outlines of many masks at once, for each mask its parts, largest first.

    Pixels that touch at a corner belong together, joined by a bridge of a hair's width. What comes out is valid: rings
    of at least three points that neither cross nor touch themselves or each other. The area of an outline is the number
    of its pixels: within 1 - min_iou for the smallest, far nearer for others; to 1/64 px a bridge when not simplified.

    Args:
        crops: masks ``(h, w)``, bool or uint8, 0 = outside.
        offsets: (left, top) of each crop in the picture.
        tolerance_px: how far a simplified outline may lie from the mask's edge; 0 = along the pixel edges. Objects that
            would lose too much get a finer one.
        min_area_px: parts and holes below this number of pixels are dropped.
        min_iou: least IoU of every outline with its part of the mask, as areas; painted again with
            :func:`polygon_to_mask` the part comes back at least as well.
    """
    binary = [np.ascontiguousarray(crop).view(np.uint8) if crop.dtype == bool else crop for crop in crops]
    chains = chains_of([crop if crop.dtype == np.uint8 else (crop != 0).astype(np.uint8) for crop in binary], offsets)
    result: list[list[Outline]] = [[] for _ in crops]
    areas = chains.areas
    owner = np.where(chains.parents < 0, np.arange(len(areas)), chains.parents)
    kept = areas >= min_area_px
    net = np.bincount(owner, np.where(chains.parents < 0, areas, -areas * kept), minlength=len(areas))
    kept &= kept[owner] & (net[owner] >= min_area_px)
    if not kept.any():
        return result
    rings = _Fitting(chains, np.flatnonzero(kept), owner, areas, np.asarray((1 - min_iou) * net)).rings(tolerance_px)
    outer = np.flatnonzero(kept & (chains.parents < 0))
    for ring in outer[np.argsort(-net[outer], kind="stable")].tolist():
        holes = [rings[hole] for hole in np.flatnonzero(kept & (chains.parents == ring)).tolist()]
        result[chains.masks[ring]].append(Outline(rings[ring], holes))
    return result


def cropped(binary: NDArray[np.bool_]) -> tuple[NDArray[np.uint8], int, int]:
    """The part of a mask that is not empty, and its left and top."""
    x, y, width, height = cv2.boundingRect(np.ascontiguousarray(binary).view(np.uint8))
    return np.ascontiguousarray(binary[y : y + height, x : x + width]).view(np.uint8), x, y


class _Fitting:
    """Rings of objects, each as coarse as its object can bear."""

    def __init__(self, chains: Chains, kept: Ints, owner: Ints, areas: Floats, allowed: Floats) -> None:
        """Fit the rings ``kept``; ``owner`` is the outer ring of each, ``allowed`` what its object may lose."""
        self.chains, self.owner, self.areas, self.allowed = chains, owner, areas, allowed
        self.corners = np.add.reduceat(chains.turns, chains.starts[:-1]) / 8
        self.kept = kept
        self.bent = self._per_object(kept, self.corners)  # what cutting corners at the middles moves
        self.length = self._per_object(kept, np.diff(chains.starts))

    def _per_object(self, rings: Ints, values: NDArray) -> Floats:
        return np.asarray(np.bincount(self.owner[rings], values[rings], minlength=len(self.owner)), float)

    def rings(self, tolerance_px: float) -> dict[int, Ring]:
        """Ring number -> points in pixels. What loses too much, or comes out broken, is done again more finely."""
        # An outline moves by about a fifth of the tolerance on average.
        tolerance = np.clip(self.allowed / 2 / (0.2 * np.maximum(self.length, 1)), FINEST, max(tolerance_px, FINEST))
        exact = (self.bent > self.allowed) | (tolerance_px < FINEST)
        done: dict[int, Ring] = {}
        todo = self.kept
        while len(todo):
            now = todo[exact[self.owner[todo]]]
            if len(now):
                done.update(zip(now.tolist(), _pixel_edges(self.chains, now), strict=True))
            todo = todo[~exact[self.owner[todo]]]
            if not len(todo):
                break
            points, begin, moved = _fit(self.chains, todo, tolerance[self.owner[todo]])
            poor = self._poor(todo, points, begin, moved)[self.owner[todo]]
            for number in np.flatnonzero(~poor):
                done[int(todo[number])] = points[begin[number] : begin[number + 1]]
            todo = todo[poor]
            exact[self.owner[todo]] = tolerance[self.owner[todo]] <= FINEST
            tolerance[self.owner[todo]] = np.maximum(tolerance[self.owner[todo]] / 2, FINEST)
        return done

    def _poor(self, rings: Ints, points: Floats, begin: Ints, moved: Floats) -> NDArray[np.bool_]:
        """Which objects (by number of their outer ring) lose too much or are no polygons."""
        objects = len(self.owner)
        total = np.bincount(self.owner[rings], moved, minlength=objects)
        # A pixel whose centre changes sides takes about half its area along, hence twice.
        poor = (total + self.bent > self.allowed) | (2 * total > self.allowed)
        poor[self.owner[rings[(np.diff(begin) < 3) | (moved > HOLE_LOSS * self.areas[rings])]]] = True
        sound = np.flatnonzero(~poor[self.owner[rings]])
        if len(sound):
            order = sound[np.lexsort((self.chains.parents[rings[sound]], self.owner[rings[sound]]))]
            objects_here, number = np.unique(self.owner[rings[order]], return_inverse=True)
            pieces = [points[begin[i] : begin[i + 1]] for i in order]
            linear = shapely.linearrings(
                np.concatenate(pieces), indices=np.repeat(range(len(order)), [*map(len, pieces)])
            )
            poor[objects_here[~shapely.is_valid(shapely.polygons(linear, indices=number))]] = True
        return poor


def _fit(chains: Chains, rings: Ints, tolerance: Floats) -> tuple[Floats, Ints, Floats]:
    """Points of simplified rings in pixels, where each ring begins, and the square pixels each moves over."""
    lengths = np.diff(chains.starts)[rings]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    edge = np.arange(starts[-1]) + np.repeat(chains.starts[rings] - starts[:-1], lengths)
    points, begin = chains.with_corners(edge, starts, chains.sharp[edge])
    points = np.insert(points, begin[1:], points[begin[:-1]], axis=0)  # back to the first point
    begin = begin + np.arange(len(begin))
    lines = Lines(points[:, 0].copy(), points[:, 1].copy(), begin, chains.twice_area[rings], np.ones(len(rings), bool))
    placed, at, moved = fitted(lines, 2 * tolerance)
    opened = np.ones(len(placed), bool)
    opened[at[1:] - 1] = False
    return placed[opened] / 2, at - np.arange(len(at)), moved / 4


def _pixel_edges(chains: Chains, rings: Ints) -> list[Ring]:
    """Rings along their pixel edges, in pixels."""
    turns, outward, ends = chains.turns, chains.outward, chains.ends
    span = int(ends[:, 0].max()) + 3
    place = (chains.masks[chains.ring_of] * (int(ends[:, 1].max()) + 3) + ends[:, 1] + 1) * span + ends[:, 0] + 1
    order = np.argsort(place, kind="stable")
    same = place[order][1:] == place[order][:-1]
    twice = np.zeros(len(place), bool)
    twice[order[1:][same]] = twice[order[:-1][same]] = True
    # Where two rings, or one ring twice, pass a lattice point (pixels that touch at a corner), each steps aside.
    points = ends / 2 + np.where(twice, BRIDGE_PX, 0)[:, None] * (outward + outward[chains.following])
    parts = [slice(chains.starts[ring], chains.starts[ring + 1]) for ring in rings]
    return [points[part][turns[part]] for part in parts]
