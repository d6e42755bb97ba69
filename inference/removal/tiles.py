"""Tiles over a mask: where a painter has to look in a picture of any size, and tiles laid together without seams."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Tile:
    """A square cut, top left at ``(y, x)``; it may reach over the picture's edge when the picture is smaller."""

    y: int
    x: int
    side: int

    @property
    def cut(self) -> tuple[slice, slice]:
        """The tile as an index into the picture."""
        return slice(self.y, self.y + self.side), slice(self.x, self.x + self.side)


def tiles_over(hole: NDArray[np.generic], side: int, context: int) -> list[Tile]:
    """Tiles of ``side`` pixels that together see every pixel of the hole; empty places get none.

    Neighbouring tiles share ``2 * context`` pixels, so that every hole pixel lies at least ``context`` from the edge
    of some tile, or at the picture's edge. Rows of tiles begin at the first hole pixel that is left.

    Raises:
        ValueError: the tiles would not get on.
    """
    if not 0 <= 2 * context < side:
        raise ValueError(f"tiles of {side} px cannot share {2 * context} px")
    height, width = hole.shape
    tiles = []
    for y, rows in _spans(np.flatnonzero(hole.any(axis=1)), side, context, height):
        tiles += [Tile(y, x, side) for x, _ in _spans(np.flatnonzero(hole[rows].any(axis=0)), side, context, width)]
    return tiles


def _spans(wanted: NDArray[np.int64], side: int, context: int, length: int) -> Iterator[tuple[int, slice]]:
    """Starts of spans that cover what is wanted, and the part each one is responsible for."""
    done = 0
    while (left := wanted[wanted >= done]).size:
        first = int(left[0])
        start = min(max(0, first - context), max(0, length - side))
        # The last span's context is the picture's edge itself.
        done = length if start + side >= length else start + side - context
        yield start, slice(first, done)


def feather(side: int, context: int) -> NDArray[np.float32]:
    """Weights ``(side, side)`` that fall towards the edges within ``2 * context``, so that shared pixels blend."""
    ramp = np.minimum(np.arange(side) + 0.5, np.arange(side)[::-1] + 0.5)
    line = np.clip(ramp / max(1, 2 * context), 0, 1).astype(np.float32)
    return np.outer(line, line)
