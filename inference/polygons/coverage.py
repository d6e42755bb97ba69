"""Label maps to polygons with common borders: neighbours have neither gap nor overlap between them."""

from __future__ import annotations

from collections import defaultdict

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon

from inference.polygons.arcs import Arcs, arcs_of
from inference.polygons.chains import Chains, chains_of
from inference.polygons.masks import FINEST, HOLE_LOSS, MIN_AREA_PX, MIN_IOU, TOLERANCE_PX
from inference.polygons.outline import Outline, Ring
from inference.polygons.simplify import Floats, Ints


def labels_to_polygons(
    label_map: NDArray,
    *,
    tolerance_px: float = TOLERANCE_PX,
    min_area_px: float = MIN_AREA_PX,
    min_iou: float = MIN_IOU,
) -> dict[int, list[Outline]]:
    """Outlines of every label of a map, its largest part first.

    The line between two labels is simplified once, for both. Parts of a label that touch at a corner only are outlines
    of their own (whether they or their neighbours across the corner belong together, a map does not say).

    Args:
        label_map: ``(H, W)`` whole numbers, 0 = nobody.
        tolerance_px, min_area_px, min_iou: as for :func:`inference.polygons.masks_to_polygons`. What a dropped part
            has covered stays empty.
    """
    labels = np.ascontiguousarray(label_map, np.int32)
    owners, crops, places = _parts(labels, min_area_px)
    chains = chains_of(crops, places)
    if not len(chains.masks):
        return {}
    parts = _Coverage(chains, arcs_of(chains, labels), min_area_px, min_iou).outlines(tolerance_px)
    found: dict[int, list[Outline]] = defaultdict(list)
    for number, outline in parts.items():
        found[owners[number]].append(outline)
    return {label: sorted(outlines, key=lambda outline: -outline.area) for label, outlines in found.items()}


def _parts(labels: NDArray[np.int32], least: float) -> tuple[list[int], list[NDArray[np.uint8]], list[tuple[int, int]]]:
    """The parts of all labels that hang together by edges: the label, the mask, and left and top of each."""
    from scipy import ndimage  # slow to load

    owners, crops, places = [], [], []
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None:
            continue
        mask = (labels[box] == number).astype(np.uint8)
        count, numbers, boxes, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
        for part in range(1, count):
            left, top, width, height, size = (int(v) for v in boxes[part])
            if size < least:
                continue
            own = numbers[top : top + height, left : left + width] == part
            owners.append(number)
            crops.append(own.astype(np.uint8))
            places.append((box[1].start + left, box[0].start + top))
    return owners, crops, places


