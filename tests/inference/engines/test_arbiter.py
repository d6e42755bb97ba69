"""Several models share one card by loading and unloading, never by crashing."""

import random
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.engines.arbiter import Arbiter
from tests.inference.engines.fakes import Library, engine


class Card:
    """Loads and unloads; more than its memory at once is a crash."""

    def __init__(self, budget):
        self.arbiter = Arbiter(budget)
        self.sizes, self.peak, self.loads = {}, 0, []

    def use(self, name, size):
        def load():
            self.sizes[name] = size
            self.loads.append(name)
            self.peak = max(self.peak, sum(self.sizes.values()))

        return self.arbiter.lease(name, size, load, lambda: self.sizes.pop(name))


def test_the_model_longest_unused_leaves_first():
    card = Card(10)
    for name in ("a", "b", "a", "c"):
        with card.use(name, 4):
            pass
    assert card.arbiter.loaded() == ["a", "c"]


def test_a_model_larger_than_the_card_is_let_in_alone():
    card = Card(10)
    with card.use("small", 4):
        pass
    with card.use("large", 40):
        assert card.arbiter.loaded() == ["large"]


def test_a_model_in_use_is_never_unloaded():
    card = Card(10)
    entered, leave = threading.Event(), threading.Event()

    def other():
        with card.use("b", 8):
            entered.set()

    with card.use("a", 8):
        thread = threading.Thread(target=other)
        thread.start()
        assert not entered.wait(0.1)
        assert card.arbiter.loaded() == ["a"]
    leave.set()
    assert entered.wait(10)
    thread.join()
    assert card.arbiter.loaded() == ["b"]


def test_what_fails_to_load_keeps_no_place():
    arbiter = Arbiter(10)

    def broken():
        raise ValueError("cut in half")

    with pytest.raises(ValueError, match="cut in half"), arbiter.lease("a", 8, broken, lambda: None):
        pass
    assert arbiter.loaded() == []


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 12)), max_size=40), st.integers(8, 20))
def test_loaded_models_never_exceed_the_budget_unless_one_is_alone(uses, budget):
    card = Card(budget)
    size_of = {}
    for name, size in uses:
        with card.use(name, size_of.setdefault(name, size)):
            assert name in card.sizes
            assert sum(card.sizes.values()) <= budget or len(card.sizes) == 1


def test_many_threads_with_many_models_on_a_card_that_holds_two():
    arbiters = {"cuda:0": Arbiter(2 * 3 * 10)}  # an engine is taken to need three times its file
    library = Library(lambda device, batch: time.sleep(0.0005), devices=("cuda:0", "cpu"))
    most = [0]

    def note(device, batch):
        most[0] = max(most[0], len(library.open_sessions))

    library.before = note
    models = [engine(library, f"weights-{n}".encode()[:10].ljust(10), arbiters=arbiters) for n in range(5)]
    wrong = []

    def work(seed):
        rng = random.Random(seed)
        for _ in range(40):
            picture = np.full((1, 3, 2, 2), rng.random(), np.float32)
            if not np.array_equal(rng.choice(models).predict(picture)[0], picture * 2):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong
    assert most[0] == 2
    assert library.opened > 5
