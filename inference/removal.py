"""Removing the lattice: the mask of the strings, and the picture with the strings painted over.

The mask is kept beside the clean picture, so that invented pixels stay known.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from labels.lattice import LatticeTopology

MODELS = {"telea": "opencv-telea@1", "ns": "opencv-ns@1"}

# Half-covered pixels and the lens' blur reach this far beyond the string's half-height width, each side.
_EDGE_PX = 1.5
_SHIFT = 4


def lattice_mask(
    nodes: ArrayLike,
    topology: LatticeTopology,
    side_px: int,
    string_width_px: float,
    outside: ArrayLike | None = None,
) -> NDArray[np.uint8]:
    """Where the strings are: 255 on a string and its soft edge, 0 elsewhere.

    Args:
        nodes: ``(n, 2)`` rectified pixels, in the topology's order.
        topology: which strings join the nodes.
        side_px: side of the rectified picture.
        string_width_px: width of a string at half height, rectified pixels.
        outside: ``(n,)`` bool, True for nodes no string was seen at. A piece of string between two such nodes is left
            alone (the string is hidden or gone, and painting there would invent reef).

    Returns:
        ``(side_px, side_px)`` uint8.

    Raises:
        ValueError: the number of nodes is not the topology's.
    """
    points = _checked(nodes, topology)
    hidden = np.zeros(topology.size, bool) if outside is None else np.asarray(outside, bool)
    mask = np.zeros((side_px, side_px), np.uint8)
    thickness = max(1, int(np.ceil(string_width_px + 2 * _EDGE_PX)))
    for index in range(len(topology.strings)):
        path, gone = string_path(points, topology, side_px, index, hidden)
        fixed = np.round(path * (1 << _SHIFT)).astype(np.int32)
        for i in range(len(fixed) - 1):
            if not (gone[i] and gone[i + 1]):
                cv2.line(mask, fixed[i].tolist(), fixed[i + 1].tolist(), 255, thickness, cv2.LINE_8, _SHIFT)
    return mask


def string_path(
    points: NDArray[np.float64],
    topology: LatticeTopology,
    side_px: int,
    index: int,
    outside: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """String ``index`` as a polyline from frame to frame, and which of its vertices are hidden.

    The pieces between the outermost nodes and the frame continue the string's own direction to the edge it ends at.
    A topology whose strings end at a node (a cross) gets no such pieces.
    """
    string = list(topology.strings[index])
    path = points[string]
    gone = np.zeros(len(string), bool) if outside is None else np.asarray(outside, bool)[string]
    ideal = topology.unit[string]
    ends = topology.string_ends[index]
    for last in (False, True):
        tip, inner = (-1, -2) if last else (0, 1)
        end = ends[1] if last else ends[0]
        if np.hypot(*(end - ideal[tip])) * side_px < 1:
            continue
        reach = np.hypot(*(end - ideal[tip])) / max(np.hypot(*(ideal[tip] - ideal[inner])), 1e-9)
        extra = path[tip] + (path[tip] - path[inner]) * reach
        path = np.vstack([path, extra]) if last else np.vstack([extra, path])
        gone = np.append(gone, gone[-1]) if last else np.insert(gone, 0, gone[0])
    return path, gone


def estimate_string_width(rectified: NDArray[np.uint8], nodes: ArrayLike, topology: LatticeTopology) -> float:
    """Full width at half height of the strings' mean profile, in rectified pixels.

    Profiles across the strings are taken between the nodes, shifted onto each other, and their median contrast with
    what lies left and right is measured. Returns a twentieth of a percent of the side (about 1 px of 1920) when no
    string stands out.
    """
    points = _checked(nodes, topology)
    side = rectified.shape[0]
    reach = max(8.0, side / 80)
    offsets = np.arange(-reach, reach + 0.25, 0.5)
    profiles = _profiles(rectified, points, topology, offsets)
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


def remove_lattice(
    rectified: NDArray[np.uint8], mask: NDArray[np.uint8], method: str = "telea", radius: int = 3
) -> NDArray[np.uint8]:
    """The clean picture: pixels under the mask are painted from their surroundings, all others stay bit for bit.

    Args:
        rectified: ``(S, S, 3)`` uint8 RGB.
        mask: ``(S, S)`` uint8, non-zero where to paint.
        method: ``telea`` (Telea 2004, fast marching) or ``ns`` (Bertalmio et al. 2001, Navier-Stokes).
        radius: how far the painter looks, pixels.

    Raises:
        ValueError: unknown method, or mask and picture differ in size.
    """
    if method not in MODELS:
        raise ValueError(f"no removal method {method!r}: use one of {', '.join(MODELS)}")
    if mask.shape != rectified.shape[:2]:
        raise ValueError(f"the mask is {mask.shape}, the picture {rectified.shape[:2]}: they must be the same size")
    flag = cv2.INPAINT_TELEA if method == "telea" else cv2.INPAINT_NS
    hole = (mask > 0).astype(np.uint8)
    clean = np.asarray(cv2.inpaint(rectified, hole, radius, flag), dtype=np.uint8)
    return np.where(hole[:, :, None] > 0, clean, rectified)


def _checked(nodes: ArrayLike, topology: LatticeTopology) -> NDArray[np.float64]:
    points = np.asarray(nodes, dtype=np.float64)
    if points.shape != (topology.size, 2) or not np.isfinite(points).all():
        raise ValueError(f"lattice {topology.name} needs {topology.size} finite nodes (n, 2), got shape {points.shape}")
    return points


def _profiles(
    rectified: NDArray[np.uint8], points: NDArray[np.float64], topology: LatticeTopology, offsets: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Colour profiles across the strings, ``(samples, offsets, 3)``, away from the crossings."""
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
    return cv2.remap(rectified, grid[..., 0], grid[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(float)


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
