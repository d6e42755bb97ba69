"""Finding a survey tape in the rectified picture: a long, even, bright band from one side to the other.

A tape is brighter than the reef on both of its sides nearly everywhere along its way, whatever its print; no colony
and no patch of sand is. The picture is sheared so that a tape of each slope lies level, and rows are scored by the
share of columns in which they stand out. Strings are filled in first, so that they are not taken for a tape.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.removal.mask import Mask, without_traces

SEARCH_PX, TRACE_PX = 192, 960
"""Sides of the pictures in which a tape is looked for, and followed."""
_SLOPES = np.linspace(-0.45, 0.45, 37)
# Shares of the side: a tape of 13 mm is 2.6 % of a 50 cm frame, and half of that of a 1 m frame.
_WIDTHS = (0.012, 0.017, 0.024, 0.034, 0.048, 0.068)
# Grey levels by which a tape outshines either side, along at least this share of its way.
_BRIGHTER = 14.0
_LEAST_SHARE = 0.7
_LEAST_LENGTH = 0.7
_PIECES = 40
# Blur and the edge's own shadow, each side, as a share of the picture's side.
_EDGE_SHARE = 0.002


@dataclass(frozen=True, slots=True)
class Tape:
    """A tape that was found.

    Attributes:
        path: ``(k, 2)`` rectified pixels along its middle, from side to side.
        width_px: its width, rectified pixels.
        share: of its way along which it stands out from both sides, 0..1.
    """

    path: NDArray[np.float64]
    width_px: float
    share: float


@dataclass(frozen=True, slots=True)
class _Band:
    """A level band after shearing; lengths in shares of the side. ``upright``: of the transposed picture."""

    share: float
    middle: float = 0.0
    slope: float = 0.0
    width: float = 0.0
    upright: bool = False


def find_tape(rectified: NDArray[np.uint8], strings: NDArray[np.uint8] | None = None) -> Tape | None:
    """The most conspicuous tape; None when there is none.

    Args:
        rectified: ``(S, S, 3)`` uint8 RGB.
        strings: ``(S, S)`` uint8, not zero on strings.
    """
    side = rectified.shape[0]
    if side < SEARCH_PX or rectified.shape[1] != side:
        return None
    large = _brightness(rectified, strings, min(TRACE_PX, side))
    small = cv2.resize(large, (SEARCH_PX, SEARCH_PX), interpolation=cv2.INTER_AREA)
    best = max((_most_level(part, upright) for part, upright in ((small, False), (small.T, True))), key=_share)
    if best.share < _LEAST_SHARE:
        return None
    return _followed(large.T if best.upright else large, best, side)


def tape_mask(tape: Tape, side_px: int) -> Mask:
    """What the tape covers, its soft edge included; all of it hides the reef."""
    alpha, core = (np.zeros((side_px, side_px), np.uint8) for _ in range(2))
    fixed = [np.round(tape.path * 16).astype(np.int32)]
    thickness = max(2, int(np.ceil(tape.width_px + 2 * _EDGE_SHARE * side_px)))
    cv2.polylines(alpha, fixed, False, 255, thickness - 1, cv2.LINE_AA, 4)
    cv2.polylines(core, fixed, False, 255, thickness, cv2.LINE_8, 4)
    return without_traces(alpha, core > 0)


def _share(band: _Band) -> float:
    return band.share


def _brightness(rectified: NDArray[np.uint8], strings: NDArray[np.uint8] | None, side: int) -> NDArray[np.float32]:
    """Grey levels ``(side, side)``, strings filled in; of red and green, in which yellow is as bright as white."""
    grey = cv2.resize(rectified[..., :2].mean(axis=2, dtype=np.float32), (side, side), interpolation=cv2.INTER_AREA)
    if strings is None or not strings.any():
        return grey
    known = cv2.resize((strings == 0).astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    reach = (2 * (side // 60) + 1,) * 2
    around = cv2.blur(grey * known, reach) / np.maximum(cv2.blur(known, reach), 1e-3)
    return (grey * known + around * (1 - known)).astype(np.float32)


def _most_level(grey: NDArray[np.float32], upright: bool) -> _Band:
    """The band of any slope and width that stands out along most of its way."""
    side = len(grey)
    best = _Band(0.0)
    everywhere = np.ones_like(grey)
    for slope in _SLOPES:
        level = _sheared(grey, slope)
        inside = _sheared(everywhere, slope)
        length = inside.sum(axis=1)
        length[length < _LEAST_LENGTH * side] = np.inf
        for width in _WIDTHS:
            mean = cv2.blur(level, (3, max(1, round(0.7 * width * side))))
            away = round(max(2.0, 1.1 * width * side))
            higher = cv2.max(mean[: -2 * away], mean[2 * away :])
            over = cv2.compare(mean[away:-away], higher + _BRIGHTER, cv2.CMP_GT)
            share = (cv2.multiply(over, inside[away:-away], dtype=cv2.CV_32F).sum(axis=1) / 255) / length[away:-away]
            row = int(share.argmax())
            if share[row] > best.share:
                best = _Band(float(share[row]), (row + away + 0.5) / side, float(slope), width, upright)
    return best


def _sheared(grey: NDArray[np.float32], slope: float, beyond: float = 0.0) -> NDArray[np.float32]:
    """The picture with lines ``y = y0 + slope * (x - middle)`` laid level at ``y0``."""
    middle = (grey.shape[1] - 1) / 2
    matrix = np.array([[1.0, 0.0, 0.0], [slope, 1.0, -slope * middle]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(grey, matrix, grey.shape[::-1], flags=flags, borderValue=beyond)


def _followed(grey: NDArray[np.float32], band: _Band, side: int) -> Tape | None:
    """The tape's middle measured piece by piece, its width over all pieces, and a smooth curve laid through."""
    size = len(grey)
    level = _sheared(grey, band.slope)
    half = max(6, round(2.2 * band.width * size))
    centre = round(band.middle * size)
    top = max(0, centre - half)
    pieces = np.array_split(np.arange(size), _PIECES)
    profiles = np.stack([level[top : centre + half + 1, piece].mean(axis=1) for piece in pieces], axis=1)
    x = np.array([piece.mean() for piece in pieces])
    fits = [_best_fit(profiles, width) for width in range(3, max(5, round(2 * band.width * size)))]
    contrast, width, rows = max(((float(np.median(c)), w, r) for w, c, r in fits), key=lambda fit: fit[0])
    if contrast < _BRIGHTER / 2:
        return None
    curve = _smooth_curve(x, rows + top, size, width)
    along = np.linspace(0, size - 1, 33)
    across = curve(along) + band.slope * (along - (size - 1) / 2)
    path = (np.column_stack([along, across]) + 0.5) * side / size - 0.5
    return Tape(path[:, ::-1].copy() if band.upright else path, width * side / size, band.share)


