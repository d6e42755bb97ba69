"""OpenCV's painters, Telea (2004) and Navier-Stokes (Bertalmio et al. 2001), on tiles."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.removal.tiles import tiles_over

METHODS = {"telea": cv2.INPAINT_TELEA, "ns": cv2.INPAINT_NS}
TILE_PX = 1024
# A hole is painted from its border inwards, so beyond a few string widths nothing matters.
_CONTEXT_PX = 96


def paint_opencv(
    image: NDArray[np.uint8], hole: NDArray[np.bool_], method: str, radius: int, tile_px: int = TILE_PX
) -> NDArray[np.uint8]:
    """The picture with the hole painted from its surroundings.

    OpenCV keeps a queue and several planes for all of a picture it is given; tiles bound them. Each tile is painted
    whole and gives only its middle, so its own edge is not seen.

    Args:
        image: ``(H, W, 3)`` uint8.
        hole: ``(H, W)`` bool.
        method: ``telea`` or ``ns``.
        radius: how far the painter looks, pixels.
        tile_px: side of a tile.
    """
    painted = image.copy()
    for tile in tiles_over(hole, tile_px, _CONTEXT_PX):
        part = hole[tile.cut]
        # The original picture each time: a tile must not take a neighbour's paint for reef.
        made = cv2.inpaint(np.ascontiguousarray(image[tile.cut]), part.astype(np.uint8), radius, METHODS[method])
        height, width = hole.shape
        y0, y1 = _inner(tile.y, tile.side, height)
        x0, x1 = _inner(tile.x, tile.side, width)
        own = part[y0 - tile.y : y1 - tile.y, x0 - tile.x : x1 - tile.x]
        painted[y0:y1, x0:x1][own] = made[y0 - tile.y : y1 - tile.y, x0 - tile.x : x1 - tile.x][own]
    return painted


def _inner(start: int, side: int, length: int) -> tuple[int, int]:
    """The part of a tile's span that is far enough from its edge, or at the picture's."""
    stop = min(start + side, length)
    return (start + _CONTEXT_PX if start > 0 else 0), (stop - _CONTEXT_PX if stop < length else length)
