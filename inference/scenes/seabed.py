"""The bottom under a benchmark scene: sand, rubble, rock, turf and colonies, lit as one relief.

Unlike ``reef`` (whose pictures the sample survey keeps for good) colour and height are painted apart and lit together,
so that colonies and rocks throw soft shadows on each other and nothing looks cut out of paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inference.scenes.optics import Points
from inference.scenes.reef import TAXA, Colony, Image, noise

_COLOURS = {
    "Acropora": (138, 112, 82),
    "Pocillopora": (164, 110, 112),
    "Porites": (150, 136, 96),
    "Montipora": (112, 84, 104),
    "Millepora": (178, 148, 86),
}
_TIPS = {
    "Acropora": (206, 196, 168),
    "Pocillopora": (206, 172, 168),
    "Porites": (172, 160, 122),
    "Montipora": (150, 124, 146),
    "Millepora": (228, 208, 150),
}
_LIGHT = np.array([-0.55, -0.75], np.float32)
"""Where the light comes from, in the plane."""
_COARSEST_CELL_PX = 1.4


@dataclass(frozen=True, slots=True)
class Plane:
    """A painted part of the plane.

    Attributes:
        image: uint8 RGB ``(h, w, 3)``.
        origin: (x, y) in units of its pixel (0, 0).
        px_per_unit: its resolution.
    """

    image: NDArray[np.uint8]
    origin: tuple[float, float]
    px_per_unit: float

    def seen(self, x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Its colours at points of the plane, ``(h, w)`` units each; mirrored beyond its edges."""
        scale = np.float32(self.px_per_unit)
        u, v = (x - np.float32(self.origin[0])) * scale, (y - np.float32(self.origin[1])) * scale
        return cv2.remap(self.image, u, v, cv2.INTER_LINEAR, None, cv2.BORDER_REFLECT_101)


class _Noise:
    """Octaves of noise that depend on the seed and their number alone, so that a scene is the same at any scale."""

    def __init__(self, seed: int, shape: tuple[int, int], px_per_unit: float) -> None:
        self.seed, self.shape, self.px = seed, shape, px_per_unit

    def __call__(self, number: int, cell: float) -> Image:
        """Blobs of ``cell`` units; nothing where a pixel is larger than a blob."""
        cell_px = cell * self.px
        if cell_px < _COARSEST_CELL_PX:
            return np.zeros(self.shape, np.float32)
        return noise(np.random.default_rng((self.seed, number)), self.shape, cell_px)

    def fractal(self, number: int, cell: float, octaves: int, fall: float = 0.55) -> Image:
        """Several octaves, each half as large as the last."""
        total = np.zeros(self.shape, np.float32)
        for k in range(octaves):
            total += np.float32(fall**k) * self(number + k, cell / 2**k)
        return total


def paint_seabed(
    seed: int, box: tuple[float, float, float, float], px_per_unit: float, colonies: Sequence[Colony]
) -> Plane:
    """Paint the bottom with its colonies.

    Args:
        seed: of everything but the colonies.
        box: left, top, right, bottom of the part to paint, in units.
        px_per_unit: resolution.
        colonies: what grows there; later ones lie on top.
    """
    shape = (round((box[3] - box[1]) * px_per_unit) + 1, round((box[2] - box[0]) * px_per_unit) + 1)
    colour, height = _bottom(_Noise(seed, shape, px_per_unit), np.random.default_rng((seed, 0)))
    for colony in colonies:
        _grow(colour, height, colony, (box[0], box[1]), px_per_unit)
    return Plane(_lit(colour, height, px_per_unit), (box[0], box[1]), px_per_unit)


