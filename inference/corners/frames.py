"""Choosing the frame: every choice of one border a side is weighed as a square opening seen in perspective."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.corners.borders import Border

# A frame below this is texture that happens to line up.
LEAST_SCORE = 0.15
_LEAST_SHAPE = 0.05
# Spreads of log ratios: 30 % of stretch or taper costs a factor of about 0.6.
_ASPECT_SPREAD = 0.30
_OPPOSITE_SPREAD = 0.30
_LEAST_SIDE_SHARE = 0.25
_SLACK_SHARE = 0.02
_LEAST_ROWS = 8


@dataclass(frozen=True, slots=True)
class Frame:
    """A chosen opening: ``corners`` ``(4, 2)`` pixels of the working picture (TL, TR, BR, BL) and a score 0..1."""

    corners: NDArray[np.float64]
    score: float


def best_frames(candidates: list[list[Border]], size: tuple[int, int], most: int = 1) -> list[Frame]:
    """The believable choices, best first, at most ``most``.

    Args:
        candidates: for the sides left, top, right, bottom.
        size: width and height of the working picture.
        most: how many to return.
    """
    if not all(candidates):
        return []
    lines = [[_line(b.ends(*size)) for b in side] for side in candidates]
    # Corner k joins sides k and k + 1: (left, top), (top, right), (right, bottom), (bottom, left).
    meets = [_intersections(lines[k], lines[(k + 1) % 4]) for k in range(4)]
    choices = np.indices([len(side) for side in candidates]).reshape(4, -1).T
    corners = np.stack([meets[k][choices[:, k], choices[:, (k + 1) % 4]] for k in range(4)], axis=1)
    shape = shape_scores(corners, size)
    keep = shape >= _LEAST_SHAPE
    choices, corners, shape = choices[keep], corners[keep], shape[keep]
    if not len(choices):
        return []
    support = np.stack(
        [_supports(candidates[k], choices[:, k], corners[:, k - 1], corners[:, k], size) for k in range(4)], axis=1
    )
    # The weakest side counts extra: three good borders and a bad one are no frame.
    score = shape * (0.6 * support.mean(axis=1) + 0.4 * support.min(axis=1))
    order = np.argsort(-score)[:most]
    return [Frame(corners[i], float(score[i])) for i in order if score[i] >= LEAST_SCORE]


def _line(ends: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.cross(np.append(ends[0], 1.0), np.append(ends[1], 1.0))


def _intersections(first: list[NDArray[np.float64]], second: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    meets = np.cross(np.array(first)[:, None, :], np.array(second)[None, :, :])
    tiny = 1e-12
    return meets[..., :2] / np.where(np.abs(meets[..., 2:]) < tiny, tiny, meets[..., 2:])


def shape_scores(corners: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """For ``(n, 4, 2)`` corners: 1 for a square, less with stretch and taper; 0 if not convex, small, or outside."""
    slack = _SLACK_SHARE * max(size)
    inside = ((corners >= -slack) & (corners <= np.array(size) + slack)).all(axis=(1, 2))
    edges = np.roll(corners, -1, axis=1) - corners
    after = np.roll(edges, -1, axis=1)
    convex = (edges[..., 0] * after[..., 1] - edges[..., 1] * after[..., 0] > 0).all(axis=1)
    length = np.maximum(np.hypot(edges[..., 0], edges[..., 1]), 1e-9)
    large = length.min(axis=1) >= _LEAST_SIDE_SHARE * min(size)
    top, right, bottom, left = length.T
    aspect = (np.log((top + bottom) / (left + right)) / _ASPECT_SPREAD) ** 2
    taper = (np.log(top / bottom) ** 2 + np.log(left / right) ** 2) / _OPPOSITE_SPREAD**2
    return np.where(inside & convex & large, np.exp(-0.5 * (aspect + taper)), 0.0)


def _supports(
    borders: list[Border],
    chosen: NDArray[np.int64],
    start: NDArray[np.float64],
    stop: NDArray[np.float64],
    size: tuple[int, int],
) -> NDArray[np.float64]:
    """Mean evidence of each chosen border between its two corners, ``(n,)``."""
    running = np.stack([b.running for b in borders])
    rows = running.shape[1] - 1
    a, b = _rows(borders[0].side, start, size), _rows(borders[0].side, stop, size)
    low = np.clip(np.round(np.minimum(a, b)), 0, rows).astype(int)
    high = np.clip(np.round(np.maximum(a, b)) + 1, 0, rows).astype(int)
    total = running[chosen, high] - running[chosen, low]
    return np.where(high - low >= _LEAST_ROWS, total / np.maximum(high - low, 1), 0.0)


def _rows(side: int, points: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """The rows of unturned points in the picture turned by ``side`` quarters."""
    width, height = size
    x, y = points[:, 0], points[:, 1]
    return (y, width - 1 - x, height - 1 - y, x)[side]