class _Coverage:
    """Arcs as coarse as every label that uses them can bear."""

    def __init__(self, chains: Chains, arcs: Arcs, least: float, min_iou: float) -> None:
        self.chains, self.arcs, self.least = chains, arcs, least
        self.areas = chains.areas
        self.kept = self.areas >= least
        inner = chains.parents >= 0
        self.kept[inner] &= self.kept[chains.parents[inner]]
        self.rings_of: dict[int, list[int]] = defaultdict(list)
        net: dict[int, float] = defaultdict(float)
        for ring in np.flatnonzero(self.kept):
            mask = int(chains.masks[ring])
            self.rings_of[mask].append(int(ring))
            net[mask] += self.areas[ring] * (1 if chains.parents[ring] < 0 else -1)
        self.allowed = {mask: (1 - min_iou) * area for mask, area in net.items()}
        self.arcs_of = {
            mask: np.unique([arc for ring in rings for arc, _ in arcs.rings[ring]])
            for mask, rings in self.rings_of.items()
        }

    def outlines(self, tolerance_px: float) -> dict[int, Outline]:
        """The outline of each part, by its number."""
        count, bent = len(self.arcs.closed), self.arcs.bent
        tolerance = np.full(count, max(tolerance_px, FINEST))
        exact = np.full(count, tolerance_px < FINEST)
        for mask, own in self.arcs_of.items():
            exact[own] |= bent[own].sum() > self.allowed[mask]
        lines: list[Floats] = [np.zeros((0, 2))] * count
        moved = np.zeros(count)
        todo = np.unique(np.concatenate([*self.arcs_of.values(), np.zeros(0, np.int64)]))
        found: dict[int, Outline | None] = {}
        while len(todo):
            self._draw(todo, tolerance, exact, lines, moved)
            touched = [mask for mask, own in self.arcs_of.items() if np.isin(own, todo).any()]
            found |= {mask: self._outline(mask, lines) for mask in touched}
            poor = [mask for mask in self.arcs_of if self._poor(mask, bent, moved, exact)] + self._broken(found)
            again = [self.arcs_of[mask] for mask in set(poor) if not exact[self.arcs_of[mask]].all()]
            todo = np.unique(np.concatenate([*again, np.zeros(0, np.int64)]))
            exact[todo] |= tolerance[todo] <= FINEST
            tolerance[todo] = np.maximum(tolerance[todo] / 2, FINEST)
        return {mask: outline for mask, outline in found.items() if outline is not None}

    def _draw(
        self, todo: Ints, tolerance: Floats, exact: NDArray[np.bool_], lines: list[Floats], moved: Floats
    ) -> None:
        plain, fine = todo[~exact[todo]], todo[exact[todo]]
        if len(plain):
            made, moved[plain] = self.arcs.points(plain, tolerance[plain])
            for arc, line in zip(plain, made, strict=True):
                lines[arc] = line
        for arc, line in zip(fine, self.arcs.exact(fine), strict=True):
            lines[arc], moved[arc] = line, 0.0

    def _poor(self, mask: int, bent: Floats, moved: Floats, exact: NDArray[np.bool_]) -> bool:
        """Whether a label loses too much; see ``masks._Fitting``."""
        own = self.arcs_of[mask]
        total = float(moved[own].sum())
        loses = total + float(bent[own][~exact[own]].sum())
        if loses > self.allowed[mask] or 2 * total > self.allowed[mask]:
            return True
        return any(
            sum(moved[arc] for arc, _ in self.arcs.rings[ring]) > HOLE_LOSS * self.areas[ring]
            for ring in self.rings_of[mask]
        )

    def _broken(self, found: dict[int, Outline | None]) -> list[int]:
        """Parts that are no polygons, or whose border crosses a neighbour's."""
        bad = [mask for mask, outline in found.items() if outline is None]
        shapes = {mask: Polygon(outline.ring, outline.holes) for mask, outline in found.items() if outline is not None}
        bad += [mask for mask, shape in shapes.items() if not shape.is_valid]
        sound = [(mask, shape) for mask, shape in shapes.items() if mask not in bad]
        if sound:
            wrong = shapely.coverage_invalid_edges([shape for _, shape in sound])
            bad += [mask for (mask, _), line in zip(sound, wrong, strict=True) if not line.is_empty]
        return bad

    def _outline(self, mask: int, lines: list[Floats]) -> Outline | None:
        """The outline of one part from its rings; ``None`` when a ring has been simplified to nothing."""
        rings = [ring for number in self.rings_of[mask] for ring in self._ring(number, lines)]
        if any(len(ring) < 3 for ring in rings):
            return None
        # What hangs together by edges has one outer ring; it is walked the other way round than holes.
        twice = [float(np.dot(r[:, 0], np.roll(r[:, 1], -1)) - np.dot(r[:, 1], np.roll(r[:, 0], -1))) for r in rings]
        outer = int(np.argmin(twice))
        return Outline(rings[outer], [ring for i, ring in enumerate(rings) if i != outer])

    def _ring(self, number: int, lines: list[Floats]) -> list[Ring]:
        """A ring's points; cut where it passes a node twice."""
        stack: list[tuple[tuple[float, float], list[Floats]]] = []
        parts: list[Ring] = []
        for arc, backwards in self.arcs.rings[number]:
            line = lines[arc][::-1] if backwards else lines[arc]
            stack.append(((line[0, 0], line[0, 1]), [line[:-1]]))
            end = (line[-1, 0], line[-1, 1])
            at = next((i for i, (start, _) in enumerate(stack) if start == end), None)
            if at is not None:
                parts.append(np.concatenate([piece for _, pieces in stack[at:] for piece in pieces]))
                del stack[at:]
        return parts
