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


def lay(picture: NDArray[np.uint8], tile: Tile, painted: NDArray[np.float32], context: int) -> None:
    """Put a painted tile into a picture, in place, blended with what its neighbours to the left and above have put.

    Tiles must be laid in the order of :func:`tiles_over`: then every hole pixel of the blended ``context`` pixels has
    been painted before.

    Args:
        picture: ``(H, W, 3)`` uint8.
        tile: where.
        painted: ``(side, side, 3)`` float32 of 0..255; more than the picture has is cut off.
        context: as the tiles were made with.
    """
    place = picture[tile.cut]
    height, width = place.shape[:2]
    new = np.clip(painted[:height, :width], 0, 255)
    ramp = (np.arange(context, dtype=np.float32) + 0.5) / max(1, context)
    for start, axis in ((tile.y, 0), (tile.x, 1)):
        if start and context:
            share = ramp.reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))[:height, :width]
            edge = (slice(0, share.shape[0]), slice(None)) if axis == 0 else (slice(None), slice(0, share.shape[1]))
            new[edge] = place[edge] + (new[edge] - place[edge]) * share
    np.rint(new, out=new)
    place[:] = new
