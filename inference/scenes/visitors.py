"""What lies or swims in front: a survey tape across the frame, and fish."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inference.scenes.layers import Layer, Texture, region, rgb
from inference.scenes.optics import Camera, Points

_TAPE_PX = 48
"""Height of the drawn tape's print."""


def paint_tape(camera: Camera, rng: Generator) -> Layer:
    """A white or yellow measuring tape from one side to the other, a little bowed, with ticks and figures."""
    width = float(rng.uniform(0.022, 0.036))
    turn = rng.normal(0, 0.08) + (np.pi / 2 if rng.random() < 0.3 else 0)
    middle = np.array([0.5, 0.5]) + rng.uniform(-0.32, 0.32) * np.array([-np.sin(turn), np.cos(turn)])
    way, side = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    bow, phase = rng.normal(0, 0.02), rng.uniform(-1, 1)
    length = np.linspace(-1.6, 1.6, 60)

    def centre(s: NDArray[np.float64]) -> NDArray[np.float64]:
        return bow * np.sin(1.7 * s + phase)

    ring = []
    for sign in (-1, 1):
        edge = middle + length[:, None] * way + (centre(length) + sign * 0.9 * width)[:, None] * side
        ring.append(edge[::sign])
    at = region(camera.to_raw(np.vstack(ring)), camera.size, 2)[0]
    units = camera.unit_at(at)
    along = (units - middle) @ way
    across = (units - middle) @ side - centre(along)
    px = camera.px_per_unit
    cover = np.clip(0.5 + (width / 2 - np.abs(across)) * px, 0, 1)
    shade = 0.4 * np.clip(1.4 - np.abs(across - 0.25 * width) / (0.55 * width), 0, 1)
    ink = _print(int(rng.integers(0, 40)), along, across / width + 0.5, rng)
    base = np.array([238, 236, 228] if rng.random() < 0.7 else [232, 206, 70], np.float32)
    light = (
        1 + 0.10 * np.sin(4 * along + phase) + 0.04 * Texture(rng, 0.02)(units) - 0.10 * (np.abs(across) > 0.44 * width)
    )
    colour = rgb(base, light.astype(np.float32)) * (1 - 0.85 * ink)[:, None]
    return Layer("tape", at, cover.astype(np.float32), colour.astype(np.float32), shade.astype(np.float32))


