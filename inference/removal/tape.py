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
    """The tape's middle and width measured piece by piece, and a smooth curve laid through."""
    size = len(grey)
    level = _sheared(grey, band.slope, float(np.median(grey)))
    half = max(4, round(1.6 * band.width * size))
    centre = round(band.middle * size)
    top, bottom = max(0, centre - half), min(size, centre + half + 1)
    xs, middles, widths = [], [], []
    for piece in np.array_split(np.arange(size), _PIECES):
        profile = np.median(level[top:bottom, piece], axis=1)
        edges = _edges(profile)
        if edges is not None:
            xs.append(float(piece.mean()))
            middles.append(top + (edges[0] + edges[1]) / 2)
            widths.append(edges[1] - edges[0])
    if len(xs) < _PIECES / 2:
        return None
    x, y, width = np.array(xs), np.array(middles), float(np.median(widths))
    kept = np.abs(np.array(widths) - width) <= max(2.0, 0.35 * width)
    for _ in range(3):
        if kept.sum() < _PIECES / 3:
            return None
        curve = np.polynomial.Polynomial.fit(x[kept], y[kept], 3)
        kept = np.abs(y - curve(x)) <= max(1.5, 0.25 * width)
    along = np.linspace(0, size - 1, 33)
    across = curve(along) + band.slope * (along - (size - 1) / 2)
    path = (np.column_stack([along, across]) + 0.5) * side / size - 0.5
    return Tape(path[:, ::-1].copy() if band.upright else path, width * side / size, band.share)


def _edges(profile: NDArray[np.float32]) -> tuple[float, float] | None:
    """Where a bright band begins and ends in a profile across it, at half its height; None without one."""
    count = len(profile)
    middle = profile[count // 3 : -(count // 3)]
    top, flank = (
        float(np.percentile(middle, 75)),
        float(np.median(np.r_[profile[: count // 6], profile[-count // 6 :]])),
    )
    if top - flank < _BRIGHTER:
        return None
    bright = np.flatnonzero(profile > (top + flank) / 2)
    runs = np.split(bright, np.flatnonzero(np.diff(bright) > 2) + 1)
    run = max(runs, key=len)
    return float(run[0]) - 0.5, float(run[-1]) + 0.5
