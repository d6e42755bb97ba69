"""The inner loops of this room, compiled: several times as fast as with NumPy, and the same numbers.

``_loops.c`` is compiled when reefline is installed where there is a C compiler; elsewhere ``compiled`` is None, and
``analytics.quality.spans`` and ``analytics.quality.moves`` do the same with NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from analytics.geometry import outlines_flat
from labels.schema import Shape

compiled: ModuleType | None
try:
    from analytics.quality import _loops as compiled
except ImportError:
    compiled = None


def flat(shapes: Sequence[Shape]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """As :func:`analytics.geometry.outlines_flat`."""
    if compiled is not None:
        rings = [shape.points for shape in shapes]
        sizes = np.array(list(map(len, rings)), np.int64)
        points = np.empty(int(sizes.sum()))
        if compiled.flatten(rings, points):
            return points, sizes
    return outlines_flat(shapes)
