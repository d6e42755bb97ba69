"""The inbox on a real Postgres, with several connections at once."""

import pytest

from resources.inbox import Inbox
from tests.resources.told import TASK, collect, job, loses_nothing_under_load, to


@pytest.fixture
def url(postgres):
    """A database of its own for each test."""
    return postgres.new_database("inbox")


def test_a_review_goes_its_way_on_postgres(url):
    inbox = Inbox(url)
    inbox.register_review("reef.0001", "corners", TASK, "http://cvat/tasks/7", [job()])
    assert inbox.insert(to("completed", 2))
    assert not inbox.insert(to("completed", 2)), "a duplicate"
    assert collect(inbox) == 1
    assert collect(inbox) == 0
    inbox.insert(to("in progress", 3))
    assert collect(inbox) == 0
    assert inbox.apply_job_states([job(1, "completed", 4)]) == 1, "lost, and healed"
    assert collect(inbox) == 1
    [status] = inbox.reviews()
    assert (status.state, status.jobs_done, status.since.tzinfo is not None) == ("collected", 1, True)
    inbox.writable()


def test_receivers_on_postgres_lose_nothing_while_the_sensor_works(url):
    loses_nothing_under_load(url)
