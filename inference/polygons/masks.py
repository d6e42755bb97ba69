"""Masks of single objects to polygons."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.polygons.borders import Borders, borders_of
from inference.polygons.chains import chains_of
from inference.polygons.crossings import valid
from inference.polygons.outline import Outline, Ring
from inference.polygons.simplify import Floats, Ints, fitted

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
    of its pixels: within 1 - min_iou for the smallest, far nearer for others; when not simplified, but for the bridges.

    Args:
        crops: masks ``(h, w)``, bool or uint8, 0 = outside.
        offsets: (left, top) of each crop in the picture.
        tolerance_px: how far a simplified outline may lie from the mask's edge; 0 = along the pixel edges. Objects that
            would lose too much get a finer one.
        min_area_px: parts and holes below this number of pixels are dropped.
        min_iou: least IoU of every outline with its part of the mask, as areas; painted again with
            :func:`polygon_to_mask` the part comes back at least as well.
    """
    binary = [_as_bytes(crop) for crop in crops]
    borders = borders_of(binary, offsets)
    result: list[list[Outline]] = [[] for _ in crops]
    outer, areas = borders.parents < 0, borders.pixels
    owner = np.where(outer, np.arange(len(areas)), borders.parents)
    kept = areas >= min_area_px
    net = np.bincount(owner, np.where(outer, areas, -areas * kept), minlength=len(areas))
    kept &= kept[owner] & (net[owner] >= min_area_px)
    if not kept.any():
        return result
    fitting = _Fitting(borders, np.flatnonzero(kept), owner, np.asarray((1 - min_iou) * net, float))
    rings = fitting.rings(tolerance_px)
    if len(rings) < len(fitting.kept):
        rings |= _along_pixels(borders, np.setdiff1d(fitting.kept, [*rings]), binary, offsets)
    largest = np.flatnonzero(kept & outer)
    holes: dict[int, list[Ring]] = {ring: [] for ring in largest[np.argsort(-net[largest], kind="stable")].tolist()}
    for hole in np.flatnonzero(kept & ~outer).tolist():
        holes[int(owner[hole])].append(rings[hole])
    for ring, inner in holes.items():
        result[borders.masks[ring]].append(Outline(rings[ring], inner))
    return result


def _as_bytes(crop: NDArray) -> NDArray[np.uint8]:
    """A mask as OpenCV reads it, if possible without a copy."""
    if crop.dtype == bool:
        return crop.view(np.uint8)
    return crop if crop.dtype == np.uint8 else (crop != 0).astype(np.uint8)


def cropped(binary: NDArray[np.bool_]) -> tuple[NDArray[np.uint8], int, int]:
    """The part of a mask that is not empty, and its left and top."""
    x, y, width, height = cv2.boundingRect(np.ascontiguousarray(binary).view(np.uint8))
    return np.ascontiguousarray(binary[y : y + height, x : x + width]).view(np.uint8), x, y


class _Fitting:
    """Rings of objects, each as coarse as its object can bear."""

    def __init__(self, borders: Borders, kept: Ints, owner: Ints, allowed: Floats) -> None:
        """Fit the rings ``kept``; ``owner`` is the outer ring of each, ``allowed`` what its object may lose."""
        self.borders, self.owner, self.allowed = borders, owner, allowed
        # The rings of an object one after the other, the outer one first: how shapely takes them.
        self.kept = kept[np.lexsort((borders.parents[kept], owner[kept]))]
        self.bent = self._per_object(kept, borders.bent)  # what is lost before any point is left out
        self.length = self._per_object(kept, borders.steps)

    def _per_object(self, rings: Ints, values: NDArray) -> Floats:
        return np.asarray(np.bincount(self.owner[rings], values[rings], minlength=len(self.owner)), float)

    def rings(self, tolerance_px: float) -> dict[int, Ring]:
        """Ring number -> points in pixels. What loses too much, or comes out broken, is done again more finely.

        Rings of objects that no simplified outline suits are left out.
        """
        # An outline moves by about a fifth of the tolerance on average.
        tolerance = np.clip(self.allowed / 2 / (0.2 * np.maximum(self.length, 1)), FINEST, max(tolerance_px, FINEST))
        exact = (self.bent > self.allowed) | (tolerance_px < FINEST)
        done: dict[int, Ring] = {}
        todo = self.kept[~exact[self.owner[self.kept]]]
        while len(todo):
            lines = self.borders.lines.some(todo)
            points, begin, moved = fitted(lines, 2 * tolerance[self.owner[todo]])
            points, moved = points / 2, moved / 4
            poor = self._poor(todo, points, begin, moved)[self.owner[todo]]
            ends = (begin[1:] - 1).tolist()
            for ring, start, end, bad in zip(todo.tolist(), begin[:-1].tolist(), ends, poor.tolist(), strict=True):
                if not bad:
                    done[ring] = points[start:end]
            todo = todo[poor & (tolerance[self.owner[todo]] > FINEST)]
            again = np.unique(self.owner[todo])
            tolerance[again] = np.maximum(tolerance[again] / 2, FINEST)
        return done

    def _poor(self, rings: Ints, points: Floats, begin: Ints, moved: Floats) -> NDArray[np.bool_]:
        """Which objects (by number of their outer ring) lose too much or are no polygons."""
        owner = self.owner[rings]
        total = np.bincount(owner, moved, minlength=len(self.owner))
        # A pixel whose centre changes sides takes about half its area along, hence twice.
        poor = (total + self.bent > self.allowed) | (2 * total > self.allowed)
        poor[owner[(np.diff(begin) < 4) | (moved > HOLE_LOSS * self.borders.pixels[rings])]] = True
        sound = ~poor[owner]
        if sound.any():
            sizes = np.diff(begin)
            objects, first = np.unique(owner[sound], return_index=True)
            ends = np.concatenate([[0], np.cumsum(sizes[sound])])
            rings_points = points if sound.all() else points[np.repeat(sound, sizes)]
            poor[objects[~valid(rings_points, ends, first)]] = True
        return poor


def _along_pixels(
    borders: Borders, rings: Ints, crops: Sequence[NDArray[np.uint8]], offsets: Sequence[tuple[int, int]]
) -> dict[int, Ring]:
    """Ring number -> points in pixels, along the pixel edges."""
    masks = np.unique(borders.masks[rings])
    chains = chains_of([crops[mask] for mask in masks], [offsets[mask] for mask in masks])
    # The same contours in the same order, of these masks only.
    here = np.flatnonzero(np.isin(borders.masks, masks))
    turns, outward, ends = chains.turns, chains.outward, chains.ends
    span = int(ends[:, 0].max()) + 3
    place = (chains.masks[chains.ring_of] * (int(ends[:, 1].max()) + 3) + ends[:, 1] + 1) * span + ends[:, 0] + 1
    order = np.argsort(place, kind="stable")
    same = place[order][1:] == place[order][:-1]
    twice = np.zeros(len(place), bool)
    twice[order[1:][same]] = twice[order[:-1][same]] = True
    # Where two rings, or one ring twice, pass a lattice point (pixels that touch at a corner), each steps aside.
    points = ends / 2 + np.where(twice, BRIDGE_PX, 0)[:, None] * (outward + outward[chains.following])
    starts = chains.starts.tolist()
    numbers = np.searchsorted(here, rings).tolist()
    parts = [slice(starts[number], starts[number + 1]) for number in numbers]
    return {ring: points[part][turns[part]] for ring, part in zip(rings.tolist(), parts, strict=True)}
