"""Transforms as data: the homography from the raw photo to the rectified square, and pixels to centimetres.

Frames: raw pixels (upright photo), rectified pixels (a square of ``side_px``), centimetres on the frame. The four
corners of the frame map to the centres of the four extreme pixels, so one pixel is ``frame_cm / (side_px - 1)`` cm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.float64]


def apply_homography(matrix: ArrayLike, points: ArrayLike) -> Points:
    """Map ``(n, 2)`` points by a 3x3 homography."""
    pts = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    mapped = np.column_stack([pts, np.ones(len(pts))]) @ np.asarray(matrix, dtype=np.float64).T
    return mapped[:, :2] / mapped[:, 2:3]


def homography_from_points(source: ArrayLike, target: ArrayLike) -> Points:
    """The 3x3 homography that maps ``source`` to ``target`` (each ``(n>=4, 2)``), by the normalised DLT.

    Source: Hartley & Zisserman, Multiple View Geometry, 2nd ed., algorithm 4.2.

    Raises:
        ValueError: the points are too few or lie on a line.
    """
    src, dst = np.asarray(source, float).reshape(-1, 2), np.asarray(target, float).reshape(-1, 2)
    if len(src) != len(dst) or len(src) < 4:
        raise ValueError(f"a homography needs at least 4 pairs of points, got {len(src)} and {len(dst)}")
    if not (np.isfinite(src).all() and np.isfinite(dst).all()):
        raise ValueError("a homography needs points with finite coordinates")
    t_src, t_dst = _normalising(src), _normalising(dst)
    a, b = apply_homography(t_src, src), apply_homography(t_dst, dst)
    rows = []
    for (x, y), (u, v) in zip(a, b, strict=True):
        rows.append([-x, -y, -1, 0, 0, 0, u * x, u * y, u])
        rows.append([0, 0, 0, -x, -y, -1, v * x, v * y, v])
    _, singular, vt = np.linalg.svd(np.array(rows))
    if singular[7] < 1e-9 * singular[0]:
        raise ValueError("the points lie on a line, so no homography is defined")
    core = vt[-1].reshape(3, 3)
    if abs(np.linalg.det(core)) < 1e-9:  # the targets lie on a line: the whole picture would be folded onto it
        raise ValueError("the target points lie on a line, so no homography is defined")
    matrix = np.linalg.inv(t_dst) @ core @ t_src
    return matrix / matrix[2, 2]


def _normalising(points: Points) -> Points:
    centre = points.mean(axis=0)
    spread = np.sqrt(((points - centre) ** 2).sum(axis=1)).mean() or 1.0
    s = np.sqrt(2) / spread
    return np.array([[s, 0, -s * centre[0]], [0, s, -s * centre[1]], [0, 0, 1]])


@dataclass(frozen=True, slots=True)
class Rectification:
    """How a raw photo became a rectified square.

    Attributes:
        matrix: 3x3 row-major, raw pixels -> rectified pixels.
        side_px: side of the rectified picture in pixels.
        frame_cm: side of the real frame in centimetres.
    """

    matrix: tuple[float, ...]
    side_px: int
    frame_cm: float

    @classmethod
    def from_corners(cls, corners: ArrayLike, side_px: int, frame_cm: float) -> Rectification:
        """From the four raw corners (1 TL, 2 TR, 3 BR, 4 BL; ``(4, 2)`` pixels)."""
        end = side_px - 1
        matrix = homography_from_points(corners, [[0, 0], [end, 0], [end, end], [0, end]])
        return cls(tuple(float(v) for v in matrix.ravel()), side_px, frame_cm)

    @property
    def array(self) -> Points:
        """The 3x3 matrix, raw -> rectified."""
        return np.array(self.matrix).reshape(3, 3)

    @property
    def cm_per_px(self) -> float:
        """Centimetres per rectified pixel."""
        return self.frame_cm / (self.side_px - 1)

    def to_rectified(self, raw: ArrayLike) -> Points:
        """Raw pixels to rectified pixels, ``(n, 2)``."""
        return apply_homography(self.array, raw)

    def to_raw(self, rectified: ArrayLike) -> Points:
        """Rectified pixels to raw pixels, ``(n, 2)``."""
        return apply_homography(np.linalg.inv(self.array), rectified)

    def to_cm(self, rectified: ArrayLike) -> Points:
        """Rectified pixels to centimetres from the frame's top-left corner, ``(n, 2)``."""
        return np.asarray(rectified, float).reshape(-1, 2) * self.cm_per_px

    def to_json(self) -> dict[str, Any]:
        """As plain data, for a manifest's ``extra``."""
        return {"homography": list(self.matrix), "side_px": self.side_px, "frame_cm": self.frame_cm}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Rectification:
        """Back from :meth:`to_json`."""
        matrix: Sequence[float] = data["homography"]
        return cls(tuple(matrix), int(data["side_px"]), float(data["frame_cm"]))
