"""The batch runner: the same results in any order, bounded memory, one bad picture alone."""

import os
import threading
import time
from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.engines import EngineError, devices
from inference.registry import ModelRegistry
from inference.runner import Picture, run_batch
from inference.runner.channel import ByteBudget, Channel, ClosedError
from inference.segmentation import Segmenter, segment
from tests.inference.engines.fakes import Library, engine


@dataclass
class Mean:
    """Says how bright a picture is, by ``tiles`` views of side 8."""

    engine: object
    tiles: int = 1
    held: list = field(default_factory=list)

    def prepare(self, image):
        view = cv2.resize(image, (8, 8), interpolation=cv2.INTER_AREA).astype(np.float32).transpose(2, 0, 1)
        return np.stack([view + n for n in range(self.tiles)])

    def finish(self, image, outputs):
        assert all(len(out) == self.tiles for out in outputs)
        return round(float(outputs[1].mean()), 3)


def jpeg(value=100, width=32, height=24):
    ok, data = cv2.imencode(".png", np.full((height, width, 3), value, np.uint8))
    assert ok
    return data.tobytes()


def picture(key, data):
    return Picture(key, lambda: data)


def task(before=lambda device, batch: None, tiles=1, **options):
    return Mean(engine(Library(before, **options), os.urandom(16)), tiles)


@pytest.fixture(autouse=True)
def nothing_is_lost(monkeypatch):
    monkeypatch.setattr(devices, "_lost", set())


@settings(max_examples=20)
@given(st.lists(st.integers(0, 255), max_size=30), st.integers(1, 4), st.integers(1, 3), st.booleans())
def test_results_do_not_depend_on_order_threads_or_packing(values, workers, tiles, on_card):
    devices_here = ("cuda:0", "cpu") if on_card else ("cpu",)
    pictures = [picture(str(n), jpeg(value)) for n, value in enumerate(values)]
    found = {
        outcome.key: outcome.result
        for outcome in run_batch(pictures, task(tiles=tiles, devices=devices_here), workers=workers)
    }
    assert found == {str(n): pytest.approx(value + (tiles - 1) / 2, abs=2e-3) for n, value in enumerate(values)}


