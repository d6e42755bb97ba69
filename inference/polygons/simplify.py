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
Complexes = NDArray[np.complex128]


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines one after the other, in whole units.

    Attributes:
        points: ``(n, 2)`` int32 x and y; a closed line ends with its first point again.
        starts: ``(lines + 1,)`` where each line begins, and ``n``.
        target: ``(lines,)`` twice the signed area under each line: the sum of the cross products of its steps.
        closed: ``(lines,)``; the ends of the others stay where they are.
    """

    points: NDArray[np.int32]
    starts: Ints
    target: Floats
    closed: Flags

    def some(self, numbers: Ints) -> Lines:
        """Some of the lines."""
        if np.array_equal(numbers, np.arange(len(self.closed))):
            return self
        begin, end = self.starts[:-1].take(numbers), self.starts[1:].take(numbers)
        parts = [self.points[a:b] for a, b in zip(begin.tolist(), end.tolist(), strict=True)]
        starts = np.concatenate([[0], np.cumsum(end - begin)])
        return Lines(np.concatenate(parts), starts, self.target[numbers], self.closed[numbers])


def fitted(lines: Lines, tolerance: Floats) -> tuple[Floats, Ints, Floats]:
    """Lines of few points with the areas of the target.

    Args:
        lines: what to simplify.
        tolerance: ``(lines,)`` how far a line may lie from its chords.

    Returns:
        The points of all lines ``(m, 2)``; where each line begins, and ``m``; the area each line moves over (an upper
        bound of what changes sides: lobes on both sides of a chord count both).
    """
    x, y = np.ascontiguousarray(lines.points[:, 0]), np.ascontiguousarray(lines.points[:, 1])
    kept, begin = _chosen(lines, x, y, tolerance)
    line = np.repeat(np.arange(len(begin) - 1), np.diff(begin))
    corners = np.empty(len(kept), complex)
    corners.real, corners.imag = x.take(kept), y.take(kept)
    moves = _moves(x, y, corners, kept, begin, lines.closed)
    moves *= np.minimum(1, tolerance.take(line) / np.maximum(_length(moves), 1e-9))
    moves *= _scale(corners, moves, begin, lines.target).take(line)
    placed = corners + moves
    return placed.view(float).reshape(-1, 2), begin, _moved_area(lines.points, kept, begin, placed, moves)


def _chosen(lines: Lines, x: Ints, y: Ints, tolerance: Floats) -> tuple[Ints, Ints]:
    """Indices of the points that stay, in order, and where each line begins among them."""
    left, top = int(x.min()), int(y.min())
    span = max(int(x.max()) - left, int(y.max()) - top)
    starts, lengths = lines.starts.tolist(), np.diff(lines.starts).tolist()
    longest = max(lengths)
    # OpenCV returns points, not which they are: the number of each rides along in bits far below a pixel. They are the
    # same bits in whatever company a line comes, except beyond 16,384 points or pixels.
    unit, bits = min(15, 30 - span.bit_length()), max(7, (longest.bit_length() + 1) // 2)
    number = np.arange(longest)
    riders = np.column_stack([(number >> bits) - (left << unit), (number & ((1 << bits) - 1)) - (top << unit)])
    riders = riders.astype(np.uint32)  # modulo 2^32, as the places; the sum of both is small again
    points = lines.points.view(np.uint32) << unit
    points += np.concatenate([riders[:length] for length in lengths])
    points = points.view(np.int32)
    limits = tolerance * (1 << unit) + (1 << bits)
    few = [
        cv2.approxPolyDP(points[start : end - closed], limit, closed)
        for start, end, closed, limit in zip(
            starts[:-1], starts[1:], lines.closed.tolist(), limits.tolist(), strict=True
        )
    ]
    low = np.concatenate(few)[:, 0] & ((1 << bits) - 1)
    stays = np.zeros(len(points), bool)
    stays[(low[:, 0] << bits) + low[:, 1] + np.repeat(lines.starts[:-1], [len(line) for line in few])] = True
    stays[lines.starts[:-1]] = stays[lines.starts[1:] - 1] = True  # a closed line is walked from its first point to it
    kept = np.flatnonzero(stays)
    return kept, np.searchsorted(kept, lines.starts)


def _moves(x: Ints, y: Ints, corners: Complexes, kept: Ints, begin: Ints, closed: Flags) -> Complexes:
    """How each point that stays should move so that its two chords run at the mean height of what they replace."""
    cross = x[:-1] * y[1:]
    cross -= x[1:] * y[:-1]
    # Sums that run over are right modulo 2^32, and what lies between a chord and its line is far smaller.
    walked = np.concatenate([[0], np.cumsum(cross, dtype=np.int32)], dtype=np.int32).take(kept)
    px, py = x.take(kept), y.take(kept)
    under = np.zeros(len(kept), np.int32)
    np.subtract(walked[1:], walked[:-1], out=under[:-1])
    under[:-1] -= px[:-1] * py[1:] - px[1:] * py[:-1]
    chords = np.zeros_like(corners)
    np.subtract(corners[1:], corners[:-1], out=chords[:-1])
    per_length = 1 / np.maximum(_length(chords), 1e-9)
    normals = chords * per_length
    normals *= 1j
    shifts = normals * (under * (per_length * -0.5))
    first, last = begin[:-1], begin[1:] - 1
    # Of a closed line, the chord before its first point is the last one, and the chord after its last point the first.
    normals[last], shifts[last] = normals[first], shifts[first]
    normals_before, shifts_before = np.empty_like(normals), np.empty_like(shifts)
    for values, before in ((normals, normals_before), (shifts, shifts_before)):
        before[1:] = values[:-1]
        before[first] = values[last - 1]
    bend = normals_before.real * normals.real
    bend += normals_before.imag * normals.imag
    bend += 1
    shifts += shifts_before
    shifts *= 1 / np.maximum(bend, 0.5)  # the mitre of two moved chords
    shifts[first[~closed]] = shifts[last[~closed]] = 0
    return shifts


def _scale(corners: Complexes, moves: Complexes, begin: Ints, target: Floats) -> Floats:
    """Factor on each line's moves that makes twice its signed area the target, as near as 0 to 2 allow."""

    def summed(a: Complexes, b: Complexes) -> Floats:
        cross = (a[:-1].conj() * b[1:]).imag
        cross[begin[1:-1] - 1] = 0  # from the end of a line to the beginning of the next
        return np.asarray(np.add.reduceat(cross, begin[:-1]))

    constant = summed(corners, corners) - target
    linear = summed(corners, moves) + summed(moves, corners)
    square = summed(moves, moves)
    # Of the two factors the one nearer to 1: what is missing there, and how it changes.
    missing, slope = constant + linear + square, linear + 2 * square
    root = np.sqrt(np.maximum(slope * slope - 4 * square * missing, 0))
    divisor = slope + np.copysign(root, slope)
    change = np.divide(-2 * missing, divisor, out=np.zeros(len(target)), where=np.abs(divisor) > 1e-9)
    return np.clip(1 + change, 0, 2)


