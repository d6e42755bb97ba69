"""What the sensor asks of the inbox costs by what is open, not by what has ever been."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from resources.inbox import Delivery, Inbox, JobState
from tests.resources.inbox_history import FIRST_TASK, collected_before, work_of

WHEN = datetime(2026, 1, 5, tzinfo=UTC)


def register(inbox, batch, task, state="new"):
    """A review with one job."""
    job = JobState(task * 10, task, "annotation", state, "annotation", "anna", WHEN)
    inbox.register_review(batch, "corners", task, None, [job])


def completed(task, second=1):
    job = {"id": task * 10, "task_id": task, "state": "completed", "updated_date": f"2026-01-05T10:00:{second:02d}Z"}
    return Delivery("update:job", {"event": "update:job", "job": job, "before_update": {"state": "new"}}, "webhook")


@pytest.fixture
def inbox(tmp_path):
    """Two reviews that wait for people, and one that needs nobody."""
    inbox = Inbox(f"sqlite:///{tmp_path / 'inbox.db'}")
    register(inbox, "reef.0001", 1)
    register(inbox, "reef.0002", 2)
    inbox.register_review("reef.0003", "corners", None, None, [])
    return inbox


def tick(inbox):
    """What the sensor does."""
    inbox.interpret_new()
    return inbox.due()


def test_a_tick_and_the_list_of_open_reviews_cost_the_same_after_thousands_of_collected_ones(inbox):
    inbox.insert(completed(1))
    due = tick(inbox)
    assert [review.batch for review in due] == ["reef.0001", "reef.0003"]
    before = {name: work_of(inbox, act) for name, act in acts(inbox, 2).items()}
    collected_before(inbox, 4000)
    after = {name: work_of(inbox, act) for name, act in acts(inbox, 3).items()}
    for name, steps in before.items():
        # A tree of thousands is a few levels deeper, no more.
        assert after[name] < 1.5 * steps + 30, name
    assert [review.batch for review in tick(inbox)] == ["reef.0001", "reef.0002", "reef.0003"]
    assert [status.batch for status in inbox.reviews("open")] == ["reef.0001", "reef.0002", "reef.0003"]
    assert len(inbox.reviews()) == 4003


def acts(inbox, second):
    """What the sensor, a run's last act and the reconciliation ask, each with an event to look at."""

    def told():
        inbox.insert(completed(2, second))
        inbox.interpret_new()

    return {
        "events": told,
        "due": inbox.due,
        "open": lambda: inbox.reviews("open"),
        "nothing": lambda: tick(inbox),
        "known": lambda: inbox.known_tasks({1, 2, FIRST_TASK, 77}),
        "registered": lambda: register(inbox, "reef.0002", 2),
    }


def test_a_collected_review_that_people_reopen_is_open_again_and_due_when_they_are_done(inbox):
    collected_before(inbox, 50)
    job = {"id": FIRST_TASK, "task_id": FIRST_TASK, "state": "in progress", "updated_date": "2026-02-01T10:00:00Z"}
    body = {"event": "update:job", "job": job, "before_update": {"state": "completed"}}
    inbox.insert(Delivery("update:job", body, "webhook"))
    tick(inbox)
    assert "old.000000" in [status.batch for status in inbox.reviews("open")]
    job = {**job, "state": "completed", "updated_date": "2026-02-01T11:00:00Z"}
    inbox.insert(Delivery("update:job", {**body, "job": job, "before_update": {"state": "in progress"}}, "webhook"))
    due = next(review for review in tick(inbox) if review.batch == "old.000000")
    inbox.mark_done(due.batch, due.gate, due.last_id, "run")
    assert "old.000000" not in [status.batch for status in inbox.reviews("open")]


def test_a_run_that_dies_before_its_last_act_leaves_its_review_open_and_due(inbox):
    inbox.insert(completed(1))
    [due, _] = tick(inbox)
    again = Inbox(inbox.url)  # another process, after the crash
    assert again.due()[0] == due
    assert "reef.0001" in [status.batch for status in again.reviews("open")]
    again.mark_done(due.batch, due.gate, due.last_id, "run")
    assert "reef.0001" not in [status.batch for status in again.reviews("open")]
    assert [review.batch for review in again.due()] == ["reef.0003"]


def test_an_inbox_of_an_earlier_version_gets_its_indexes(inbox):
    with inbox.engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX reviews_state")
        connection.exec_driver_sql("DROP INDEX reviews_task")
    again = Inbox(inbox.url)
    names = {index["name"] for index in sa.inspect(again.engine).get_indexes("reviews")}
    assert {"reviews_state", "reviews_task"} <= names
    assert len(again.reviews("open")) == 3