def test_bad_pictures_are_recorded_with_a_reason_and_the_others_go_on(monkeypatch):
    def gone():
        raise ValueError("the photo was taken away")

    whole = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))[1].tobytes()
    pictures = [
        picture("good", jpeg(7)),
        picture("cut", whole[: len(whole) // 2]),
        picture("text", b"<html>404</html>"),
        picture("empty", b""),
        picture("tiny", jpeg(9, 1, 1)),
        picture("black", jpeg(0)),
        Picture("gone", gone),
    ]
    outcomes = {outcome.key: outcome for outcome in run_batch(pictures, task(), workers=2)}
    assert {key: outcome.result for key, outcome in outcomes.items() if outcome.ok} == {
        "good": 7.0,
        "tiny": 9.0,
        "black": 0.0,
    }
    assert "truncated" in outcomes["cut"].reason or "damaged" in outcomes["cut"].reason
    assert outcomes["text"].reason.startswith("not a picture")
    assert "0 bytes" in outcomes["empty"].reason
    assert outcomes["gone"].reason == "the photo was taken away"


def test_a_picture_larger_than_the_memory_is_refused_by_its_header():
    def never(data):
        raise AssertionError

    def large(side):
        return cv2.imencode(".jpg", np.zeros((10_000, side), np.uint8))[1].tobytes()

    pictures = [picture("100 MP", large(10_000)), picture("200 MP", large(20_000))]
    refused = {o.key: o.reason for o in run_batch(pictures, task(), memory=1 << 28, decode=never)}
    assert "100 million pixels" in refused["100 MP"]
    assert "more than the 256 MB" in refused["100 MP"]
    assert "200000000 pixels" in refused["200 MP"]
    outcomes = {o.key: o for o in run_batch([*pictures, picture("x", jpeg(5))], task(), memory=1 << 28)}
    assert outcomes["x"].ok


def test_pictures_under_way_stay_within_the_budget_of_bytes():
    side, count = 400, 40
    size = side * side * 3
    under_way, most, lock = [0], [0], threading.Lock()

    def decode(data):
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        return np.zeros((side, side, 3), np.uint8)

    def slow(picture, image, result):
        time.sleep(0.005)
        with lock:
            under_way[0] -= 1

    data = jpeg(1, side, side)
    outcomes = list(
        run_batch(
            [picture(str(n), data) for n in range(count)],
            task(),
            then=slow,
            decode=decode,
            workers=4,
            memory=int(size * 3.5),
        )
    )
    assert sum(o.ok for o in outcomes) == count
    assert most[0] <= 4  # three fit; one more may be let in before the views of the first were known


def test_a_slow_reader_of_results_holds_the_run_back():
    read = []
    pictures = (Picture(str(n), lambda n=n: read.append(n) or jpeg(1)) for n in range(3000))
    outcomes = run_batch(pictures, task(), workers=2)
    next(outcomes)
    time.sleep(0.5)
    assert len(read) < 1000
    outcomes.close()


def test_leaving_early_stops_all_threads():
    before = threading.active_count()
    outcomes = run_batch((picture(str(n), jpeg(1)) for n in range(10_000)), task(), workers=3)
    for _ in range(5):
        next(outcomes)
    outcomes.close()
    assert threading.active_count() == before


def test_a_store_that_fails_ends_the_run():
    class StoreDownError(RuntimeError):
        pass

    def down():
        raise StoreDownError("the store does not answer")

    pictures = [picture("a", jpeg(1)), Picture("b", down), *[picture(str(n), jpeg(1)) for n in range(50)]]
    with pytest.raises(StoreDownError):
        list(run_batch(pictures, task(), fatal=(StoreDownError,)))


def test_a_bug_in_a_task_is_the_pictures_reason():
    class Buggy(Mean):
        def finish(self, image, outputs):
            raise KeyError("colony")

    outcomes = list(run_batch([picture("a", jpeg(1))], Buggy(task().engine)))
    assert outcomes[0].reason == "unexpected KeyError: 'colony'"


def test_one_picture_that_the_engine_refuses_does_not_fail_those_in_its_call():
    def refuse_white(device, batch):
        if (batch.mean(axis=(1, 2, 3)) > 250).any():
            raise RuntimeError("bad numbers")

    values = [10, 255, 20, 30, 255, 40] * 5
    pictures = [picture(str(n), jpeg(value)) for n, value in enumerate(values)]
    outcomes = {o.key: o for o in run_batch(pictures, task(refuse_white, devices=("cpu",)))}
    assert {key for key, o in outcomes.items() if not o.ok} == {str(n) for n, v in enumerate(values) if v == 255}


def test_a_card_that_vanishes_mid_run_fails_its_pictures_only():
    calls = []

    def vanish(device, batch):
        calls.append(device)
        if device == "cuda:0" and calls.count("cuda:0") > 3:
            raise RuntimeError("CUDA failure 719: unspecified launch failure")

    pictures = [picture(str(n), jpeg(n)) for n in range(60)]
    looking = task(vanish, devices=("cuda:0", "cpu"))
    outcomes = list(run_batch(pictures, looking))
    failed = [o for o in outcomes if not o.ok]
    assert len(outcomes) == 60
    assert 1 <= len(failed) <= 20
    assert all("cuda:0 vanished" in o.reason and "run the stage again" in o.reason for o in failed)
    assert looking.engine.device == "cpu"


def test_a_model_that_cannot_be_loaded_is_said_before_any_picture_is_read():
    class Cut(Library):
        def open(self, weights, device, *, threads, calls, half):
            raise EngineError("the weights are no model that ONNX Runtime can read")

    def never():
        raise AssertionError

    with pytest.raises(EngineError, match="no model that"):
        run_batch([Picture("a", never)], Mean(engine(Cut(), os.urandom(8))))


def test_progress_is_told_for_every_picture_good_or_bad():
    told = []
    list(run_batch([picture("a", jpeg(1)), picture("b", b"")], task(), progress=told.append))
    assert told == [1, 2]


def test_then_makes_the_result_in_the_runners_threads():
    names = set()

    def then(picture, image, result):
        names.add(threading.current_thread().name)
        return (picture.key, image.shape, result)

    [outcome] = run_batch([picture("a", jpeg(3, 20, 10))], task(), then=then)
    assert outcome.result == ("a", (10, 20, 3), 3.0)
    assert all(name.startswith("runner-finish") for name in names)


def test_the_shipped_model_gives_the_outlines_it_gives_picture_by_picture():
    from inference.scenes import render_quadrat

    image = render_quadrat(7, difficulty=0.1, size=(700, 700)).clean(640)
    data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()
    model = Segmenter.of(ModelRegistry().load("demo-corals", threads=1))
    alone = segment(image, model)
    outcomes = list(run_batch([picture(str(n), data) for n in range(3)], model, workers=2))
    assert alone
    for outcome in outcomes:
        assert [(i.label, i.score, i.ring.tolist()) for i in outcome.result] == [
            (i.label, i.score, i.ring.tolist()) for i in alone
        ]


def test_a_closed_channel_gives_what_it_holds_and_then_ends():
    channel = Channel(3)
    channel.put(1)
    channel.put(2)
    channel.close()
    assert channel.get_if(lambda item: item == 2) is None
    assert [channel.get(), channel.get()] == [1, 2]
    with pytest.raises(ClosedError):
        channel.get()


def test_an_aborted_budget_lets_nobody_wait_for_ever():
    budget = ByteBudget(10)
    budget.enter(1, 8)
    ended = []

    def wait():
        with pytest.raises(ClosedError):
            budget.enter(2, 8)
        ended.append(True)

    thread = threading.Thread(target=wait)
    thread.start()
    budget.abort()
    thread.join(10)
    assert ended
