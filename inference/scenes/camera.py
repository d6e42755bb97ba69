"""The camera: tilt, light, water, lens and sensor."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inference.scenes.reef import MARGIN, PX_PER_UNIT, Image, noise
from labels.transforms import apply_homography, homography_from_points


@dataclass(frozen=True, slots=True)
class Shot:
    """One exposure.

    Attributes:
        unit_to_raw: 3x3 homography, units -> raw pixels.
        size: (width, height) of the raw photo in pixels.
        cast: factors on R, G, B by the water.
        blur: sigma in pixels.
        noise: sigma of the sensor noise, 0..255.
        seed: of light and sensor noise, so that the same shot can be taken again without strings.
    """

    unit_to_raw: NDArray[np.float64]
    size: tuple[int, int]
    cast: tuple[float, float, float]
    blur: float
    noise: float
    vignette: float
    shade: float
    seed: int

    @classmethod
    def random(cls, rng: Generator, size: tuple[int, int], difficulty: float) -> Shot:
        """A shot as a diver takes it; ``difficulty`` 0..1 makes tilt, blur and cast worse."""
        width, height = size
        side = min(size) * rng.uniform(0.76, 0.81)
        turn = np.deg2rad(rng.uniform(-1, 1) * (2 + 5 * difficulty))
        square = (np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) - 0.5) * side
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        slack = 0.012 * min(size)
        centre = np.array([width / 2, height / 2]) + rng.uniform(-slack, slack, 2)
        tilt = rng.uniform(-1, 1, (4, 2)) * side * (0.008 + 0.022 * difficulty)
        corners = square @ rotation.T + centre + tilt
        matrix = homography_from_points([[0, 0], [1, 0], [1, 1], [0, 1]], corners)
        water = rng.uniform(0.2, 0.5 + 0.5 * difficulty)
        cast = (1 - 0.42 * water, 1 - 0.06 * water, 1 - 0.02 * water)
        return cls(
            matrix,
            size,
            cast,
            float(rng.uniform(0.5, 0.8 + 0.9 * difficulty)),
            float(rng.uniform(1.5, 3 + 3 * difficulty)),
            float(rng.uniform(0.1, 0.2 + 0.2 * difficulty)),
            float(rng.uniform(0.04, 0.10 + 0.12 * difficulty)),
            int(rng.integers(2**31)),
        )

    def to_raw(self, points_unit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Units to raw pixels, ``(n, 2)``."""
        return apply_homography(self.unit_to_raw, points_unit)


def expose(plane: Image, shot: Shot) -> NDArray[np.uint8]:
    """Take the photo: uint8 RGB ``(height, width, 3)``."""
    to_unit = np.array([[1 / PX_PER_UNIT, 0, -MARGIN], [0, 1 / PX_PER_UNIT, -MARGIN], [0, 0, 1]])
    matrix = shot.unit_to_raw @ to_unit
    image = cv2.warpPerspective(plane, matrix, shot.size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    rng = np.random.default_rng(shot.seed)
    width, height = shot.size
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    light = (1 - shot.vignette * (x**2 + y**2) / 2).astype(np.float32)
    light = light * (1 + shot.shade * noise(rng, (height, width), min(shot.size) / 3))
    image = image * (light[..., None] * np.array(shot.cast, np.float32))
    image = cv2.GaussianBlur(image, (0, 0), shot.blur)
    # The same grain in all channels is cheap and looks like a camera's luminance noise.
    image += (shot.noise * rng.standard_normal((height, width), dtype=np.float32))[..., None]
    return np.clip(image, 0, 255).astype(np.uint8)
