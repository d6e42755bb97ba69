"""The bottom: sand, rubble and rock with coral colonies of several taxa, painted on a flat plane.

The plane is measured in units: the frame's opening is the square from (0, 0) to (1, 1). Pixel (0, 0) of the painted
plane lies at unit ``-MARGIN``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

MARGIN = 0.25
PX_PER_UNIT = 1600
PLANE_PX = round((1 + 2 * MARGIN) * PX_PER_UNIT)

Image = NDArray[np.float32]
Ring = NDArray[np.float64]

TAXA = ("Acropora", "Pocillopora", "Porites", "Montipora", "Millepora")
"""Taxa of the demo; they differ in outline, colour and texture."""

_COLORS = {
    "Acropora": (128, 108, 88),
    "Pocillopora": (172, 112, 124),
    "Porites": (156, 146, 82),
    "Montipora": (104, 82, 116),
    "Millepora": (196, 164, 74),
}
# Outline as (harmonic, amplitude) pairs around a circle, and elongation.
_OUTLINES: dict[str, tuple[tuple[tuple[int, float], ...], float]] = {
    "Acropora": (((3, 0.12), (7, 0.16), (11, 0.14), (17, 0.08)), 1.15),
    "Pocillopora": (((2, 0.05), (9, 0.07), (13, 0.05)), 1.05),
    "Porites": (((2, 0.06), (3, 0.05)), 1.1),
    "Montipora": (((2, 0.16), (3, 0.16), (5, 0.10), (8, 0.05)), 1.3),
    "Millepora": (((2, 0.05), (4, 0.09), (6, 0.05)), 2.1),
}
RING_POINTS = 96


@dataclass(frozen=True, slots=True)
class Colony:
    """One colony.

    Attributes:
        taxon: one of :data:`TAXA`.
        centre: (x, y) in units.
        radius: mean radius in units.
        seed: decides outline and texture; the same colony keeps it through the years.
    """

    taxon: str
    centre: tuple[float, float]
    radius: float
    seed: int

    @property
    def ring_unit(self) -> Ring:
        """Outline as ``(96, 2)`` points in units. Scales with the radius, so a growing colony keeps its shape."""
        rng = np.random.default_rng(self.seed)
        harmonics, elongation = _OUTLINES[self.taxon]
        angle = np.linspace(0, 2 * np.pi, RING_POINTS, endpoint=False)
        r = np.ones_like(angle)
        for order, amplitude in harmonics:
            r += amplitude * rng.uniform(0.6, 1.2) * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
        stretch = elongation ** rng.uniform(0.4, 1.0)
        x, y = r * np.cos(angle) * np.sqrt(stretch), r * np.sin(angle) / np.sqrt(stretch)
        turn = rng.uniform(0, 2 * np.pi)
        points = np.column_stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)])
        return points * self.radius + np.array(self.centre)

    @property
    def reach(self) -> float:
        """Largest distance of the outline from the centre, in units."""
        return float(np.linalg.norm(self.ring_unit - np.array(self.centre), axis=1).max())


def to_plane(points_unit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Units to pixels of the painted plane."""
    return (np.asarray(points_unit) + MARGIN) * PX_PER_UNIT


def noise(rng: Generator, shape: tuple[int, int], cell_px: float) -> Image:
    """Smooth noise of mean 0 and standard deviation about 1, with blobs of ``cell_px`` pixels."""
    small = (max(2, round(shape[0] / cell_px) + 2), max(2, round(shape[1] / cell_px) + 2))
    field = rng.standard_normal(small, dtype=np.float32)
    return cv2.resize(field, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)


