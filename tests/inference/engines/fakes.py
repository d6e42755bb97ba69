"""Libraries that fail on command: what a card does when its memory is full or it is pulled out."""

import threading

import numpy as np

from inference.engines.arbiter import Arbiter
from inference.engines.managed import ManagedEngine


class Session:
    """Doubles its input; runs ``backend.before`` first, with the device and the batch."""

    input_dtype = np.float32

    def __init__(self, backend, device):
        self.backend, self.device = backend, device
        self.input_shape = (backend.limit, 3, None, None)
        self.closed = False

    def run(self, batch):
        self.backend.calls.append((self.device, len(batch)))
        self.backend.before(self.device, batch)
        return (batch * 2, batch.mean(axis=(1, 2, 3)))

    def close(self):
        self.closed = True
        self.backend.open_sessions.discard(self)


class Library:
    """A backend with two cards; keeps count of what is loaded."""

    name, side_by_side = "fake", True

    def __init__(self, before=lambda device, batch: None, limit=None, devices=("cuda:0", "cuda:1", "cpu")):
        self.before, self.limit, self.present = before, limit, list(devices)
        self.calls, self.open_sessions, self.opened, self.shares = [], set(), 0, []
        self.lock = threading.Lock()

    def devices(self):
        return self.present

    def open(self, weights, device, *, threads, calls, half):
        with self.lock:
            session = Session(self, device)
            self.open_sessions.add(session)
            self.opened += 1
            self.shares.append((threads, calls))
            return session


def engine(library, weights=b"w", device="auto", arbiters=None, **options):
    """An engine with arbiters of its own, so that tests do not share the process's."""
    held = {} if arbiters is None else arbiters

    def arbiter(name):
        return held.setdefault(name, Arbiter(1 << 40))

    return ManagedEngine(library, weights, device=device, arbiter=arbiter, **options)
