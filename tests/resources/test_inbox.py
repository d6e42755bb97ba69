"""The inbox on SQLite: what is kept, what is due, and that nothing is due twice."""

import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import SQLAlchemyError

from resources.inbox import Delivery, Inbox, JobState, LetterError
from resources.inbox.letters import letter, letters, replay

START = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)
TASK = 7


def at(minute):
    return START + timedelta(minutes=minute)


def job(job_id=1, state="new", minute=0, *, task=TASK, kind="annotation", stage="annotation", assignee=None):
    return JobState(job_id, task, kind, state, stage, assignee, at(minute), f"http://cvat/api/jobs/{job_id}")


def event(told, before=None, *, name="update:job", dialect="before_update", webhook=3):
    """CVAT's payload that tells of a job's state; ``before`` holds the old values of what changed."""
    body = {
        "event": name,
        "webhook_id": webhook,
        "sender": {"id": 1, "username": "ann"},
        "job": {
            "id": told.job_id,
            "task_id": told.task_id,
            "type": told.type,
            "state": told.state,
            "stage": told.stage,
            "assignee": {"username": told.assignee} if told.assignee else None,
            "updated_date": told.updated_date.isoformat(),
        },
    }
    if before is not None:
        body[dialect] = before
    return Delivery(name, body)


def to(state, minute, job_id=1, **more):
    """A change of state, as CVAT tells it."""
    return event(job(job_id, state, minute, **more), {"state": "another", "updated_date": at(minute - 1).isoformat()})


@pytest.fixture
def inbox(tmp_path):
    return Inbox(f"sqlite:///{tmp_path / 'inbox.db'}")


@pytest.fixture
def review(inbox):
    """A review of one job that nobody has begun."""
    inbox.register_review("reef.0001", "corners", TASK, "http://cvat/tasks/7", [job()])
    return inbox


def deliver(inbox, *deliveries):
    for delivery in deliveries:
        inbox.insert(delivery)
    return inbox.interpret_new()


def collect(inbox, run="run"):
    """What the sensor and its run do; how many reviews there were."""
    inbox.interpret_new()
    due = inbox.due()
    for found in due:
        inbox.mark_done(found.batch, found.gate, found.last_id, run)
    return len(due)


def test_a_completed_review_is_due_until_its_run_says_done(review):
    deliver(review, to("in progress", 1))
    assert review.due() == []
    deliver(review, to("completed", 2))
    [due] = review.due()
    assert (due.batch, due.gate, due.task_id) == ("reef.0001", "corners", TASK)
    assert review.due() == [due], "asking does not change anything"
    assert review.mark_done(due.batch, due.gate, due.last_id, "run-1") > 0
    assert review.due() == []
    assert review.reviews()[0].state == "collected"


def test_a_review_of_two_jobs_is_due_when_both_are_completed(inbox):
    inbox.register_review("reef.0001", "corners", TASK, None, [job(1), job(2)])
    deliver(inbox, to("completed", 1, 1))
    assert inbox.due() == []
    status = inbox.reviews()[0]
    assert (status.jobs_done, status.jobs_total) == (1, 2)
    deliver(inbox, to("completed", 2, 2))
    assert len(inbox.due()) == 1


def test_a_ground_truth_job_holds_nothing_up(inbox):
    inbox.register_review("reef.0001", "corners", TASK, None, [job(1), job(2, kind="ground_truth")])
    deliver(inbox, to("completed", 1, 1))
    assert len(inbox.due()) == 1
    assert inbox.reviews()[0].jobs_total == 1


def test_a_redelivery_with_other_key_order_is_the_same_delivery(review):
    first = to("completed", 2)
    assert review.insert(first)
    shuffled = dict(reversed([(k, dict(reversed(v.items())) if k == "job" else v) for k, v in first.body.items()]))
    assert list(shuffled) != list(first.body)
    assert not review.insert(Delivery(first.event, shuffled))


def test_the_same_change_told_by_two_webhooks_acts_once(review):
    finished = job(1, "completed", 2)
    deliver(review, event(finished, {"state": "new"}, webhook=3), event(finished, {"state": "new"}, webhook=4))
    assert collect(review) == 1
    assert collect(review) == 0


