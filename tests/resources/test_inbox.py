"""The inbox on SQLite: what is due, and that nothing is due twice."""

from datetime import timedelta

import pytest

from resources.inbox import Delivery
from tests.resources.told import TASK, at, collect, deliver, event, job, to


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