def _bottom(field: _Noise, rng: Generator) -> tuple[Image, Image]:
    """Colour and height (units) of sand, rubble and overgrown rock."""
    half = _Noise(field.seed, (field.shape[0] // 2 + 1, field.shape[1] // 2 + 1), field.px / 2)
    forms = half.fractal(100, 0.30, 5)
    rocky = np.clip((forms - np.float32(rng.uniform(-1.0, 0.7))) * 3, 0, 1)
    rough = half.fractal(120, 0.045, 4, 0.62)
    relief = rocky * (0.010 + 0.007 * np.clip(forms, -1, 2) + 0.0065 * rough)
    strewn = np.clip(half(129, 0.16) + 0.3, 0, 1) * (1 - rocky)
    pebble = np.clip(half(130, 0.013) * half(131, 0.008) - 0.35, 0, 1) * strewn
    tone = np.float32(rng.normal(0, 8)) + 24 * pebble + 4 * half(132, 0.09)
    cover = _mixed(half, rng)
    sand = np.array([184, 174, 152], np.float32)
    cover += (sand + tone[..., None] - cover) * (1 - rocky)[..., None]
    size = field.shape[::-1]
    fine = field.fractal(140, 0.006, 3, 0.7)
    height = cv2.resize(relief + 0.0035 * pebble, size) + 0.0005 * fine
    cover = cv2.resize(cover, size)
    cover += (6 * fine)[..., None]
    return cover, height


def _mixed(field: _Noise, rng: Generator) -> Image:
    """What grows on rock that is no coral: bare stone, turf, pink crusts, algae, each where its own noise is high."""
    kinds = ((112, 104, 88), (92, 88, 64), (158, 124, 122), (150, 142, 122), (88, 96, 70))
    weight = np.zeros(field.shape, np.float32)
    total = np.zeros((*field.shape, 3), np.float32)
    for number, colour in enumerate(kinds):
        share = field.fractal(200 + 10 * number, 0.07, 4, 0.7) + np.float32(rng.uniform(-0.8, 0.6))
        share = np.exp(np.clip(2.2 * share, -6, 6))
        weight += share
        total += cv2.merge([share * c for c in colour])
    return total / weight[..., None]


def _grow(colour: Image, height: Image, colony: Colony, origin: tuple[float, float], px_per_unit: float) -> None:
    """Paint one colony into colour and height, in place."""
    ring = (colony.ring_unit - origin) * px_per_unit
    low = np.maximum(np.floor(ring.min(axis=0)).astype(int) - 2, 0)
    high = np.minimum(np.ceil(ring.max(axis=0)).astype(int) + 3, (colour.shape[1], colour.shape[0]))
    if (high - low < 3).any():
        return
    here = np.s_[low[1] : high[1], low[0] : high[0]]
    mask = np.zeros(tuple(high - low)[::-1], np.uint8)
    # Without antialiasing at four times the size: the edge lies where the truth says.
    big = np.zeros((mask.shape[0] * 4, mask.shape[1] * 4), np.uint8)
    cv2.fillPoly(big, [np.round(((ring - low + 0.5) * 4 - 0.5) * 16).astype(np.int32)], 255, cv2.LINE_8, 4)
    mask = cv2.resize(big, mask.shape[::-1], interpolation=cv2.INTER_AREA)
    share = (mask / np.float32(255)).astype(np.float32)
    depth = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3)
    dome = np.sqrt(np.clip(depth / max(2.0, 0.7 * float(depth.max())), 0, 1))
    field = _Noise(colony.seed, mask.shape, px_per_unit)
    relief, tips, lift = _surface(colony, field, dome, (ring - low) / px_per_unit)
    rng = np.random.default_rng((colony.seed, 1))
    base = np.array(_COLOURS[colony.taxon], np.float32) * rng.uniform(0.85, 1.12) + rng.normal(0, 5, 3)
    tint = base + (np.array(_TIPS[colony.taxon], np.float32) - base) * tips[..., None]
    tint *= (1 + 0.06 * field(1, 0.03) + 0.05 * field(2, 0.004))[..., None]
    colour[here] += (tint.astype(np.float32) - colour[here]) * share[..., None]
    top = lift * colony.radius * dome + relief
    height[here] += top * share


def _surface(colony: Colony, field: _Noise, dome: Image, ring: Points) -> tuple[NDArray[Any], NDArray[Any], float]:
    """Relief in units, how much of the pale tip colour shows (0..1), and how high the colony stands over its radius."""
    if colony.taxon == "Acropora":
        tips = _knobs(field, 0.0075)
        return 0.006 * tips, np.clip(1.9 * tips - 0.9, 0, 1) * np.float32(0.8), 0.22
    if colony.taxon == "Pocillopora":
        knobs = np.sqrt(_knobs(field, 0.013))
        return 0.008 * knobs + 0.0006 * field(11, 0.004), np.float32(0.6) * np.clip(knobs - 0.35, 0, 1), 0.35
    if colony.taxon == "Porites":
        lumps = field.fractal(10, 0.03, 2)
        polyps = 0.0003 * field(12, 0.004)
        return 0.0022 * lumps + polyps, np.clip(0.5 * dome - 0.2 + 0.1 * lumps, 0, 1), 0.42
    if colony.taxon == "Montipora":
        ridges = 1 - np.abs(field(10, 0.014))
        return (
            0.0022 * ridges,
            np.clip(0.5 * ridges - 0.2, 0, 1) + np.float32(0.5) * (dome < 0.35).astype(np.float32),
            0.12,
        )
    centre = ring.mean(axis=0)
    axis = np.linalg.svd(ring - centre, full_matrices=False)[2][0]
    y, x = np.ogrid[0 : dome.shape[0], 0 : dome.shape[1]]
    wave = ((x / field.px - centre[0]) * -axis[1] + (y / field.px - centre[1]) * axis[0]) / 0.0035
    plates: Image = np.sin(wave.astype(np.float32) + 1.6 * field(10, 0.02))
    return 0.0022 * plates, np.clip(plates - 0.35, 0, 1) * np.float32(0.8), 0.2


def _knobs(field: _Noise, cell: float) -> Image:
    """Rounded knobs about ``cell`` units apart, 1 at their tops and 0 between them."""
    if cell * field.px < 2.5:
        return np.full(field.shape, 0.35, np.float32)
    rng = np.random.default_rng((field.seed, 20))
    rows, columns = (int(side / field.px / cell) + 2 for side in field.shape)
    tops = (np.moveaxis(np.mgrid[0:rows, 0:columns], 0, -1) + rng.uniform(-0.45, 0.45, (rows, columns, 2))) * cell
    y, x = np.round(tops.reshape(-1, 2) * field.px).astype(int).T
    inside = (y >= 0) & (x >= 0) & (y < field.shape[0]) & (x < field.shape[1])
    ground = np.ones(field.shape, np.uint8)
    ground[y[inside], x[inside]] = 0
    return np.clip(1 - cv2.distanceTransform(ground, cv2.DIST_L2, 3) / np.float32(0.75 * cell * field.px), 0, 1)


def _lit(colour: Image, height: Image, px_per_unit: float) -> NDArray[np.uint8]:
    """Slopes that face the light are bright, hollows are dark, and high things shade what lies behind them."""
    soft = cv2.GaussianBlur(height, (0, 0), max(0.6, 0.0012 * px_per_unit))
    across, down = cv2.Sobel(soft, -1, 1, 0, scale=px_per_unit / 8), cv2.Sobel(soft, -1, 0, 1, scale=px_per_unit / 8)
    light = 1 + 0.55 * np.tanh(_LIGHT[0] * across + _LIGHT[1] * down)
    wide = _blurred(height, 0.018 * px_per_unit)
    light *= np.clip(1 - 26 * (wide - height), 0.5, 1.12)
    for reach in (0.010, 0.022):
        moved = -_LIGHT * reach * px_per_unit
        high = cv2.warpAffine(
            wide if reach > 0.015 else soft,
            np.array([[1, 0, moved[0]], [0, 1, moved[1]]]),
            height.shape[::-1],
            borderMode=cv2.BORDER_REFLECT_101,
        )
        light *= 1 - np.clip(24 * (high - height - 0.45 * reach), 0, 0.3)
    return cv2.convertScaleAbs(cv2.multiply(colour, cv2.merge([light] * 3)))


def _blurred(picture: Image, sigma: float) -> Image:
    """A wide blur at a quarter of the size: nobody sees the difference, and it costs a tenth."""
    small = cv2.resize(picture, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), max(0.3, sigma / 4))
    return cv2.resize(small, picture.shape[::-1], interpolation=cv2.INTER_LINEAR)


def settle(rng: Generator, box: tuple[float, float, float, float], density: float) -> list[Colony]:
    """Colonies all over a box that do not touch each other; about ``density`` of them per frame.

    They do not know of the frame: some lie under its bars, some outside.
    """
    area = (box[2] - box[0]) * (box[3] - box[1])
    wanted = round(density * area)
    placed: list[Colony] = []
    circles = np.zeros((0, 3))
    for _ in range(wanted * 12):
        if len(placed) == wanted:
            break
        radius = float(np.exp(rng.uniform(np.log(0.02), np.log(0.12))))
        x, y = float(rng.uniform(box[0], box[2])), float(rng.uniform(box[1], box[3]))
        colony = Colony(TAXA[int(rng.integers(len(TAXA)))], (x, y), radius, int(rng.integers(2**31)))
        if (np.hypot(circles[:, 0] - x, circles[:, 1] - y) < circles[:, 2] + radius + 0.004).any():
            continue  # cheap first: the mean radii already touch
        reach = colony.reach
        if (np.hypot(circles[:, 0] - x, circles[:, 1] - y) < circles[:, 2] + reach + 0.004).any():
            continue
        placed.append(colony)
        circles = np.vstack([circles, [x, y, reach]])
    return placed