def test_fifty_saves_of_annotations_start_nothing(review):
    for minute in range(1, 51):
        review.insert(event(job(1, "completed", minute), {"updated_date": at(minute - 1).isoformat()}))
    seen = review.interpret_new()
    assert (seen.noise, seen.transitions) == (50, 0)
    assert review.due() == []


def test_saves_after_the_collection_start_nothing(review):
    deliver(review, to("completed", 2))
    assert collect(review) == 1
    deliver(review, event(job(1, "completed", 3), {"updated_date": at(2).isoformat()}))
    assert collect(review) == 0


def test_the_newer_dialect_tells_changes_and_is_understood(review):
    finished = job(1, "completed", 2)
    deliver(review, event(finished, {"state": {"old": "new", "new": "completed"}}, dialect="changes"))
    assert collect(review) == 1


def test_an_event_that_arrives_after_a_newer_one_is_put_aside(review):
    deliver(review, to("completed", 5), to("in progress", 4))
    assert collect(review) == 1
    assert review.reviews()[0].jobs_done == 1


def test_a_review_that_is_reopened_and_completed_again_is_due_again(review):
    deliver(review, to("completed", 2))
    assert collect(review) == 1
    deliver(review, to("in progress", 3))
    assert collect(review) == 0
    assert review.reviews()[0].state == "open"
    deliver(review, to("completed", 4))
    assert collect(review) == 1


def test_a_completion_during_the_run_is_not_swallowed_by_its_last_act(review):
    deliver(review, to("completed", 2))
    [due] = review.due()
    deliver(review, to("in progress", 3), to("completed", 4))
    review.mark_done(due.batch, due.gate, due.last_id, "run-1")
    [again] = review.due()
    assert again.last_id > due.last_id


def test_marking_done_twice_changes_nothing_more(review):
    deliver(review, to("completed", 2))
    [due] = review.due()
    assert review.mark_done(due.batch, due.gate, due.last_id, "run-1") > 0
    assert review.mark_done(due.batch, due.gate, due.last_id, "run-1") == 0


def test_an_event_that_is_faster_than_the_registration_is_not_lost(inbox):
    seen = deliver(inbox, to("completed", 2))
    assert seen.waiting == 1
    inbox.register_review("reef.0001", "corners", TASK, None, [job()])
    assert collect(inbox) == 1


def test_an_event_of_a_foreign_task_is_put_aside_after_a_while(inbox, monkeypatch):
    monkeypatch.setattr("resources.inbox.inbox.UNKNOWN_TASK_PATIENCE", timedelta(0))
    seen = deliver(inbox, to("completed", 2, task=99))
    assert (seen.noise, seen.waiting) == (1, 0)
    assert inbox.counts() == {("webhook", "ignored"): 1}


def test_a_gate_that_needs_nobody_is_due_at_once_and_once(inbox):
    for _ in range(2):  # a run that is retried registers again
        inbox.register_review("reef.0001", "lattice", None, None, [])
    assert collect(inbox) == 1
    assert collect(inbox) == 0


def test_a_review_registered_with_finished_jobs_is_due(inbox):
    inbox.register_review("reef.0001", "corners", TASK, None, [job(1, "completed", 3)])
    assert collect(inbox) == 1
    assert collect(inbox) == 0


def test_registering_twice_makes_one_review_and_forgets_nothing(review):
    deliver(review, to("in progress", 2, assignee="ann"))
    review.register_review("reef.0001", "corners", TASK, "http://cvat/tasks/7", [job()])
    [status] = review.reviews()
    assert status.waiting_for == ("ann",)


def test_two_batches_do_not_mix(inbox):
    for number in (1, 2):
        inbox.register_review(f"reef.000{number}", "corners", number, None, [job(number, task=number)])
    deliver(inbox, to("completed", 1, 1, task=1))
    assert [due.batch for due in inbox.due()] == ["reef.0001"]
    collect(inbox)
    assert {r.batch: r.state for r in inbox.reviews()} == {"reef.0001": "collected", "reef.0002": "open"}


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


def test_the_last_id_counts_every_row(review):
    before = review.last_id()
    deliver(review, to("in progress", 1))
    assert review.last_id() > before


