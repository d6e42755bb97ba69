"""Who computes now: the engine with all processors, or the crews around it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from inference.engines import Engine
from inference.runner.channel import ClosedError


class Turns:
    """Takes turns between an engine that uses every processor and the crews that decode, prepare and finish.

    Such an engine cuts each layer into as many equal parts as there are processors. A crew that takes one of them away
    for a while holds up all parts, so that an hour of decoding beside it costs about an hour of every processor. In
    turns it costs what it takes, shared by all crews. What waits for disks and networks takes no turn.
    """

    def __init__(self, *, wanted: bool = True) -> None:
        """``wanted``: false where the engine leaves processors to the crews; then nobody ever waits."""
        self._wanted = wanted
        self._engine = self._aborted = False
        self._waiting = self._at_work = self._owed = 0
        self._changed = threading.Condition()

    @contextmanager
    def crew(self) -> Iterator[None]:
        """Compute beside other crews, while the engine rests.

        Raises:
            ClosedError: the run is over.
        """
        with self._changed:
            self._waiting += 1
            self._until(lambda: not self._engine)
            self._waiting -= 1
            self._at_work += 1
            self._owed = max(0, self._owed - 1)
        try:
            yield
        finally:
            with self._changed:
                self._at_work -= 1
                self._changed.notify_all()

    @contextmanager
    def engine(self) -> Iterator[None]:
        """Compute alone. Whoever waited during the call before comes first.

        Raises:
            ClosedError: the run is over.
        """
        with self._changed:
            self._until(lambda: not self._engine and not self._at_work and not self._owed)
            self._engine = True
        try:
            yield
        finally:
            with self._changed:
                self._engine, self._owed = False, self._waiting
                self._changed.notify_all()

    def abort(self) -> None:
        """Stop everyone who waits here, now."""
        with self._changed:
            self._aborted = True
            self._changed.notify_all()

    def _until(self, mine: Callable[[], bool]) -> None:
        self._changed.wait_for(lambda: mine() or self._aborted or not self._wanted)
        if self._aborted:
            raise ClosedError


def lanes_of(engine: Engine) -> int:
    """Calls of the engine at a time.

    On a processor as many as its threads leave room for. On a GPU two: while one computes, the next one's pictures are
    put together and sent.
    """
    if engine.device.startswith("cpu"):
        cores = os.cpu_count() or 1
        return max(1, cores // (engine.threads or cores))
    return 2


def uses_all_processors(engine: Engine) -> bool:
    """Whether a call of the engine leaves no processor to others."""
    return engine.device.startswith("cpu") and (engine.threads or os.cpu_count() or 1) >= (os.cpu_count() or 1)
