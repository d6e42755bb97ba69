"""Events that are lost, late or doubled, and the reconciliation that heals them."""

from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.inbox import Inbox, JobState
from tests.resources.told import TASK, collect, deliver, job, to


def test_an_event_that_is_faster_than_the_registration_is_not_lost(inbox):
    seen = deliver(inbox, to("completed", 2))
    assert seen.waiting == 1
    inbox.register_review("reef.0001", "corners", TASK, None, [job()])
    assert collect(inbox) == 1


def test_reconciliation_heals_a_lost_completion_once(review):
    finished = [job(1, "completed", 9)]
    assert review.apply_job_states(finished) == 1
    assert review.apply_job_states(finished) == 0
    assert review.counts()[("reconcile", "pending")] == 1
    assert collect(review) == 1
    assert review.apply_job_states(finished) == 0
    assert collect(review) == 0


def test_an_event_that_comes_after_its_healing_acts_no_more(review):
    review.apply_job_states([job(1, "completed", 9)])
    assert collect(review) == 1
    deliver(review, to("completed", 8))  # CVAT's retry, four days late; a save has touched the job in between
    assert collect(review) == 0


def test_reconciliation_that_read_before_the_event_does_not_undo_it(review):
    deliver(review, to("completed", 5))
    assert review.apply_job_states([job(1, "in progress", 4)]) == 0
    assert collect(review) == 1


def story(job_id, start, reopened):
    """A job's changes of state in their order, as (state, minute)."""
    made = [("in progress", start), ("completed", start + 3)]
    return made + ([("in progress", start + 20), ("completed", start + 23)] if reopened else [])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_lost_doubled_or_late_each_completion_is_collected_once(tmp_path_factory, data):
    """Events in any order, some twice, some never; a look at the inbox after each; at the end, a reconciliation."""
    inbox = Inbox(f"sqlite:///{tmp_path_factory.mktemp('inbox') / 'inbox.db'}")
    numbers = (1, 2)
    inbox.register_review("reef.0001", "corners", TASK, None, [job(n) for n in numbers])
    collected = 0
    for start, who in ((1, numbers), (30, (1,))):  # everything is done; then one job is reopened and done again
        told = [to(state, minute, n) for n in who for state, minute in story(n, start + n, False)]
        lossy = data.draw(st.lists(st.sampled_from(told), min_size=1, max_size=2 * len(told)), label="deliveries")
        for delivery in lossy:
            inbox.insert(delivery)
            collected += collect(inbox)
        finals = [job(n, "completed", start + n + 4) for n in who]
        inbox.apply_job_states(finals)
        collected += collect(inbox)
        assert collected == (1 if start == 1 else 2)
        inbox.apply_job_states(finals)
        assert collect(inbox) == 0
    assert inbox.due() == []


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_review_with_an_open_job_is_never_due_after_reconciliation(tmp_path_factory, data):
    inbox = Inbox(f"sqlite:///{tmp_path_factory.mktemp('inbox') / 'inbox.db'}")
    inbox.register_review("reef.0001", "corners", TASK, None, [job(1), job(2)])
    states = data.draw(st.lists(st.sampled_from(["new", "in progress", "completed", "rejected"]), max_size=6))
    told = [to(state, minute, 1) for minute, state in enumerate([*states, "in progress"], 1)]
    for delivery in data.draw(st.permutations(told)):
        inbox.insert(delivery)
    inbox.insert(to("completed", 50, 2))
    inbox.apply_job_states([job(1, "in progress", len(told)), job(2, "completed", 50)])
    inbox.interpret_new()
    assert inbox.due() == []


def test_a_state_changed_without_a_new_date_is_healed(review):
    assert review.apply_job_states([job(1, "completed", 0)]) == 1
    assert collect(review) == 1


def test_a_reopening_and_a_new_completion_that_were_both_lost_are_collected(review):
    deliver(review, to("completed", 2))
    assert collect(review) == 1
    later = datetime.now(UTC) + timedelta(hours=1)
    touched = JobState(1, TASK, "annotation", "completed", "annotation", None, later)
    assert review.apply_job_states([touched]) == 1
    assert collect(review) == 1
    assert review.apply_job_states([touched]) == 0
