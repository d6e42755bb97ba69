"""What an outline is."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from shapely.geometry import LinearRing, Polygon, box

Ring = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outline:
    """A polygon with holes; rings are ``(n >= 3, 2)`` pixels, not closed. Pixel (0, 0) reaches from -0.5 to 0.5."""

    ring: Ring
    holes: list[Ring] = field(default_factory=list)

    @property
    def area(self) -> float:
        """Area without holes, in square pixels."""
        return float(Polygon(self.ring, self.holes).area)

    def scaled(
        self, factor_x: float, factor_y: float | None = None, shift: tuple[float, float] = (0.0, 0.0)
    ) -> Outline:
        """The outline in a picture that is ``factor`` times as large, then moved by ``shift``.

        Pixel edges go to pixel edges: x becomes ``(x + 0.5) * factor - 0.5``.
        """
        by = np.array([factor_x, factor_x if factor_y is None else factor_y])
        rings = [(ring + 0.5) * by - 0.5 + np.array(shift) for ring in (self.ring, *self.holes)]
        return Outline(rings[0], rings[1:])

    def within(self, width: int, height: int) -> Outline:
        """What of the outline lies in a picture: at its border, the mean line of a colony may run just outside."""
        low, high = np.full(2, -0.5), np.array([width, height]) - 0.5
        if ((self.ring >= low) & (self.ring <= high)).all():
            return self
        inside = Polygon(self.ring, self.holes).intersection(box(*low, *high))
        parts = [part for part in getattr(inside, "geoms", [inside]) if part.geom_type == "Polygon"]
        largest = max(parts, key=lambda part: float(part.area))
        return Outline(_open(largest.exterior), [_open(hole) for hole in largest.interiors])


def _open(ring: LinearRing) -> Ring:
    return np.asarray(ring.coords, np.float64)[:-1]
