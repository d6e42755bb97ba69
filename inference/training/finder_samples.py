"""Training pictures for the finders, painted once and kept: scenes with corners and strings, and bare bottoms.

A scene gives two samples: the whole photo, small, with its corners; and the straightened picture with its strings.
Bare bottoms are what everything else is drawn on, and what a picture without a frame looks like.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.rectify import rectify
from inference.scenes import Scene, render_quadrat
from inference.scenes.reef import paint_bottom, paint_colonies
from inference.scenes.scene import random_colonies
from labels.lattice import LatticeTopology, load_topology, parse_topology
from labels.transforms import Rectification

PHOTO_PX = 640
"""Long side of a kept photo."""
SQUARE_PX = 800
"""Side of a kept straightened picture and of a bare bottom."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo, uint8 RGB, and its corners ``(4, 2)`` in its pixels."""

    image: NDArray[np.uint8]
    corners: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Square:
    """A straightened picture, uint8 RGB; its crossings ``(n, 2)``; the line pieces ``(m, 4)`` of its strings."""

    image: NDArray[np.uint8]
    nodes: NDArray[np.float64]
    pieces: NDArray[np.float64]


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


def samples_of(scene: Scene, topology: LatticeTopology, rng: np.random.Generator) -> tuple[Photo, Square]:
    """Both samples of a scene; the square is straightened by corners that are a little off, as found ones are."""
    height, width = scene.image.shape[:2]
    scale = PHOTO_PX / max(height, width)
    small = cv2.resize(scene.image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    photo = Photo(np.asarray(small, np.uint8), (scene.corners + 0.5) * scale - 0.5)
    off = rng.normal(0, 0.003, (4, 2)) * np.hypot(*(scene.corners[2] - scene.corners[0]))
    straight = Rectification.from_corners(scene.corners + off, SQUARE_PX, 100.0)
    nodes = straight.to_rectified(scene.nodes)
    image = rectify(scene.image, scene.corners + off, SQUARE_PX)
    return photo, Square(image, nodes, pieces_of(topology, nodes, SQUARE_PX))


def _painted(seed: int, folder: Path, paint: Callable[[int, LatticeTopology], Scene]) -> Path:
    path = folder / f"scene-{seed}.npz"
    if not path.exists():
        cv2.setNumThreads(1)
        rng = np.random.default_rng((seed, 3))
        topology = random_topology(rng)
        photo, square = samples_of(paint(seed, topology), topology, rng)
        np.savez(
            path,
            photo=photo.image,
            corners=photo.corners,
            square=square.image,
            nodes=square.nodes,
            pieces=square.pieces,
        )
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


def paint_plain(seed: int, topology: LatticeTopology) -> Scene:
    """A scene of the generator's usual settings."""
    difficulty = float(np.random.default_rng((seed, 11)).uniform(0, 1))
    return render_quadrat(seed, difficulty=difficulty, topology=topology, size=(1440, 1200))


def painted_scenes(
    seeds: range, folder: Path, paint: Callable[[int, LatticeTopology], Scene] = paint_plain, workers: int = 2
) -> tuple[list[Photo], list[Square]]:
    """The samples of these scenes, painted side by side where they are not in ``folder`` yet."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers) as pool:
        paths = list(pool.map(partial(_painted, folder=folder, paint=paint), seeds, chunksize=4))
    photos, squares = [], []
    for path in paths:
        with np.load(path) as data:
            photos.append(Photo(data["photo"], data["corners"]))
            squares.append(Square(data["square"], data["nodes"], data["pieces"]))
    return photos, squares


def bottoms(seeds: range, folder: Path, workers: int = 2) -> list[NDArray[np.uint8]]:
    """Bare bottoms of ``SQUARE_PX``, kept in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers) as pool:
        return [np.load(path) for path in pool.map(partial(_bottom, folder=folder), seeds, chunksize=4)]
