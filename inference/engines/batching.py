"""How many pictures one call should hold: measured while working, and remembered for the process."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

CPU_CALL_VALUES = 3 * 640 * 640
"""On a processor a call gains nothing beyond about one picture's work (measured: batch 4 did not help), but small views
are worth packing: a call costs about as much as its overhead below that."""
WORTH = 1.05
"""A larger batch must be this much faster per picture to be kept."""


class BatchSize:
    """The batch size of one model on one device for one shape of view.

    On a GPU it starts at one picture and doubles while that makes pictures at least 5 % faster; out-of-memory sets a
    ceiling. On a processor it is fixed by the size of a view.
    """

    _known: dict[tuple[str, tuple[int, ...]], BatchSize] = {}  # noqa: RUF012 - of the class on purpose
    _guard = threading.Lock()

    @classmethod
    def of(cls, model: str, view: tuple[int, ...], *, on_cpu: bool) -> BatchSize:
        """The one of this process for a model on a device and views of ``(C, H, W)``."""
        with cls._guard:
            key = (model, tuple(view))
            if key not in cls._known:
                cls._known[key] = cls(view, on_cpu=on_cpu)
            return cls._known[key]

    def __init__(self, view: tuple[int, ...], *, on_cpu: bool) -> None:
        """Nothing is known yet."""
        self.ceiling: int | None = None
        self._size = max(1, CPU_CALL_VALUES // max(1, math.prod(view))) if on_cpu else 1
        self._growing = not on_cpu
        self._best_rate, self._best_size, self._calls = 0.0, 1, 0
        self._lock = threading.Lock()

    def best(self, limit: int | None = None) -> int:
        """Pictures that a call should hold. ``limit``: the number that the model is made for, if it is."""
        return limit or min(self._size, self.ceiling or self._size)

    def halve(self, tried: int) -> None:
        """A call with ``tried`` pictures did not fit."""
        with self._lock:
            self.ceiling = max(1, min(tried // 2, self.ceiling or tried))
            self._size, self._growing = min(self._size, self.ceiling), False

    @contextmanager
    def timed(self, count: int) -> Iterator[None]:
        """Measure a call of ``count`` pictures and learn from it."""
        started = time.perf_counter()
        yield
        rate = count / max(time.perf_counter() - started, 1e-9)
        with self._lock:
            if self._growing and count == self._size:
                self._learn(rate)

    def _learn(self, rate: float) -> None:
        self._calls += 1
        if self._calls == 1:  # the first call of a size also plans and allocates
            return
        self._calls = 0
        if rate >= self._best_rate * WORTH:
            self._best_rate, self._best_size = rate, self._size
            self._size *= 2
        else:
            self._size, self._growing = self._best_size, False
