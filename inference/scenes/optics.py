"""Where a point of the frame's plane lands in the photo: a pinhole pose (homography), then a lens that bends lines.

Coordinates: *units* (the frame's opening is the square from 0 to 1), *pinhole* pixels (what a perfect lens would
give), *raw* pixels (what the photo has; pixel centres at integers). With a lens term no homography maps units to raw
pixels exactly; the true corners are the raw pixels of the four inner corners all the same, and a homography through
them is what a perfect corner finder would give, off by some pixels in the middle of the sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from labels.transforms import apply_homography, homography_from_points

Points = NDArray[np.float64]
Values = NDArray[np.float32]

UNIT_SQUARE: Points = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
_REACH = 1.7
"""Up to this multiple of the half diagonal a lens has to keep the order of points along a ray."""


@dataclass(frozen=True, slots=True)
class Lens:
    """Radial distortion after Brown (1966): ``r' = r (1 + k1 r^2 + k2 r^4)``, r in half diagonals of the photo.

    Negative ``k1`` is a barrel, positive a pincushion.

    Raises:
        ValueError: the terms would fold the picture over itself.
    """

    k1: float = 0.0
    k2: float = 0.0

    def __post_init__(self) -> None:
        r = np.linspace(0, _REACH, 200)
        if not np.isfinite([self.k1, self.k2]).all() or (1 + 3 * self.k1 * r**2 + 5 * self.k2 * r**4).min() <= 0:
            raise ValueError(
                f"lens terms k1={self.k1:g}, k2={self.k2:g} fold the picture over itself: take smaller ones"
            )

    def bend(self, radius: Points) -> Points:
        """Radius in the photo of a radius in the pinhole picture."""
        square = radius**2
        return radius * (1 + square * (self.k1 + square * self.k2))

    def straighten(self, bent: Points) -> Points:
        """The inverse of :meth:`bend`, by Newton's method; exact to about 1e-12."""
        radius = np.minimum(bent, _REACH)
        for _ in range(12):
            square = radius**2
            slope = 1 + square * (3 * self.k1 + 5 * square * self.k2)
            radius = np.clip(radius - (self.bend(radius) - bent) / slope, 0, _REACH)
        return radius


@dataclass(frozen=True, slots=True)
class Camera:
    """One pose of the camera over a frame.

    Attributes:
        unit_to_pinhole: 3x3 homography, units to pinhole pixels.
        size: (width, height) of the photo in pixels.
        lens: what the lens does to the pinhole picture.
    """

    unit_to_pinhole: NDArray[np.float64]
    size: tuple[int, int]
    lens: Lens = Lens()

    @property
    def centre(self) -> Points:
        """Principal point in pixels: the middle of the photo."""
        return (np.array(self.size, float) - 1) / 2

    @property
    def half_diagonal(self) -> float:
        """In pixels; the unit of the lens's radius."""
        return float(np.hypot(*self.size)) / 2

    @property
    def px_per_unit(self) -> float:
        """Pixels of one frame side, as the root of the opening's area."""
        x, y = apply_homography(self.unit_to_pinhole, UNIT_SQUARE).T
        return float(np.sqrt(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2))

    @property
    def corners(self) -> Points:
        """Inner corners of the opening in raw pixels, ``(4, 2)``, 1 TL, 2 TR, 3 BR, 4 BL; the lens included."""
        return self.to_raw(UNIT_SQUARE)

    def to_raw(self, units: ArrayLike) -> Points:
        """Units to raw pixels, ``(n, 2)``; closed form, so truth is exact."""
        away = (apply_homography(self.unit_to_pinhole, units) - self.centre) / self.half_diagonal
        square = (away**2).sum(axis=1, keepdims=True)
        factor = 1 + square * (self.lens.k1 + square * self.lens.k2)
        return away * factor * self.half_diagonal + self.centre

    def to_unit(self, raw: ArrayLike) -> Points:
        """Raw pixels to units, ``(n, 2)``."""
        away = (np.asarray(raw, float).reshape(-1, 2) - self.centre) / self.half_diagonal
        bent = np.hypot(*away.T)
        factor = self.lens.straighten(bent) / np.maximum(bent, 1e-12)
        factor[bent < 1e-12] = 1.0
        straight = away * factor[:, None] * self.half_diagonal + self.centre
        return apply_homography(np.linalg.inv(self.unit_to_pinhole), straight)

    def unit_rows(self, top: int, bottom: int) -> tuple[Values, Values]:
        """Every pixel of the rows ``top`` to ``bottom`` (excluded) in units: x and y, each ``(rows, width)``.

        For painting: single precision and a fitted lens, good to about 0.01 px; truth goes the other, exact way.
        """
        x = np.arange(self.size[0], dtype=np.float32)[None]
        return self._unit(x, np.arange(top, bottom, dtype=np.float32)[:, None])

    def unit_at(self, at: NDArray[np.int64]) -> Values:
        """The pixels with these flat indices in units, ``(n, 2)``; for painting, as :meth:`unit_rows`."""
        y, x = np.divmod(at, self.size[0])
        return np.stack(self._unit(x.astype(np.float32), y.astype(np.float32)), axis=1)

    def _unit(self, x: Values, y: Values) -> tuple[Values, Values]:
        x, y = x - np.float32(self.centre[0]), y - np.float32(self.centre[1])
        if self.lens != Lens():
            bent = np.linspace(0.01, 1.02, 400)
            terms = np.polynomial.Polynomial.fit(bent**2, self.lens.straighten(bent) / bent, 7).convert().coef
            square = (x**2 + y**2) / np.float32(self.half_diagonal**2)
            factor = np.full_like(square, terms[-1])
            for term in terms[-2::-1]:
                factor *= square
                factor += np.float32(term)
            x, y = x * factor, y * factor
        shift = np.array([[1, 0, self.centre[0]], [0, 1, self.centre[1]], [0, 0, 1]])
        m = (np.linalg.inv(self.unit_to_pinhole) @ shift).astype(np.float32)
        w = 1 / (m[2, 0] * x + m[2, 1] * y + m[2, 2])
        return (m[0, 0] * x + m[0, 1] * y + m[0, 2]) * w, (m[1, 0] * x + m[1, 1] * y + m[1, 2]) * w


def random_camera(
    rng: Generator,
    size: tuple[int, int],
    fill: tuple[float, float],
    turn_deg: float,
    tilt: float,
    lens: Lens,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Camera:
    """A camera as a diver holds it.

    Args:
        fill: range of the opening's side as a share of the photo's short side.
        turn_deg: largest turn about the camera's axis.
        tilt: largest displacement of a corner, as a share of the opening's side.
        shift: of the opening's centre, as a share of the photo's short side.
    """
    short = min(size)
    side = short * rng.uniform(*fill)
    turn = np.deg2rad(rng.uniform(-1, 1) * turn_deg)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    centre = (np.array(size) - 1) / 2 + short * (rng.uniform(-0.012, 0.012, 2) + np.array(shift))
    corners = (UNIT_SQUARE - 0.5) @ rotation.T * side + rng.uniform(-1, 1, (4, 2)) * side * tilt + centre
    return Camera(homography_from_points(UNIT_SQUARE, corners), size, lens)
