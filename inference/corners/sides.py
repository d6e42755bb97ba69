"""One side of the opening: the picture cut out along it, the curve of its border, and where borders meet.

Offsets are measured along the inward normal of a side, in pixels of the picture; ``t`` runs 0..1 from one corner to the
next. A curve gives the offset for ``t``; its bow is how far its middle lies inward, as a share of the side's length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

STATIONS = 192
_TRIM = 0.03
_SHIFTS = (-0.33, 0.0, 0.33)
# For the search of a path every third station is enough.
_EVERY = 3


@dataclass(frozen=True, slots=True)
class Side:
    """A side's frame of reference and the curve found in it, for ``np.polyval``.

    Attributes:
        support: share of the stations with a step at the curve, 0..1.
        parted: how cleanly the curve parts bar from reef, 0..1.
    """

    origin: NDArray[np.float64]
    along: NDArray[np.float64]
    inward: NDArray[np.float64]
    curve: NDArray[np.float64]
    support: float = 0.0
    parted: float = 0.0

    def tangent(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        """The homogeneous line that touches the curve beside ``point``."""
        length2 = float(self.along @ self.along)
        t = float((point - self.origin) @ self.along) / length2
        value, slope = np.polyval(self.curve, t), np.polyval(np.polyder(self.curve), t)
        here = self.origin + self.along * t + self.inward * value
        there = here + self.along + self.inward * slope
        return np.cross(np.append(here, 1.0), np.append(there, 1.0))


@dataclass(frozen=True, slots=True)
class Strip:
    """The picture along one side, straightened.

    Attributes:
        start: first corner.
        along: the way to the next corner.
        inward: unit vector into the opening.
        t: ``(stations,)``.
        offsets: ``(m,)``, evenly spaced.
        colours: ``(stations, m, 3)`` float32, each the mean of what lies along the side around its station.
    """

    start: NDArray[np.float64]
    along: NDArray[np.float64]
    inward: NDArray[np.float64]
    t: NDArray[np.float64]
    offsets: NDArray[np.float64]
    colours: NDArray[np.float32]

    @classmethod
    def cut(
        cls,
        image: NDArray[np.uint8],
        start: NDArray[np.float64],
        stop: NDArray[np.float64],
        reach: float,
        fine: float,
    ) -> Strip:
        """What lies within ``reach`` of the line between two corners, sampled every ``fine`` pixels across."""
        along = stop - start
        # Corners run clockwise with y downwards, so the inside is a quarter turn clockwise from the way of travel.
        inward = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-9)
        t = np.asarray(np.linspace(_TRIM, 1 - _TRIM, STATIONS), np.float64)
        count = int(np.ceil(reach / fine))
        offsets = np.asarray(np.arange(-count, count + 1) * fine, np.float64)
        places = (t[:, None] + np.array(_SHIFTS) / STATIONS).ravel()
        grid = ((start + along * places[:, None])[:, None, :] + inward * offsets[None, :, None]).astype(np.float32)
        seen = cv2.remap(image, grid[..., 0], grid[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        colours = seen.reshape(STATIONS, len(_SHIFTS), len(offsets), 3).mean(axis=1, dtype=np.float32)
        return cls(start, along, inward, t, offsets, colours)

    @property
    def length(self) -> float:
        """Of the side, pixels."""
        return max(float(np.hypot(*self.along)), 1e-9)

    @property
    def fine(self) -> float:
        """Pixels between neighbouring offsets."""
        return float(self.offsets[1] - self.offsets[0])

    def columns(self, offsets: NDArray[np.float64]) -> NDArray[np.int64]:
        """The nearest columns of ``colours``."""
        nearest = np.round((offsets - self.offsets[0]) / self.fine).astype(np.int64)
        return np.clip(nearest, 0, len(self.offsets) - 1)

    def curve(self, ends: NDArray[np.float64], bow: float) -> NDArray[np.float64]:
        """The curve with these offsets at both ends and this bow."""
        middle = 4 * bow * self.length
        return np.array([-middle, ends[1] - ends[0] + middle, ends[0]])

    def along_curve(self, curve: NDArray[np.float64]) -> NDArray[np.float64]:
        """Offsets of a curve at the stations, ``(stations,)``."""
        return np.asarray(np.polyval(curve, self.t), np.float64)

    def side(self, curve: NDArray[np.float64], support: float = 0.0, parted: float = 0.0) -> Side:
        """The side with that curve."""
        return Side(self.start, self.along, self.inward, curve, support, parted)


@dataclass(frozen=True, slots=True)
class Paths:
    """For each of some bows the best curve of one side: its score ``(n,)`` and its offsets at both ends ``(n, 2)``."""

    scores: NDArray[np.float64]
    ends: NDArray[np.float64]


def best_paths(
    scores: NDArray[np.float64],
    strip: Strip,
    reach: float,
    bows: NDArray[np.float64],
    steps: int,
    away_price: float = 0.0,
) -> Paths:
    """The curves with the highest mean of ``scores`` ``(stations, m)`` along them.

    Args:
        scores: of every column of the strip.
        strip: the side.
        reach: how far from the strip's middle a curve may start and end, pixels.
        bows: shares of the side's length.
        steps: offsets tried for either end.
        away_price: what a curve costs that starts and ends at the reach.
    """
    u = strip.t[::_EVERY]
    ends = np.linspace(-reach, reach, steps)
    left, right, bow = np.meshgrid(ends, ends, bows * strip.length, indexing="ij")
    path = left[..., None] * (1 - u) + right[..., None] * u + bow[..., None] * (4 * u * (1 - u))
    rated = scores[::_EVERY][np.arange(len(u)), strip.columns(path)].mean(axis=3)
    rated = rated - away_price * (left**2 + right**2) / (2 * reach**2)
    i, j = np.unravel_index(rated.reshape(-1, len(bows)).argmax(axis=0), rated.shape[:2])
    return Paths(rated[i, j, np.arange(len(bows))], np.column_stack([ends[i], ends[j]]))


def meetings(sides: Sequence[Side], corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where neighbouring curves meet, by following their tangents: ``(4, 2)``."""
    points = corners.copy()
    for _ in range(3):
        for k in range(4):
            meet = np.cross(sides[k - 1].tangent(points[k]), sides[k].tangent(points[k]))
            if abs(meet[2]) > 1e-12:
                points[k] = meet[:2] / meet[2]
    return points