def _length(vectors: Complexes) -> Floats:
    """As ``np.abs``, which is several times slower for guarding against numbers no picture has."""
    square = vectors.real * vectors.real
    square += vectors.imag * vectors.imag
    return np.asarray(np.sqrt(square))


def _moved_area(points: NDArray[np.int32], kept: Ints, begin: Ints, placed: Complexes, moves: Complexes) -> Floats:
    """Area between each line and its chords, ``(lines,)``; exact where a line runs forward along its chord."""
    chords = placed[1:] - placed[:-1]
    length = _length(chords)
    frames = chords.conj()
    frames *= 1 / np.maximum(length, 1e-9)
    frames[length == 0] = 1
    begins, ends = -moves[:-1] * frames, length - moves[1:] * frames
    # Where each point, and the one after it, lies as seen from its chord: along it and beside it.
    next_chord = np.zeros(len(points) - 1, np.int8)
    next_chord[kept[1:-1]] = 1
    chord = np.cumsum(next_chord, dtype=np.intp)
    here = points[:-1].astype(float).view(complex)[:, 0]
    here *= frames.take(chord)
    here -= (placed[:-1] * frames).take(chord)
    there = np.empty_like(here)
    there[:-1] = here[1:]
    there[kept[1:] - 1] = ends  # the last step of a chord ends where the next one begins, still in its own frame
    strips = _strips(there.real - here.real, here.imag.copy(), there.imag.copy())
    strips[kept[begin[1:-1]] - 1] = 0  # from the end of a line to the beginning of the next
    # The triangles from where a chord's ends are now to where the line has them.
    caps = np.abs(begins.real * begins.imag) + np.abs((length - ends.real) * ends.imag)
    caps[begin[1:-1] - 1] = 0
    return np.asarray(np.add.reduceat(strips, kept[begin[:-1]]) + np.add.reduceat(caps, begin[:-1])) / 2


def _strips(width: Floats, from_height: Floats, to_height: Floats) -> Floats:
    """Twice the area between a step and its chord; of a step that crosses it, its two triangles."""
    crossing = from_height * to_height
    crossing -= np.abs(crossing)
    total = np.abs(from_height)
    total += np.abs(to_height)
    crossing /= np.maximum(total, 1e-12)
    total += crossing
    total *= np.abs(width)
    return total
