"""Tiles: a picture at the scale a model wants, cut into squares of the size it takes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

PAD = 114
"""Grey beside a picture that does not fill its square; what YOLO is trained with."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A square of the canvas; ``left`` and ``top`` in canvas pixels, ``width`` and ``height`` what lies in it."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """First column beyond it."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """First row beyond it."""
        return self.top + self.height


@dataclass(frozen=True, slots=True)
class Canvas:
    """A picture scaled for a model, and the tiles on it.

    Attributes:
        width, height: of the canvas.
        side: of a tile, the model's input.
        tiles: row by row.
    """

    width: int
    height: int
    side: int
    tiles: tuple[Tile, ...]

    @classmethod
    def of(cls, width: int, height: int, side: int, tile_px: int | None, overlap: float) -> Canvas:
        """The canvas of a picture.

        Args:
            width, height: of the picture.
            side: of the model's input.
            tile_px: side of a tile in pixels of the picture; ``None`` = the whole picture is one tile.
            overlap: least share of a tile's side that neighbours have in common.
        """
        scale = side / (max(width, height) if tile_px is None else tile_px)
        across, down = max(1, round(width * scale)), max(1, round(height * scale))
        lefts, tops = _starts(across, side, overlap), _starts(down, side, overlap)
        tiles = [Tile(x, y, min(side, across), min(side, down)) for y in tops for x in lefts]
        return cls(across, down, side, tuple(tiles))

    def view(self, image: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
        """What a tile shows of a picture, uint8 ``(side, side, 3)``; grey beyond the picture."""
        tile = self.tiles[number]
        height, width = image.shape[:2]
        out = np.full((self.side, self.side, image.shape[2]), PAD, np.uint8)
        if (width, height) == (self.width, self.height):
            part = image[tile.top : tile.bottom, tile.left : tile.right]
        else:
            part = self._scaled(image, tile)
        out[: tile.height, : tile.width] = part
        return out

    def _scaled(self, image: NDArray[np.uint8], tile: Tile) -> NDArray[np.uint8]:
        """The tile's part of the picture, resampled; only that part is touched, so any picture can be cut."""
        height, width = image.shape[:2]
        fx, fy = width / self.width, height / self.height
        size = (tile.width, tile.height)
        if len(self.tiles) == 1:
            how = cv2.INTER_AREA if fx > 1 else cv2.INTER_LINEAR
            return cv2.resize(image, size, interpolation=how)
        x0, y0 = max(0, math.floor(tile.left * fx) - 2), max(0, math.floor(tile.top * fy) - 2)
        x1, y1 = min(width, math.ceil(tile.right * fx) + 2), min(height, math.ceil(tile.bottom * fy) + 2)
        part = image[y0:y1, x0:x1]
        if fx > 1:  # blurred first, as area averaging would
            part = cv2.GaussianBlur(part, (0, 0), 0.35 * fx)
        matrix = np.array([[fx, 0, (tile.left + 0.5) * fx - 0.5 - x0], [0, fy, (tile.top + 0.5) * fy - 0.5 - y0]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(part, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _starts(length: int, side: int, overlap: float) -> list[int]:
    """Where tiles begin so that they cover a length, evenly spread."""
    if length <= side:
        return [0]
    step = max(1, int(side * (1 - overlap)))
    count = 1 + math.ceil((length - side) / step)
    return [round(i * (length - side) / (count - 1)) for i in range(count)]
