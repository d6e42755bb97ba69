"""From the network's maps to frames: every believable choice of one peak a corner, a missing one completed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.corners.frames import shape_scores
from inference.heatmaps import peaks

# A peak below this is texture; a corner the map does not show at all counts as little.
LEAST_HEAT = 0.15
_UNSEEN_HEAT = 0.08
_PEAKS_A_CORNER = 3
_LEAST_SCORE = 0.12
_SAME_FRAME_OVERLAP = 0.25
_BORDER_CELLS = 2
_CUT_SHARE = 0.12


@dataclass(frozen=True, slots=True)
class Quad:
    """A frame as the maps show it, in the maps' cells.

    Attributes:
        corners: ``(4, 2)`` TL, TR, BR, BL.
        heat: ``(4,)`` height of each corner's peak, 0 where it was completed from the other three.
        overlap: intersection over union of the quad with the map of the opening.
        score: 0..1, all of it together.
    """

    corners: NDArray[np.float64]
    heat: NDArray[np.float64]
    overlap: float
    score: float


def quads(maps: NDArray[np.float32], photo: tuple[int, int]) -> list[Quad]:
    """The believable frames of one picture, the clearest and largest first, those over a better one left out.

    Args:
        maps: ``(5, H, W)`` probabilities: a hill a corner (TL, TR, BR, BL), and the opening.
        photo: width and height of the photo in pixels; the maps cover it whatever its shape.
    """
    found = [peaks(heat, LEAST_HEAT, _PEAKS_A_CORNER) for heat in maps[:4]]
    choices = []
    for picked in product(*[range(-1, len(spots)) for spots, _ in found]):
        if sum(i < 0 for i in picked) > 1:
            continue
        corners = np.array(
            [spots[i] if i >= 0 else (np.nan, np.nan) for (spots, _), i in zip(found, picked, strict=True)]
        )
        heat = np.array([height[i] if i >= 0 else 0.0 for (_, height), i in zip(found, picked, strict=True)])
        for k in np.flatnonzero(np.isnan(corners[:, 0])):
            # Perspective aside, a frame is a parallelogram.
            corners[k] = corners[k - 1] + corners[(k + 1) % 4] - corners[(k + 2) % 4]
        choices.append((corners, heat))
    if not choices:
        return []
    size = (maps.shape[2], maps.shape[1])
    stretch = np.array(photo) / np.array(size)
    shape = shape_scores((np.array([corners for corners, _ in choices]) + 0.5) * stretch - 0.5, photo)
    rated = []
    for (corners, heat), form in zip(choices, shape, strict=True):
        if form < 0.02:
            continue
        overlap = _overlap(corners, maps[4])
        score = float(np.maximum(heat, _UNSEEN_HEAT).prod() ** 0.25 * np.sqrt(form) * overlap)
        if score >= _LEAST_SCORE:
            rated.append(Quad(corners, heat, overlap, score))
    kept: list[Quad] = []
    for quad in sorted(rated, key=lambda q: -q.score):
        if all(_shared(quad, other, size) < _SAME_FRAME_OVERLAP for other in kept):
            kept.append(quad)
    # Of two frames the larger one is meant, unless it is much less clear.
    return sorted(kept, key=lambda q: -q.score * float(np.sqrt(_filled(q.corners, size).sum())))


def cut_sides(opening: NDArray[np.float32]) -> list[str]:
    """The picture's borders that cut through the opening, from its map ``(H, W)``."""
    inside = opening > 0.5
    height, width = inside.shape
    bands = {
        "left": inside[:, :_BORDER_CELLS].all(axis=1).sum() / height,
        "top": inside[:_BORDER_CELLS].all(axis=0).sum() / width,
        "right": inside[:, -_BORDER_CELLS:].all(axis=1).sum() / height,
        "bottom": inside[-_BORDER_CELLS:].all(axis=0).sum() / width,
    }
    return [side for side, share in bands.items() if share > _CUT_SHARE]


def _overlap(corners: NDArray[np.float64], opening: NDArray[np.float32]) -> float:
    """Intersection over union with the part of the opening's map that belongs to this frame."""
    mask = _filled(corners, (opening.shape[1], opening.shape[0]))
    inside = opening > 0.5
    count, parts = cv2.connectedComponents(inside.astype(np.uint8))
    touched = np.bincount(parts[mask], minlength=count)
    touched[0] = 0
    own = parts == int(touched.argmax()) if touched.any() else np.zeros_like(inside)
    return float((mask & own).sum() / max((mask | own).sum(), 1))


def _shared(a: Quad, b: Quad, size: tuple[int, int]) -> float:
    first, second = _filled(a.corners, size), _filled(b.corners, size)
    return float((first & second).sum() / max(min(first.sum(), second.sum()), 1))


def _filled(corners: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.bool_]:
    mask = np.zeros(size[::-1], np.uint8)
    cv2.fillPoly(mask, [np.round(corners).astype(np.int32)], 1)
    return mask > 0


def at_corners(
    corners: NDArray[np.float64], maps: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """What the maps say of corners found otherwise, ``(4, 2)`` cells: heat there, cells to the peak, and overlap."""
    heat, away = np.zeros(4), np.zeros(4)
    side = float(np.hypot(*(np.roll(corners, -1, axis=0) - corners).T).mean())
    for k in range(4):
        spots, heights = peaks(maps[k], LEAST_HEAT)
        gap = np.hypot(*(spots - corners[k]).T)
        if not len(gap):
            away[k] = side
            continue
        nearest = int(gap.argmin())
        away[k] = gap[nearest]
        heat[k] = heights[nearest] if gap[nearest] < 0.06 * side else 0.0
    return heat, away, _overlap(corners, maps[4])
