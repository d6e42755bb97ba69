"""What strings cover: the width of the strings and how far their shadow falls, measured in a rectified picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from labels.lattice import LatticeTopology

# A shadow darkens by at least this many grey levels, and ends where it has lost this share of its depth.
_LEAST_SHADOW = 3.0
_SHADOW_END = 0.3
# A line at least this bright beside a dark one (share of the dark one's depth) is the string that throws the shadow.
_BRIGHT_SHARE = 0.3
_LUMA = np.array([0.299, 0.587, 0.114])


def estimate_string_width(rectified: NDArray[np.uint8], nodes: ArrayLike, topology: LatticeTopology) -> float:
    """Full width at half height of the strings' mean profile, in rectified pixels.

    Profiles across the strings are taken between the nodes, shifted onto each other, and their median contrast with
    what lies left and right is measured. Returns a twentieth of a percent of the side (about 1 px of 1920) when no
    string stands out.
    """
    points = checked_nodes(nodes, topology)
    side = rectified.shape[0]
    reach = max(8.0, side / 80)
    offsets = np.arange(-reach, reach + 0.25, 0.5)
    profiles, _ = _profiles(rectified, points, topology, offsets)
    flank = np.abs(offsets) > 0.6 * reach
    contrast = profiles - np.median(profiles[:, flank], axis=1, keepdims=True)
    axis = np.median(contrast[:, np.abs(offsets) <= 1], axis=(0, 1))
    strength = float(np.linalg.norm(axis))
    if strength < 3:
        return side / 2000
    signal = contrast @ (axis / strength)
    aligned = _aligned(signal, offsets)
    profile = np.median(aligned, axis=0)
    return max(side / 2000, _half_height_width(profile, offsets))


def estimate_shadow(
    rectified: NDArray[np.uint8], nodes: ArrayLike, topology: LatticeTopology, string_width_px: float
) -> NDArray[np.float64]:
    """How far the strings' shadow falls: ``(dx, dy)`` rectified pixels to its far side, zeros where there is none.

    One light throws all shadows the same way. Strings that run alike share a profile across them; the dark lobe beside
    the string says how far the shadow reaches across, and all directions together give the vector.
    """
    points = checked_nodes(nodes, topology)
    reach = max(10.0, rectified.shape[0] / 70)
    offsets = np.arange(-reach, reach + 0.25, 0.5)
    profiles, normals = _profiles(rectified, points, topology, offsets)
    luma = profiles @ _LUMA
    luma -= np.median(luma[:, np.abs(offsets) > 0.75 * reach], axis=1, keepdims=True)
    family = np.round(np.degrees(np.arctan2(normals[:, 1], normals[:, 0])) / 15).astype(int)
    rows, falls, weights = [], [], []
    for name in np.unique(family):
        own = family == name
        rows.append(normals[own].mean(axis=0))
        falls.append(_shadow_fall(np.median(luma[own], axis=0), offsets, string_width_px / 2))
        weights.append(float(np.sqrt(own.sum())))
    weight = np.array(weights)
    solved = np.linalg.lstsq(np.array(rows) * weight[:, None], np.array(falls) * weight, rcond=None)[0]
    return np.asarray(solved, np.float64)


def _shadow_fall(profile: NDArray[np.float64], offsets: NDArray[np.float64], half_width: float) -> float:
    """Signed distance from the string's edge to the shadow's far side, 0 without a shadow."""
    best, fall = _LEAST_SHADOW, 0.0
    for side in (-1.0, 1.0):
        away = offsets * side
        beside = (away > half_width + 1) & (away < 0.75 * offsets[-1])
        if not beside.any():
            continue
        dark = np.where(beside, -profile, 0.0)
        deepest = int(dark.argmax())
        if dark[deepest] > best:
            shaded = beside & (away >= away[deepest]) & (dark >= _SHADOW_END * dark[deepest])
            best, fall = float(dark[deepest]), side * (float(away[shaded].max()) - half_width)
    return fall


def brighter_beside(
    rectified: NDArray[np.uint8], nodes: ArrayLike, topology: LatticeTopology
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]] | None:
    """The strings themselves, if the dark lines through ``nodes`` are only their shadows.

    Returns:
        The way from the shadow to the string ``(dx, dy)`` in rectified pixels, the string's contrast with the reef and
        its colour (each ``(3,)`` RGB); None when no bright line runs beside every dark one.
    """
    points = checked_nodes(nodes, topology)
    reach = max(10.0, rectified.shape[0] / 60)
    offsets = np.arange(-reach, reach + 0.25, 0.5)
    profiles, normals = _profiles(rectified, points, topology, offsets)
    far = np.abs(offsets) > 0.75 * reach
    contrast = profiles - np.median(profiles[:, far], axis=1, keepdims=True)
    family = np.round(np.degrees(np.arctan2(normals[:, 1], normals[:, 0])) / 15).astype(int)
    rows, ways, contrasts, colours = [], [], [], []
    for name in np.unique(family):
        own = family == name
        typical = np.median(contrast[own], axis=0)
        luma = np.where(far, 0.0, typical @ _LUMA)
        middle = float(luma[np.abs(offsets) <= 2].mean())
        top = int(luma.argmax())
        if middle > -_LEAST_SHADOW or luma[top] < _BRIGHT_SHARE * -middle:
            return None
        lobe = (luma >= 0.5 * luma[top]) & (offsets * offsets[top] > 0)
        rows.append(normals[own].mean(axis=0))
        ways.append(float(offsets[lobe].mean()))
        contrasts.append(typical[top])
        colours.append(np.median(profiles[own, top], axis=0))
    way = np.linalg.lstsq(np.array(rows), np.array(ways), rcond=None)[0]
    return way, np.mean(contrasts, axis=0), np.mean(colours, axis=0)


def checked_nodes(nodes: ArrayLike, topology: LatticeTopology) -> NDArray[np.float64]:
    """Nodes as ``(n, 2)`` float64.

    Raises:
        ValueError: their number is not the topology's, or some are not finite.
    """
    points = np.asarray(nodes, dtype=np.float64)
    if points.shape != (topology.size, 2) or not np.isfinite(points).all():
        raise ValueError(f"lattice {topology.name} needs {topology.size} finite nodes (n, 2), got shape {points.shape}")
    return points


def _profiles(
    rectified: NDArray[np.uint8], points: NDArray[np.float64], topology: LatticeTopology, offsets: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Colour profiles across the strings, ``(samples, offsets, 3)``, away from crossings; and each one's direction."""
    starts, stops = [], []
    for string in topology.strings:
        starts.append(points[list(string[:-1])])
        stops.append(points[list(string[1:])])
    a, b = np.concatenate(starts), np.concatenate(stops)
    along = b - a
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)[:, None]
    normal = np.column_stack([-along[:, 1], along[:, 0]]) / length
    centres = np.concatenate([a + along * t for t in (0.3, 0.4, 0.5, 0.6, 0.7)])
    normals = np.tile(normal, (5, 1))
    spots = centres[:, None, :] + normals[:, None, :] * offsets[None, :, None]
    grid = spots.astype(np.float32)
    found = cv2.remap(rectified, grid[..., 0], grid[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float64), normals


def _aligned(signal: NDArray[np.float64], offsets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Profiles shifted so that each one's centre of mass near the middle lies at offset 0."""
    near = np.abs(offsets) <= offsets[-1] * 0.5
    weight = np.clip(signal[:, near], 0, None) ** 2
    centre = (weight * offsets[near]).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-9)
    return np.array([np.interp(offsets + c, offsets, row) for row, c in zip(signal, centre, strict=True)])


def _half_height_width(profile: NDArray[np.float64], offsets: NDArray[np.float64]) -> float:
    middle = int(np.argmax(np.where(np.abs(offsets) <= offsets[-1] * 0.5, profile, -np.inf)))
    half = profile[middle] / 2
    left, right = middle, middle
    while left > 0 and profile[left] > half:
        left -= 1
    while right < len(profile) - 1 and profile[right] > half:
        right += 1

    def crossing(low: int, high: int) -> float:
        rise = profile[high] - profile[low]
        share = (half - profile[low]) / rise if rise else 0.0
        return float(offsets[low] + share * (offsets[high] - offsets[low]))

    return crossing(right, right - 1) - crossing(left, left + 1)
