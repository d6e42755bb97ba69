"""Reading probability maps: local maxima with sub-cell places."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_REACH = 2
_SLOPE = 1e-9


def peaks(
    heat: NDArray[np.float32], least: float, most: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Local maxima of a map ``(H, W)``, highest first.

    Args:
        heat: probabilities 0..1.
        least: lower maxima are left out.
        most: how many at most; all when not given.

    Returns:
        ``(n, 2)`` x, y in the map's cells, located between cells by the centre of mass of the 5 x 5 cells around; and
        ``(n,)`` their heights.
    """
    width = 2 * _REACH + 1
    # Of equal neighbours the first counts: a slope far below float32's steps parts them.
    parted = heat.astype(np.float64) - np.linspace(0, _SLOPE, heat.size).reshape(heat.shape)
    top = cv2.dilate(parted, np.ones((width, width), np.uint8))
    rows, columns = np.nonzero((parted >= top) & (heat >= least))
    order = np.argsort(-heat[rows, columns], kind="stable")[:most]
    rows, columns = rows[order], columns[order]
    padded = np.pad(heat, _REACH)
    steps = np.arange(-_REACH, _REACH + 1)
    window = padded[rows[:, None, None] + _REACH + steps[:, None], columns[:, None, None] + _REACH + steps[None, :]]
    weight = np.maximum(window.astype(np.float64), 1e-9)
    total = weight.sum(axis=(1, 2))
    x = columns + (weight * steps[None, None, :]).sum(axis=(1, 2)) / total
    y = rows + (weight * steps[None, :, None]).sum(axis=(1, 2)) / total
    return np.column_stack([x, y]), heat[rows, columns].astype(np.float64)
