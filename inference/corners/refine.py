"""Locating the four borders again at full size, and the corners where they meet.

First the four borders together are brought near, by what parts bar from reef (``parting``), in passes of shrinking
reach. Then each is located to a fraction of a pixel by the steps across it, as far as the parting allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.corners.parting import Samples, parting
from inference.corners.sides import Paths, Side, Strip, best_paths, meetings
from inference.planes import largest_channel

# The sampling distances below are for a picture whose long side is 1000 px, and grow with it.
_UNIT_PX = 1000.0
_STEP_BAND = 3.0
_FULL_CONTRAST = 24.0
_INLIER = 1.2
# A lens bows a border by up to about this share of its length; a curve that bows more is texture.
_BOW_SHARE = 0.018
_MAX_SAG_SHARE = 0.025
_BOW_PRICE, _AWAY_PRICE = 0.03, 0.08
_ENOUGH_FOR_CURVE = 0.55
_DOUBTFUL_SUPPORT, _DOUBTFUL_PARTED = 0.35, 0.7
# Blur mixes bar and reef, so the parting lies up to this far on the bar's side of the step.
_BLURRED = 2.0
_STEP_SAY, _STEP_WEIGHT = 6.5, 1.0
_STEP_REACH, _STEP_GAP, _STEP_AWAY = 4.0, 1.5, 16.0


@dataclass(frozen=True, slots=True)
class RefinedFrame:
    """Sub-pixel corners, and how well the picture supports them.

    Attributes:
        corners: ``(4, 2)`` pixels of the picture.
        score: share of the stations along the borders that show a step there, 0..1.
        parted: how cleanly the borders part bars from reef, 0..1.
        sides: the four, top first, clockwise; empty when the frame was not located by its borders.
        defects: doubts.
    """

    corners: NDArray[np.float64]
    score: float
    parted: float
    sides: tuple[Side, ...] = ()
    defects: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Pass:
    """One search: how far, how far beyond bar and reef are looked at (shares of the reach), and how finely.

    ``bows``: how far the common bow may change, and in how many steps; ``fine``: pixels of 1000 between samples;
    ``shaded``: whether the border is near enough to look for the bar beyond its shadow.
    """

    reach: float
    gap: float
    band: float
    bows: tuple[float, int]
    steps: int
    fine: float
    shaded: bool


_PASSES = (
    _Pass(1.0, 0.45, 0.7, (_BOW_SHARE, 13), 25, 1.0, shaded=False),
    _Pass(0.5, 0.25, 0.8, (0.003, 5), 21, 0.5, shaded=True),
    _Pass(0.25, 0.08, 0.8, (0.003, 5), 17, 0.5, shaded=True),
)


def refine_frame(image: NDArray[np.uint8], corners: NDArray[np.float64], reach: float) -> RefinedFrame:
    """Corners located again on the full picture ``(H, W, 3)``, starting within ``reach`` of its pixels of the truth."""
    unit = max(image.shape[:2]) / _UNIT_PX
    points, bow = corners, 0.0
    for one in _PASSES:
        points, bow = _parted(image, points, bow, reach, one, unit)
    # An even bar is told from its shadow by looking at it deeper in, one with an edge of its own by looking close by.
    tried = [_stepped(image, points, bow, unit, shaded) for shaded in (True, False)]
    sides = [max(pair, key=lambda side: side.support + side.parted) for pair in zip(*tried, strict=True)]
    support, parted = [s.support for s in sides], [s.parted for s in sides]
    names = ("top", "right", "bottom", "left")
    defects = [
        f"the {name} border of the frame is hardly visible ({side.support:.0%} of its length)"
        for name, side in zip(names, sides, strict=True)
        if side.support < _DOUBTFUL_SUPPORT and side.parted < _DOUBTFUL_PARTED
    ]
    return RefinedFrame(meetings(sides, points), _weak(support), _weak(parted), tuple(sides), defects)


def _weak(values: list[float]) -> float:
    """A mean in which the worst counts extra."""
    return float(0.5 * np.mean(values) + 0.5 * np.min(values))


def _parted(
    image: NDArray[np.uint8], corners: NDArray[np.float64], bow: float, whole_reach: float, one: _Pass, unit: float
) -> tuple[NDArray[np.float64], float]:
    """Corners and common bow by what parts bar from reef."""
    reach = whole_reach * one.reach
    gap, band = max(_STEP_GAP * unit, whole_reach * one.gap), whole_reach * one.band
    bows = bow + np.linspace(-one.bows[0], one.bows[0], one.bows[1])
    fine = max(0.5, one.fine * unit)
    strips = _strips(image, corners, reach, (gap, band), float(np.abs(bows).max()), fine)
    curves = [strip.curve(np.zeros(2), bow) for strip in strips]
    # Nearby the steps have a say too; farther off they would lead to the bar's outer edge.
    stepping = _STEP_WEIGHT * (reach <= _STEP_SAY * unit)
    votes = [stepping * _votes(_steps(s, unit), s, c, reach + 2 * unit) for s, c in zip(strips, curves, strict=True)]
    # Once found, the border tells better what is bar and what is reef.
    for nearer in (1.0, 0.5):
        found = []
        for strip, curve, vote in zip(strips, curves, votes, strict=True):
            close = max(_STEP_GAP * unit, gap * nearer), band
            samples = Samples.beside(*close, strip.length) if one.shaded else Samples(close, close)
            parted = parting(strip, strip.along_curve(curve), samples)
            parted = _tolerant(parted, strip, unit) if stepping else parted
            found.append(best_paths(parted + vote, strip, reach, bows, one.steps, _AWAY_PRICE))
        k = _common_bow(found, bows)
        curves = [strip.curve(paths.ends[k], bows[k]) for strip, paths in zip(strips, found, strict=True)]
    sides = [strip.side(curve) for strip, curve in zip(strips, curves, strict=True)]
    return meetings(sides, corners), float(bows[k])


def _strips(
    image: NDArray[np.uint8],
    corners: NDArray[np.float64],
    reach: float,
    sampled: tuple[float, float],
    bow: float,
    fine: float,
) -> list[Strip]:
    """The sides' strips, wide enough for a border within ``reach`` and for what is looked at beside it."""
    strips = []
    for k in range(4):
        start, stop = corners[k], corners[(k + 1) % 4]
        length = float(np.hypot(*(stop - start)))
        wide = reach + Samples.beside(*sampled, length).reach + bow * length
        strips.append(Strip.cut(image, start, stop, wide, fine))
    return strips


