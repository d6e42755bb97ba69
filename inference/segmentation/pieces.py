"""What a model sees, before and after it becomes an outline."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inference.polygons import Ring


@dataclass(frozen=True, slots=True)
class Instance:
    """A colony; rings in pixels of the clean picture. ``score``: how sure the model is, 0 to 1."""

    label: str
    ring: Ring
    holes: list[Ring] = field(default_factory=list)
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Piece:
    """A colony, or the part of one that a tile shows, as pixels.

    Attributes:
        mask: ``(h, w)`` uint8 of 0 and 1, only as large as the piece.
        left, top: where the mask lies, in the tile while a tile is decoded, in the canvas afterwards.
        label: taxon.
        score: 0 to 1.
        tile: number of the tile it was seen in.
    """

    mask: NDArray[np.uint8]
    left: int
    top: int
    label: str
    score: float
    tile: int = 0

    @property
    def right(self) -> int:
        """First column beyond it."""
        return self.left + self.mask.shape[1]

    @property
    def bottom(self) -> int:
        """First row beyond it."""
        return self.top + self.mask.shape[0]

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.mask))

    def within(self, left: int, top: int, right: int, bottom: int) -> NDArray[np.uint8]:
        """The mask in a box (right and bottom excluded); 0 where the piece does not reach."""
        out = np.zeros((max(0, bottom - top), max(0, right - left)), np.uint8)
        x0, y0 = max(left, self.left), max(top, self.top)
        x1, y1 = min(right, self.right), min(bottom, self.bottom)
        if x0 < x1 and y0 < y1:
            own = self.mask[y0 - self.top : y1 - self.top, x0 - self.left : x1 - self.left]
            out[y0 - top : y1 - top, x0 - left : x1 - left] = own
        return out


def piece_of(mask: NDArray[np.uint8], left: int, top: int, label: str, score: float) -> Piece | None:
    """A piece cut to its own size; ``None`` when the mask is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    cut = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Piece(np.ascontiguousarray(cut), left + int(columns[0]), top + int(rows[0]), label, score)
