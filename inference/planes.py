"""Pictures channel by channel: as networks take them, and where NumPy is slow along a last axis of three."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def planes(rgb: NDArray[np.uint8], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """The channels one after the other, of 0..1.

    Args:
        rgb: uint8 RGB ``(H, W, 3)``.
        out: float32 ``(3, H, W)`` to write into; a new one when not given.

    Returns:
        ``out``, float32 ``(3, H, W)``.
    """
    made = np.empty((3, *rgb.shape[:2]), np.float32) if out is None else out
    for channel, plane in zip(made, cv2.split(rgb), strict=True):  # plane by plane: several times as fast as at once
        np.divide(plane, np.float32(255), out=channel)
    return made


def largest_channel(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """``values.max(axis=2)`` of ``(H, W, 3)``, several times as fast."""
    first, second, third = np.moveaxis(values, 2, 0)
    return np.maximum(np.maximum(first, second), third)
