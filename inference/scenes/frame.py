"""The frame and its strings, painted onto the plane; and exactly where the strings cross."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inference.scenes.reef import PX_PER_UNIT, Image, noise, to_plane
from labels.lattice import LatticeTopology

BAR_UNIT = 0.05
PLATE_UNIT = 0.055
STRING_STEPS = 60
_SHIFT = 4
"""Polylines are drawn in 1/16 px."""


@dataclass(frozen=True, slots=True)
class FrameStyle:
    """How a survey's frame looks; one frame is used for a whole survey.

    Attributes:
        bar: RGB of the bars.
        plate: RGB of the corner markers.
        string: RGB of the strings.
        string_px: thickness in pixels of the plane (1600 per side).
        sag: largest displacement of a string, in units.
    """

    bar: tuple[int, int, int] = (42, 46, 54)
    plate: tuple[int, int, int] = (196, 52, 40)
    string: tuple[int, int, int] = (232, 226, 196)
    string_px: int = 5
    sag: float = 0.0015

    @classmethod
    def random(cls, rng: Generator) -> FrameStyle:
        """One of the frames people use: dark metal or pale PVC, strings that stand out from sand or do not."""
        bars = [(42, 46, 54), (30, 40, 36), (216, 214, 206), (70, 78, 92)]
        strings = [(232, 226, 196), (240, 206, 96), (226, 128, 60), (244, 244, 240)]
        plates = [(196, 52, 40), (222, 170, 30), (40, 90, 190)]
        return cls(
            bars[rng.integers(len(bars))],
            plates[rng.integers(len(plates))],
            strings[rng.integers(len(strings))],
            int(rng.integers(4, 7)),
            float(rng.uniform(0.0005, 0.0025)),
        )


class Sag:
    """A smooth displacement of the strings that vanishes where they are tied to the frame.

    Both strings of a crossing are moved by the same field, so a crossing stays a crossing: node + field(node).
    """

    def __init__(self, rng: Generator, amplitude: float) -> None:
        """A random field of at most about ``amplitude`` units."""
        self.amplitude = amplitude
        self.phase = rng.uniform(0, 2 * np.pi, 4)
        self.rate = rng.uniform(1.0, 3.0, 4)

    def __call__(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Displaced points, ``(n, 2)`` units."""
        x, y = points[:, 0], points[:, 1]
        a, b = self.rate, self.phase
        dx = np.sin(np.pi * y) * np.cos(a[0] * np.pi * x + b[0]) * np.cos(a[1] * y + b[1])
        dy = np.sin(np.pi * x) * np.cos(a[2] * np.pi * y + b[2]) * np.cos(a[3] * x + b[3])
        return points + self.amplitude * np.column_stack([dx, dy])


def paint_strings(plane: Image, topology: LatticeTopology, style: FrameStyle, sag: Sag, rng: Generator) -> None:
    """Strings with their shadow, in place."""
    size = plane.shape[:2]
    line = np.zeros(size, np.uint8)
    for (start, end), nodes in zip(topology.string_ends, topology.strings, strict=True):
        path = _through(topology, nodes, start, end)
        pixels = np.round(to_plane(sag(path)) * 2**_SHIFT).astype(np.int32)
        cv2.polylines(line, [pixels], False, 255, style.string_px, cv2.LINE_AA, _SHIFT)
    alpha = (line / np.float32(255)).astype(np.float32)
    _darken(plane, 0.35 * cv2.GaussianBlur(np.roll(alpha, (7, 5), (0, 1)), (0, 0), 2.5))
    _cover(plane, alpha, style.string, np.float32(1) + np.float32(0.10) * noise(rng, size, 40))


def _through(
    topology: LatticeTopology, nodes: tuple[int, ...], start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    corners = np.vstack([start, topology.unit[list(nodes)], end])
    steps = [np.linspace(a, b, STRING_STEPS // 6, endpoint=False) for a, b in pairwise(corners)]
    return np.vstack([*steps, end[None]])


def paint_frame(plane: Image, style: FrameStyle, rng: Generator) -> None:
    """Bars around the opening and coloured plates at their corners, in place."""
    outer, inner = (-BAR_UNIT, 1 + BAR_UNIT), (0.0, 1.0)
    alpha = _square(plane.shape[:2], *outer) - _square(plane.shape[:2], *inner)
    alpha = np.clip(alpha, 0, 1)
    shadow = cv2.GaussianBlur(np.roll(alpha, (10, 8), (0, 1)), (0, 0), 5)
    _darken(plane, 0.35 * np.clip(shadow - alpha, 0, 1))
    light = 1 + 0.06 * noise(rng, plane.shape[:2], 120) + 0.02 * noise(rng, plane.shape[:2], 4)
    _cover(plane, alpha, style.bar, light)
    plates = np.zeros(plane.shape[:2], np.uint8)
    for x in (-BAR_UNIT, 1 + BAR_UNIT - PLATE_UNIT):
        for y in (-BAR_UNIT, 1 + BAR_UNIT - PLATE_UNIT):
            a, b = to_plane(np.array([[x, y], [x + PLATE_UNIT, y + PLATE_UNIT]]))
            cv2.rectangle(plates, tuple(np.round(a).astype(int)), tuple(np.round(b).astype(int)), 255, -1)
    _cover(plane, alpha * (plates > 0), style.plate, light)


def _darken(plane: Image, by: Image) -> None:
    where = by > 0.002
    plane[where] *= (1 - by[where])[:, None]


def _cover(plane: Image, alpha: Image, color: tuple[int, int, int], light: Image) -> None:
    where = alpha > 0
    a = alpha[where][:, None]
    plane[where] = plane[where] * (1 - a) + np.array(color, np.float32) * light[where][:, None] * a


def _square(shape: tuple[int, int], low: float, high: float) -> Image:
    mask = np.zeros(shape, np.uint8)
    # An antialiased polygon covers the pixels its edge runs through; half a pixel less puts the edge where it belongs.
    half = 0.5 / PX_PER_UNIT
    low, high = low + half, high - half
    corners = to_plane(np.array([[low, low], [high, low], [high, high], [low, high]]))
    cv2.fillPoly(mask, [np.round(corners * 2**_SHIFT).astype(np.int32)], 255, cv2.LINE_AA, _SHIFT)
    return (mask / np.float32(255)).astype(np.float32)