def _best_fit(profiles: NDArray[np.float32], width: int) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
    """Where a band of this width fits each profile (a column each) best, and by how much it outshines both flanks."""
    flank = max(2, width // 3)
    sums = np.vstack([np.zeros(profiles.shape[1]), np.cumsum(profiles, axis=0, dtype=np.float64)])
    first = np.arange(flank, len(profiles) - width - flank + 1)
    if not first.size:
        return width, np.zeros(profiles.shape[1]), np.zeros(profiles.shape[1])
    inside = (sums[first + width] - sums[first]) / width
    before = (sums[first] - sums[first - flank]) / flank
    after = (sums[first + width + flank] - sums[first + width]) / flank
    contrast = inside - np.maximum(before, after)
    best = contrast.argmax(axis=0)
    return width, contrast.max(axis=0), first[best] + (width - 1) / 2


def _smooth_curve(x: NDArray[np.float64], y: NDArray[np.float64], size: int, width: float) -> np.polynomial.Polynomial:
    """A cubic that half of the pieces may contradict: weights fall with distance, from a straight line on."""
    domain = [0, size - 1]
    weight = np.ones_like(x)
    curve = np.polynomial.Polynomial([float(np.median(y))])
    for degree, reach in ((1, 2.0), (1, 1.0), (2, 0.6), (2, 0.3), (3, 0.2), (3, 0.15)):
        weight = 1 / (1 + ((y - curve(x)) / (reach * width)) ** 2)
        curve = np.polynomial.Polynomial.fit(x, y, degree, domain=domain, w=weight)
    return curve
