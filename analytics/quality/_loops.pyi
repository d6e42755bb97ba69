"""What ``_loops.c`` offers; arrays are contiguous and of 8 bytes a number."""

import numpy as np
from numpy.typing import NDArray

def flatten(lists: list[list[float]], found: NDArray[np.float64], /) -> bool: ...
def outline_iou(
    points: NDArray[np.float64],
    sizes: NDArray[np.int64],
    ds: int,
    width: int,
    height: int,
    most: int,
    found: NDArray[np.float64],
    /,
) -> bool: ...
def moved(
    corners: NDArray[np.float64],
    starts: NDArray[np.int64],
    counts: NDArray[np.int64],
    found: NDArray[np.float64],
    /,
) -> None: ...
