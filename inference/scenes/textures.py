"""Real photos as the bottom of generated scenes, and lattices painted on real photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from inference.decode import UndecodableImage, decode
from inference.scenes.hanging import hang
from inference.scenes.layers import Layer, Picture
from inference.scenes.optics import UNIT_SQUARE, Camera
from inference.scenes.seabed import Plane
from inference.scenes.thread import Thread, paint_thread
from inference.scenes.truth import FrameTruth, tell_frame
from labels.lattice import LatticeTopology, load_topology
from labels.transforms import homography_from_points

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".heic", ".avif")
EDGE_SHARE = 0.085
"""Cut off each edge of a texture: photo quadrats usually show their own frame there."""
_SMALLEST_PX = 200
_FOCUS_PX = 0.55
"""Sigma of an antialiased edge in a sharp photo."""


class TextureError(ValueError):
    """A folder or picture cannot serve as a texture; the message says why."""


@dataclass(frozen=True, slots=True)
class Textures:
    """Real photos to use as the bottom.

    Attributes:
        pictures: uint8 RGB ``(H, W, 3)`` arrays, at least one.
        edge_share: cut off each edge of each picture, 0 to under 0.4.

    Raises:
        TextureError: none, or one that is no such array or too small.
    """

    pictures: Sequence[Picture]
    edge_share: float = EDGE_SHARE

    def __post_init__(self) -> None:
        if not self.pictures:
            raise TextureError("no pictures to use as textures")
        if not 0 <= self.edge_share < 0.4:
            raise TextureError(
                f"a share of 0 to under 0.4 can be cut off each edge of a texture, got {self.edge_share:g}"
            )
        for number, picture in enumerate(self.pictures, 1):
            if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
                raise TextureError(
                    f"texture {number}: expected uint8 RGB (height, width, 3), got {picture.dtype} {picture.shape}"
                )
            if min(picture.shape[:2]) < _SMALLEST_PX:
                raise TextureError(
                    f"texture {number}: {picture.shape[1]} x {picture.shape[0]} px is too small, "
                    f"{_SMALLEST_PX} px a side are needed"
                )

    @classmethod
    def of_folder(cls, folder: Path, edge_share: float = EDGE_SHARE) -> Textures:
        """Every photo in a folder, in the order of the names.

        Raises:
            TextureError: no such folder, no photos in it, or one that cannot be read.
        """
        if not folder.is_dir():
            raise TextureError(f"no folder {folder}")
        paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
        if not paths:
            raise TextureError(f"no photos in {folder} (looked for {', '.join(SUFFIXES)})")
        pictures = []
        for path in paths:
            try:
                pictures.append(decode(path.read_bytes()).image)
            except UndecodableImage as error:
                raise TextureError(f"{path}: {error}") from error
        return cls(pictures, edge_share)

    def plane(self, rng: Generator, px_per_unit: float) -> Plane:
        """One of them as the plane of a scene: turned and flipped, a little larger than the frame, mirrored beyond."""
        picture = self.pictures[int(rng.integers(len(self.pictures)))]
        cut = [round(side * self.edge_share) for side in picture.shape[:2]]
        picture = picture[cut[0] : picture.shape[0] - cut[0], cut[1] : picture.shape[1] - cut[1]]
        picture = np.rot90(picture, int(rng.integers(4)))
        picture = picture[:, ::-1] if rng.random() < 0.5 else picture
        span = float(rng.uniform(1.0, 1.4))  # units along its short side
        own = min(picture.shape[:2]) / span
        if own > 1.2 * px_per_unit:  # a photo finer than the scene would alias
            factor = px_per_unit / own
            picture = cv2.resize(
                np.ascontiguousarray(picture), None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA
            )
            own = min(picture.shape[:2]) / span
        half = np.array(picture.shape[1::-1]) / own / 2
        origin = 0.5 - half + rng.uniform(-0.1, 0.1, 2)
        return Plane(np.ascontiguousarray(picture), (float(origin[0]), float(origin[1])), own)


@dataclass(frozen=True, slots=True)
class PaintedLattice:
    """A lattice painted on a photo.

    Attributes:
        image: the photo with strings, uint8 RGB.
        frame: corners, nodes and their states in raw pixels of the photo; no colonies.
        mask: ``(H, W)`` bool, exactly the pixels that differ from ``clean``.
        clean: the photo as it was.
    """

    image: Picture
    frame: FrameTruth
    mask: NDArray[np.bool_]
    clean: Picture


def paint_lattice(
    photo: Picture,
    corners: ArrayLike,
    topology: LatticeTopology | None = None,
    seed: int = 0,
    *,
    thread: Thread | None = None,
    sag: float = 0.002,
    missing: int = 0,
    cuts: int = 0,
) -> PaintedLattice:
    """Paint a lattice inside the frame of a real photo.

    Strings take the light of the place they hang over (a flash's fall-off, a shaded side), the sharpness and a little
    grain of a photo, and throw a shadow; what lies in the photo already (its own strings, a tape) stays under them.

    Args:
        photo: uint8 RGB ``(H, W, 3)``.
        corners: ``(4, 2)`` raw pixels, inner corners of the frame's opening, 1 TL, 2 TR, 3 BR, 4 BL.
        topology: the strings; CRIOBE's 117 nodes when not given.
        seed: everything follows from it.
        thread: how the strings look; one of the usual kinds when not given.
        sag: how far strings hang out of their place, as a share of the frame's side.
        missing: number of strings that are gone.
        cuts: number of strings that are cut.

    Raises:
        ValueError: the corners do not span a frame.
    """
    rng = np.random.default_rng((seed, 53))
    topology = topology or load_topology()
    thread = thread or Thread.random(rng)
    size = (photo.shape[1], photo.shape[0])
    camera = Camera(homography_from_points(UNIT_SQUARE, corners), size)
    hung = hang(topology, rng, sag, missing, cuts)
    paths = [camera.to_raw(piece) for piece in hung.pieces]
    layer = paint_thread(paths, size, thread.width * camera.px_per_unit, thread, rng, _FOCUS_PX)
    image = photo.copy()
    _in_its_light(layer, photo, camera.px_per_unit, rng).onto(image)
    truth = tell_frame(camera, hung.nodes_unit, hung.present, [], [])
    return PaintedLattice(image, truth, (image != photo).any(axis=2), photo)


def _in_its_light(layer: Layer, photo: Picture, px_per_unit: float, rng: Generator) -> Layer:
    """The layer in the photo's own light: half as uneven as the bottom, which is uneven by itself too."""
    small = cv2.resize(photo, None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA).astype(np.float32)
    wide = cv2.GaussianBlur(small, (0, 0), max(0.5, 0.10 * px_per_unit / 8))
    usual = np.median(wide.reshape(-1, 3), axis=0) + 1
    light = cv2.resize(np.sqrt((wide + 8) / (usual + 8)), photo.shape[1::-1]).reshape(-1, 3)[layer.at]
    grain = rng.normal(0, 2.5, (len(layer.at), 1)).astype(np.float32)
    colour = np.clip(layer.colour * np.clip(light, 0.5, 1.35) + grain, 0, 255).astype(np.float32)
    return Layer(layer.kind, layer.at, layer.cover, colour, layer.shade)
