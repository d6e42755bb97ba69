"""Simplifying many lines at once without changing the area they enclose.

Points are chosen by Douglas and Peucker's rule: a line is replaced by its chord unless a point lies further off than
the tolerance, in which case it is cut there. Such points lie on the line, so the chords cut off every bulge, and a
simplified colony would be too small. Each chord is therefore moved to the mean height of what it replaces, and all
moves of a line are scaled so that the enclosed area stays what it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines one after the other, in whole units.

    Attributes:
        x, y: ``(n,)`` their points; a closed line ends with its first point again.
        starts: ``(lines + 1,)`` where each line begins, and ``n``.
        target: ``(lines,)`` twice the signed area under each line: the sum of the cross products of its steps.
        closed: ``(lines,)``; the ends of the others stay where they are.
    """

    x: Ints
    y: Ints
    starts: Ints
    target: Floats
    closed: Flags

    def some(self, numbers: Ints) -> Lines:
        """Some of the lines."""
        if np.array_equal(numbers, np.arange(len(self.closed))):
            return self
        lengths = np.diff(self.starts)[numbers]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        index = np.arange(starts[-1]) + np.repeat(self.starts[numbers] - starts[:-1], lengths)
        return Lines(self.x[index], self.y[index], starts, self.target[numbers], self.closed[numbers])


def fitted(lines: Lines, tolerance: Floats) -> tuple[Floats, Ints, Floats]:
    """Lines of few points with the areas of the target.

    Args:
        lines: what to simplify.
        tolerance: ``(lines,)`` how far a line may lie from its chords.

    Returns:
        The points of all lines ``(m, 2)``; where each line begins, and ``m``; the area each line moves over (an upper
        bound of what changes sides: lobes on both sides of a chord count both).
    """
    kept, begin = _chosen(lines, tolerance)
    x, y = lines.x.astype(float), lines.y.astype(float)
    line = np.repeat(np.arange(len(begin) - 1), np.diff(begin))
    corner_x, corner_y = x[kept], y[kept]
    move_x, move_y = _moves(x, y, kept, begin, lines.closed)
    size = _length(move_x, move_y)
    shrink = np.minimum(1, tolerance[line] / np.maximum(size, 1e-9))
    move_x, move_y = move_x * shrink, move_y * shrink
    factor = _scale(corner_x, corner_y, move_x, move_y, begin, lines.target)[line]
    placed_x, placed_y = corner_x + factor * move_x, corner_y + factor * move_y
    moved = _moved_area(x, y, kept, begin, placed_x, placed_y)
    return np.column_stack([placed_x, placed_y]), begin, moved


