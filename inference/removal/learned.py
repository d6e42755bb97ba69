"""The learned painter: a small network that sees both sides of a string, and the reef in the string's shadow.

Input ``(N, 5, T, T)`` float32: RGB of 0..1, core, hole (each 0 or 1). Output ``(N, 3, T, T)``: RGB, meant for the hole.
The network itself blanks the core before anything else, so nothing of a string's colour can pass through it.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from inference.removal.errors import RemovalError
from inference.removal.mask import Mask
from inference.removal.tiles import Tile, lay, tiles_over

TILE_PX = 256
CONTEXT_PX = 16
_BATCH = 6


class Predicts(Protocol):
    """What painters need of an engine; every ``inference.engines.Engine`` has it."""

    def predict(self, batch: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """Outputs for a batch ``(N, C, H, W)`` of views; see the painter for what they are."""


def paint_learned(image: NDArray[np.uint8], mask: Mask, engine: Predicts) -> NDArray[np.uint8]:
    """The picture as the network would paint it, ``(H, W, 3)`` uint8; meant for mask pixels only.

    Tiles are run a few at a time, so memory beyond one more picture does not grow with its size.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        mask: what to paint.
        engine: of a model with this module's input and output.

    Raises:
        EngineError: the model takes other input.
        RemovalError: it gives other output.
    """
    tiles = tiles_over(mask.alpha > 0, TILE_PX, CONTEXT_PX)
    result = image.copy()
    for start in range(0, len(tiles), _BATCH):
        some = tiles[start : start + _BATCH]
        made = engine.predict(np.stack([view(image, mask, tile) for tile in some]))[0]
        if made.shape != (len(some), 3, TILE_PX, TILE_PX):
            raise RemovalError(f"the model gave {made.shape} for {len(some)} tiles: it is no painter of strings")
        for tile, painted in zip(some, made, strict=True):
            lay(result, tile, painted.transpose(1, 2, 0) * np.float32(255), CONTEXT_PX)
    return result


def view(image: NDArray[np.uint8], mask: Mask, tile: Tile) -> NDArray[np.float32]:
    """The network's input ``(5, side, side)`` for one tile; a small picture is continued by its last pixels."""
    rgb = image[tile.cut]
    made = np.empty((5, *rgb.shape[:2]), np.float32)
    np.multiply(rgb.transpose(2, 0, 1), np.float32(1 / 255), out=made[:3])
    made[3] = mask.core[tile.cut]
    made[4] = mask.alpha[tile.cut] > 0
    missing = [(0, tile.side - size) for size in rgb.shape[:2]]
    return np.pad(made, [(0, 0), *missing], mode="edge") if any(m for _, m in missing) else made