def _common_bow(found: Sequence[Paths], bows: NDArray[np.float64]) -> int:
    """One lens bows all four borders alike; a border that bows otherwise follows a shadow or the reef."""
    together = np.sum([paths.scores for paths in found], axis=0) - _BOW_PRICE * np.abs(bows) / _BOW_SHARE
    return int(together.argmax())


def _stepped(
    image: NDArray[np.uint8], corners: NDArray[np.float64], bow: float, unit: float, shaded: bool
) -> list[Side]:
    """The sides by the steps across them, near what parts bar from reef."""
    reach, bows = _STEP_REACH * unit, bow + np.linspace(-0.0015, 0.0015, 5)
    fine = max(0.5, 0.5 * unit)
    near = _STEP_GAP * unit, _STEP_AWAY * unit
    strips = _strips(image, corners, reach, near, float(np.abs(bows).max()), fine)
    parts, steps, found = [], [], []
    for strip in strips:
        line = strip.curve(np.zeros(2), bow)
        expected = strip.along_curve(line) + _STEP_GAP * unit
        samples = Samples.beside(*near, strip.length) if shaded else Samples(near, near)
        parted = _tolerant(parting(strip, expected, samples), strip, unit)
        step = _steps(strip, unit)
        votes = _votes(step, strip, line, reach + 2 * unit)
        found.append(best_paths(votes + parted, strip, reach, bows, 25))
        parts.append(parted)
        steps.append(step)
    k = _common_bow(found, bows)
    sides = []
    for strip, parted, step, paths in zip(strips, parts, steps, found, strict=True):
        first = strip.curve(paths.ends[k], float(bows[k]))
        curve, support = _curve(step * np.maximum(1 + parted, 0.1), strip, first, unit)
        there = parted[np.arange(len(strip.t)), strip.columns(strip.along_curve(curve))]
        sides.append(strip.side(curve, support, 1 + float(there.mean())))
    return sides


def _tolerant(scores: NDArray[np.float64], strip: Strip, unit: float) -> NDArray[np.float64]:
    """Each column with the best of itself and those before it, on the bar's side, where blur may have put it."""
    columns = round(_BLURRED * unit / strip.fine)
    kernel = np.ones((1, columns + 1), np.uint8)
    return np.asarray(cv2.dilate(scores, kernel, anchor=(columns, 0)), np.float64)


def _steps(strip: Strip, unit: float) -> NDArray[np.float64]:
    """The contrast of the step at each column, ``(stations, m)``: between the bands on its either side."""
    band = max(2, round(_STEP_BAND * unit / strip.fine))
    sums = np.cumsum(np.pad(strip.colours, ((0, 0), (1, 0), (0, 0))), axis=1)
    step = np.zeros(strip.colours.shape[:2])
    # Outer band: the samples up to here; inner band: the samples from here on; both share the middle sample.
    middle = np.arange(band, len(strip.offsets) - band)
    outer = sums[:, middle + 1] - sums[:, middle + 1 - band]
    inner = sums[:, middle + band] - sums[:, middle]
    step[:, middle] = largest_channel(np.abs(inner - outer)) / band
    return step


def _votes(step: NDArray[np.float64], strip: Strip, line: NDArray[np.float64], reach: float) -> NDArray[np.float64]:
    """How much each step counts, 0..1; where several compete at a station, only what stands out there."""
    near = np.abs(strip.offsets[None, :] - strip.along_curve(line)[:, None]) <= reach
    standing = step >= 0.5 * np.where(near, step, 0.0).max(axis=1, keepdims=True)
    return np.minimum(step / _FULL_CONTRAST, 1.0) * standing


def _curve(
    step: NDArray[np.float64], strip: Strip, first: NDArray[np.float64], unit: float
) -> tuple[NDArray[np.float64], float]:
    """A robust curve through the steps near ``first``, and the share of stations that agree with it."""
    tolerance = _INLIER * max(unit, 0.7)
    t, offsets = strip.t, strip.offsets
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
            if abs(bent[0]) / 4 <= _MAX_SAG_SHARE * strip.length:
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
