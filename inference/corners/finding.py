"""What a corner finder says about one photo."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

OPENCV = "opencv-corners@2"


@dataclass(frozen=True, slots=True)
class CornerFinding:
    """The corners of one photo, or why there are none.

    Attributes:
        points: ``(4, 2)`` float64 raw pixels, 1 TL, 2 TR, 3 BR, 4 BL; None when no frame was found.
        score: 0..1, how well the picture supports them; 0 when there are none.
        defects: readable one-line doubts; empty when all is well.
        method: how they were found: ``borders`` (by geometry), ``heatmap`` (by the network), or both.
        model: reference of the finder.
        evidence: what the score was made of, by name.
    """

    points: NDArray[np.float64] | None
    score: float
    defects: list[str] = field(default_factory=list)
    method: str = "borders"
    model: str = OPENCV
    evidence: dict[str, float] = field(default_factory=dict)
