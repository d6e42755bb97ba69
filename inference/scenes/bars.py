"""The frame in the photo: bars around the opening, coloured plates at its corners, and what has grown over them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inference.scenes.layers import Layer, Texture, Values, region, rgb
from inference.scenes.optics import UNIT_SQUARE, Camera, Points

DARK = ((34, 36, 42), (42, 46, 54), (30, 40, 36), (52, 50, 48))
PALE = ((216, 214, 206), (190, 194, 196), (150, 156, 162))
PLATES = ((196, 52, 40), (222, 170, 30), (40, 90, 190), (232, 110, 30), (30, 140, 90))
_STICKERS = ((235, 232, 225), (40, 170, 190), (170, 60, 50), (24, 24, 24))


@dataclass(frozen=True, slots=True)
class Bars:
    """How a frame looks.

    Attributes:
        width: of a bar, as a share of the opening's side.
        colour: RGB of the bars.
        plate: RGB of the corner plates; ``None`` for a plain frame.
        plate_size: of a plate, as a share of the side.
        round: whether bars are tubes (PVC) or flat (metal).
        patches: colour patches stuck on the bars: (side, from, to, RGB), along the bar in units.
    """

    width: float = 0.05
    colour: tuple[int, int, int] = DARK[0]
    plate: tuple[int, int, int] | None = PLATES[0]
    plate_size: float = 0.055
    round: bool = False
    patches: tuple[tuple[int, float, float, tuple[int, int, int]], ...] = ()

    @classmethod
    def random(cls, rng: Generator, marked: bool, dark: bool) -> Bars:
        """One of the frames people use."""
        shades = DARK if dark else (*DARK, *PALE)
        width = float(rng.uniform(0.03, 0.065))
        patches = []
        for side in range(4):
            if not marked and rng.random() < 0.3:
                start, length = rng.uniform(0.05, 0.75), rng.uniform(0.04, 0.14)
                colour = _STICKERS[int(rng.integers(len(_STICKERS)))]
                patches.append((side, float(start), float(start + length), colour))
        return cls(
            width,
            shades[int(rng.integers(len(shades)))],
            PLATES[int(rng.integers(len(PLATES)))] if marked else None,
            width * float(rng.uniform(1.0, 1.35)),
            bool(rng.random() < 0.4),
            tuple(patches),
        )


def paint_bars(camera: Camera, bars: Bars, rng: Generator) -> Layer:
    """The frame as a layer. The inner edge of the bars runs exactly through the opening's corners."""
    shadow_units = 0.35 * bars.width
    reach = (bars.width + shadow_units) * 1.05
    at, units = _around_opening(camera, reach)
    px = camera.px_per_unit
    over = np.abs(units - 0.5) - 0.5
    outside = over.max(axis=1)  # distance from the opening, in units; negative within
    cover = np.clip(0.5 + outside * px, 0, 1) * np.clip(0.5 + (bars.width - outside) * px, 0, 1)
    # The shadow falls down and to the right: into the opening at its top and left, beyond the bars below.
    moved = np.abs(units - 0.5 - np.array([0.5, 0.7]) * shadow_units) - 0.5
    edge = moved.max(axis=1)
    shade = 0.42 * _smooth(edge / shadow_units + 0.5) * _smooth((bars.width - edge) / shadow_units + 0.5)
    light = _bar_light(bars, units, outside, rng)
    colour = rgb(bars.colour, light)
    for side, start, end, patch in bars.patches:
        along, across = (units[:, 0], units[:, 1]) if side % 2 == 0 else (units[:, 1], units[:, 0])
        there = (along > start) & (along < end) & ((across < 0) if side < 2 else (across > 1))
        colour[there] = rgb(patch, light[there])
    if bars.plate is not None:
        reach = bars.plate_size - bars.width
        on_plate = (over > -max(0.0, reach)).all(axis=1)  # plates lie on the bars, so the opening's corner stays free
        share = np.where(on_plate, 1, 0).astype(np.float32)[:, None]
        colour += (rgb(bars.plate, light) - colour) * share
    return Layer("frame", at, cover.astype(np.float32), colour, shade.astype(np.float32))


def _around_opening(camera: Camera, reach: float) -> tuple[NDArray[np.int64], Values]:
    """Pixels within ``reach`` units of the opening's edge, and where they are in units."""
    seen = np.zeros(camera.size[0] * camera.size[1], bool)
    for k in range(4):
        a, b = UNIT_SQUARE[k], UNIT_SQUARE[(k + 1) % 4]
        way = b - a
        out = np.array([way[1], -way[0]]) * reach
        steps = np.linspace(-reach, 1 + reach, 24)[:, None]  # dense: the lens bends the edge
        ring = np.vstack([a + way * steps + out, (a + way * steps - out)[::-1]])
        seen[region(camera.to_raw(ring), camera.size)[0]] = True
    at = np.flatnonzero(seen)
    return at, camera.unit_at(at)


def _bar_light(bars: Bars, units: Values, outside: Values, rng: Generator) -> Values:
    dirt = 0.07 * Texture(rng, 0.06)(units) + 0.04 * Texture(rng, 0.009)(units)
    across = np.clip(2 * outside / bars.width - 1, -1, 1)  # -1 at the inner edge, 1 at the outer
    if bars.round:
        form = 0.72 + 0.42 * np.sqrt(np.clip(1 - (across * 0.97 + 0.15) ** 2, 0, 1))
    else:
        form = 1.0 + 0.25 * (np.abs(across) > 0.9) - 0.06 * across
    scratched = 0.5 * np.clip(Texture(rng, 0.004)(units) - 2.0, 0, 1)
    return np.clip(form * (1 + dirt) + scratched, 0.2, 2.2).astype(np.float32)


def _smooth(x: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def paint_growth(camera: Camera, spots: Points, radii: NDArray[np.float64], rng: Generator) -> Layer:
    """Turf and algae over parts of the frame and the strings.

    Args:
        spots: ``(n, 2)`` units, middles of the clumps.
        radii: ``(n,)`` units.
    """
    turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    ring = np.column_stack([np.cos(turn), np.sin(turn)]) * 1.5
    seen = np.zeros(camera.size[0] * camera.size[1], bool)
    for spot, radius in zip(spots, radii, strict=True):
        seen[region(camera.to_raw(spot + radius * ring), camera.size)[0]] = True
    at = np.flatnonzero(seen)
    units = camera.unit_at(at)
    rough = Texture(rng, 0.03)(units) * 0.22 + Texture(rng, 0.010)(units) * 0.16 + Texture(rng, 0.004)(units) * 0.13
    cover = np.zeros(len(at))
    for spot, radius in zip(spots, radii, strict=True):
        inside = 1 - np.hypot(*(units - spot).T) / radius
        cover = np.maximum(cover, np.clip((inside + rough) * radius / 0.006, 0, 1))
    hue = np.clip(0.5 + 0.5 * Texture(rng, 0.05)(units), 0, 1)[:, None]
    colour = np.array([92, 94, 58], np.float32) * (1 - hue) + np.array([128, 112, 92], np.float32) * hue
    tufts = 0.85 + 0.22 * Texture(rng, 0.006)(units) + 0.16 * Texture(rng, 0.0025)(units) + 0.5 * rough
    shade = np.clip(cover + 0.25, 0, 1) * 0.35 * (cover > 0)
    colour = np.clip(colour * tufts[:, None], 12, 235).astype(np.float32)
    return Layer("growth", at, cover.astype(np.float32), colour, shade.astype(np.float32))
