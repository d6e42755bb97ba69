"""What ``_contours.c`` offers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

def contours(
    crops: Sequence[NDArray[np.uint8]], offsets: NDArray[np.int32], /
) -> tuple[bytearray, bytearray, bytearray, bytearray]: ...
