"""Calls of the engine at a time."""

import os
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.engines import devices
from inference.runner import Picture, run_batch
from tests.inference.engines.fakes import Library, Session, engine

SIDE = 8


@pytest.fixture(autouse=True)
def nothing_is_lost(monkeypatch):
    monkeypatch.setattr(devices, "_lost", set())


class Brightness:
    """The mean of a picture, from the engine's first output; counts the pictures that were made ready."""

    def __init__(self, library, views=1, threads=2):
        self.engine = engine(library, os.urandom(16), threads=threads)
        self.views, self.prepared = views, 0

    def prepare(self, image):
        self.prepared += 1
        return np.full((self.views, 3, SIDE, SIDE), image[0, 0, 0], np.float32)

    def finish(self, image, outputs):
        return float(outputs[0].mean())


def pictures(values):
    return [Picture(str(n), lambda value=value: bytes([value])) for n, value in enumerate(values)]


def decode(data):
    return np.full((SIDE, SIDE, 3), data[0], np.uint8)


def watched(library):
    """How many calls ran at the same time, at most."""
    now, most, lock = [0], [0], threading.Lock()
    before = library.before

    def counted(device, batch):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        try:
            before(device, batch)
        finally:
            with lock:
                now[0] -= 1

    library.before = counted
    return most


def large_views(library):
    """Views that are not packed, as those of real models: the model takes one picture a call."""
    library.limit = 1
    return library


def test_on_a_processor_as_many_calls_run_at_a_time_as_there_are_threads():
    together = threading.Barrier(3)
    library = large_views(Library(lambda device, batch: together.wait(20), devices=("cpu",)))
    outcomes = list(run_batch(pictures(range(6)), Brightness(library, threads=3), decode=decode, workers=3))
    assert [o.reason for o in outcomes] == [None] * 6
    assert library.shares == [(3, 3)]


def test_with_one_thread_no_two_calls_run_at_a_time():
    library = large_views(Library(devices=("cpu",)))
    most = watched(library)
    outcomes = list(run_batch(pictures(range(12)), Brightness(library, threads=1), decode=decode, workers=3))
    assert all(o.ok for o in outcomes)
    assert most == [1]
    assert library.shares == [(1, 1)]


def test_a_library_that_runs_one_call_at_a_time_is_asked_for_one():
    library = large_views(Library(devices=("cpu",)))
    library.side_by_side = False
    most = watched(library)
    assert all(o.ok for o in run_batch(pictures(range(12)), Brightness(library), decode=decode, workers=3))
    assert most == [1]


def test_calls_that_do_not_fit_into_memory_together_run_one_after_the_other(monkeypatch):
    call = 30 * 3 * SIDE * SIDE * 4
    free = SimpleNamespace(available=4 * (call + call // 2))
    monkeypatch.setattr("inference.runner.pipeline.psutil.virtual_memory", lambda: free)
    library = large_views(Library(devices=("cpu",)))
    most = watched(library)
    outcomes = list(run_batch(pictures(range(20)), Brightness(library, threads=4), decode=decode, workers=4))
    assert all(o.ok for o in outcomes)
    assert most == [1]
    assert library.shares[-1] == (4, 1)  # and each has all threads


def test_a_call_larger_than_the_free_memory_is_tried_alone(monkeypatch):
    free = SimpleNamespace(available=40 * 3 * SIDE * SIDE * 4)
    monkeypatch.setattr("inference.runner.pipeline.psutil.virtual_memory", lambda: free)
    outcomes = list(run_batch(pictures(range(5)), Brightness(large_views(Library(devices=("cpu",)))), decode=decode))
    assert sorted(o.result for o in outcomes) == [0, 2, 4, 6, 8]


def test_one_lane_that_fails_does_not_fail_the_others():
    def odd(device, batch):
        if batch[0, 0, 0, 0] % 2:
            raise RuntimeError("bad numbers")

    library = large_views(Library(odd, devices=("cpu",)))
    outcomes = list(run_batch(pictures(range(30)), Brightness(library), decode=decode, workers=2))
    assert {o.key for o in outcomes if o.ok} == {str(n) for n in range(0, 30, 2)}


def test_the_next_batch_finds_the_model_loaded():
    library = Library(devices=("cpu",))
    task = Brightness(library)
    for _ in range(2):
        assert all(o.ok for o in run_batch(pictures(range(4)), task, decode=decode))
    assert library.opened == 1
    task.engine.unload()
    assert not library.open_sessions


@settings(max_examples=15)
@given(st.lists(st.integers(0, 255), max_size=40), st.integers(1, 3), st.booleans())
def test_results_are_right_although_the_models_output_is_its_input(values, views, alone):
    class Same(Library):
        def open(self, weights, device, *, threads, calls, half):
            session = Session(self, device)
            session.run = lambda batch: (batch,)
            return session

    library = Same(devices=("cpu",))
    task = Brightness(large_views(library) if alone else library, views if not alone else 1)
    found = {o.key: o.result for o in run_batch(pictures(values), task, decode=decode, workers=3)}
    assert found == {str(n): value for n, value in enumerate(values)}


def test_no_more_pictures_are_made_ready_than_the_next_calls_take():
    go = threading.Event()
    library = large_views(Library(lambda device, batch: go.wait(20), devices=("cpu",)))
    task = Brightness(library, threads=2)
    outcomes = run_batch(pictures([9] * 50), task, decode=decode, workers=3)
    reader = threading.Thread(target=lambda: results.extend(outcomes))
    results = []
    reader.start()
    time.sleep(0.5)
    ahead = task.prepared
    go.set()
    reader.join(20)
    assert ahead <= 2 + 2 + 3  # in two calls, ready for the next two, in the hands of three threads
    assert [o.result for o in results] == [18.0] * 50
