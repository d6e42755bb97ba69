"""One arbiter per device and process: several models share one card by loading and unloading.

Between processes Dagster's ``gpu`` pool decides who may use the card at all, and each process keeps to its share of
the card's memory (:func:`set_memory_share`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from inference.engines import devices

MEMORY_SHARE = 0.8
"""Of a card's memory: the rest is for the desktop, CUDA's own context and fragmentation."""


@dataclass(slots=True)
class _Resident:
    size: int
    unload: Callable[[], None]
    users: int = 0


class Arbiter:
    """Keeps the models of one device within a budget; those longest unused leave first."""

    def __init__(self, budget: int) -> None:
        """``budget``: bytes that all loaded models may take together."""
        self.budget = budget
        self._residents: OrderedDict[Hashable, _Resident] = OrderedDict()
        self._changed = threading.Condition()

    @contextmanager
    def lease(self, owner: Hashable, size: int, load: Callable[[], None], unload: Callable[[], None]) -> Iterator[None]:
        """Use a model: it is loaded when the block begins, and stays so until the block ends.

        Waits while the models in use leave no room. A model larger than the budget is let in when it is alone: the
        device has the last word. A block must not lease another model of the same device.

        Args:
            owner: who it is.
            size: bytes it is expected to take.
            load: makes it ready; not called when it is loaded. What it raises is passed on, and nothing is kept.
            unload: gives the memory back.
        """
        with self._changed:
            if owner not in self._residents:
                self._changed.wait_for(lambda: owner in self._residents or self._make_room(size))
            if owner not in self._residents:
                load()  # inside the lock: two models loading at once would both believe in the same free memory
                self._residents[owner] = _Resident(size, unload)
            resident = self._residents[owner]  # held, for it may be forgotten and loaded anew before this use ends
            resident.users += 1
            self._residents.move_to_end(owner)
        try:
            yield
        finally:
            with self._changed:
                resident.users -= 1
                self._changed.notify_all()

    def drop(self, owner: Hashable) -> None:
        """Unload a model as soon as nobody uses it; nothing when it is not loaded."""
        with self._changed:
            self._changed.wait_for(lambda: owner not in self._residents or not self._residents[owner].users)
            resident = self._residents.pop(owner, None)
            if resident is not None:
                resident.unload()
            self._changed.notify_all()

    def forget(self, owner: Hashable) -> None:
        """A model is gone with its device: keep no place for it."""
        with self._changed:
            self._residents.pop(owner, None)
            self._changed.notify_all()

    def evict_idle(self, but: Hashable) -> int:
        """Unload every model that nobody uses now, except one; how many that were."""
        with self._changed:
            idle = [owner for owner, resident in self._residents.items() if not resident.users and owner != but]
            for owner in idle:
                self._residents.pop(owner).unload()
            self._changed.notify_all()
            return len(idle)

    def loaded(self) -> list[Hashable]:
        """The models on the device now, longest unused first."""
        with self._changed:
            return list(self._residents)

    def _make_room(self, size: int) -> bool:
        """Unload idle models, longest unused first, until ``size`` fits or nothing is left to unload."""
        while self._residents and sum(r.size for r in self._residents.values()) + size > self.budget:
            idle = next((owner for owner, resident in self._residents.items() if not resident.users), None)
            if idle is None:
                return False
            self._residents.pop(idle).unload()
        return True


_arbiters: dict[str, Arbiter] = {}
_lock = threading.Lock()
_share = MEMORY_SHARE


def arbiter_of(device: str) -> Arbiter:
    """The arbiter of a device, one per process."""
    name = devices.card(device)
    with _lock:
        if name not in _arbiters:
            _arbiters[name] = Arbiter(int(devices.memory_of(name) * _share))
        return _arbiters[name]


def set_memory_share(share: float) -> None:
    """Let models of this process take this share (0..1) of each device's memory, from now on."""
    global _share  # noqa: PLW0603 - the arbiters are the process's own, and so is their measure
    with _lock:
        _share = share
        for name, arbiter in _arbiters.items():
            arbiter.budget = int(devices.memory_of(name) * share)
