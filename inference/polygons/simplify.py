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
        x, y: ``(n,)`` their points; no line passes a point twice, but a closed one ends with its first point again.
        starts: ``(lines + 1,)`` where each line begins, and ``n``.
        target: ``(lines,)`` twice the signed area under each line: the sum of the cross products of its steps.
        closed: ``(lines,)``; the ends of the others stay where they are.
    """

    x: Ints
    y: Ints
    starts: Ints
    target: Floats
    closed: Flags


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
    size = np.hypot(move_x, move_y)
    shrink = np.minimum(1, tolerance[line] / np.maximum(size, 1e-9))
    move_x, move_y = move_x * shrink, move_y * shrink
    factor = _scale(corner_x, corner_y, move_x, move_y, begin, lines.target)[line]
    placed_x, placed_y = corner_x + factor * move_x, corner_y + factor * move_y
    moved = _moved_area(x, y, kept, begin, placed_x, placed_y)
    return np.column_stack([placed_x, placed_y]), begin, moved


def _chosen(lines: Lines, tolerance: Floats) -> tuple[Ints, Ints]:
    """Indices of the points that stay, in order, and where each line begins among them."""
    points = np.column_stack([lines.x, lines.y]).astype(np.int32)
    scratch = np.zeros(0, np.int32)
    chosen, count = [], [0]
    for number, (start, end) in enumerate(zip(lines.starts[:-1].tolist(), lines.starts[1:].tolist(), strict=True)):
        closed = bool(lines.closed[number])
        line = points[start : end - closed]
        few = cv2.approxPolyDP(line, float(tolerance[number]), closed)[:, 0]
        left, top, width, height = cv2.boundingRect(line)
        if len(scratch) < width * height:
            scratch = np.zeros(width * height, np.int32)
        scratch[(few[:, 1] - top) * width + few[:, 0] - left] = number + 1
        stays = scratch[(line[:, 1] - top) * width + line[:, 0] - left] == number + 1
        stays[0] = True  # a closed line is walked from its first point, an extreme one, and back to it
        index = np.flatnonzero(stays) + start
        chosen.append(np.append(index, end - 1) if closed else index)
        count.append(len(chosen[-1]))
    return np.concatenate(chosen), np.cumsum(count)


def _moves(x: Floats, y: Floats, kept: Ints, begin: Ints, closed: Flags) -> tuple[Floats, Floats]:
    """How each point that stays should move so that its two chords run at the mean height of what they replace."""
    steps = np.empty_like(x)
    steps[:-1] = x[:-1] * y[1:] - x[1:] * y[:-1]
    steps[-1] = 0
    px, py = x[kept], y[kept]
    dx, dy = np.roll(px, -1) - px, np.roll(py, -1) - py
    under = (np.add.reduceat(steps, kept) - (px * np.roll(py, -1) - np.roll(px, -1) * py)) / 2
    length = np.hypot(dx, dy)
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


def _moved_area(x: Floats, y: Floats, kept: Ints, begin: Ints, placed_x: Floats, placed_y: Floats) -> Floats:
    """Area between each line and its chords, ``(lines,)``; exact where a line runs forward along its chord."""
    dx, dy = np.roll(placed_x, -1) - placed_x, np.roll(placed_y, -1) - placed_y
    length = np.hypot(dx, dy)
    ux, uy = np.where(length > 0, dx / np.maximum(length, 1e-9), 1), dy / np.maximum(length, 1e-9)
    counts = np.diff(np.append(kept, len(x)))
    ax, ay = x - np.repeat(placed_x, counts), y - np.repeat(placed_y, counts)
    frame_x, frame_y = np.repeat(ux, counts), np.repeat(uy, counts)
    along, across = ax * frame_x + ay * frame_y, frame_x * ay - frame_y * ax
    # The last step of a chord ends at the next point that stays, still in this chord's frame.
    end_x, end_y = np.roll(x[kept], -1) - placed_x, np.roll(y[kept], -1) - placed_y
    along_end, across_end = end_x * ux + end_y * uy, ux * end_y - uy * end_x
    along_next, across_next = np.roll(along, -1), np.roll(across, -1)
    last = np.append(kept[1:], len(x)) - 1
    along_next[last], across_next[last] = along_end, across_end
    chord = np.add.reduceat(_strip(along_next - along, across, across_next), kept)
    # From where a chord's ends are now to where the line has them.
    chord += _strip(along[kept], 0 * length, across[kept]) + _strip(length - along_end, across_end, 0 * length)
    chord[begin[1:] - 1] = 0  # from the end of a line to the beginning of the next
    return np.add.reduceat(chord, begin[:-1])


def _strip(width: Floats, from_height: Floats, to_height: Floats) -> Floats:
    """Area between a step and its chord; the two triangles of a step that crosses it."""
    high, low = np.abs(from_height), np.abs(to_height)
    total = high + low
    squares = (high * high + low * low) / np.maximum(total, 1e-12)
    return np.abs(width) * np.where(from_height * to_height < 0, squares, total) / 2
