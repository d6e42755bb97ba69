"""The parts of a benchmark scene, drawn from the ranges of a setting: poses, bottom, frame, visitors, water."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from inference.scenes.bars import Bars, paint_bars, paint_growth
from inference.scenes.hanging import Hanging, hang
from inference.scenes.layers import Layer, Picture
from inference.scenes.optics import UNIT_SQUARE, Camera, Lens, random_camera
from inference.scenes.seabed import paint_seabed, settle
from inference.scenes.settings import Setting
from inference.scenes.textures import Textures
from inference.scenes.thread import Thread, paint_thread
from inference.scenes.truth import Outline, outlines_of
from inference.scenes.visitors import Fish, paint_fish, paint_tape
from inference.scenes.water import Water
from labels.lattice import LatticeTopology

_PLANE_PX_PER_UNIT = 1700.0
"""Finer than this the bottom is not painted; grain covers the difference."""
_ROWS = 512


class Draw:
    """Draws from a setting's ranges and remembers what came out."""

    def __init__(self, rng: Generator) -> None:
        """``rng``: what everything is drawn from."""
        self.rng = rng
        self.values: dict[str, float] = {}

    def real(self, name: str, low_high: tuple[float, float]) -> float:
        """An even draw from a range."""
        self.values[name] = float(self.rng.uniform(*low_high))
        return self.values[name]

    def count(self, name: str, low_high: tuple[int, int]) -> int:
        """A whole number from a range, both ends included."""
        self.values[name] = float(self.rng.integers(low_high[0], low_high[1] + 1))
        return int(self.values[name])


def pose_cameras(draw: Draw, chosen: Setting, size: tuple[int, int]) -> list[Camera]:
    """A pose for each frame; one also where there is no frame, since the bottom needs it."""
    rng, short = draw.rng, min(size)
    k1 = draw.real("k1", chosen.k1)
    lens = Lens(k1, -0.25 * k1 * float(rng.uniform(0, 1)))
    pose = (chosen.turn_deg, chosen.tilt, lens)
    if chosen.frames == 2:
        long = np.array(size) / short
        axis = np.array([1.0, 0.0]) if size[0] >= size[1] else np.array([0.0, 1.0])
        fill = min(0.40 * float(long.max()), 0.62)
        shifts = [sign * 0.25 * axis * long for sign in (-1, 1)]
        return [random_camera(rng, size, (0.94 * fill, fill), *pose, (s[0], s[1])) for s in shifts]
    shift = np.zeros(2)
    if chosen.cut_off:
        axes = ((1, 0), (0, 1), (1, 1))[int(rng.integers(3))]
        beyond = np.array(size) / short / 2 - sum(chosen.fill) / 4 + rng.uniform(0.04, 0.14, 2)
        shift = np.array(axes) * beyond * rng.choice([-1, 1], 2)
    return [random_camera(rng, size, chosen.fill, *pose, (float(shift[0]), float(shift[1])))]


def lay_bottom(draw: Draw, seed: int, camera: Camera, textures: Textures | None) -> tuple[Picture, list[Outline]]:
    """The bottom as the camera sees it, and the colonies on it in the frame's units."""
    width, height = camera.size
    edge = np.linspace(0, 1, 9)
    border = np.concatenate([np.column_stack([edge, edge * 0 + k]) for k in (0, 1)])
    border = np.vstack([border, border[:, ::-1]]) * [width - 1, height - 1]
    seen = camera.to_unit(border)
    low, high = np.clip(seen.min(axis=0) - 0.02, -3, 0), np.clip(seen.max(axis=0) + 0.02, 1, 4)
    box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    density = draw.rng.uniform(12, 34)
    bottom, grown = np.random.default_rng((seed, 43)), np.random.default_rng((seed, 44))
    if textures is None:
        colonies = settle(grown, box, density)
        scale = min(camera.px_per_unit, _PLANE_PX_PER_UNIT)
        plane = paint_seabed(int(bottom.integers(2**31)), box, scale, colonies)
        outlines = outlines_of(colonies)
    else:
        plane, outlines = textures.plane(bottom, camera.px_per_unit), []
    ground = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _ROWS):
        bottom_row = min(height, top + _ROWS)
        ground[top:bottom_row] = plane.seen(*camera.unit_rows(top, bottom_row))
    return ground, outlines


