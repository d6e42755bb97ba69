"""Removing the lattice: the mask of the strings, and the picture with the strings painted over.

The mask is kept beside the clean picture, so that invented pixels stay known. What the strings and their shadows cover
is measured in ``inference.footprint``.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from inference.footprint import checked_nodes, estimate_shadow, estimate_string_width
from labels.lattice import LatticeTopology

__all__ = [
    "MODELS",
    "end_pieces",
    "estimate_shadow",
    "estimate_string_width",
    "lattice_mask",
    "measured_mask",
    "remove_lattice",
    "string_path",
]

MODELS = {"telea": "opencv-telea@1", "ns": "opencv-ns@1"}

# Half-covered pixels and the lens' blur reach this far beyond the string's half-height width, each side.
_EDGE_PX = 1.5
# Between two nodes a string bows by about this share of their distance (sag, lens).
_BOW_SHARE = 0.002
_SHIFT = 4


def lattice_mask(
    nodes: ArrayLike,
    topology: LatticeTopology,
    side_px: int,
    string_width_px: float,
    outside: ArrayLike | None = None,
    shadow_px: ArrayLike = (0.0, 0.0),
) -> NDArray[np.uint8]:
    """Where the strings are: 255 on a string, its soft edge and its shadow, 0 elsewhere.

    Args:
        nodes: ``(n, 2)`` rectified pixels, in the topology's order.
        topology: which strings join the nodes.
        side_px: side of the rectified picture.
        string_width_px: width of a string at half height, rectified pixels.
        outside: ``(n,)`` bool, True for nodes no string was seen at. A piece of string between two such nodes is left
            alone (the string is hidden or gone, and painting there would invent reef).
        shadow_px: ``(dx, dy)`` rectified pixels from a string to the far side of its shadow; see ``estimate_shadow``.

    Returns:
        ``(side_px, side_px)`` uint8.

    Raises:
        ValueError: the number of nodes is not the topology's.
    """
    points = checked_nodes(nodes, topology)
    hidden = np.zeros(topology.size, bool) if outside is None else np.asarray(outside, bool)
    mask = np.zeros((side_px, side_px), np.uint8)
    # The shadow is the string moved along; small enough moves leave no gap.
    shadow = np.asarray(shadow_px, np.float64).reshape(2)
    moves = int(np.ceil(np.hypot(*shadow) / max(2.0, string_width_px))) + 1
    shifts = [shadow * k for k in np.linspace(0.0, 1.0, moves)] if shadow.any() else [np.zeros(2)]
    for index in range(len(topology.strings)):
        path, gone = string_path(points, topology, side_px, index, hidden)
        length = np.hypot(*np.diff(path, axis=0).T)
        for shift in shifts:
            fixed = np.round((path + shift) * (1 << _SHIFT)).astype(np.int32)
            for i in range(len(fixed) - 1):
                if not (gone[i] and gone[i + 1]):
                    reach = _EDGE_PX + _BOW_SHARE * float(length[i])
                    thickness = max(1, int(np.ceil(string_width_px + 2 * reach)))
                    cv2.line(mask, fixed[i].tolist(), fixed[i + 1].tolist(), 255, thickness, cv2.LINE_8, _SHIFT)
    return mask


def measured_mask(
    rectified: NDArray[np.uint8],
    nodes: ArrayLike,
    topology: LatticeTopology,
    outside: ArrayLike | None = None,
    string_width_px: float | None = None,
) -> NDArray[np.uint8]:
    """The mask of a picture's strings, their width (unless given) and shadow measured in the picture itself."""
    width = string_width_px or estimate_string_width(rectified, nodes, topology)
    shadow = estimate_shadow(rectified, nodes, topology, width)
    return lattice_mask(nodes, topology, rectified.shape[0], width, outside, shadow)


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
    for last, extends in zip((False, True), end_pieces(topology, index, side_px), strict=True):
        if not extends:
            continue
        tip, inner, end = (-1, -2, ends[1]) if last else (0, 1, ends[0])
        reach = np.hypot(*(end - ideal[tip])) / max(np.hypot(*(ideal[tip] - ideal[inner])), 1e-9)
        extra = path[tip] + (path[tip] - path[inner]) * reach
        path = np.vstack([path, extra]) if last else np.vstack([extra, path])
        gone = np.append(gone, gone[-1]) if last else np.insert(gone, 0, gone[0])
    return path, gone


def end_pieces(topology: LatticeTopology, index: int, side_px: int) -> tuple[bool, bool]:
    """Whether string ``index`` goes on beyond its first and its last node; not so for one node alone."""
    string = topology.strings[index]
    ends, ideal = topology.string_ends[index], topology.unit[[string[0], string[-1]]]
    beyond = np.hypot(*(ends - ideal).T) * side_px >= 1
    return bool(beyond[0] and len(string) > 1), bool(beyond[1] and len(string) > 1)


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