def _chosen(lines: Lines, tolerance: Floats) -> tuple[Ints, Ints]:
    """Indices of the points that stay, in order, and where each line begins among them."""
    left, top = int(lines.x.min()), int(lines.y.min())
    span = max(int(lines.x.max()) - left, int(lines.y.max()) - top)
    lengths = np.diff(lines.starts)
    # OpenCV returns points, not which they are: the number of each rides along in bits far below a pixel. They are the
    # same bits in whatever company a line comes, except beyond 16,384 points or pixels.
    unit, bits = min(15, 30 - span.bit_length()), max(7, (int(lengths.max()).bit_length() + 1) // 2)
    number = np.arange(len(lines.x), dtype=np.int32) - np.repeat(lines.starts[:-1].astype(np.int32), lengths)
    points = np.empty((len(number), 2), np.int32)
    points[:, 0] = ((lines.x - left) << unit) | (number >> bits)
    points[:, 1] = ((lines.y - top) << unit) | (number & ((1 << bits) - 1))
    limits = tolerance * (1 << unit) + (1 << bits)
    few = [
        cv2.approxPolyDP(points[start : end - closed], limit, closed)
        for start, end, closed, limit in zip(
            lines.starts[:-1].tolist(), lines.starts[1:].tolist(), lines.closed.tolist(), limits.tolist(), strict=True
        )
    ]
    low = np.concatenate(few)[:, 0] & ((1 << bits) - 1)
    stays = np.zeros(len(number), bool)
    stays[(low[:, 0] << bits) + low[:, 1] + np.repeat(lines.starts[:-1], [len(line) for line in few])] = True
    stays[lines.starts[:-1]] = stays[lines.starts[1:] - 1] = True  # a closed line is walked from its first point to it
    kept = np.flatnonzero(stays)
    return kept, np.searchsorted(kept, lines.starts)


def _moves(x: Floats, y: Floats, kept: Ints, begin: Ints, closed: Flags) -> tuple[Floats, Floats]:
    """How each point that stays should move so that its two chords run at the mean height of what they replace."""
    walked = np.zeros(len(x))
    cross = x[:-1] * y[1:]
    cross -= x[1:] * y[:-1]
    np.cumsum(cross, out=walked[1:])
    px, py = x[kept], y[kept]
    dx, dy = np.roll(px, -1) - px, np.roll(py, -1) - py
    under = (np.diff(walked[kept], append=0) - (px * dy - dx * py)) / 2
    length = _length(dx, dy)
    sound = np.maximum(length, 1e-9)
    height = np.where(length > 0, -under / sound, 0)
    nx, ny = -dy / sound, dx / sound
    before = np.arange(len(kept)) - 1
    before[begin[:-1]] = begin[1:] - 2  # of a closed line, the chord that ends where it begins
    after = np.arange(len(kept))
    after[begin[1:] - 1] = begin[:-1]
    bend = np.maximum(1 + nx[before] * nx[after] + ny[before] * ny[after], 0.5)
    move_x = (height[before] * nx[before] + height[after] * nx[after]) / bend  # the mitre of two moved chords
    move_y = (height[before] * ny[before] + height[after] * ny[after]) / bend
    for end in (begin[:-1][~closed], begin[1:][~closed] - 1):
        move_x[end] = move_y[end] = 0
    return move_x, move_y


def _scale(x: Floats, y: Floats, move_x: Floats, move_y: Floats, begin: Ints, target: Floats) -> Floats:
    """Factor on each line's moves that makes twice its signed area the target (Newton from 1)."""

    def summed(ax: Floats, ay: Floats, bx: Floats, by: Floats) -> Floats:
        cross = ax[:-1] * by[1:] - ay[:-1] * bx[1:]
        cross[begin[1:-1] - 1] = 0  # from the end of a line to the beginning of the next
        return np.add.reduceat(cross, begin[:-1])

    constant = summed(x, y, x, y) - target
    linear = summed(x, y, move_x, move_y) + summed(move_x, move_y, x, y)
    square = summed(move_x, move_y, move_x, move_y)
    factor = np.ones(len(target))
    for _ in range(6):
        slope = linear + 2 * square * factor
        wrong = constant + linear * factor + square * factor**2
        factor = factor - np.divide(wrong, slope, out=np.zeros(len(target)), where=np.abs(slope) > 1e-9)
        factor = np.clip(factor, 0, 2)
    return factor


def _length(x: Floats, y: Floats) -> Floats:
    """As ``np.hypot``, which is several times slower for guarding against numbers no picture has."""
    return np.asarray(np.sqrt(x * x + y * y))


def _moved_area(x: Floats, y: Floats, kept: Ints, begin: Ints, placed_x: Floats, placed_y: Floats) -> Floats:
    """Area between each line and its chords, ``(lines,)``; exact where a line runs forward along its chord."""
    dx, dy = placed_x[1:] - placed_x[:-1], placed_y[1:] - placed_y[:-1]
    length = _length(dx, dy)
    sound = np.maximum(length, 1e-9)
    ux, uy = dx / sound, dy / sound
    ux[length == 0] = 1
    beside = placed_x[:-1] * uy - placed_y[:-1] * ux
    from_x, from_y, to_x, to_y = x[kept[:-1]], y[kept[:-1]], x[kept[1:]], y[kept[1:]]
    end = to_y * ux - to_x * uy + beside
    counts = np.diff(kept)
    frame_x, frame_y, across = np.repeat(ux, counts), np.repeat(uy, counts), np.repeat(beside, counts)
    across += frame_x * y[:-1]
    across -= frame_y * x[:-1]
    across_next = np.append(across[1:], 0)
    across_next[kept[1:] - 1] = end  # the last step of a chord ends where the next one begins, still in its own frame
    frame_x *= x[1:] - x[:-1]
    frame_y *= y[1:] - y[:-1]
    frame_x += frame_y
    strips = _strip(frame_x, across, across_next)
    strips[kept[begin[1:-1]] - 1] = 0  # from the end of a line to the beginning of the next
    # The triangles from where a chord's ends are now to where the line has them.
    before = (from_x - placed_x[:-1]) * ux + (from_y - placed_y[:-1]) * uy
    behind = (placed_x[1:] - to_x) * ux + (placed_y[1:] - to_y) * uy
    caps = (np.abs(before * (from_y * ux - from_x * uy + beside)) + np.abs(behind * end)) / 2
    caps[begin[1:-1] - 1] = 0
    return np.asarray(np.add.reduceat(strips, kept[begin[:-1]]) + np.add.reduceat(caps, begin[:-1]))


def _strip(width: Floats, from_height: Floats, to_height: Floats) -> Floats:
    """Area between a step and its chord; the two triangles of a step that crosses it."""
    crossing = from_height * to_height
    np.minimum(crossing, 0, out=crossing)
    total = np.abs(from_height)
    total += np.abs(to_height)
    crossing /= np.maximum(total, 1e-12)
    total /= 2
    total += crossing
    total *= np.abs(width)
    return total