def draw_look(draw: Draw, chosen: Setting) -> tuple[Thread, Bars]:
    """Strings and frame; those of two frames in a photo look alike."""
    thread = Thread.random(draw.rng)
    bars = Bars.random(draw.rng, draw.rng.random() < chosen.marked, draw.rng.random() < chosen.dark)
    draw.values["marked"] = float(bars.plate is not None)
    return thread, bars


def lay_frame(
    draw: Draw, chosen: Setting, camera: Camera, topology: LatticeTopology, look: tuple[Thread, Bars]
) -> tuple[list[Layer], Hanging]:
    """Strings, bars and growth of one frame, from the lowest to the highest; and how the lattice hangs."""
    rng = draw.rng
    thread, bars = look
    sag = draw.real("sag", chosen.sag)
    missing, cuts = draw.count("missing", chosen.missing), draw.count("cuts", chosen.cuts)
    hung = hang(topology, rng, sag, missing, cuts)
    px = camera.px_per_unit
    paths = [camera.to_raw(piece) for piece in hung.pieces]
    layers = [paint_thread(paths, camera.size, thread.width * px, thread, rng), paint_bars(camera, bars, rng)]
    growth = draw.real("growth", chosen.growth)
    corners = rng.permutation(4)[: draw.count("hidden_markers", chosen.hidden_markers)]
    spots = [UNIT_SQUARE[k] + (UNIT_SQUARE[k] - 0.5) * bars.width * rng.uniform(0.3, 1.0, 2) for k in corners]
    radii = [float(rng.uniform(0.7, 1.3) * (bars.width + 0.02)) for _ in corners]
    for _ in range(round(14 * growth)):
        along, side = rng.uniform(0, 1), float(rng.choice([-0.6, 1.0])) * bars.width
        place = np.array([along, side if side < 0 else 1 + 0.6 * side])
        spots.append(place if rng.random() < 0.5 else place[::-1])
        radii.append(float(rng.uniform(0.2, 0.7) * bars.width))
    for _ in range(round(4 * growth * rng.random())):  # algae that climb over strings
        spots.append(rng.uniform(0.05, 0.95, 2))
        radii.append(float(rng.uniform(0.012, 0.03)))
    if spots:
        layers.append(paint_growth(camera, np.array(spots), np.array(radii), rng))
    return layers, hung


def invite_visitors(draw: Draw, chosen: Setting, camera: Camera) -> list[Layer]:
    """Tape and fish, over everything else."""
    rng = draw.rng
    layers = []
    draw.values["tape"] = float(rng.random() < chosen.tape)
    if draw.values["tape"]:
        layers.append(paint_tape(camera, rng))
    for _ in range(draw.count("fish", chosen.fish)):
        layers.append(paint_fish(Fish.random(rng, camera), camera.size, rng))
    return layers


def draw_water(draw: Draw, chosen: Setting, camera: Camera, over_photo: bool) -> Water:
    """The exposure; over a real photo the water takes no colour a second time."""
    rng, px = draw.rng, camera.px_per_unit
    veils: Sequence[tuple[float, float, float]] = ((96, 138, 134), (84, 124, 146), (124, 148, 116), (138, 156, 150))
    turbidity = draw.real("turbidity", chosen.turbidity)
    way = draw.real("motion", chosen.motion)
    turn = rng.uniform(0, np.pi)
    depth = 0.0 if over_photo else float(rng.uniform(0.1, 0.35 + 0.5 * turbidity))
    # Scattered light also softens: turbid water costs sharpness.
    blur = draw.real("blur", chosen.blur) * px * (1 + 0.8 * turbidity)
    return Water(
        turbidity,
        veils[int(rng.integers(len(veils)))],
        depth,
        draw.count("particles", chosen.particles),
        draw.real("vignette", chosen.vignette),
        draw.real("caustics", chosen.caustics),
        blur,
        (float(way * px * np.cos(turn)), float(way * px * np.sin(turn))),
        draw.real("noise", chosen.noise),
        int(rng.integers(2**31)),
    )
