"""The runner itself: three crews of threads, two queues between them, one budget of bytes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import psutil
from numpy.typing import NDArray

from inference.engines import DeviceLostError, Engine, EngineError
from inference.runner.calls import calls_ahead, check_outputs, lanes_of, working_bytes
from inference.runner.channel import ByteBudget, Channel, ClosedError
from inference.runner.pictures import (
    Outcome,
    Picture,
    Task,
    checked_views,
    decode_rgb,
    decoded_bytes,
    reason_of,
    refuse_if_too_large,
)

R = TypeVar("R")
DEFAULT_MEMORY = 1 << 29
"""Bytes of pictures under way: 12 pictures of 12 MP, or one of 178 MP alone."""
QUEUE = 64
"""Most pictures between two crews; the budget of bytes usually says stop earlier."""


def run_batch(
    pictures: Iterable[Picture],
    task: Task[R],
    *,
    then: Callable[[Picture, NDArray[np.uint8], R], Any] | None = None,
    decode: Callable[[bytes], NDArray[np.uint8]] = decode_rgb,
    workers: int = 0,
    memory: int = DEFAULT_MEMORY,
    fatal: tuple[type[BaseException], ...] = (),
    progress: Callable[[int], None] | None = None,
) -> Iterator[Outcome[Any]]:
    """Look at pictures; their outcomes as they get ready, in no particular order.

    A picture's result does not depend on the others. Leaving the iteration early stops all threads.

    Args:
        pictures: taken one by one as there is room, so an iterator over any number will do.
        task: what to do with each.
        then: made of a picture's result in the same thread (encoding, storing); its value becomes the result.
        decode: bytes to uint8 RGB ``(H, W, 3)``.
        workers: threads that decode and prepare, and as many that finish; 0 = one per processor.
        memory: bytes that pictures under way may hold together, decoded and as views; at most a quarter of the free
            memory is taken. Calls of the engine at a time are limited to another quarter of the free memory.
        fatal: exceptions that end the run instead of failing a picture, such as a store that is down.
        progress: called with the number of pictures done, in the caller's thread.

    Raises:
        EngineError: the model cannot be loaded. Later errors of the engine are outcomes of pictures.
    """
    engine = task.engine.for_batches()
    engine.load()
    free = int(psutil.virtual_memory().available) // 4
    budgets = ByteBudget(min(memory, free)), ByteBudget(free)
    run = _Run(pictures, task, engine, then, decode, workers or os.cpu_count() or 1, budgets, fatal)
    return run.outcomes(progress or (lambda done: None))


@dataclass(slots=True)
class _Flight:
    """A picture under way."""

    number: int
    picture: Picture
    seconds: float = 0.0
    image: Any = None
    views: Any = None
    outputs: Any = None
    count: int = 0

    def held(self) -> int:
        """Bytes it holds now."""
        arrays = [a for a in (self.image, self.views, *(self.outputs or ())) if a is not None]
        return sum(int(a.nbytes) for a in arrays)


class _Run:
    def __init__(
        self,
        pictures: Iterable[Picture],
        task: Task[Any],
        engine: Engine,
        then: Callable[[Picture, NDArray[np.uint8], Any], Any] | None,
        decode: Callable[[bytes], NDArray[np.uint8]],
        workers: int,
        budgets: tuple[ByteBudget, ByteBudget],
        fatal: tuple[type[BaseException], ...],
    ) -> None:
        self._source, self._source_lock = enumerate(pictures), threading.Lock()
        self._task, self._engine, self._then, self._decode = task, engine, then, decode
        self._fatal: tuple[type[BaseException], ...] = (*fatal, ClosedError)
        (self._budget, self._calls), self._workers = budgets, workers
        self._ready: Channel[_Flight] = Channel(QUEUE)
        self._seen: Channel[_Flight] = Channel(QUEUE)
        self._out: Channel[Outcome[Any]] = Channel(QUEUE * 4)
        self._overhead = 0  # most bytes that a picture held beside its decoded image
        self._failure: BaseException | None = None
        self._threads: list[threading.Thread] = []

    def outcomes(self, progress: Callable[[int], None]) -> Iterator[Outcome[Any]]:
        """Start, hand out, clean up."""
        self._crew("decode", self._workers, self._front, self._ready)
        self._crew("engine", lanes_of(self._engine), self._lane, self._seen)
        self._crew("finish", self._workers, self._back, self._out)
        done = 0
        try:
            while True:
                try:
                    outcome = self._out.get()
                except ClosedError:
                    break
                done += 1
                progress(done)
                yield outcome
        finally:
            self._abort()
            for thread in self._threads:
                thread.join()
        if self._failure is not None:
            raise self._failure

    def _crew(self, name: str, count: int, body: Callable[[], None], after: Channel[Any]) -> None:
        """Start threads; the last one that ends closes the queue behind them."""
        left = [count]

        def main() -> None:
            try:
                body()
            except ClosedError:
                pass
            except BaseException as error:  # also SystemExit: a thread's death must never look like success
                self._failure = self._failure or error
                self._abort()
            finally:
                with self._source_lock:
                    left[0] -= 1
                    last = left[0] == 0
                if last:
                    after.close()

        for number in range(count):
            thread = threading.Thread(target=main, name=f"runner-{name}-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _abort(self) -> None:
        for channel in (self._ready, self._seen, self._out, self._budget, self._calls):
            channel.abort()

    def _front(self) -> None:
        while True:
            with self._source_lock:
                following = next(self._source, None)
            if following is None:
                return
            flight = _Flight(*following)
            if self._attempt(flight, self._enter):
                self._ready.put(flight, most=calls_ahead(self._engine, flight.views))

    def _enter(self, flight: _Flight) -> None:
        data = flight.picture.read()
        size = decoded_bytes(data)
        refuse_if_too_large(size, self._budget.size)
        waiting = time.perf_counter()
        self._budget.enter(flight.number, size + self._overhead)
        flight.seconds -= time.perf_counter() - waiting
        flight.image = self._decode(data)
        flight.views = checked_views(self._task.prepare(flight.image))
        flight.count = len(flight.views)
        self._weigh(flight)

    def _lane(self) -> None:
        lane = threading.get_ident()
        while True:
            pack = self._pack(self._ready.get())
            needed = working_bytes(self._engine, [flight.views for flight in pack])
            # Calls that can only run one after the other should each have all threads.
            engine = self._engine if 2 * needed <= self._calls.size else self._task.engine
            self._calls.enter(lane, needed)
            try:
                flights = self._predict(pack, engine)
            finally:
                self._calls.leave(lane)
            for flight in flights:
                self._weigh(flight)
                self._seen.put(flight)

    def _pack(self, first: _Flight) -> list[_Flight]:
        """A picture with those that wait behind it and fit into one call."""
        pack, view = [first], (first.views.shape[1:], first.views.dtype)
        room = self._engine.best_batch(view[0]) - first.count

        def fits(flight: _Flight) -> bool:
            return flight.count <= room and (flight.views.shape[1:], flight.views.dtype) == view

        while room > 0 and (more := self._ready.get_if(fits)) is not None:
            pack.append(more)
            room -= more.count
        return pack

    def _predict(self, pack: list[_Flight], engine: Engine) -> list[_Flight]:
        """Run the engine on a pack; the flights that have outputs now."""
        started = time.perf_counter()
        batch = pack[0].views if len(pack) == 1 else np.concatenate([flight.views for flight in pack])
        try:
            outputs = engine.predict(batch)
            check_outputs(outputs, len(batch))
        except EngineError as error:
            if len(pack) > 1 and not isinstance(error, DeviceLostError):
                return [flight for one in pack for flight in self._predict([one], engine)]  # whose fault is it?
            for flight in pack:
                self._fail(flight, error)
            return []
        except self._fatal:
            raise
        except Exception as error:  # a bug in an engine is that picture's failure too
            for flight in pack:
                self._fail(flight, error)
            return []
        share = (time.perf_counter() - started) / len(batch)
        start = 0
        for flight in pack:
            # Copies: a slice would keep the whole pack's outputs alive until its last picture is done.
            parts = [out[start : start + flight.count] for out in outputs]
            flight.outputs = tuple(parts if len(pack) == 1 else (part.copy() for part in parts))
            flight.views = None
            flight.seconds += share * flight.count
            start += flight.count
        return pack

    def _back(self) -> None:
        while True:
            flight = self._seen.get()
            if self._attempt(flight, self._finish):
                self._out.put(Outcome(flight.picture.key, flight.outputs, None, flight.seconds))

    def _finish(self, flight: _Flight) -> None:
        result = self._task.finish(flight.image, flight.outputs)
        flight.outputs = self._then(flight.picture, flight.image, result) if self._then else result
        flight.image = None
        self._budget.leave(flight.number)

    def _attempt(self, flight: _Flight, work: Callable[[_Flight], None]) -> bool:
        started = time.perf_counter()
        try:
            work(flight)
        except self._fatal:
            raise
        except Exception as error:  # one picture never ends a batch
            flight.seconds += time.perf_counter() - started
            self._fail(flight, error)
            return False
        flight.seconds += time.perf_counter() - started
        return True

    def _fail(self, flight: _Flight, error: Exception) -> None:
        flight.image = flight.views = flight.outputs = None
        self._budget.leave(flight.number)
        self._out.put(Outcome(flight.picture.key, None, reason_of(error, flight.picture.key), flight.seconds))

    def _weigh(self, flight: _Flight) -> None:
        held = flight.held()
        self._overhead = max(self._overhead, held - int(flight.image.nbytes))
        self._budget.set(flight.number, held)
