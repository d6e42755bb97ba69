"""What a lattice finder says about one rectified picture."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

OPENCV = "opencv-lattice@1"


@dataclass(frozen=True, slots=True)
class LatticeFinding:
    """The lattice of one rectified picture.

    Attributes:
        nodes: ``(n, 2)`` float64 rectified pixels, in the topology's order; always complete.
        outside: ``(n,)`` bool, True where no crossing was seen and the node is a prediction.
        residual_px: ``(n,)`` float64, distance between the node and the fitted lattice; 0 where not seen.
        score: 0..1, how well the picture supports the nodes.
        defects: readable one-line doubts; empty when all is well.
        string_width_px: width of the strings at half height, rectified pixels.
        model: reference of the finder.
        uncertainty_px: ``(n,)`` float64, two in three nodes lie within this distance of the truth, rectified pixels;
            empty when the finder does not know.
        outliers: ``(n,)`` bool, something like a crossing was seen but far off the lattice, and the lattice was
            believed; empty when the finder does not know.
        evidence: what the score was made of, by name.
    """

    nodes: NDArray[np.float64]
    outside: NDArray[np.bool_]
    residual_px: NDArray[np.float64]
    score: float
    defects: list[str] = field(default_factory=list)
    string_width_px: float = 0.0
    model: str = OPENCV
    uncertainty_px: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    outliers: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool))
    evidence: dict[str, float] = field(default_factory=dict)