def paint_bottom(seed: int, year: int) -> Image:
    """Sand with ripples, rubble and rock, as float32 RGB ``(PLANE_PX, PLANE_PX, 3)`` of 0..255.

    The large forms stay through the years; grains do not.
    """
    rng, grains = np.random.default_rng(seed), np.random.default_rng((seed, year))
    size = (PLANE_PX // 2, PLANE_PX // 2)  # the large forms need no more
    rock = noise(rng, size, 210) + 0.5 * noise(rng, size, 75) + 0.25 * noise(rng, size, 22)
    share = cv2.GaussianBlur(np.clip((rock - rng.uniform(-0.3, 0.8)) * 2.2, 0, 1), (0, 0), 2)[..., None]
    sand = np.array([198, 186, 158], np.float32) + (6 * noise(rng, size, 30))[..., None]
    stone = np.array([112, 108, 92], np.float32) + (16 * noise(rng, size, 12) + 10 * noise(rng, size, 5))[..., None]
    algae = np.clip(noise(rng, size, 40) - 0.6, 0, 1)[..., None] * np.array([-22, 6, -24], np.float32)
    forms = sand + (stone + algae - sand) * share
    plane = cv2.resize(forms.astype(np.float32), (PLANE_PX, PLANE_PX), interpolation=cv2.INTER_LINEAR)
    plane += (7 * noise(grains, (PLANE_PX, PLANE_PX), 3))[..., None]
    return plane


def paint_colonies(plane: Image, colonies: Sequence[Colony]) -> None:
    """Paint colonies onto the plane, in place; later ones lie on top."""
    for colony in colonies:
        _paint_colony(plane, colony)


def _paint_colony(plane: Image, colony: Colony) -> None:
    ring = to_plane(colony.ring_unit)
    pad = 24
    x0, y0 = np.maximum(np.floor(ring.min(axis=0)).astype(int) - pad, 0)
    x1, y1 = np.minimum(np.ceil(ring.max(axis=0)).astype(int) + pad, PLANE_PX)
    if x1 - x0 < 3 or y1 - y0 < 3:
        return
    area = plane[y0:y1, x0:x1]
    mask = np.zeros(area.shape[:2], np.uint8)
    # Shift 4: coordinates in 1/16 px, so that the painted edge lies where the truth says.
    cv2.fillPoly(mask, [np.round((ring - (x0, y0)) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    alpha = mask.astype(np.float32) / 255
    shadow = cv2.GaussianBlur(np.roll(alpha, (9, 7), (0, 1)), (0, 0), 7)
    area *= (1 - 0.42 * shadow)[..., None]
    depth = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3)
    dome = np.clip(depth / max(8.0, 0.55 * float(depth.max())), 0, 1)
    color = _texture(colony, area.shape[:2], ring - (x0, y0), dome)
    area[:] = area * (1 - alpha[..., None]) + color * alpha[..., None]


def _texture(colony: Colony, shape: tuple[int, int], ring: Ring, dome: Image) -> Image:
    rng = np.random.default_rng((colony.seed, 1))
    base = np.array(_COLORS[colony.taxon], np.float32) * rng.uniform(0.88, 1.12) + rng.normal(0, 5, 3)
    centre = ring.mean(axis=0)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    dx, dy = x - centre[0], y - centre[1]
    light = 0.72 + 0.34 * dome
    grain = 0.04 * noise(rng, shape, 3)
    if colony.taxon == "Acropora":
        branches = np.cos(np.arctan2(dy, dx) * 26 + 2.5 * noise(rng, shape, 26))
        tips = np.clip(branches, 0, 1) * (1.15 - dome)
        light = light * 0.86 + 0.20 * branches + 0.22 * tips
    elif colony.taxon == "Pocillopora":
        knobs = np.abs(noise(rng, shape, 11))
        light = light + 0.26 * np.clip(knobs, 0, 1.4) - 0.2
    elif colony.taxon == "Porites":
        light = 0.78 + 0.36 * dome + 0.05 * noise(rng, shape, 34)
    elif colony.taxon == "Montipora":
        ridges = 1 - np.abs(noise(rng, shape, 16))
        light = 0.86 + 0.13 * ridges + 0.05 * dome
    else:
        axis = np.linalg.svd(ring - centre, full_matrices=False)[2][0]
        plates = np.sin((dx * -axis[1] + dy * axis[0]) / 5.5 + 1.3 * noise(rng, shape, 30))
        light = light + 0.15 * plates + 0.20 * (1 - dome)
    return np.clip(base * (light + grain)[..., None], 0, 255).astype(np.float32)
