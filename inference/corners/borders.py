"""Candidates for the borders of the frame's opening: long straight steps with a smooth bar on their outer side."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.planes import largest_channel

# Widths in pixels of the working picture (long side 480), contrasts in grey levels of 255.
_BAND_PX = 6
_FULL_CONTRAST = 22.0
_SMOOTH_STD = 12.0
_MAX_SLOPE = 0.30
_SLOPE_STEP = 0.006
_PER_SIDE = 7
_LEAST_STRENGTH = 0.02
_SUPPRESS_PX = 4
_SUPPRESS_SLOPES = 6


@dataclass(frozen=True, slots=True)
class Border:
    """A candidate border in the picture turned so that its side is the left one.

    The line is ``x = at + slope * (y - middle)``, with ``y`` downwards and ``middle`` the turned picture's centre row.

    Attributes:
        side: quarter turns that bring the side to the left: 0 left, 1 top, 2 right, 3 bottom.
        at: x where the line crosses the centre row, pixels.
        slope: pixels of x per pixel of y.
        strength: mean evidence along the whole line, 0..1.
        running: ``(rows + 1,)`` cumulative evidence along the line, from the top of the turned picture.
    """

    side: int
    at: float
    slope: float
    strength: float
    running: NDArray[np.float64]

    def ends(self, width: int, height: int) -> NDArray[np.float64]:
        """Two points of the line in the unturned picture of ``width`` x ``height``, ``(2, 2)``."""
        rows = height if self.side % 2 == 0 else width
        y = np.array([0.0, rows - 1.0])
        x = self.at + self.slope * (y - (rows - 1) / 2)
        if self.side == 0:
            return np.column_stack([x, y])
        if self.side == 1:
            return np.column_stack([width - 1 - y, x])
        if self.side == 2:
            return np.column_stack([width - 1 - x, height - 1 - y])
        return np.column_stack([y, height - 1 - x])


def border_candidates(small: NDArray[np.float32]) -> list[list[Border]]:
    """The strongest candidates of the four sides (left, top, right, bottom) of a ``(H, W, 3)`` working picture."""
    return [_side_candidates(np.ascontiguousarray(np.rot90(small, side)), side) for side in range(4)]


def _side_candidates(turned: NDArray[np.float32], side: int) -> list[Border]:
    evidence = left_border_evidence(turned)
    columns = evidence.shape[1]
    slopes = np.arange(-_MAX_SLOPE, _MAX_SLOPE + 1e-9, _SLOPE_STEP)
    sums = np.empty((len(slopes), columns), np.float32)
    for i, slope in enumerate(slopes):
        sums[i] = _sheared(evidence, slope).mean(axis=0)
    # The left border lies in the left part; a bit beyond the middle allows for a frame off the centre.
    sums[:, int(columns * 0.6) :] = 0
    found = []
    thick = cv2.dilate(evidence, np.ones((1, 3), np.uint8))
    for _ in range(_PER_SIDE):
        i, x = (int(v) for v in np.unravel_index(int(sums.argmax()), sums.shape))
        if sums[i, x] <= _LEAST_STRENGTH:
            break
        along = _sheared(thick, slopes[i])[:, x]
        running = np.concatenate([[0.0], np.cumsum(along, dtype=np.float64)])
        found.append(Border(side, float(x), float(slopes[i]), float(sums[i, x]), running))
        sums[
            max(0, i - _SUPPRESS_SLOPES) : i + _SUPPRESS_SLOPES + 1, max(0, x - _SUPPRESS_PX) : x + _SUPPRESS_PX + 1
        ] = 0
    return found


def _sheared(evidence: NDArray[np.float32], slope: float) -> NDArray[np.float32]:
    """Rows shifted so that a line of this slope stands upright at the x where it crosses the centre row."""
    rows, columns = evidence.shape
    matrix = np.array([[1, slope, -slope * (rows - 1) / 2], [0, 1, 0]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(evidence, matrix, (columns, rows), flags=flags), np.float32)


def left_border_evidence(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much each pixel looks like the left border of the opening, 0..1: ``(H, W, 3)`` float32 -> ``(H, W)``.

    There must be a step at the pixel; the step must still be there further inside (a string gives way to the same
    reef on its other side); and the bar on the outer side must be smooth.
    """
    w = _BAND_PX
    band = cv2.boxFilter(picture, -1, (w, 3))
    square = cv2.boxFilter(picture * picture, -1, (w, 3))
    rough = np.sqrt(np.maximum(square - band * band, 0).sum(axis=2))
    near = cv2.boxFilter(picture, -1, (3, 3))
    half = w // 2
    outer, inner = _shift(band, half + 2), _shift(band, -half - 1)
    step_near = largest_channel(np.abs(_shift(near, -2) - _shift(near, 2)))
    step_far = largest_channel(np.abs(_shift(band, -half - 3) - outer))
    step_band = largest_channel(np.abs(inner - outer))
    step = np.minimum(step_near, np.maximum(step_far, step_band))
    smooth = np.exp(-((_shift(rough, half + 2) / _SMOOTH_STD) ** 2))
    evidence = np.minimum(step / _FULL_CONTRAST, 1) * smooth
    margin = w + 2
    evidence[:, :margin] = 0
    evidence[:, -margin:] = 0
    return evidence.astype(np.float32)


def _shift(array: NDArray[np.float32], right: int) -> NDArray[np.float32]:
    return np.roll(array, right, axis=1)
