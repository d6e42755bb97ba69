"""The mask of the strings: what they and their shadows cover, antialiased, and what of it is still seen.

The mask is kept beside the clean picture, so that painted pixels stay known. How wide the strings are and how far
their shadow falls is measured in ``inference.footprint``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from inference.footprint import checked_nodes, estimate_shadow, estimate_string_width
from labels.lattice import LatticeTopology

# Half-covered pixels and the lens' blur reach this far beyond the string's half-height width, each side.
_EDGE_PX = 1.5
# Between two nodes a string bows by about this share of their distance (sag, lens).
_BOW_SHARE = 0.002
_SHIFT = 4
_LEAST_ALPHA = 48


@dataclass(frozen=True, slots=True)
class Mask:
    """What is painted over in one picture.

    Attributes:
        alpha: ``(H, W)`` uint8, how much of the painted pixel shows: 255 inside, less on the soft edge, 0 = untouched.
        core: ``(H, W)`` bool, where something opaque hides the reef. Elsewhere in the mask the reef lies in a shadow,
            and a method that can may use what is seen there.
    """

    alpha: NDArray[np.uint8]
    core: NDArray[np.bool_]

    def __post_init__(self) -> None:
        """Check that both are of one picture.

        Raises:
            ValueError: wrong type or shape.
        """
        if self.alpha.ndim != 2 or self.alpha.dtype != np.uint8:
            raise ValueError(f"a mask is (H, W) uint8, got {self.alpha.shape} {self.alpha.dtype}")
        if self.core.shape != self.alpha.shape or self.core.dtype != np.bool_:
            raise ValueError(f"the core is {self.core.shape} {self.core.dtype}, expected {self.alpha.shape} bool")

    @classmethod
    def of(cls, where: ArrayLike) -> Self:
        """A hard-edged mask of everything that is not zero, all of it opaque."""
        hole = np.asarray(where) != 0
        return cls(hole.astype(np.uint8) * np.uint8(255), hole)

    @property
    def hole(self) -> NDArray[np.uint8]:
        """Every pixel that may change, as stored beside the clean picture: 255 there, 0 elsewhere."""
        return (self.alpha > 0).astype(np.uint8) * np.uint8(255)

    def __or__(self, other: Mask) -> Mask:
        """Both masks together."""
        return Mask(np.maximum(self.alpha, other.alpha), self.core | other.core)


def string_mask(
    nodes: ArrayLike,
    topology: LatticeTopology,
    side_px: int,
    string_width_px: float,
    outside: ArrayLike | None = None,
    shadow_px: ArrayLike = (0.0, 0.0),
    dilation_px: float = 0.0,
) -> Mask:
    """Where the strings and their shadows are.

    Args:
        nodes: ``(n, 2)`` rectified pixels, in the topology's order.
        topology: which strings join the nodes.
        side_px: side of the rectified picture.
        string_width_px: width of a string at half height, rectified pixels.
        outside: ``(n,)`` bool, True for nodes no string was seen at. A piece of string between two such nodes is left
            alone (the string is hidden or gone, and painting there would invent reef).
        shadow_px: ``(dx, dy)`` rectified pixels from a string to the far side of its shadow; see ``estimate_shadow``.
        dilation_px: how much wider than measured, each side.

    Raises:
        ValueError: the number of nodes is not the topology's, or a size is not positive.
    """
    if side_px < 1 or not string_width_px > 0 or dilation_px < 0:
        raise ValueError(
            f"a mask needs a side and a string width over 0 and no negative dilation, got {side_px}, "
            f"{string_width_px} and {dilation_px}"
        )
    points = checked_nodes(nodes, topology)
    hidden = np.zeros(topology.size, bool) if outside is None else np.asarray(outside, bool)
    # The shadow is the string moved along; small enough moves leave no gap.
    shadow = np.asarray(shadow_px, np.float64).reshape(2)
    moves = int(np.ceil(np.hypot(*shadow) / max(2.0, string_width_px))) + 1
    shifts = [shadow * k for k in np.linspace(0.0, 1.0, moves)] if shadow.any() else [np.zeros(2)]
    alpha, core = (np.zeros((side_px, side_px), np.uint8) for _ in range(2))
    width = string_width_px + 2 * dilation_px
    for index in range(len(topology.strings)):
        path, gone = string_path(points, topology, side_px, index, hidden)
        for shift in shifts:
            _draw(alpha, path + shift, gone, width, cv2.LINE_AA)
        _draw(core, path, gone, width, cv2.LINE_8)
    return without_traces(alpha, core > 0)


def without_traces(alpha: NDArray[np.uint8], core: NDArray[np.bool_]) -> Mask:
    """A mask less its faintest edge: a trace of paint is not worth calling a pixel invented."""
    kept = np.where(alpha < _LEAST_ALPHA, np.uint8(0), alpha)
    return Mask(kept, core & (kept > 0))


def _draw(
    canvas: NDArray[np.uint8], path: NDArray[np.float64], gone: NDArray[np.bool_], width: float, kind: int
) -> None:
    """One string, piece by piece, in place."""
    length = np.hypot(*np.diff(path, axis=0).T)
    fixed = np.round(path * (1 << _SHIFT)).astype(np.int32)
    for i in range(len(fixed) - 1):
        if not (gone[i] and gone[i + 1]):
            reach = _EDGE_PX + _BOW_SHARE * float(length[i])
            # An antialiased line covers about half a pixel more on each side than a plain one.
            thickness = max(1, int(np.ceil(width + 2 * reach)) - (kind == cv2.LINE_AA))
            cv2.line(canvas, fixed[i].tolist(), fixed[i + 1].tolist(), 255, thickness, kind, _SHIFT)


def lattice_mask(
    nodes: ArrayLike,
    topology: LatticeTopology,
    side_px: int,
    string_width_px: float,
    outside: ArrayLike | None = None,
    shadow_px: ArrayLike = (0.0, 0.0),
) -> NDArray[np.uint8]:
    """``(side_px, side_px)`` uint8: 255 on a string, its soft edge and its shadow; see :func:`string_mask`."""
    return string_mask(nodes, topology, side_px, string_width_px, outside, shadow_px).hole


def measured_string_mask(
    rectified: NDArray[np.uint8],
    nodes: ArrayLike,
    topology: LatticeTopology,
    outside: ArrayLike | None = None,
    string_width_px: float | None = None,
    dilation_px: float = 0.0,
) -> Mask:
    """The mask of a picture's strings, their width (unless given) and shadow measured in the picture itself."""
    width = string_width_px or estimate_string_width(rectified, nodes, topology)
    shadow = estimate_shadow(rectified, nodes, topology, width)
    return string_mask(nodes, topology, rectified.shape[0], width, outside, shadow, dilation_px)


def measured_mask(
    rectified: NDArray[np.uint8],
    nodes: ArrayLike,
    topology: LatticeTopology,
    outside: ArrayLike | None = None,
    string_width_px: float | None = None,
) -> NDArray[np.uint8]:
    """As :func:`measured_string_mask`, as ``(S, S)`` uint8 of 0 and 255."""
    return measured_string_mask(rectified, nodes, topology, outside, string_width_px).hole


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
