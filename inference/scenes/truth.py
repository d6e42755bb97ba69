"""What is known about a generated photo: frames, corners, nodes and colonies, and what hides them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon, box

from inference.scenes.layers import Layer
from inference.scenes.optics import UNIT_SQUARE, Camera, Points
from inference.scenes.reef import Colony
from labels.transforms import Rectification

VISIBLE, HIDDEN, ABSENT, OUTSIDE = "visible", "hidden", "absent", "outside"
"""States of a corner or a node: to be seen; covered by something; not there at all; beyond the photo's border."""
_SMALLEST_UNIT2 = 1e-5
"""A colony of which less than this (square units) lies in the opening is not counted."""


@dataclass(frozen=True, slots=True)
class Outline:
    """The part of a colony that lies in the opening.

    Attributes:
        taxon: one of ``TAXA``.
        ring_unit: ``(m, 2)`` units, not closed; cut off at the opening's edge.
    """

    taxon: str
    ring_unit: Points


@dataclass(frozen=True, slots=True)
class FrameTruth:
    """One frame in a photo.

    Attributes:
        camera: how units become raw pixels (homography and lens).
        corner_states: four of ``visible``, ``hidden``, ``outside``.
        nodes_unit: ``(n, 2)`` units, where the strings cross (or would), in topology order.
        node_states: n of ``visible``, ``hidden``, ``absent``, ``outside``; ``absent`` wins over ``hidden``.
        colonies: what grows in the opening; empty where the bottom is a real photo, whose colonies nobody knows.
    """

    camera: Camera
    corner_states: tuple[str, ...]
    nodes_unit: Points
    node_states: tuple[str, ...]
    colonies: tuple[Outline, ...]

    @property
    def corners(self) -> Points:
        """Inner corners of the opening, ``(4, 2)`` raw pixels, 1 TL, 2 TR, 3 BR, 4 BL; the lens included."""
        return self.camera.corners

    @property
    def nodes(self) -> Points:
        """Nodes in raw pixels, ``(n, 2)``; the lens included."""
        return self.camera.to_raw(self.nodes_unit)

    @property
    def visible(self) -> NDArray[np.bool_]:
        """Which nodes can be seen, ``(n,)``."""
        return np.array([state == VISIBLE for state in self.node_states])

    def rectification(self, side_px: int, frame_cm: float = 100.0) -> Rectification:
        """The homography through the true corners: what a perfect corner finder gives."""
        return Rectification.from_corners(self.corners, side_px, frame_cm)

    def to_rectified(self, units: Points, side_px: int) -> Points:
        """Where points of the plane lie in the picture rectified by the true corners, ``(n, 2)`` pixels.

        Without a lens term this is ``units * (side_px - 1)``; with one it differs by some pixels between the corners.
        """
        return self.rectification(side_px).to_rectified(self.camera.to_raw(units))

    def rings(self, side_px: int) -> list[tuple[str, Points]]:
        """Taxon and outline of every colony in pixels of the picture rectified by the true corners."""
        return [(c.taxon, self.to_rectified(c.ring_unit, side_px)) for c in self.colonies]

    def to_json(self) -> dict[str, Any]:
        """As plain data; raw pixels, units, and what maps the ones to the others."""
        lens = self.camera.lens
        return {
            "corners": self.corners.round(4).tolist(),
            "corner_states": list(self.corner_states),
            "nodes": self.nodes.round(4).tolist(),
            "nodes_unit": self.nodes_unit.round(7).tolist(),
            "node_states": list(self.node_states),
            "unit_to_pinhole": self.camera.unit_to_pinhole.ravel().tolist(),
            "lens": {
                "k1": lens.k1,
                "k2": lens.k2,
                "centre": self.camera.centre.tolist(),
                "half_diagonal": self.camera.half_diagonal,
            },
            "colonies": [{"taxon": c.taxon, "ring_unit": c.ring_unit.round(6).tolist()} for c in self.colonies],
        }


def tell_frame(
    camera: Camera, nodes_unit: Points, present: NDArray[np.bool_], outlines: Sequence[Outline], above: Sequence[Layer]
) -> FrameTruth:
    """The truth about one frame.

    Args:
        camera: its pose.
        nodes_unit: ``(n, 2)`` units.
        present: ``(n,)``, whether the strings cross there.
        outlines: colonies as they grow, in units of this frame.
        above: layers that lie over its strings and may hide them.
    """
    corners = _states(camera, UNIT_SQUARE, np.ones(4, bool), [layer for layer in above if layer.kind != "frame"])
    nodes = _states(camera, nodes_unit, present, above)
    kept = tuple(part for outline in outlines for part in cut_to_opening(outline))
    return FrameTruth(camera, corners, nodes_unit, nodes, kept)


def _states(camera: Camera, units: Points, present: NDArray[np.bool_], above: Sequence[Layer]) -> tuple[str, ...]:
    raw = camera.to_raw(units)
    cover = np.zeros(len(raw))
    for layer in above:
        # A node tied to the frame's very edge counts as seen: the bar covers half of its pixel.
        cover = np.maximum(cover, layer.cover_at(raw, camera.size) - (0.25 if layer.kind == "frame" else 0))
    outside = ((raw < -0.5) | (raw > np.array(camera.size) - 0.5)).any(axis=1)
    states = np.where(cover > 0.5, HIDDEN, VISIBLE)
    states = np.where(present, states, ABSENT)
    return tuple(str(s) for s in np.where(outside & present, OUTSIDE, states))


def outlines_of(colonies: Sequence[Colony]) -> list[Outline]:
    """Colonies as outlines in their own units."""
    return [Outline(c.taxon, c.ring_unit) for c in colonies]


def cut_to_opening(outline: Outline) -> list[Outline]:
    """The parts of an outline within the opening; usually one, none for a colony outside."""
    ring = outline.ring_unit
    if ring.min() >= 0 and ring.max() <= 1:
        return [outline]
    if (ring.max(axis=0) <= 0).any() or (ring.min(axis=0) >= 1).any():
        return []
    shape = shapely.make_valid(Polygon(ring)).intersection(box(0, 0, 1, 1))
    parts = [part for part in shapely.get_parts(shape) if isinstance(part, Polygon) and part.area > _SMALLEST_UNIT2]
    return [Outline(outline.taxon, np.asarray(part.exterior.coords)[:-1]) for part in parts]
