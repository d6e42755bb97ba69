"""What lies on the bottom, as layers of pixels: each has a colour, how much it covers, and how much it shades.

A layer lists only the pixels it touches, so a picture with or without one is two cheap compositions.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from inference.scenes.optics import Points

Picture = NDArray[np.uint8]
Values = NDArray[np.float32]

_SHIFT = 4


@dataclass(frozen=True, slots=True)
class Layer:
    """One thing in the photo.

    Attributes:
        kind: ``strings``, ``frame``, ``growth``, ``tape`` or ``fish``.
        at: ``(n,)`` flat indices of the pixels it touches, rising.
        cover: ``(n,)`` float32 share of the pixel that it covers.
        colour: ``(n, 3)`` float32 RGB 0..255.
        shade: ``(n,)`` float32 share of light that its shadow takes from what lies below.
    """

    kind: str
    at: NDArray[np.int64]
    cover: Values
    colour: Values
    shade: Values | None = None

    def onto(self, picture: Picture) -> None:
        """Paint it, in place."""
        flat = picture.reshape(-1, 3)
        below = flat[self.at].astype(np.float32)
        if self.shade is not None:
            below *= (1 - self.shade)[:, None]
        below += (self.colour - below) * self.cover[:, None]
        flat[self.at] = np.clip(below + 0.5, 0, 255).astype(np.uint8)

    def cover_at(self, points: Points, size: tuple[int, int]) -> Values:
        """How much of the pixel under each raw point it covers, ``(n,)``; 0 outside the picture."""
        x, y = np.round(points).astype(np.int64).T
        inside = (x >= 0) & (x < size[0]) & (y >= 0) & (y < size[1])
        if not len(self.at):
            return np.zeros(len(points), np.float32)
        wanted = y * size[0] + x
        place = np.minimum(np.searchsorted(self.at, wanted), len(self.at) - 1)
        return np.where(inside & (self.at[place] == wanted), self.cover[place], np.float32(0))

    def mask(self, size: tuple[int, int], at_least: float = 0.5) -> NDArray[np.bool_]:
        """Pixels ``(height, width)`` that it covers by at least that share."""
        mask = np.zeros(size[0] * size[1], bool)
        mask[self.at[self.cover >= at_least]] = True
        return mask.reshape(size[1], size[0])


def compose(ground: Picture, layers: Iterable[Layer], without: Container[str] = ()) -> Picture:
    """The ground with its layers, from the lowest to the highest, without those of some kinds."""
    picture = ground.copy()
    for layer in layers:
        if layer.kind not in without:
            layer.onto(picture)
    return picture


def region(ring: ArrayLike, size: tuple[int, int], grow_px: float = 0) -> tuple[NDArray[np.int64], Points]:
    """Pixels in and around a polygon of raw pixels: flat indices, and their ``(n, 2)`` coordinates."""
    points = np.asarray(ring, float)
    low = np.maximum(np.floor(points.min(axis=0) - grow_px - 2), 0).astype(int)
    high = np.minimum(np.ceil(points.max(axis=0) + grow_px + 3), size).astype(int)
    if (high <= low).any():
        return np.zeros(0, np.int64), np.zeros((0, 2))
    mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    corners = [np.round((points - low) * 2**_SHIFT).astype(np.int32)]
    cv2.fillPoly(mask, corners, 255, cv2.LINE_8, _SHIFT)
    cv2.polylines(mask, corners, True, 255, max(3, round(2 * grow_px)), cv2.LINE_8, _SHIFT)
    y, x = np.nonzero(mask)
    x, y = x + low[0], y + low[1]
    return (y * size[0] + x).astype(np.int64), np.column_stack([x, y]).astype(float)


class Texture:
    """Smooth noise over the plane that can be asked anywhere; mean 0, standard deviation about 1."""

    SIDE = 256

    def __init__(self, rng: Generator, cell: float) -> None:
        """``cell``: size of a blob, in the units it will be asked in."""
        self.cell = cell
        self.field = rng.standard_normal((self.SIDE, self.SIDE), dtype=np.float32)

    def __call__(self, points: NDArray[np.floating[Any]]) -> Values:
        """Noise at ``(n, 2)`` points, ``(n,)`` float32."""
        if not len(points):
            return np.zeros(0, np.float32)
        rows = -(-len(points) // 4096)  # remap takes no side over 32,767
        maps = np.zeros((rows * 4096, 2), np.float32)
        maps[: len(points)] = (points / self.cell) % (self.SIDE - 1)
        x, y = maps.reshape(rows, 4096, 2)[..., 0], maps.reshape(rows, 4096, 2)[..., 1]
        values = cv2.remap(
            self.field, np.ascontiguousarray(x), np.ascontiguousarray(y), cv2.INTER_LINEAR, None, cv2.BORDER_REFLECT_101
        )
        return 1.5 * values.reshape(-1)[: len(points)]


def rgb(colour: ArrayLike, light: Values) -> Values:
    """One colour under many lights: ``(n, 3)`` float32."""
    return np.clip(np.asarray(colour, np.float32) * light[:, None], 0, 255)
