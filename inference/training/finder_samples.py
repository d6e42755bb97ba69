"""Training pictures for the finders, painted once and kept: scenes with corners and strings, and bare bottoms.

A scene gives two samples: the whole photo, small, with its corners; and the straightened picture with its strings.
Bare bottoms are what everything else is drawn on, and what a picture without a frame looks like.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.rectify import rectify
from inference.scenes import BenchmarkScene, render_scene
from inference.scenes.reef import paint_bottom, paint_colonies
from inference.scenes.scene import random_colonies
from inference.scenes.settings import SWITCHES
from labels.lattice import LatticeTopology, load_topology, parse_topology
from labels.transforms import Rectification

PHOTO_PX = 640
"""Long side of a kept photo."""
SCENE_SIZE = (1320, 1100)
SQUARE_PX = 800
"""Side of a kept straightened picture and of a bare bottom."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo, uint8 RGB, and the corners of its frames ``(k, 4, 2)`` in its pixels."""

    image: NDArray[np.uint8]
    frames: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Square:
    """A straightened picture, uint8 RGB; the crossings to be seen ``(n, 2)``; where its strings show, 0..255."""

    image: NDArray[np.uint8]
    nodes: NDArray[np.float64]
    ink: NDArray[np.uint8]


def random_topology(rng: np.random.Generator) -> LatticeTopology:
    """CRIOBE's lattice half of the time, otherwise any grid or two strings."""
    kind = rng.random()
    if kind < 0.5:
        return load_topology()
    if kind < 0.62:
        return load_topology(str(rng.choice(["cross", "diagonals", "grid-7x7"])))
    rows, columns = rng.integers(3, 14, 2)
    return parse_topology(f"name: random\ngrid: {{rows: {rows}, columns: {columns}}}\n")


def pieces_of(topology: LatticeTopology, nodes: NDArray[np.float64], side_px: int) -> NDArray[np.float64]:
    """The strings as straight pieces ``(m, 4)`` x0 y0 x1 y1, from the frame through all nodes to the frame."""
    pieces = []
    for (start, end), string in zip(topology.string_ends, topology.strings, strict=True):
        path = np.vstack([start * (side_px - 1), nodes[list(string)], end * (side_px - 1)])
        pieces.append(np.hstack([path[:-1], path[1:]]))
    return np.concatenate(pieces)


def samples_of(scene: BenchmarkScene, rng: np.random.Generator) -> tuple[Photo, Square]:
    """Both samples of a scene; the square is straightened by corners that are a little off, as found ones are."""
    height, width = scene.image.shape[:2]
    scale = PHOTO_PX / max(height, width)
    small = cv2.resize(scene.image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    frames = np.array([frame.corners for frame in scene.frames]).reshape(-1, 4, 2)
    photo = Photo(np.asarray(small, np.uint8), (frames + 0.5) * scale - 0.5)
    if not scene.frames:
        image = cv2.resize(scene.image, (SQUARE_PX, SQUARE_PX), interpolation=cv2.INTER_AREA)
        return photo, Square(np.asarray(image, np.uint8), np.empty((0, 2)), np.zeros((SQUARE_PX, SQUARE_PX), np.uint8))
    frame = scene.frame
    corners = frame.corners + rng.normal(0, 0.003, (4, 2)) * frame.camera.px_per_unit
    nodes = Rectification.from_corners(corners, SQUARE_PX, 100.0).to_rectified(frame.nodes[frame.visible])
    strings = scene.mask("strings").astype(np.uint8) * 255
    ink = rectify(np.repeat(strings[..., None], 3, axis=2), corners, SQUARE_PX)[..., 0]
    return photo, Square(rectify(scene.image, corners, SQUARE_PX), nodes, cv2.dilate(ink, np.ones((3, 3), np.uint8)))


def setting_for(seed: int) -> str:
    """Every fifth scene is usual, two are hard, two have one trouble each."""
    if seed % 5 == 0:
        return "usual"
    return "hard" if seed % 5 < 3 else list(SWITCHES)[seed // 5 % len(SWITCHES)]


def _painted(seed: int, folder: Path) -> Path:
    path = folder / f"photo-{seed}.npz"
    if not path.exists():
        cv2.setNumThreads(1)
        rng = np.random.default_rng((seed, 3))
        scene = render_scene(seed, setting_for(seed), topology=random_topology(rng), size=SCENE_SIZE)
        photo, square = samples_of(scene, rng)
        np.savez(path, photo=photo.image, frames=photo.frames, square=square.image, nodes=square.nodes, ink=square.ink)
    return path


def _bottom(seed: int, folder: Path) -> Path:
    path = folder / f"bottom-{seed}.npy"
    if not path.exists():
        cv2.setNumThreads(1)
        plane = paint_bottom(seed, 0)
        paint_colonies(plane, tuple(random_colonies(np.random.default_rng((seed, 5)))))
        small = cv2.resize(np.clip(plane, 0, 255), (SQUARE_PX, SQUARE_PX), interpolation=cv2.INTER_AREA)
        np.save(path, small.astype(np.uint8))
    return path


def painted_scenes(seeds: range, folder: Path, workers: int = 2) -> tuple[list[Photo], list[Square]]:
    """The samples of these scenes, painted side by side where they are not in ``folder`` yet."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers) as pool:
        paths = list(pool.map(partial(_painted, folder=folder), seeds, chunksize=4))
    photos, squares = [], []
    for path in paths:
        with np.load(path) as data:
            photos.append(Photo(data["photo"], data["frames"]))
            squares.append(Square(data["square"], data["nodes"], data["ink"]))
    return photos, squares


def bottoms(seeds: range, folder: Path, workers: int = 2) -> list[NDArray[np.uint8]]:
    """Bare bottoms of ``SQUARE_PX``, kept in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers) as pool:
        return [np.load(path) for path in pool.map(partial(_bottom, folder=folder), seeds, chunksize=4)]
