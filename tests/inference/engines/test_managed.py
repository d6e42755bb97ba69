"""The engine around every library: batches, memory, a card that vanishes."""

import os

import numpy as np
import pytest

from inference.engines import DeviceLostError, EngineError, OutOfMemoryError, devices
from inference.engines.errors import sorted_error
from tests.inference.engines.fakes import Library, engine


@pytest.fixture(autouse=True)
def nothing_is_lost(monkeypatch):
    monkeypatch.setattr(devices, "_lost", set())


def batch(count, side=4):
    return np.random.default_rng(0).random((count, 3, side, side), np.float32)


def weights():
    return os.urandom(16)  # what is learnt of a model's batch size is remembered for its weights


@pytest.mark.parametrize("count", [0, 1, 2, 7])
@pytest.mark.parametrize("limit", [None, 1, 4])
def test_any_number_of_pictures_gives_as_many_results_in_order(count, limit):
    pictures = batch(count)
    doubled, means = engine(Library(limit=limit), weights()).predict(pictures)
    np.testing.assert_array_equal(doubled, pictures * 2)
    assert means.shape == (count,)


def test_a_model_made_for_four_pictures_always_gets_four():
    library = Library(limit=4)
    engine(library, weights()).predict(batch(6))
    assert [count for _, count in library.calls] == [4, 4]


def test_out_of_memory_halves_the_batch_and_the_process_remembers():
    def full(device, pictures):
        if len(pictures) > 3:
            raise RuntimeError("CUDA failure 2: out of memory ; GPU=0")

    mine = weights()
    library = Library(full)
    model = engine(library, mine)
    model.load()
    model._size((3, 4, 4))._size = 8  # as tuning would have it on a roomy card
    pictures = batch(8)
    np.testing.assert_array_equal(model.predict(pictures)[0], pictures * 2)
    assert [count for _, count in library.calls] == [8, 4, 2, 2, 2, 2]
    again = engine(library, mine)
    again.load()
    assert again.best_batch((3, 4, 4)) == 2


def test_out_of_memory_with_one_picture_is_said():
    def full(device, pictures):
        raise MemoryError

    with pytest.raises(OutOfMemoryError, match=r"\(1, 3, 4, 4\) on cuda:0: not enough memory"):
        engine(Library(full), weights()).predict(batch(2))


def test_out_of_memory_sends_idle_models_away_before_it_is_an_error():
    arbiters = {}
    idle = Library()
    engine(idle, weights(), arbiters=arbiters).load()

    def full_while_the_other_is_there(device, pictures):
        if idle.open_sessions:
            raise RuntimeError("Failed to allocate memory for requested buffer of size 1024")

    model = engine(Library(full_while_the_other_is_there), weights(), arbiters=arbiters)
    assert len(model.predict(batch(1))[0]) == 1
    assert not idle.open_sessions


def test_the_batch_grows_while_larger_calls_are_faster():
    import time

    library = Library(lambda device, pictures: time.sleep(0.01))  # a call costs the same for any number
    model = engine(library, weights())
    model.predict(batch(40))
    assert max(count for _, count in library.calls) >= 4


def test_a_card_that_vanishes_fails_its_pictures_and_the_rest_runs_on_the_cpu():
    def vanish(device, pictures):
        if device == "cuda:0":
            raise RuntimeError("CUDA failure 999: unknown error ; GPU=0")

    library = Library(vanish)
    model = engine(library, weights())
    with pytest.raises(DeviceLostError, match=r"cuda:0 vanished .*done on the cpu; run the stage again"):
        model.predict(batch(1))
    assert model.predict(batch(2))[0].shape == (2, 3, 4, 4)
    assert model.device == "cpu"
    fresh = engine(Library(), weights())
    fresh.load()
    assert fresh.device == "cuda:1"  # the lost card is not chosen again


def test_a_card_asked_for_by_name_is_not_replaced_silently():
    def vanish(device, pictures):
        raise RuntimeError("no CUDA-capable device is detected")

    model = engine(Library(vanish), weights(), device="cuda:1")
    for _ in range(2):
        with pytest.raises(DeviceLostError, match="asked for by name"):
            model.predict(batch(1))
    assert model.device == "cuda:1"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [("cuda:7", "finds no device 'cuda:7' here"), ("tpu", "use auto, cpu, cuda:N"), ("cuda:x", "use auto, cpu")],
)
def test_a_device_that_is_not_there_is_said(wanted, message):
    with pytest.raises(EngineError, match=message):
        engine(Library(), weights(), device=wanted).load()


def test_tensorrt_is_used_only_when_asked_for():
    assert devices.choose("auto", ["tensorrt:0", "cpu"], "x") == "cpu"
    assert devices.choose("tensorrt:0", ["tensorrt:0", "cpu"], "x") == "tensorrt:0"


def test_an_unloaded_engine_loads_again():
    library = Library()
    model = engine(library, weights())
    model.predict(batch(1))
    model.unload()
    assert not library.open_sessions
    model.predict(batch(1))
    assert library.opened == 2


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("[ONNXRuntimeError] : 1 : FAIL : CUDA failure 700: an illegal memory access ; GPU=0", DeviceLostError),
        ("CUDNN failure 4001: CUDNN_STATUS_ALLOC_FAILED", OutOfMemoryError),
        ("CUDA out of memory. Tried to allocate 2.00 GiB", OutOfMemoryError),
        ("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input", EngineError),
    ],
)
def test_messages_of_libraries_are_understood(text, kind):
    error = sorted_error(RuntimeError(text), "a batch")
    assert type(error) is kind
    assert str(error).startswith("a batch: ")


def test_for_batches_calls_at_a_time_share_the_threads_of_one():
    library = Library(devices=("cpu",))
    model = engine(library, weights(), threads=3)
    model.load()
    many = model.for_batches()
    many.load()
    assert library.shares == [(3, 1), (3, 3)]
    assert (model.calls, many.calls, many.device) == (1, 3, "cpu")
    assert model.for_batches() is many
    assert many.for_batches() is many
    pictures = batch(3)
    np.testing.assert_array_equal(many.predict(pictures)[0], model.predict(pictures)[0])


def test_many_threads_are_shared_by_a_few_calls():
    assert engine(Library(devices=("cpu",)), weights(), threads=64).for_batches().calls == 4


@pytest.mark.parametrize(("device", "threads"), [("auto", 4), ("cuda:1", 4), ("cpu", 1)])
def test_on_a_card_and_with_one_thread_batches_run_on_the_same_engine(device, threads):
    model = engine(Library(), weights(), device=device, threads=threads)
    assert model.for_batches() is model


def test_after_its_card_vanished_batches_share_the_processor():
    def vanish(device, pictures):
        if device != "cpu":
            raise RuntimeError("CUDA failure 719: unspecified launch failure")

    model = engine(Library(vanish, devices=("cuda:0", "cpu")), weights(), threads=2)
    assert model.for_batches() is model
    with pytest.raises(DeviceLostError):
        model.predict(batch(1))
    assert (model.for_batches().calls, model.for_batches().device) == (2, "cpu")
