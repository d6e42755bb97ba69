"""A bounded queue that can be closed, and a budget of bytes: the runner's back-pressure."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class ClosedError(Exception):
    """Nothing more comes, or nothing more is wanted: the thread's work is over."""


class Channel(Generic[T]):
    """A queue between two crews of threads."""

    def __init__(self, size: int) -> None:
        """Hold at most ``size`` items."""
        self._items: deque[T] = deque()
        self._size = size
        self._closed = self._aborted = False
        self._changed = threading.Condition()

    def put(self, item: T, most: int | None = None) -> None:
        """Add an item; waits while the queue is full.

        Args:
            item: to add.
            most: items that are enough now, when that is fewer than the queue can hold.

        Raises:
            ClosedError: nobody will take it.
        """
        with self._changed:
            full = min(self._size, most or self._size)
            self._changed.wait_for(lambda: len(self._items) < full or self._aborted)
            if self._aborted:
                raise ClosedError
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> T:
        """The next item; waits for one.

        Raises:
            ClosedError: all items were taken and no more will come.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed or self._aborted)
            if self._aborted or not self._items:
                raise ClosedError
            self._changed.notify_all()
            return self._items.popleft()

    def get_if(self, fits: Callable[[T], bool]) -> T | None:
        """The next item, when there is one now and it fits."""
        with self._changed:
            if self._aborted or not self._items or not fits(self._items[0]):
                return None
            self._changed.notify_all()
            return self._items.popleft()

    def close(self) -> None:
        """No more items will be put; those in the queue are still taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abort(self) -> None:
        """Stop everyone who waits here, now."""
        with self._changed:
            self._aborted = True
            self._items.clear()
            self._changed.notify_all()


class ByteBudget:
    """Bytes that pictures under way may hold together.

    A picture is let in by an estimate; what it turns out to hold is set afterwards and never waits, so pictures under
    way always get through. One that is alone is always let in.
    """

    def __init__(self, size: int) -> None:
        """Hold at most ``size`` bytes, apart from wrong estimates."""
        self.size = size
        self.peak = 0
        self._held: dict[int, int] = {}
        self._aborted = False
        self._changed = threading.Condition()

    def enter(self, who: int, estimate: int) -> None:
        """Let a picture in; waits until there is room.

        Raises:
            ClosedError: the run is over.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._aborted or not self._held or sum(self._held.values()) + estimate <= self.size
            )
            if self._aborted:
                raise ClosedError
            self._set(who, estimate)

    def set(self, who: int, size: int) -> None:
        """What a picture holds now."""
        with self._changed:
            if who in self._held:
                self._set(who, size)

    def leave(self, who: int) -> None:
        """A picture is done, or never came in."""
        with self._changed:
            self._held.pop(who, None)
            self._changed.notify_all()

    def abort(self) -> None:
        """Stop everyone who waits here, now."""
        with self._changed:
            self._aborted = True
            self._changed.notify_all()

    def _set(self, who: int, size: int) -> None:
        self._held[who] = size
        self.peak = max(self.peak, sum(self._held.values()))
        self._changed.notify_all()
