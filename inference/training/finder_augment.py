"""What every training picture goes through: things lying in front, light, water, lens blur and grain."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Picture = NDArray[np.float32]
"""RGB, 0..255, ``(H, W, 3)``."""
_SHIFT = 4


def cover_with_things(rng: Generator, picture: Picture, textures: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Fish, coral heads and a tape in front of the picture, in place; mask of what they hide, 0 or 255."""
    side = picture.shape[0]
    hidden = np.zeros((side, side), np.uint8)
    for _ in range(int(rng.choice([0, 0, 1, 2, 4]))):
        centre = rng.uniform(0, side, 2)
        axes = side * rng.uniform(0.02, 0.14, 2)
        shape = np.zeros((side, side), np.uint8)
        turn = float(rng.uniform(0, 180))
        cv2.ellipse(shape, (tuple(centre), tuple(2 * axes), turn), 255, -1, cv2.LINE_AA)
        _lay(picture, shape, _cloth(rng, textures, side))
        hidden = np.maximum(hidden, shape)
    if rng.random() < 0.15:
        shape = _ribbon(rng, side)
        ink = np.broadcast_to(rng.uniform(20, 255, 3).astype(np.float32), picture.shape).copy()
        ink[:, :: int(rng.integers(4, 12))] *= 0.4
        _lay(picture, shape, ink)
        hidden = np.maximum(hidden, shape)
    return hidden


def _cloth(rng: Generator, textures: list[NDArray[np.uint8]], side: int) -> Picture:
    if rng.random() < 0.5:
        return np.broadcast_to(rng.uniform(10, 245, 3).astype(np.float32), (side, side, 3)).copy()
    texture = textures[int(rng.integers(len(textures)))]
    y, x = rng.integers(0, max(1, texture.shape[0] - side), 2)
    piece = np.resize(texture[y : y + side, x : x + side], (side, side, 3)).astype(np.float32)
    return piece * rng.uniform(0.4, 1.3, 3).astype(np.float32)


def _ribbon(rng: Generator, side: int) -> NDArray[np.uint8]:
    shape = np.zeros((side, side), np.uint8)
    ends = rng.uniform(-0.1, 1.1, (2, 2)) * side
    ends[:, int(rng.integers(2))] = (-0.1 * side, 1.1 * side)
    width = max(2, round(side * float(rng.uniform(0.01, 0.04))))
    cv2.line(shape, *(tuple(int(v) for v in end) for end in ends), 255, width, cv2.LINE_AA)
    return shape


def _lay(picture: Picture, shape: NDArray[np.uint8], cloth: Picture) -> None:
    alpha = (shape / np.float32(255))[..., None]
    picture *= 1 - alpha
    picture += cloth * alpha


def lit(rng: Generator, picture: Picture) -> Picture:
    """The picture through water, lens and sensor, clipped to 0..1."""
    side = picture.shape[0]
    x = picture / np.float32(255)
    x = x * rng.normal(1, 0.18, 3).astype(np.float32) * np.float32(rng.uniform(0.5, 1.25))
    veil = rng.uniform(0, 0.45) if rng.random() < 0.4 else 0.0
    water = np.array([0.1, 0.45, 0.5], np.float32) * np.float32(rng.uniform(0.5, 1.3))
    x = x * np.float32(1 - veil) + water * np.float32(veil)
    coarse = rng.normal(0, 1, (5, 5)).astype(np.float32)
    shade = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    x *= 1 + np.float32(rng.uniform(0, 0.25)) * shade[..., None]
    if rng.random() < 0.3:
        line = np.linspace(-1, 1, side, dtype=np.float32)
        x *= 1 - np.float32(rng.uniform(0.1, 0.6)) * (line[:, None, None] ** 2 + line[None, :, None] ** 2) / 2
    x = _blurred(rng, x)
    grain = rng.normal(0, rng.uniform(0.002, 0.04), x.shape[:2]).astype(np.float32)
    x = np.clip(x + grain[..., None], 0, 1)
    return np.asarray(x ** np.float32(rng.uniform(0.7, 1.4)), np.float32)


def _blurred(rng: Generator, picture: Picture) -> Picture:
    kind = rng.random()
    if kind < 0.3:
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.3, 1.6))), np.float32)
    if kind < 0.45:
        length = int(rng.integers(3, 8))
        kernel = np.zeros((length, length), np.float32)
        turn = rng.uniform(0, np.pi)
        reach = (length - 1) / 2 * np.array([np.cos(turn), np.sin(turn)])
        ends = [tuple(round(v) for v in (length - 1) / 2 + s * reach) for s in (-1, 1)]
        cv2.line(kernel, *ends, 1.0, 1)
        return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum()), np.float32)
    return picture


def hills(points: NDArray[np.float64], side: int, sigma: float = 1.2) -> NDArray[np.float32]:
    """A map ``(side, side)`` with a hill of height 1 at every point (pixels of the map); those outside are left out."""
    canvas = np.zeros((side, side), np.float32)
    reach = int(np.ceil(3 * sigma))
    for x, y in points:
        column, row = round(x), round(y)
        if not (0 <= column < side and 0 <= row < side):
            continue
        x0, x1 = max(0, column - reach), min(side, column + reach + 1)
        y0, y1 = max(0, row - reach), min(side, row + reach + 1)
        distance = (np.arange(x0, x1) - x) ** 2 + ((np.arange(y0, y1) - y) ** 2)[:, None]
        patch = canvas[y0:y1, x0:x1]
        np.maximum(patch, np.exp(-distance / (2 * sigma**2)), out=patch)
        canvas[row, column] = 1.0
    return canvas


def polygon(points: NDArray[np.float64], side: int) -> NDArray[np.uint8]:
    """A filled polygon, antialiased, 0..255."""
    canvas = np.zeros((side, side), np.uint8)
    cv2.fillPoly(canvas, [np.round(points * 2**_SHIFT).astype(np.int32)], 255, cv2.LINE_AA, _SHIFT)
    return canvas


def lines(pieces: NDArray[np.float64], side: int, width: int) -> NDArray[np.uint8]:
    """Line pieces ``(m, 4)``, antialiased, 0..255."""
    canvas = np.zeros((side, side), np.uint8)
    if len(pieces):
        paths = np.round(pieces.reshape(-1, 2, 2) * 2**_SHIFT).astype(np.int32)
        cv2.polylines(canvas, list(paths), False, 255, width, cv2.LINE_AA, _SHIFT)
    return canvas
