"""Strings in the photo: round, twisted threads of any width, antialiased, with the shadow they throw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inference.scenes.layers import Layer, Values, rgb
from inference.scenes.optics import Points

COLOURS = ((232, 226, 196), (240, 206, 96), (226, 128, 60), (238, 238, 232), (214, 72, 50), (98, 190, 170))
"""Twine, yellow, orange and white nylon, red and green builder's line."""
_STRETCH_PX = 40.0
_STRAIGHT_PX = 0.02


@dataclass(frozen=True, slots=True)
class Thread:
    """How the strings of a frame look.

    Attributes:
        colour: RGB.
        width: as a share of the frame's side.
        height: how far over the bottom it hangs, as a share of the side; moves the shadow.
        shade: what the shadow takes of the light.
        dirt: how uneven its colour is, 0 to 1.
    """

    colour: tuple[int, int, int] = COLOURS[0]
    width: float = 0.0032
    height: float = 0.006
    shade: float = 0.35
    dirt: float = 0.1

    @classmethod
    def random(cls, rng: Generator) -> Thread:
        """One of the strings people use."""
        return cls(
            COLOURS[int(rng.integers(len(COLOURS)))],
            float(rng.uniform(0.0022, 0.0044)),
            float(rng.uniform(0.003, 0.012)),
            float(rng.uniform(0.2, 0.45)),
            float(rng.uniform(0.03, 0.14)),
        )


def paint_thread(
    paths: Iterable[Points],
    size: tuple[int, int],
    width_px: float,
    thread: Thread,
    rng: Generator,
    soften_px: float = 0.0,
) -> Layer:
    """The strings of one lattice as a layer.

    Args:
        paths: polylines in raw pixels.
        size: (width, height) of the photo.
        width_px: width of a string in raw pixels, any positive number.
        thread: how it looks.
        rng: dirt and twist.
        soften_px: sigma of the camera's focus, when the photo below is already taken.
    """
    cover = np.zeros((size[1], size[0]), np.float32)
    light = np.ones((size[1], size[0]), np.float32)
    half, twist = width_px / 2, max(3.0 * width_px, 2.5)
    for path in paths:
        done = 0.0
        dirt = rng.normal(1, thread.dirt, 2 + int(np.hypot(*np.diff(path, axis=0).T).sum() / (6 * width_px + 20)))
        for a, b in _stretches(path):
            done += _stretch(cover, light, a, b, half, twist, dirt, done)
    if soften_px > 0:
        cover = cv2.GaussianBlur(cover, (0, 0), soften_px)
    side_px = width_px / thread.width
    shadow = _shadow(cover, side_px * thread.height, max(0.6, 0.35 * side_px * thread.height)) * thread.shade
    at = np.flatnonzero((cover > 0.004) | (shadow > 0.004))
    c = cover.reshape(-1)[at]
    return Layer("strings", at, c, rgb(thread.colour, light.reshape(-1)[at]), shadow.reshape(-1)[at])


def _stretches(path: Points) -> Iterator[tuple[Points, Points]]:
    """Short straight stretches of a polyline; each one's box stays small even where it runs aslant."""
    # Points that change the path by less than this are dropped: fewer boxes, and nobody can tell.
    bare = cv2.approxPolyDP(path.astype(np.float32)[:, None], _STRAIGHT_PX, False)[:, 0].astype(float)
    for a, b in pairwise(bare):
        count = max(1, int(np.ceil(np.hypot(*(b - a)) / _STRETCH_PX)))
        ends = a + (b - a) * np.linspace(0, 1, count + 1)[:, None]
        yield from pairwise(ends)


def _stretch(
    cover: Values,
    light: Values,
    a: Points,
    b: Points,
    half: float,
    twist: float,
    dirt: NDArray[np.float64],
    done: float,
) -> float:
    """Paint one stretch where it covers more than what is there already; its length in pixels."""
    way = b - a
    length = float(np.hypot(*way))
    if length < 1e-6:
        return 0.0
    pad = half + 1.5
    low = np.maximum(np.floor(np.minimum(a, b) - pad), 0).astype(int)
    high = np.minimum(np.ceil(np.maximum(a, b) + pad) + 1, (cover.shape[1], cover.shape[0])).astype(int)
    if (high <= low).any():
        return length
    way = way / length
    x = np.arange(low[0], high[0], dtype=np.float32)[None] - np.float32(a[0])
    y = np.arange(low[1], high[1], dtype=np.float32)[:, None] - np.float32(a[1])
    along = np.clip(x * np.float32(way[0]) + y * np.float32(way[1]), 0, np.float32(length))
    away = np.hypot(x - along * np.float32(way[0]), y - along * np.float32(way[1]))
    # The share of a pixel that a band of this width covers; a thread finer than a pixel covers none wholly.
    share = np.clip(half + 0.5 - away, 0, min(1.0, 2 * half))
    here = cover[low[1] : high[1], low[0] : high[0]]
    more = share > here
    here[more] = share[more]
    # Round: brighter on the side that faces the light (up and left), darker at the far edge.
    across = (y * np.float32(way[0]) - x * np.float32(way[1])) / np.float32(half)
    up = 1.0 if way[0] - way[1] > 0 else -1.0
    spot = np.interp((done + along) / (12 * half + 20), np.arange(len(dirt)), dirt)
    across = np.clip(across, -1, 1)
    tone = 1.0 - 0.14 * up * across - 0.14 * across**2
    tone = tone + 0.10 * np.sin(2 * np.pi * ((done + along) / twist + 0.3 * across))
    light[low[1] : high[1], low[0] : high[0]][more] = (tone * spot)[more]
    return length


def _shadow(cover: Values, offset: float, sigma: float) -> Values:
    """The cover, moved down and to the right and softened."""
    moved = cv2.warpAffine(cover, np.array([[1, 0, 0.7 * offset], [0, 1, offset]]), cover.shape[::-1])
    return cv2.GaussianBlur(moved, (0, 0), sigma)
