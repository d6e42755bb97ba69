"""Rectifying: the raw photo warped so that the frame's opening becomes a square.

Belongs here: pixels only. The homography as data (and points, centimetres) is ``labels.transforms.Rectification``.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from labels.transforms import Rectification

# Below this much shrinking a cubic warp alone does not alias visibly.
_PREFILTER_FROM = 1.25


def rectify(image_rgb: NDArray[np.uint8], corners: ArrayLike, side_px: int) -> NDArray[np.uint8]:
    """The square picture inside the frame.

    Args:
        image_rgb: raw photo, ``(H, W, 3)`` uint8 RGB.
        corners: ``(4, 2)`` raw pixels, 1 TL, 2 TR, 3 BR, 4 BL; they map to the centres of the four extreme pixels.
        side_px: side of the result.

    Returns:
        ``(side_px, side_px, 3)`` uint8 RGB, rectified frame. What lies outside the photo is black.

    Raises:
        ValueError: the corners are not four finite points that span an area, or ``side_px`` is under 2.
    """
    points = np.asarray(corners, dtype=np.float64)
    if points.shape != (4, 2) or not np.isfinite(points).all():
        raise ValueError(f"rectifying needs four finite corners (4, 2), got an array of shape {points.shape}")
    if side_px < 2:
        raise ValueError(f"the rectified side must be at least 2 px, got {side_px}")
    # The frame's size in centimetres does not change pixels, so any value serves here.
    matrix = Rectification.from_corners(points, side_px, 100.0).array
    source, to_source = _shrunk(image_rgb, points, side_px)
    total = matrix @ np.linalg.inv(to_source)
    warped = cv2.warpPerspective(
        source, total, (side_px, side_px), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT, borderValue=(0, 0, 0)
    )
    return np.asarray(warped, dtype=np.uint8)


def _shrunk(image: NDArray[np.uint8], corners: NDArray[np.float64], side_px: int) -> tuple[NDArray[np.uint8], NDArray]:
    """The part of the photo around the frame, area-averaged if the warp shrinks, and the 3x3 raw -> this picture."""
    height, width = image.shape[:2]
    low = np.clip(np.floor(corners.min(axis=0)).astype(int) - 4, 0, [width - 1, height - 1])
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 5, low + 1, [width, height])
    crop = image[low[1] : high[1], low[0] : high[0]]
    shift = np.array([[1.0, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1]])
    edges = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    # The shortest side sets the factor: the least shrunk part must not lose detail.
    factor = float(edges.min()) / (side_px - 1)
    if factor < _PREFILTER_FROM:
        return crop, shift
    size = (max(1, round(crop.shape[1] / factor)), max(1, round(crop.shape[0] / factor)))
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
    sx, sy = size[0] / crop.shape[1], size[1] / crop.shape[0]
    # Pixel centres at integers: x' = (x + 0.5) * s - 0.5.
    scale = np.array([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5], [0, 0, 1.0]])
    return np.asarray(small, dtype=np.uint8), scale @ shift
