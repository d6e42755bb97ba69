"""One photo quadrat with everything known about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.scenes.camera import Shot, expose
from inference.scenes.frame import FrameStyle, Sag, paint_frame, paint_strings
from inference.scenes.reef import TAXA, Colony, Image, paint_bottom, paint_colonies
from labels.lattice import LatticeTopology, load_topology

RAW_SIZE = (2400, 2000)
UNIT_SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


@dataclass(frozen=True, slots=True)
class Scene:
    """A painted photo quadrat and its truth.

    Attributes:
        image: raw photo, uint8 RGB ``(H, W, 3)``.
        corners: ``(4, 2)`` raw pixels, inner corners of the frame's opening, 1 TL, 2 TR, 3 BR, 4 BL.
        nodes: ``(n, 2)`` raw pixels, crossings of the strings in topology order.
        nodes_unit: ``(n, 2)`` share of the frame's side.
        colonies: what grows there; their outlines are in units.
        shot: how it was taken.
        bare: paints the plane without strings, for :meth:`clean`.
    """

    image: NDArray[np.uint8]
    corners: NDArray[np.float64]
    nodes: NDArray[np.float64]
    nodes_unit: NDArray[np.float64]
    colonies: tuple[Colony, ...]
    shot: Shot
    bare: Callable[[], Image]

    def rings(self, side_px: int) -> list[tuple[str, NDArray[np.float64]]]:
        """Taxon and outline of every colony, in pixels of a rectified picture, clipped to it."""
        return [(c.taxon, np.clip(c.ring_unit, 0, 1) * (side_px - 1)) for c in self.colonies]

    def clean(self, side_px: int) -> NDArray[np.uint8]:
        """The rectified picture as it would be without strings: same light, same sensor noise; uint8 RGB."""
        raw = expose(self.bare(), self.shot)
        return self._straight(raw, side_px)

    def rectified(self, side_px: int) -> NDArray[np.uint8]:
        """The rectified picture with strings, by the true corners; uint8 RGB."""
        return self._straight(self.image, side_px)

    def _straight(self, raw: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
        scale = np.diag([side_px - 1.0, side_px - 1.0, 1.0])
        return cv2.warpPerspective(raw, scale @ np.linalg.inv(self.shot.unit_to_raw), (side_px, side_px))

    def truth_json(self) -> dict[str, Any]:
        """The truth as plain data: corners and nodes in raw pixels, nodes and outlines in units, raw -> unit matrix."""
        return {
            "corners": self.corners.round(4).tolist(),
            "nodes": self.nodes.round(4).tolist(),
            "nodes_unit": self.nodes_unit.round(7).tolist(),
            "homography": np.linalg.inv(self.shot.unit_to_raw).ravel().tolist(),
            "colonies": [
                {"taxon": c.taxon, "ring_unit": np.clip(c.ring_unit, 0, 1).round(6).tolist()} for c in self.colonies
            ],
        }


def render_quadrat(
    seed: int,
    *,
    difficulty: float = 0.4,
    topology: LatticeTopology | None = None,
    size: tuple[int, int] = RAW_SIZE,
    style: FrameStyle | None = None,
    colonies: Sequence[Colony] | None = None,
    bottom_seed: int | None = None,
    year: int = 0,
) -> Scene:
    """Paint one photo quadrat.

    Args:
        seed: of the shot, and of all that is not given.
        difficulty: 0 (calm, clear, level) to 1 (tilted, murky, blurred).
        topology: the strings; CRIOBE's 117 nodes when not given.
        size: (width, height) of the photo in pixels.
        style: how the frame looks.
        colonies: what grows there.
        bottom_seed: of sand and rock, the same for a fixed quadrat through the years.
    """
    rng = np.random.default_rng((seed, 7))
    topology = topology or load_topology()
    style = style or FrameStyle.random(rng)
    grown = tuple(random_colonies(rng) if colonies is None else colonies)
    plane = paint_bottom(seed if bottom_seed is None else bottom_seed, year)
    paint_colonies(plane, grown)
    ground = plane.copy()
    bar_seed = int(rng.integers(2**31))

    def bare() -> Image:
        without = ground.copy()
        paint_frame(without, style, np.random.default_rng(bar_seed))
        return without

    sag = Sag(rng, style.sag)
    # The frame lies on the strings' ends, so it is painted last.
    paint_strings(plane, topology, style, sag, rng)
    paint_frame(plane, style, np.random.default_rng(bar_seed))
    shot = Shot.random(rng, size, difficulty)
    nodes_unit = sag(topology.unit)
    return Scene(expose(plane, shot), shot.to_raw(UNIT_SQUARE), shot.to_raw(nodes_unit), nodes_unit, grown, shot, bare)


def random_colonies(rng: np.random.Generator, least: int = 10, most: int = 22) -> list[Colony]:
    """Colonies of 2 to 14 % of the side that do not overlap and lie within the frame."""
    colonies: list[Colony] = []
    wanted = int(rng.integers(least, most + 1))
    for _ in range(wanted * 40):
        if len(colonies) == wanted:
            break
        add_colony(rng, colonies)
    return colonies


def add_colony(
    rng: np.random.Generator, colonies: list[Colony], smallest: float = 0.022, largest: float = 0.12
) -> bool:
    """Try to settle one more colony where there is room; whether it found some."""
    radius = float(np.exp(rng.uniform(np.log(smallest), np.log(largest))))
    centre = rng.uniform(0.03, 0.97, 2)
    colony = Colony(
        TAXA[int(rng.integers(len(TAXA)))], (float(centre[0]), float(centre[1])), radius, int(rng.integers(2**31))
    )
    reach = colony.reach
    inside = reach < min(*colony.centre, 1 - colony.centre[0], 1 - colony.centre[1]) - 0.005
    gaps = [np.hypot(*(np.array(c.centre) - colony.centre)) - c.reach - reach for c in colonies]
    if not inside or any(gap < 0.004 for gap in gaps):
        return False
    colonies.append(colony)
    return True