def test_rows_survive_a_new_process(tmp_path):
    url = f"sqlite:///{tmp_path / 'inbox.db'}"
    first = Inbox(url)
    first.register_review("reef.0001", "corners", TASK, None, [job()])
    first.insert(to("completed", 2))
    assert collect(Inbox(url)) == 1
    assert first.reviews()[0].state == "collected"


def test_many_writers_and_one_reader_lose_nothing(tmp_path):
    url = f"sqlite:///{tmp_path / 'inbox.db'}"
    receiver, sensor = Inbox(url), Inbox(url)
    jobs = range(1, 41)
    sensor.register_review("reef.0001", "corners", TASK, None, [job(n) for n in jobs])
    failures, collected, finished = [], [], threading.Event()

    def write(numbers):
        try:
            for number in numbers:
                assert receiver.insert(to("completed", number + 1, number))
        except Exception as error:  # shown below: an assertion in a thread is silent
            failures.append(error)

    def work():
        try:
            while not finished.is_set():
                collected.append(collect(sensor))
        except Exception as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(jobs[k::4],)) for k in range(4)]
    worker = threading.Thread(target=work)
    for thread in (*writers, worker):
        thread.start()
    for thread in writers:
        thread.join()
    finished.set()
    worker.join()
    collected.append(collect(sensor))
    assert failures == []
    assert sum(collected) == 1
    assert sensor.counts() == {("webhook", "done"): len(jobs)}


def test_a_locked_database_is_told_and_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("resources.inbox.engine.BUSY_S", 0)
    inbox = Inbox(f"sqlite:///{tmp_path / 'inbox.db'}")
    inbox.register_review("reef.0001", "corners", TASK, None, [job()])
    with closing(sqlite3.connect(tmp_path / "inbox.db", isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(Exception, match="locked"):
            inbox.insert(to("completed", 2))
        with pytest.raises(Exception, match="locked"):
            inbox.writable()
        other.execute("rollback")
    inbox.writable()
    assert inbox.insert(to("completed", 2)), "the failed try left nothing behind"


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


def test_a_cvat_that_no_longer_tells_what_changed_is_understood_by_comparison(review):
    deliver(review, event(job(1, "completed", 2)))
    assert collect(review) == 1


@pytest.mark.parametrize(
    ("later", "before"),
    [
        ({"assignee": "bob"}, {"assignee": None}),
        ({"stage": "acceptance"}, {"stage": "annotation", "status": "annotation"}),
    ],
)
def test_a_new_assignee_or_stage_after_the_collection_starts_nothing(review, later, before):
    deliver(review, to("completed", 2))
    assert collect(review) == 1
    deliver(review, event(job(1, "completed", 3, **later), before))
    review.apply_job_states([job(1, "completed", 4, **later)])
    assert collect(review) == 0


def test_a_review_reopened_during_its_run_stays_open(review):
    deliver(review, to("completed", 2))
    [due] = review.due()
    deliver(review, to("in progress", 3))
    review.mark_done(due.batch, due.gate, due.last_id, "r")
    assert review.reviews()[0].state == "open"


def test_a_state_changed_without_a_new_date_is_healed(review):
    assert review.apply_job_states([job(1, "completed", 0)]) == 1
    assert collect(review) == 1


def test_a_task_whose_jobs_are_not_known_yet_is_not_due(inbox):
    inbox.register_review("reef.0001", "corners", 7, None, [])
    inbox.interpret_new()
    assert inbox.due() == []


def test_a_gate_that_needs_nobody_is_due_again_when_it_is_asked_for_again(inbox):
    for _ in range(2):
        inbox.register_review("reef.0001", "lattice", None, None, [])
        assert collect(inbox) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"event": "update:job", "webhook_id": {"a": 1}},
        {"event": "x" * 100, "job": {"id": 2**70, "task_id": "x"}},
        {"event": "update:job", "job": {"id": [1], "task_id": 7, "state": "x", "updated_date": "x"}},
    ],
)
def test_signed_but_odd_deliveries_are_kept_and_put_aside(inbox, body):
    inbox.insert(Delivery(body["event"], body))
    assert inbox.interpret_new().transitions == 0


def staged(stage, state, minute, before):
    """A change of the stage, as CVAT tells it."""
    return event(job(1, state, minute, stage=stage), before)