def _print(first: int, along: NDArray[np.float64], across: NDArray[np.float64], rng: Generator) -> NDArray[np.float32]:
    """Ink (0..1) of the tape's print at points along (units) and across (0..1) it; a figure every 0.1 units."""
    tenth = 160  # pixels of the drawn strip per 0.1 units
    strip = np.zeros((_TAPE_PX, tenth * 34), np.uint8)
    for mark in range(340):
        x = mark * tenth // 10
        high = (_TAPE_PX * (0.5 if mark % 5 == 0 else 0.28)) if mark % 10 else _TAPE_PX * 0.62
        cv2.line(strip, (x, 0), (x, int(high)), 255, 2, cv2.LINE_AA)
    for number in range(34):
        text = str((first + number) % 100)
        cv2.putText(
            strip, text, (number * tenth + 8, _TAPE_PX - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.95, 255, 2, cv2.LINE_AA
        )
    if rng.random() < 0.5:
        strip = strip[::-1, ::-1]
    strip = cv2.GaussianBlur(strip, (0, 0), 1.2)
    rows = -(-max(1, len(along)) // 4096)
    maps = np.zeros((2, rows * 4096), np.float32)
    maps[0, : len(along)] = (along + 1.7) * 10 * tenth
    maps[1, : len(along)] = across * _TAPE_PX
    ink = cv2.remap(np.ascontiguousarray(strip), maps[0].reshape(rows, -1), maps[1].reshape(rows, -1), cv2.INTER_LINEAR)
    return ink.reshape(-1)[: len(along)] / np.float32(255)


@dataclass(frozen=True, slots=True)
class Fish:
    """One fish over the frame.

    Attributes:
        centre: (x, y) raw pixels.
        length: from snout to tail in pixels.
        heading: radians, where the snout points.
        slim: height of the body as a share of its length.
        colours: RGB of back, belly and stripes.
        stripes: number of bars across the body.
    """

    centre: tuple[float, float]
    length: float
    heading: float
    slim: float
    colours: tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]
    stripes: int

    @classmethod
    def random(cls, rng: Generator, camera: Camera) -> Fish:
        """A reef fish somewhere over the opening."""
        kinds = (
            (((70, 84, 98), (172, 178, 172), (40, 46, 56)), 0),
            (((188, 172, 70), (226, 214, 140), (48, 46, 44)), 4),
            (((58, 72, 66), (128, 138, 120), (210, 206, 180)), 2),
            (((96, 76, 58), (178, 160, 132), (70, 54, 44)), 5),
            (((44, 88, 150), (116, 164, 196), (230, 206, 90)), 1),
        )
        colours, stripes = kinds[int(rng.integers(len(kinds)))]
        centre = camera.to_raw(rng.uniform(0.05, 0.95, (1, 2)))[0]
        length = camera.px_per_unit * float(np.exp(rng.uniform(np.log(0.08), np.log(0.24))))
        return cls(
            (float(centre[0]), float(centre[1])),
            length,
            float(rng.uniform(0, 2 * np.pi)),
            float(rng.uniform(0.26, 0.46)),
            colours,
            stripes,
        )


def paint_fish(fish: Fish, size: tuple[int, int], rng: Generator) -> Layer:
    """A fish as a layer, with its soft shadow on the bottom."""
    way = np.array([np.cos(fish.heading), np.sin(fish.heading)])
    side = np.array([-way[1], way[0]]) * (1 if way[0] >= 0 else -1)  # the belly points down
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    ring = fish.centre + fish.length * 0.95 * np.column_stack([np.cos(turn), np.sin(turn)])
    at, pixels = region(ring, size)
    local = (pixels - fish.centre) / fish.length
    bend = rng.normal(0, 0.12)
    cover, shape = _silhouette(local, way, side, bend, fish.slim, 1 / fish.length)
    drop = np.array([0.10, 0.16])
    shade = 0.34 * _silhouette(local - drop, way, side, bend, fish.slim, 0.10)[0]
    x, y, body = shape
    back, belly, bars = (np.array(c, np.float32) for c in fish.colours)
    down = np.clip(0.5 + 0.7 * y / (0.5 * fish.slim), 0, 1)[:, None].astype(np.float32)
    colour = back + (belly - back) * down
    if fish.stripes:
        striped = np.clip(3 * np.sin(2 * np.pi * fish.stripes * (x + 0.5) + 2 * y) - 1.4, 0, 1) * (body > 0)
        colour += (bars - colour) * striped[:, None].astype(np.float32)
    colour += (bars - colour) * (0.45 * (body <= 0))[:, None].astype(np.float32)  # fins
    eye = np.hypot(x - 0.36, y + 0.10 * fish.slim) * fish.length
    colour[eye < 0.020 * fish.length] = (18, 18, 18)
    scales = Texture(rng, 0.02)(np.column_stack([x, y])) * 0.05 + 1.0
    light = scales * (0.82 + 0.28 * np.clip(1 - (2 * y / fish.slim + 0.35) ** 2, 0, 1))
    colour = np.clip(colour * light[:, None], 0, 255).astype(np.float32)
    return Layer("fish", at, cover.astype(np.float32), colour, shade.astype(np.float32))


def _silhouette(
    local: Points, way: Points, side: Points, bend: float, slim: float, soft: float
) -> tuple[NDArray[np.float64], tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]:
    """Cover of body, tail and fins, and (x along, y across, distance into the body) in fish lengths."""
    x, y = local @ way, local @ side
    y = y - bend * (x - 0.1) ** 2 * 1.5
    half = np.where(
        x > 0.08,
        0.5 * slim * np.sqrt(np.clip(1 - ((x - 0.08) / 0.42) ** 2, 0, 1)),
        0.5 * slim * (0.16 + 0.84 * np.clip(1 - (np.clip(0.08 - x, 0, 1) / 0.40) ** 1.7, 0, 1)),
    )
    body = np.where((x < 0.5) & (x > -0.34), half - np.abs(y), -1.0)
    tail_half = 0.06 * slim + 0.9 * slim * (-0.30 - x)
    fork = -0.50 + 0.10 * (1 - np.abs(y) / (0.28 * slim))
    tail = np.where((x < -0.29) & (x > -0.53), np.minimum(tail_half * 1.6 - np.abs(y), x - fork), -1.0)
    fin = np.where((x > -0.2) & (x < 0.22), half + 0.07 * slim * 2 * (1 - ((x - 0.01) / 0.21) ** 2) - np.abs(y), -1.0)
    inside = np.maximum(np.maximum(body, tail), fin)
    return np.clip(0.5 + inside / soft, 0, 1), (x, y, body)
