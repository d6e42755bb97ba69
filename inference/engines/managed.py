"""The engine around every library's session: batches, memory, a device that vanishes. The libraries know none of it."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.engines import devices
from inference.engines.arbiter import Arbiter, arbiter_of
from inference.engines.batching import BatchSize
from inference.engines.errors import DeviceLostError, EngineError, OutOfMemoryError, sorted_error
from inference.engines.protocol import Backend, Engine, Session

logger = logging.getLogger("reefline.engines")

RESIDENT_FACTOR = 3
"""A loaded model is taken to need this many times its file: weights, their copies in the library's own layout, and
working memory of one picture. Too small a guess is corrected by out-of-memory, which sends idle models away."""
MOST_CALLS = 4
"""At a time on a processor: each needs working memory of its own, and few keep all cores busy."""


class ManagedEngine:
    """See :class:`inference.engines.protocol.Engine`. One session at a time, on the chosen device."""

    def __init__(
        self,
        backend: Backend,
        weights: bytes,
        *,
        device: str = devices.AUTO,
        threads: int = 0,
        calls: int = 1,
        half: bool = False,
        arbiter: Callable[[str], Arbiter] = arbiter_of,
    ) -> None:
        """Keep the weights; nothing is loaded yet.

        Args:
            backend: the library.
            weights: the file's bytes.
            device: ``auto``, or one by name. Only ``auto`` falls back to the processor when the device vanishes.
            threads: CPU threads that ``calls`` calls at a time may use together; 0 = all cores.
            calls: at a time that it should be fast for.
            half: calculate in half precision where the device does; the model was measured so.
            arbiter: who shares out a device (tests).
        """
        self.name = backend.name
        self.device = devices.normal(device)
        self.threads, self.calls = threads, calls
        self.input_shape: tuple[int | None, ...] = ()
        self.batch_limit: int | None = None
        self._backend, self._weights, self._half = backend, weights, half
        self._wanted, self._arbiter = self.device, arbiter
        self._digest = hashlib.sha256(weights).hexdigest()
        self._session: Session | None = None
        self._sibling: ManagedEngine | None = None
        self._lock = threading.RLock()

    def load(self) -> None:
        """Make it ready to run; nothing when it is."""
        with self._lease(self._settled()):
            pass

    def unload(self) -> None:
        """Give its memory back, once no call uses it."""
        if self.device != devices.AUTO:
            self._arbiter(self.device).drop(self)
        if self._sibling is not None:
            self._sibling.unload()

    def predict(self, batch: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """All outputs for a batch ``(N, C, H, W)``."""
        device = self._settled()
        with self._lease(device):
            session = self._session
            if session is None:
                raise EngineError("the model was unloaded while it was asked: ask again")
            try:
                return self._predict(session, batch)
            except DeviceLostError as error:
                raise self._lost(device, error) from error

    def for_batches(self) -> Engine:
        """The same model for many calls; kept, so that the next batch finds it loaded."""
        calls = min(self.threads or os.cpu_count() or 1, MOST_CALLS)
        if self._settled() != devices.CPU or calls <= self.calls or not self._backend.side_by_side:
            return self
        with self._lock:
            if self._sibling is None:
                self._sibling = ManagedEngine(
                    self._backend,
                    self._weights,
                    device=devices.CPU,
                    threads=self.threads,
                    calls=calls,
                    half=self._half,
                    arbiter=self._arbiter,
                )
            return self._sibling

    def best_batch(self, view: tuple[int, ...]) -> int:
        """How many views of this shape a call should hold."""
        return self._size(view).best(self.batch_limit)

    def _predict(self, session: Session, batch: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        if not len(batch):  # sizes of outputs are known by trying only, and many models refuse zero pictures
            probe = self._predict(session, np.zeros((1, *batch.shape[1:]), batch.dtype))
            return tuple(output[:0] for output in probe)
        size, parts, start = self._size(batch.shape[1:]), [], 0
        while start < len(batch):
            part = batch[start : start + size.best(self.batch_limit)]
            try:
                with size.timed(len(part)):
                    parts.append(self._run(session, part))
            except OutOfMemoryError:
                if not self._smaller(size, len(part)):
                    raise
                continue
            start += len(part)
        return parts[0] if len(parts) == 1 else tuple(np.concatenate(out) for out in zip(*parts, strict=True))

    def _smaller(self, size: BatchSize, tried: int) -> bool:
        """Make room after out-of-memory; False when there is nothing left to give up."""
        if self._arbiter(self.device).evict_idle(but=self):
            logger.warning("%s is out of memory: idle models were unloaded", self.device)
            return True
        if tried == 1 or self.batch_limit is not None:
            return False
        size.halve(tried)
        logger.warning("%s is out of memory with %d pictures a call: trying %d", self.device, tried, tried // 2)
        return True

    def _run(self, session: Session, part: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        count, wanted = len(part), self.batch_limit or len(part)
        if count < wanted:  # a model made for N pictures gets N
            part = np.concatenate([part, np.zeros((wanted - count, *part.shape[1:]), part.dtype)])
        try:
            outputs = session.run(np.ascontiguousarray(part, dtype=session.input_dtype))
        except Exception as error:  # the libraries have no common base class
            raise sorted_error(error, f"a batch of shape {part.shape} on {self.device}") from error
        return tuple(_single(output[:count]) for output in outputs)

    def _size(self, view: tuple[int, ...]) -> BatchSize:
        return BatchSize.of(f"{self._digest}/{self.name}/{self.device}", view, on_cpu=self.device == devices.CPU)

    def _settled(self) -> str:
        """The device, chosen at the first use."""
        with self._lock:
            if self.device == devices.AUTO:
                self.device = devices.choose(self._wanted, self._backend.devices(), self.name)
            return self.device

    def _lease(self, device: str) -> AbstractContextManager[None]:
        size = len(self._weights) * RESIDENT_FACTOR
        return self._arbiter(device).lease(self, size, lambda: self._load(device), self._close)

    def _load(self, device: str) -> None:
        devices.choose(device, self._backend.devices(), self.name)
        try:
            session = self._open(device)
        except OutOfMemoryError:
            if not self._arbiter(device).evict_idle(but=self):
                raise
            session = self._open(device)
        self.input_shape = session.input_shape
        self.batch_limit = session.input_shape[0] if session.input_shape else None
        self._session = session

    def _open(self, device: str) -> Session:
        return self._backend.open(self._weights, device, threads=self.threads, calls=self.calls, half=self._half)

    def _close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _lost(self, gone: str, error: DeviceLostError) -> EngineError:
        """What is said of the pictures that were on a device when it vanished; the next call runs elsewhere."""
        fallback = self._wanted == devices.AUTO and gone != devices.CPU
        with self._lock:
            if self.device == gone and self._session is not None:  # several calls learn of it; the first one acts
                logger.error("%s vanished: %s", gone, error)
                self._session = None  # not closed: closing would ask the dead device
                self._arbiter(gone).forget(self)
                devices.lose(gone)
                self.device = devices.CPU if fallback else gone
        then = (
            "later pictures are done on the cpu; run the stage again for this one"
            if fallback
            else f"it was asked for by name, so nothing else is tried: check it, or use device '{devices.AUTO}'"
        )
        return DeviceLostError(f"{gone} vanished while it worked on this picture; {then} ({error})")


def _single(output: NDArray[Any]) -> NDArray[Any]:
    return output.astype(np.float32) if output.dtype == np.float16 else output
