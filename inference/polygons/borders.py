"""Borders of masks as closed lines of few points, for many masks at once.

Contours run through the centres of border pixels. Half a pixel further out runs the line of this module: along
the pixel edges where the contour goes straight, through the middles of the stairs' edges where it goes diagonally. It
turns only where the contour turns, so how it passes a pixel follows from where the contour comes from and where it
goes: a table look-up for the points where it turns, and nothing for the many between them. Points are in half pixels
(doubled coordinates), which keeps them whole numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.polygons.chains import STRAIGHT
from inference.polygons.contours import Contours, contours_of
from inference.polygons.simplify import Floats, Ints, Lines

# Steps by their code (dy + 1) * 3 + dx + 1, so that 8 - code is the step back and 4 no step at all.
_STEPS = [(code % 3 - 1, code // 3 - 1) for code in range(9)]
_NONE = 4


def _crossing(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    """Where two lines cross that run half a pixel beside a pixel's centre on the sides of these normals."""
    across = one[0] * other[1] - one[1] * other[0]
    if across == 0:  # straight on: any point of the line that is a whole number of half pixels
        return (one[0], 0) if one[0] else (0, one[1])
    return (other[1] - one[1]) // across, (one[0] - other[0]) // across


def _turns() -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Per (code of the step in) * 9 + (code of the step out): the point passed; and the second one, of a tip."""
    first, second = np.zeros((81, 2), np.int32), np.zeros((81, 2), np.int32)
    for come, (ax, ay) in enumerate(_STEPS):
        for out, (bx, by) in enumerate(_STEPS):
            if _NONE in (come, out):
                continue
            inwards, outwards = (-ay, ax), (-by, bx)  # outside is on the right of the walk, as seen on the screen
            if come + out == 8:  # there and back: around the tip of a line of one pixel
                first[come * 9 + out], second[come * 9 + out] = (
                    _crossing(inwards, (ax, ay)),
                    _crossing((ax, ay), outwards),
                )
            else:
                first[come * 9 + out] = _crossing(inwards, outwards)
    return first, second


_FIRST, _SECOND = _turns()
_CUTS = np.array(
    [
        out == come + after - _NONE and ax * by - ay * bx == 1 and ax * bx + ay * by == 0
        for come, (ax, ay) in enumerate(_STEPS)
        for out in range(9)
        for after, (bx, by) in enumerate(_STEPS)
    ]
)
"""Per step before, step and step after it, whether the diagonal one cuts the corner of the two, an inner one."""


def _packed(points: NDArray[np.int32]) -> NDArray[np.int64]:
    """Points ``(n, 2)`` as numbers ``(n,)``, x and y side by side: what moves both at once, without a copy."""
    return points.view(np.int64)[:, 0]


_FIRST_PACKED = _packed(_FIRST).copy()


@dataclass(frozen=True, slots=True)
class Borders:
    """Closed borders, one after the other.

    Attributes:
        lines: the borders in half pixels; their target areas are those along pixel edges.
        masks: ``(rings,)`` number of the mask each ring belongs to.
        parents: ``(rings,)`` for a hole the number of the ring around it, else -1.
        pixels: ``(rings,)`` number of pixels inside each ring, holes counted.
        bent: ``(rings,)`` what lies between each line and the pixel edges, in square pixels.
        steps: ``(rings,)`` length along the pixel edges, in pixels.
    """

    lines: Lines
    masks: Ints
    parents: Ints
    pixels: Floats
    bent: Floats
    steps: Floats


def borders_of(crops: Sequence[NDArray[np.uint8]], offsets: Sequence[tuple[int, int]]) -> Borders:
    """Borders of masks; pixels that touch at a corner are joined.

    Args:
        crops: masks ``(h, w)`` uint8, 0 = outside.
        offsets: (left, top) of each crop in the picture.
    """
    return _walked(contours_of(crops, offsets))


def _walked(contours: Contours) -> Borders:
    points, starts, masks, parents = contours
    rings, last = starts[:-1], starts[1:] - 1
    x, y = np.ascontiguousarray(points[:, 0]), np.ascontiguousarray(points[:, 1])
    dx, dy = _steps(x, last), _steps(y, last)
    hole = parents >= 0
    # Pick's theorem: half of the pixels a contour passes lie within it, those of a hole's contour belong to no hole.
    passed = _sums(np.maximum(np.abs(dx), np.abs(dy)), rings)
    # Products of places in far larger pictures run over, which is right modulo 2^32 for all rings below 2^30 pixels.
    within = np.abs(_sums(x * dy - y * dx, rings)) / 2
    pixels = within + np.where(hole, -passed, passed) / 2 + 1
    line, begin = _moved_out(points, dx, dy, starts)
    steps = np.abs(line[1:] - line[:-1])
    steps[begin[1:-1] - 1] = 0  # from one ring to the next
    along_x, along_y = np.ascontiguousarray(steps[:, 0]), np.ascontiguousarray(steps[:, 1])
    # Each half pixel that a diagonal goes in x, it cuts off or adds a triangle of half a pixel by half a pixel.
    bent = _sums(np.minimum(along_x, along_y), begin[:-1]) / 8
    lines = Lines(line, begin, np.where(hole, 8 * pixels, -8 * pixels), np.ones(len(masks), bool))
    return Borders(lines, masks, parents, pixels, bent, _sums(along_x + along_y, begin[:-1]) / 2)


def _moved_out(points: NDArray[np.int32], dx: Ints, dy: Ints, starts: Ints) -> tuple[NDArray[np.int32], Ints]:
    """The line half a pixel outside of contours, in half pixels, and where each ring begins."""
    rings, last = starts[:-1], starts[1:] - 1
    out = np.sign(dy) * 3 + np.sign(dx) + _NONE
    out[last] = out[rings]
    come = np.empty_like(out)
    come[1:] = out[:-1]
    come[rings] = out[last - 1]
    turn = come * 9 + out
    line = _FIRST_PACKED.take(turn).view(np.int32).reshape(-1, 2)
    line += 2 * points
    place = _packed(line)
    inner = _inner_corners(dx, dy, turn, out, starts)
    place[inner] = place[inner + 1] = _packed(points.take(inner, axis=0) + points.take(inner + 1, axis=0))
    ends = np.zeros(len(points), bool)
    ends[inner + 1] = True
    ends = ends[last]  # the same points as the rings' first ones
    place[rings[ends]] = place[last[ends]]
    place[last] = place[rings]
    tips = (come + out == 8) & (out != _NONE)
    tips[last] = False
    tip = np.flatnonzero(tips)
    if not len(tip):
        return line, starts
    place = np.insert(place, tip + 1, _packed(2 * points[tip] + _SECOND[turn[tip]]))
    return place.view(np.int32).reshape(-1, 2), starts + np.searchsorted(tip, starts)


def _inner_corners(dx: Ints, dy: Ints, turn: Ints, out: Ints, starts: Ints) -> Ints:
    """Points from which a single diagonal step cuts an inner corner, whose middle is the corner of the pixel edges."""
    rings, last = starts[:-1], starts[1:] - 1
    inner = np.flatnonzero(_CUTS.take(turn[:-1] * 9 + out[1:]))
    inner = inner[np.abs(dx.take(inner) * dy.take(inner)) == 1]
    ring = np.searchsorted(starts, inner, side="right") - 1
    run_in = np.where(inner == rings[ring], last[ring], inner) - 1
    run_out = np.where(inner + 1 == last[ring], rings[ring], inner + 1)
    length_in, length_out = np.abs(dx[run_in] + dy[run_in]), np.abs(dx[run_out] + dy[run_out])
    return inner[np.minimum(length_in, length_out) >= STRAIGHT - 1]


def _steps(places: Ints, last: Ints) -> Ints:
    """From each point to the next one; none from the last point of a ring."""
    steps = np.zeros_like(places)
    np.subtract(places[1:], places[:-1], out=steps[:-1])
    steps[last] = 0
    return steps


def _sums(values: NDArray, rings: Ints) -> Floats:
    return np.add.reduceat(values, rings, dtype=values.dtype).astype(float) if len(rings) else np.zeros(0)
