"""Dead letters: rows of runs that failed, and what cannot be read."""

import pytest

from resources.inbox import Delivery, LetterError
from resources.inbox.letters import letter, letters, replay
from tests.resources.told import collect, deliver, to


def test_rows_of_a_failed_run_are_dead_letters_that_can_be_replayed_once_each(review):
    deliver(review, to("completed", 2))
    [due] = review.due()
    assert review.mark_dead(due.batch, due.gate, due.last_id, "run-1", "CVAT does not answer") == 1
    assert review.due() == []
    [dead] = letters(review)
    assert (dead.state, dead.reason, dead.run_id) == ("dead", "CVAT does not answer", "run-1")
    assert replay(review, [dead.id]) == 1
    [again] = review.due()
    assert again.key != due.key, "Dagster starts a run per key once"
    assert again.last_id == due.last_id
    review.mark_done(again.batch, again.gate, again.last_id, "run-2")
    assert letters(review) == []
    assert letter(review, dead.id).state == "done"


def test_a_later_run_answers_the_dead_letters_before_it(review):
    deliver(review, to("completed", 2))
    [due] = review.due()
    review.mark_dead(due.batch, due.gate, due.last_id, "run-1", "reopened meanwhile")
    deliver(review, to("in progress", 3))
    deliver(review, to("completed", 4))
    assert collect(review) == 1
    assert letters(review) == []


def test_an_event_about_a_job_that_cannot_be_read_is_a_dead_letter(inbox):
    inbox.insert(
        Delivery("update:job", {"event": "update:job", "job": {"id": "seven"}, "before_update": {"state": "new"}})
    )
    assert inbox.interpret_new().dead == 1
    [dead] = letters(inbox)
    assert "cannot be read" in dead.reason


@pytest.mark.parametrize("number", [1, 99])
def test_only_dead_and_ignored_rows_can_be_replayed(review, number):
    deliver(review, to("completed", 2))
    with pytest.raises(LetterError, match=f"row {number}|{number}"):
        replay(review, [number])
