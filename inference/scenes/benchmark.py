"""Benchmark scenes: one photo quadrat with named troubles, and the truth about everything in it.

    scene = render_scene(split_seeds("test", 300)[0], "hard")

Everything follows from seed, setting, lattice and textures; a picture size changes the scale, not the scene.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.scenes.layers import Layer, Picture, compose
from inference.scenes.optics import Camera
from inference.scenes.settings import Setting
from inference.scenes.settings import setting as find_setting
from inference.scenes.staging import (
    Draw,
    draw_look,
    draw_water,
    invite_visitors,
    lay_bottom,
    lay_frame,
    pose_cameras,
)
from inference.scenes.textures import Textures
from inference.scenes.truth import FrameTruth, Outline, tell_frame
from inference.scenes.water import Water, expose
from labels.lattice import LatticeTopology, load_topology

SIZE = (2400, 2000)
SMALLEST, LARGEST = 160, 16_000
"""Picture sides in pixels."""


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
    setting: str | Setting = "usual",
    *,
    topology: LatticeTopology | None = None,
    size: tuple[int, int] = SIZE,
    textures: Textures | None = None,
) -> BenchmarkScene:
    """Paint one benchmark scene.

    Args:
        seed: see :mod:`inference.scenes.splits` for which seeds may be trained on.
        setting: a name from ``SETTINGS``, or a setting of one's own.
        topology: the strings; CRIOBE's 117 nodes when not given.
        size: (width, height) in pixels; the cost is about proportional to the area.
        textures: real photos to use as the bottom; painted sand and corals when not given.

    Raises:
        ValueError: unknown setting, or a picture size out of bounds.
    """
    if not all(SMALLEST <= side <= LARGEST for side in size):
        raise ValueError(f"a scene's sides are {SMALLEST} to {LARGEST} px, got {size[0]} x {size[1]}")
    chosen = find_setting(setting) if isinstance(setting, str) else setting
    topology = topology or load_topology()
    draw = Draw(np.random.default_rng((seed, 41)))
    cameras = pose_cameras(draw, chosen, size)
    first = cameras[0]
    ground, colonies = lay_bottom(draw, seed, first, textures)
    look = draw_look(draw, chosen)
    laid = [(camera, *lay_frame(draw, chosen, camera, topology, look)) for camera in cameras[: chosen.frames]]
    visitors = invite_visitors(draw, chosen, first)
    layers = [layer for _, painted, _ in laid for layer in painted] + visitors
    water = draw_water(draw, chosen, first, textures is not None)
    frames = []
    for camera, painted, hung in laid:
        own = [
            Outline(c.taxon, camera.to_unit(first.to_raw(c.ring_unit))) if camera is not first else c for c in colonies
        ]
        frames.append(tell_frame(camera, hung.nodes_unit, hung.present, own, [*painted[1:], *visitors]))
    image = expose(compose(ground, layers), first, water)
    return BenchmarkScene(seed, chosen.name, image, tuple(frames), draw.values, ground, tuple(layers), first, water)
