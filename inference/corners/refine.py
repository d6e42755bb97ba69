"""Locating the borders again at full size: steps across each border, a robust curve through them, and their meeting.

Offsets are measured along the inward normal of a side, in raw pixels; ``t`` runs 0..1 from one corner to the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

_STATIONS = 192
_TRIM = 0.03
# The sampling distances below are for a picture whose long side is 1000 px, and grow with it.
_UNIT_PX = 1000.0
_STEP_BAND = 3.0
_FULL_CONTRAST = 24.0
_INLIER = 1.2
# A lens bows a border by up to about this share of its length; a curve that bows more is texture.
_BOW_SHARE = 0.018
_MAX_SAG_SHARE = 0.025
_BOW_SLACK = 0.003
_BOW_PRICE, _AWAY_PRICE = 0.03, 0.2
_VOTE_EVERY, _VOTE_ENDS, _VOTE_BOWS = 3, 25, 13
_ENOUGH_FOR_CURVE = 0.55
_DOUBTFUL_SUPPORT = 0.35


@dataclass(frozen=True, slots=True)
class RefinedFrame:
    """Sub-pixel corners ``(4, 2)`` raw pixels, the share of stations that agree (0..1), and doubts."""

    corners: NDArray[np.float64]
    score: float
    defects: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Side:
    """One side's frame of reference and the curve found in it."""

    origin: NDArray[np.float64]
    along: NDArray[np.float64]
    inward: NDArray[np.float64]
    curve: NDArray[np.float64]
    support: float

    @property
    def bow(self) -> float:
        """How far its middle lies inward of the line through its ends, as a share of its length."""
        return -float(self.curve[0] if len(self.curve) == 3 else 0.0) / 4 / float(np.hypot(*self.along))

    def tangent(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        """The homogeneous line that touches the curve beside ``point``."""
        length2 = float(self.along @ self.along)
        t = float((point - self.origin) @ self.along) / length2
        value, slope = np.polyval(self.curve, t), np.polyval(np.polyder(self.curve), t)
        here = self.origin + self.along * t + self.inward * value
        there = here + self.along + self.inward * slope
        return np.cross(np.append(here, 1.0), np.append(there, 1.0))


def refine_frame(image: NDArray[np.uint8], corners: NDArray[np.float64], reach: float) -> RefinedFrame:
    """Corners located again on the full picture, starting within ``reach`` raw pixels of the truth."""
    # One lens bows all four borders alike; a border that bows otherwise follows a shadow or the reef.
    free = (-_BOW_SHARE, _BOW_SHARE)
    scouts = [_locate(image, corners[k], corners[(k + 1) % 4], reach, free) for k in range(4)]
    bow = float(np.median([scout.bow for scout in scouts]))
    bows = (bow - _BOW_SLACK, bow + _BOW_SLACK)
    points = corners
    sides: list[_Side] = []
    for shrink in (1.0, 0.5):
        sides = [_locate(image, points[k], points[(k + 1) % 4], reach * shrink, bows) for k in range(4)]
        points = _meetings(sides, points)
    support = [s.support for s in sides]
    names = ("top", "right", "bottom", "left")
    defects = [
        f"the {name} border of the frame is hardly visible ({share:.0%} of its length)"
        for name, share in zip(names, support, strict=True)
        if share < _DOUBTFUL_SUPPORT
    ]
    return RefinedFrame(points, float(0.5 * np.mean(support) + 0.5 * np.min(support)), defects)


def _meetings(sides: list[_Side], corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where neighbouring curves meet, by following their tangents."""
    points = corners.copy()
    for _ in range(3):
        for k in range(4):
            meet = np.cross(sides[k - 1].tangent(points[k]), sides[k].tangent(points[k]))
            if abs(meet[2]) > 1e-12:
                points[k] = meet[:2] / meet[2]
    return points


def _locate(
    image: NDArray[np.uint8],
    start: NDArray[np.float64],
    stop: NDArray[np.float64],
    reach: float,
    bows: tuple[float, float],
) -> _Side:
    """The border between two corners; ``bows``: least and largest bow, as a share of its length."""
    along = stop - start
    length = max(float(np.hypot(*along)), 1e-9)
    # Corners run clockwise with y downwards, so the inside is a quarter turn clockwise from the direction of travel.
    inward = np.array([-along[1], along[0]]) / length
    unit = max(image.shape[:2]) / _UNIT_PX
    t = np.linspace(_TRIM, 1 - _TRIM, _STATIONS)
    # Each station averages what lies along the border between it and its neighbours.
    spacing = along / _STATIONS
    low, high = (bow * length for bow in bows)
    offsets, step = _steps(image, start + along * t[:, None], spacing, inward, reach + max(abs(low), abs(high)), unit)
    first = _first_curve(step, offsets, t, reach, np.linspace(low, high, _VOTE_BOWS))
    curve, support = _curve(step, offsets, t, first, unit, length)
    return _Side(start, along, inward, curve, support)


def _steps(
    image: NDArray[np.uint8],
    stations: NDArray[np.float64],
    spacing: NDArray[np.float64],
    inward: NDArray[np.float64],
    reach: float,
    unit: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Offsets ``(m,)`` and the contrast of the step at each, ``(stations, m)``."""
    fine = max(0.5, 0.5 * unit)
    band = max(2, round(_STEP_BAND * unit / fine))
    count = int(np.ceil(reach / fine)) + band
    offsets = np.arange(-count, count + 1) * fine
    total = np.zeros((len(stations), len(offsets), 3), np.float32)
    for shift in (-0.33, 0.0, 0.33):
        spots = (stations + spacing * shift)[:, None, :] + inward * offsets[None, :, None]
        grid = spots.astype(np.float32)
        total += cv2.remap(image, grid[..., 0], grid[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    total /= 3
    sums = np.cumsum(np.concatenate([np.zeros((len(stations), 1, 3), np.float32), total], axis=1), axis=1)
    # Outer band: the samples up to here; inner band: the samples from here on; both share the middle sample.
    middle = np.arange(band, len(offsets) - band)
    outer = (sums[:, middle + 1] - sums[:, middle + 1 - band]) / band
    inner = (sums[:, middle + band] - sums[:, middle]) / band
    step = np.abs(inner - outer).max(axis=2)
    return np.asarray(offsets[middle], np.float64), np.asarray(step, np.float64)


def _first_curve(
    step: NDArray[np.float64],
    offsets: NDArray[np.float64],
    t: NDArray[np.float64],
    reach: float,
    bows: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The border with the most clipped contrast along it, straight or bowed by a lens: for ``np.polyval``.

    Of two that are much alike, as a bar's edge and the edge of its shadow, the one nearer to the expected place wins.
    """
    votes = np.minimum(step / _FULL_CONTRAST, 1.0)
    # Where several steps compete at a station, only what stands out there should vote.
    votes = (votes * (step >= 0.5 * step.max(axis=1, keepdims=True)))[::_VOTE_EVERY]
    u = t[::_VOTE_EVERY]
    ends = np.linspace(-reach, reach, _VOTE_ENDS)
    left, right, middle = np.meshgrid(ends, ends, bows, indexing="ij")
    path = left[..., None] * (1 - u) + right[..., None] * u + middle[..., None] * (4 * u * (1 - u))
    index = np.clip(np.round((path - offsets[0]) / (offsets[1] - offsets[0])).astype(int), 0, len(offsets) - 1)
    price = _BOW_PRICE * np.abs(middle - bows.mean()) / max(float(np.ptp(bows)) / 2, 1e-9)
    price += _AWAY_PRICE * (left**2 + right**2) / (2 * reach**2)
    score = votes[np.arange(len(u)), index].mean(axis=3) - price
    i, j, k = np.unravel_index(int(score.argmax()), score.shape)
    return np.array([-4 * bows[k], ends[j] - ends[i] + 4 * bows[k], ends[i]])


def _curve(
    step: NDArray[np.float64],
    offsets: NDArray[np.float64],
    t: NDArray[np.float64],
    first: NDArray[np.float64],
    unit: float,
    length: float,
) -> tuple[NDArray[np.float64], float]:
    """A robust curve through the steps near ``first``, and the share of stations that agree with it."""
    tolerance = _INLIER * max(unit, 0.7)
    curve, agree = first, np.zeros(len(t), bool)
    for round_ in range(4):
        expected = np.polyval(curve, t)
        near = np.abs(offsets[None, :] - expected[:, None]) <= 2.0 * tolerance
        contrast = np.where(near, step, 0.0)
        peak = contrast.max(axis=1)
        spot = _peak_offsets(contrast, offsets)
        weight = np.minimum(peak / _FULL_CONTRAST, 1.0)
        miss = spot - expected
        agree = (np.abs(miss) <= tolerance * (2.0 if round_ == 0 else 1.0)) & (weight > 0.25)
        if agree.sum() < 12:
            break
        fitted = np.polyadd(curve, np.polyfit(t[agree], miss[agree], 1, w=weight[agree]))
        spread = np.ptp(t[agree])
        if round_ >= 1 and agree.mean() >= _ENOUGH_FOR_CURVE and spread > 0.8:
            bent = np.polyfit(t[agree], spot[agree], 2, w=weight[agree])
            if abs(bent[0]) / 4 <= _MAX_SAG_SHARE * length:
                fitted = bent
        curve = np.asarray(fitted, np.float64)
    return curve, float(agree.mean())


def _peak_offsets(contrast: NDArray[np.float64], offsets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sub-sample offset of each row's highest contrast, by a parabola through its neighbours."""
    rows = np.arange(len(contrast))
    top = np.clip(contrast.argmax(axis=1), 1, contrast.shape[1] - 2)
    before, at, after = contrast[rows, top - 1], contrast[rows, top], contrast[rows, top + 1]
    bend = before - 2 * at + after
    shift = np.where(np.abs(bend) > 1e-9, 0.5 * (before - after) / np.where(np.abs(bend) > 1e-9, bend, 1), 0.0)
    return offsets[top] + np.clip(shift, -0.5, 0.5) * (offsets[1] - offsets[0])
