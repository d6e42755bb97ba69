"""Arrays for views that are used again: fresh ones of this size cost more than what is written into them.

The system hands out large memory page by page and zeroed. Of YOLO at 1920 px (44 MB a picture) that was a tenth of all
work on a processor.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.planes import empty


class Spare:
    """Arrays that nobody uses now, by shape. Thread-safe."""

    def __init__(self, size: int) -> None:
        """Keep at most ``size`` bytes, those given back last."""
        self.size = size
        self._kept: list[NDArray[np.float32]] = []
        self._lent: weakref.WeakValueDictionary[int, NDArray[np.float32]] = weakref.WeakValueDictionary()
        self._lock = threading.Lock()

    def empty(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """An array with anything in it; see :data:`inference.planes.Empty`."""
        with self._lock:
            fitting = next((n for n, array in enumerate(self._kept) if array.shape == shape), None)
            array = empty(shape) if fitting is None else self._kept.pop(fitting)
            self._lent[id(array)] = array
        return array

    def give_back(self, array: NDArray[Any], outputs: tuple[NDArray[Any], ...] = ()) -> None:
        """An array is no longer used; one that was not made here is only let go.

        Args:
            array: what :meth:`empty` gave, and nobody writes or reads any more.
            outputs: made from it; where one of them still is its memory, it is let go too.
        """
        with self._lock:
            if self._lent.pop(id(array), None) is not array or any(
                np.may_share_memory(array, output) for output in outputs
            ):
                return
            self._kept.append(array)
            while sum(kept.nbytes for kept in self._kept) > self.size:
                self._kept.pop(0)