def test_a_survey_that_asks_for_acceptance_waits_through_all_stages(inbox):
    inbox.register_review("reef.0001", "corals", TASK, None, [job()], done_at="acceptance")
    deliver(inbox, to("completed", 2))
    assert collect(inbox) == 0
    [status] = inbox.reviews()
    assert (status.jobs_done, status.stages) == (0, ("annotation",))
    deliver(inbox, staged("validation", "new", 3, {"stage": "annotation", "state": "completed"}))
    deliver(inbox, staged("validation", "completed", 4, {"state": "new"}))
    assert collect(inbox) == 0
    assert inbox.reviews()[0].stages == ("validation",)
    # One PATCH with stage and state: the state stays completed, only the stage changes.
    deliver(inbox, staged("acceptance", "completed", 5, {"stage": "validation"}))
    assert collect(inbox) == 1
    assert inbox.reviews()[0].state == "collected"


def test_a_later_stage_of_a_job_that_was_done_already_starts_nothing(review):
    deliver(review, to("completed", 2))
    assert collect(review) == 1
    deliver(review, staged("acceptance", "completed", 3, {"stage": "annotation"}))
    assert collect(review) == 0


def test_sending_an_accepted_job_back_reopens_its_review(inbox):
    inbox.register_review("reef.0001", "corals", TASK, None, [job()], done_at="validation")
    deliver(inbox, staged("validation", "completed", 2, {"stage": "annotation"}))
    assert collect(inbox) == 1
    deliver(inbox, staged("annotation", "new", 3, {"stage": "validation", "state": "completed"}))
    assert inbox.reviews()[0].state == "open"


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


def test_watermarks_are_kept(tmp_path):
    url = f"sqlite:///{tmp_path / 'inbox.db'}"
    assert Inbox(url).watermark("jobs") is None
    for value in ("1", "2"):
        Inbox(url).set_watermark("jobs", value)
    assert Inbox(url).watermark("jobs") == "2"


def test_an_inbox_of_an_earlier_version_gets_the_new_columns_and_keeps_its_rows(tmp_path):
    path = tmp_path / "inbox.db"
    with closing(sqlite3.connect(path)) as old, old:
        old.execute(
            "CREATE TABLE deliveries (id INTEGER PRIMARY KEY, received_at DATETIME NOT NULL, source VARCHAR(16), "
            "event VARCHAR(64) NOT NULL, webhook_id INTEGER, task_id INTEGER, job_id INTEGER, path TEXT NOT NULL, "
            "query TEXT NOT NULL, body TEXT NOT NULL, dedupe_key VARCHAR(64) UNIQUE, state VARCHAR(16) NOT NULL, "
            "reason TEXT, run_id VARCHAR(64), processed_at DATETIME)"
        )
        old.execute(
            "INSERT INTO deliveries VALUES (1, '2026-05-01 08:00:00.000000', 'webhook', 'ping', 1, NULL, NULL, '', '', "
            "'{}', 'k', 'ignored', NULL, NULL, NULL)"
        )
    inbox = Inbox(f"sqlite:///{path}")
    assert letter(inbox, 1).replays == 0
    inbox.register_review("reef.0001", "corners", TASK, None, [job()])
    assert collect(inbox) == 0


def test_several_deliveries_are_kept_at_once_and_each_hears_whether_it_was_new(inbox):
    first, second = to("completed", 2), to("in progress", 1)
    assert inbox.insert_many([first, second, first]) == [True, True, False]
    assert inbox.insert_many([second, to("rejected", 3)]) == [False, True]
    assert sum(inbox.counts().values()) == 3


def test_a_refusal_of_the_database_is_no_duplicate(tmp_path, inbox):
    inbox.writable()
    with closing(sqlite3.connect(tmp_path / "inbox.db")) as other, other:
        other.execute("CREATE TRIGGER no BEFORE INSERT ON deliveries BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(SQLAlchemyError):
        inbox.insert(to("completed", 2))


def test_a_reopening_and_a_new_completion_that_were_both_lost_are_collected(review):
    deliver(review, to("completed", 2))
    assert collect(review) == 1
    later = datetime.now(UTC) + timedelta(hours=1)
    touched = JobState(1, TASK, "annotation", "completed", "annotation", None, later)
    assert review.apply_job_states([touched]) == 1
    assert collect(review) == 1
    assert review.apply_job_states([touched]) == 0
