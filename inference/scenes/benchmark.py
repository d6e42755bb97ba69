"""Benchmark scenes: one photo quadrat with named troubles, and the truth about everything in it.

    scene = render_scene(split_seeds("test", 300)[0], "hard")

Everything follows from seed, setting, lattice and textures; a picture size changes the scale, not the scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inference.scenes.bars import Bars, paint_bars, paint_growth
from inference.scenes.hanging import hang
from inference.scenes.layers import Layer, Picture, compose
from inference.scenes.optics import UNIT_SQUARE, Camera, Lens, random_camera
from inference.scenes.seabed import paint_seabed, settle
from inference.scenes.settings import Setting, setting
from inference.scenes.textures import Textures
from inference.scenes.thread import Thread, paint_thread
from inference.scenes.truth import FrameTruth, Outline, outlines_of, tell_frame
from inference.scenes.visitors import Fish, paint_fish, paint_tape
from inference.scenes.water import Water, expose
from labels.lattice import LatticeTopology, load_topology

SIZE = (2400, 2000)
SMALLEST, LARGEST = 160, 16_000
"""Picture sides in pixels."""
_PLANE_PX_PER_UNIT = 1700.0
_ROWS = 512


@dataclass(frozen=True, slots=True)
class BenchmarkScene:
    """A generated photo and its truth.

    Attributes:
        seed: it follows from.
        setting: name of the setting.
        image: raw photo, uint8 RGB ``(H, W, 3)``.
        frames: the frames in it; empty for a photo without one.
        conditions: what was drawn for this scene, by name (turbidity, sag, number of cuts, ...).
        ground: the bottom alone, before water and camera.
        layers: what lies on it, from the lowest to the highest.
        camera: pose of the first frame.
        water: the exposure.
    """

    seed: int
    setting: str
    image: Picture
    frames: tuple[FrameTruth, ...]
    conditions: dict[str, float]
    ground: Picture
    layers: tuple[Layer, ...]
    camera: Camera
    water: Water

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.camera.size

    @property
    def frame(self) -> FrameTruth:
        """The only frame, or the first of two.

        Raises:
            ValueError: the photo shows none.
        """
        if not self.frames:
            raise ValueError(f"scene {self.seed} ({self.setting}) shows no frame")
        return self.frames[0]

    def without(self, *kinds: str) -> Picture:
        """The same photo (same light, same grain) without things of some kinds, e.g. ``"strings"``; uint8 RGB."""
        return expose(compose(self.ground, self.layers, kinds), self.camera, self.water)

    def clean(self) -> Picture:
        """The raw photo as it would be without strings; uint8 RGB."""
        return self.without("strings")

    def changed(self, clean: Picture | None = None) -> NDArray[np.bool_]:
        """String mask: the raw pixels in which :meth:`clean` differs, so strings with shadow and blur; ``(H, W)``."""
        return (self.image != (self.clean() if clean is None else clean)).any(axis=2)

    def mask(self, kind: str) -> NDArray[np.bool_]:
        """Raw pixels that show a kind of thing (cover at least half, nothing above), before blur; ``(H, W)``."""
        seen = np.zeros(self.image.shape[:2], bool)
        for layer in self.layers:
            covers = layer.mask(self.size)
            seen = (seen | covers) if layer.kind == kind else (seen & ~covers)
        return seen

    def rectified(self, side_px: int, photo: Picture | None = None) -> Picture:
        """The photo (or another of the same scene) straightened by the true corners of the first frame."""
        matrix = self.frame.rectification(side_px).array
        return cv2.warpPerspective(self.image if photo is None else photo, matrix, (side_px, side_px))

    def colony_hidden(self) -> list[float]:
        """For each colony of the first frame, the share of its pixels that tape or fish or growth hides."""
        over = self.mask("tape") | self.mask("fish") | self.mask("growth")
        shares = []
        for outline in self.frame.colonies:
            one = np.zeros(over.shape, np.uint8)
            ring = np.round(self.frame.camera.to_raw(outline.ring_unit) * 16).astype(np.int32)
            cv2.fillPoly(one, [ring], 1, cv2.LINE_8, 4)
            shares.append(float(over[one > 0].mean()) if one.any() else 1.0)
        return shares

    def to_json(self) -> dict[str, Any]:
        """The truth as plain data."""
        return {
            "seed": self.seed,
            "setting": self.setting,
            "size": list(self.size),
            "conditions": {name: round(value, 5) for name, value in self.conditions.items()},
            "frames": [frame.to_json() for frame in self.frames],
            "colony_hidden": [round(share, 4) for share in self.colony_hidden()] if self.frames else [],
        }


def render_scene(
    seed: int,
    setting_: str | Setting = "usual",
    *,
    topology: LatticeTopology | None = None,
    size: tuple[int, int] = SIZE,
    textures: Textures | None = None,
) -> BenchmarkScene:
    """Paint one benchmark scene.

    Args:
        seed: see :mod:`inference.scenes.splits` for which seeds may be trained on.
        setting_: a name from ``SETTINGS``, or a setting of one's own.
        topology: the strings; CRIOBE's 117 nodes when not given.
        size: (width, height) in pixels; the cost is about proportional to the area.
        textures: real photos to use as the bottom; painted sand and corals when not given.

    Raises:
        ValueError: unknown setting, or a picture size out of bounds.
    """
    if not all(SMALLEST <= side <= LARGEST for side in size):
        raise ValueError(f"a scene's sides are {SMALLEST} to {LARGEST} px, got {size[0]} x {size[1]}")
    chosen = setting(setting_) if isinstance(setting_, str) else setting_
    topology = topology or load_topology()
    draw = _Draw(np.random.default_rng((seed, 41)))
    cameras = _cameras(draw, chosen, size)
    first = cameras[0]
    ground, outlines = _ground(draw, seed, first, textures)
    look = (
        Thread.random(draw.rng),
        Bars.random(draw.rng, draw.rng.random() < chosen.marked, draw.rng.random() < chosen.dark),
    )
    draw.values["marked"] = float(look[1].plate is not None)
    layers: list[Layer] = []
    frames = []
    for camera in cameras[: chosen.frames]:
        painted, hung = _lay_frame(draw, chosen, camera, topology, look)
        layers += painted
        frames.append((camera, hung, painted[1:]))
    visitors = _visitors(draw, chosen, first)
    layers += visitors
    water = _water(draw, chosen, first, textures is not None)
    truths = []
    for camera, hung, above in frames:
        own = (
            [Outline(o.taxon, o.ring_unit) for o in outlines]
            if camera is first
            else [Outline(o.taxon, camera.to_unit(first.to_raw(o.ring_unit))) for o in outlines]
        )
        truths.append(tell_frame(camera, hung.nodes_unit, hung.present, own, [*above, *visitors]))
    image = expose(compose(ground, layers), first, water)
    return BenchmarkScene(seed, chosen.name, image, tuple(truths), draw.values, ground, tuple(layers), first, water)


class _Draw:
    """Draws from a setting's ranges and remembers what came out."""

    def __init__(self, rng: Generator) -> None:
        self.rng = rng
        self.values: dict[str, float] = {}

    def real(self, name: str, low_high: tuple[float, float]) -> float:
        self.values[name] = float(self.rng.uniform(*low_high))
        return self.values[name]

    def count(self, name: str, low_high: tuple[int, int]) -> int:
        self.values[name] = float(self.rng.integers(low_high[0], low_high[1] + 1))
        return int(self.values[name])


def _cameras(draw: _Draw, chosen: Setting, size: tuple[int, int]) -> list[Camera]:
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


def _ground(draw: _Draw, seed: int, camera: Camera, textures: Textures | None) -> tuple[Picture, list[Outline]]:
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


def _lay_frame(
    draw: _Draw, chosen: Setting, camera: Camera, topology: LatticeTopology, look: tuple[Thread, Bars]
) -> tuple[list[Layer], Any]:
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


def _visitors(draw: _Draw, chosen: Setting, camera: Camera) -> list[Layer]:
    rng = draw.rng
    layers = []
    draw.values["tape"] = float(rng.random() < chosen.tape)
    if draw.values["tape"]:
        layers.append(paint_tape(camera, rng))
    for _ in range(draw.count("fish", chosen.fish)):
        layers.append(paint_fish(Fish.random(rng, camera), camera.size, rng))
    return layers


def _water(draw: _Draw, chosen: Setting, camera: Camera, over_photo: bool) -> Water:
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
