"""Where outlines cross the middles of pixel columns, exactly as the COCO tools see it, without walking along them.

``rleFrPoly`` (pycocotools, ``maskApi.c``) rounds corners to fifths of a pixel and walks each edge in whole fifths of
its longer axis, rounding the other one. Between the fifths 5c + 2 and 5c + 3 lies the middle of column c; of both steps
there, the one higher up says in which row the outline crosses. So an edge that goes more across than down needs the
walk's height at one place per column, and a steeper one the last step on its side of the middle: both are given by the
slope. Slopes, sums and roundings below are made in the order in which C makes them, so that ties fall the same way.

Coordinates: ``fifths`` count from the corner of the first pixel in steps of 1/5 pixel and are whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

HALF_PIXEL = 0.5
FIFTHS = 5
"""``scale`` in ``rleFrPoly``."""
FARTHEST_PX = 100_000.0
"""Beyond it, rounding could decide more than ties (they are 1 / (2 x length of the edge) from any other place)."""


@dataclass(frozen=True, slots=True)
class Rings:
    """Rings of one picture and their edges, from left to right.

    Attributes:
        first: ``(n,)`` leftmost column whose middle each ring crosses.
        last: ``(n,)`` rightmost one; left of ``first`` where there is none.
        highest: ``(n,)`` y of the highest corner in fifths.
        lowest: ``(n,)`` of the lowest.
        slot: ``(n + 1,)`` where each ring's columns begin when those of all are counted through.
        left: ``(edges,)`` x of the left end in fifths.
        at: ``(edges,)`` y of the left end in fifths.
        across: ``(edges,)`` fifths to the right, not negative.
        down: ``(edges,)`` fifths down.
        column: ``(edges,)`` the first column whose middle the edge crosses.
        count: ``(edges,)`` how many it crosses.
        place: ``(edges,)`` slot of the first one.
    """

    first: NDArray[np.int32]
    last: NDArray[np.int32]
    highest: NDArray[np.int32]
    lowest: NDArray[np.int32]
    slot: NDArray[np.int64]
    left: NDArray[np.int32]
    at: NDArray[np.int32]
    across: NDArray[np.int32]
    down: NDArray[np.int32]
    column: NDArray[np.int32]
    count: NDArray[np.int32]
    place: NDArray[np.int64]

    @property
    def crossings(self) -> int:
        """How many there are."""
        return int(self.count.sum())


def rings_of(points: NDArray[np.float64], sizes: NDArray[np.int64], width: int) -> Rings:
    """Rings as edges; for the arguments see :func:`analytics.quality.spans.spans_of`."""
    fifths = (points + HALF_PIXEL) * FIFTHS + 0.5
    x, y = fifths[0::2].astype(np.int32), fifths[1::2].astype(np.int32)  # cut off, as in C
    lengths = sizes // 2
    ends = np.cumsum(lengths)
    starts = ends - lengths
    following = np.arange(1, len(x) + 1)
    following[ends - 1] = starts
    next_x, next_y = x[following], y[following]
    first, last = _columns(np.minimum.reduceat(x, starts), np.maximum.reduceat(x, starts), width)
    slot = np.concatenate([[0], np.cumsum(np.maximum(last - first + 1, 0))])
    left, right = np.minimum(x, next_x), np.maximum(x, next_x)
    at = np.where(x > next_x, next_y, y)
    column, until = _columns(left, right, width)
    return Rings(
        first=first,
        last=last,
        highest=np.minimum.reduceat(y, starts),
        lowest=np.maximum.reduceat(y, starts),
        slot=slot,
        left=left,
        at=at,
        across=right - left,
        down=y + next_y - 2 * at,
        column=column,
        count=np.maximum(until - column + 1, 0),
        place=np.repeat(slot[:-1] - first, lengths) + column,
    )


def crossings_of(rings: Rings, height: int) -> NDArray[np.integer]:
    """All crossings, in no order, as ``slot * (height + 1) + row``, rows 0..height; an even number in every slot."""
    whole = np.int32 if max(int(rings.slot[-1]), rings.crossings) * (height + 1) < 2**31 else np.int64
    crossed, steep = rings.count > 0, np.abs(rings.down) > rings.across
    found = [np.zeros(0, whole)]
    for edges, fifths in ((crossed & ~steep, _on_flat_edges), (crossed & steep, _on_steep_edges)):
        chosen = np.flatnonzero(edges)
        if not len(chosen):
            continue
        count = rings.count[chosen]
        before = np.cumsum(count) - count
        nth: NDArray[Any] = np.arange(int(count.sum()), dtype=whole)
        rows: NDArray[Any] = fifths(rings, chosen, count, before, nth).astype(whole)
        # A row is covered from its middle on: the least whole (fifth - 2) / 5 that is not above it.
        rows += FIFTHS - 3
        rows //= FIFTHS
        np.minimum(rows, height, out=rows)
        np.maximum(rows, 0, out=rows)
        rows += np.repeat(((rings.place[chosen] - before) * (height + 1)).astype(whole), count)
        rows += nth * (height + 1)
        found.append(rows)
    return np.concatenate(found)


def _on_flat_edges(
    rings: Rings,
    chosen: NDArray[np.int64],
    count: NDArray[np.int32],
    before: NDArray[np.int64],
    nth: NDArray[np.integer],
) -> NDArray[np.float64]:
    """Height of every crossing in fifths, of edges that go at least as far across as down.

    Args:
        rings: whose edges.
        chosen: which edges.
        count: crossings of each.
        before: crossings of all edges before each.
        nth: 0, 1, 2, ... of every crossing.
    """
    down = rings.down[chosen]
    # The upper one of both steps is the left one where the edge goes down, and the right one where it rises.
    steps = FIFTHS * (rings.column[chosen] - before) + 2 - rings.left[chosen] + (down < 0)
    t, slope, at = _each(count, steps, down / rings.across[chosen], rings.at[chosen])
    t += FIFTHS * nth
    height = slope * t
    height += at
    height += 0.5
    return height  # cut off by the caller, as in C; below 0 all are outside


def _on_steep_edges(
    rings: Rings,
    chosen: NDArray[np.int64],
    count: NDArray[np.int32],
    before: NDArray[np.int64],
    nth: NDArray[np.integer],
) -> NDArray[np.float64]:
    """The same of edges that go farther down than across: the last step, from above, on this side of the middle."""
    across, down = rings.across[chosen], rings.down[chosen]
    upper_x, upper_y = rings.left[chosen] + across * (down < 0), rings.at[chosen] + np.minimum(down, 0)
    middle = FIFTHS * (rings.column[chosen] - before) + 2.5
    middle, slope, x, y = _each(count, middle, across / down, upper_x, upper_y)
    middle += FIFTHS * nth
    t = np.rint((middle - x) / slope)  # this step or the one before it
    there = t * slope
    there += x
    there += 0.5
    middle += 0.5
    y += t
    y -= (there < middle) != (slope > 0)
    return y


def _each(count: NDArray[np.int32], *values: NDArray[np.number]) -> NDArray[np.float64]:
    """Up to four values of edges for each of their crossings, ``(len(values), crossings)``."""
    table = np.empty((len(count), 4))  # rows of 32 bytes are what numpy repeats the quickest
    for column, own in enumerate(values):
        table[:, column] = own
    return np.repeat(table, count, axis=0).T[: len(values)]


def _columns(
    left: NDArray[np.int32], right: NDArray[np.int32], width: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """First and last column of the picture whose middle lies between two places in fifths."""
    return np.maximum((left + (FIFTHS - 3)) // FIFTHS, 0), np.minimum((right - 3) // FIFTHS, width - 1)
