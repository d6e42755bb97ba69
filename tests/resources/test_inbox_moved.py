"""New numbers of review tasks: nothing is mixed up, also where one task gets the number another had."""

from datetime import UTC, datetime

from resources.inbox import Delivery, Inbox, JobState
from resources.inbox.moved import MovedTask, move_tasks

DAY = datetime(2026, 11, 20, tzinfo=UTC)
LATER = datetime(2026, 11, 21, tzinfo=UTC)


def job(number, task, state="in progress", when=DAY):
    return JobState(number, task, "annotation", state, "annotation", "anna", when, f"http://cvat/{number}")


def completed(number, task):
    body = {"event": "update:job", "job": {"id": number, "task_id": task, "state": "completed", "stage": "annotation",
            "type": "annotation", "assignee": None, "updated_date": LATER.isoformat(), "url": ""},
            "before_update": {"state": "in progress"}, "webhook_id": 1}  # fmt: skip
    return Delivery("update:job", body, "webhook")


def filled(tmp_path):
    inbox = Inbox(f"sqlite:///{tmp_path / 'inbox.db'}")
    for batch, task in (("a.0001", 1), ("b.0001", 2), ("c.0001", 3)):
        inbox.register_review(batch, "corners", task, f"http://cvat/{task}", [job(task * 10, task)])
    return inbox


def moved(batch, before, now):
    jobs = {before * 10: now * 10}
    return MovedTask(batch, "corners", before, now, f"http://new/{now}", jobs, [job(now * 10, now, when=LATER)])


def test_tasks_that_exchange_their_numbers_keep_their_own_events(tmp_path):
    inbox = filled(tmp_path)
    inbox.insert(completed(10, 1))
    inbox.interpret_new()
    assert [due.batch for due in inbox.due()] == ["a.0001"]
    assert move_tasks(inbox, [moved("a.0001", 1, 2), moved("b.0001", 2, 1), moved("c.0001", 3, 4)]) == []
    assert {r.batch: (r.task_id, r.url) for r in inbox.reviews()} == {
        "a.0001": (2, "http://new/2"),
        "b.0001": (1, "http://new/1"),
        "c.0001": (4, "http://new/4"),
    }
    assert [(due.batch, due.task_id) for due in inbox.due()] == [("a.0001", 2)]
    assert inbox.apply_job_states([job(20, 2, "completed", LATER), job(10, 1, when=LATER)]) == 0


def test_an_event_that_nobody_has_looked_at_yet_is_found_again_by_comparing(tmp_path):
    inbox = filled(tmp_path)
    inbox.insert(completed(20, 2))
    inbox.set_watermark("webhook.1.deliveries", "500")
    move_tasks(inbox, [moved("a.0001", 1, 7), moved("b.0001", 2, 8), moved("c.0001", 3, 9)])
    assert inbox.counts() == {("webhook", "ignored"): 1}
    assert inbox.watermark("webhook.1.deliveries") is None
    assert inbox.due() == []
    assert inbox.apply_job_states([job(80, 8, "completed", LATER)]) == 1
    inbox.interpret_new()
    assert [(due.batch, due.task_id) for due in inbox.due()] == [("b.0001", 8)]


def test_a_review_without_a_backup_does_not_take_another_ones_task_for_its_own(tmp_path):
    inbox = filled(tmp_path)
    inbox.insert(completed(30, 3))
    inbox.interpret_new()
    assert move_tasks(inbox, [moved("a.0001", 1, 3), moved("b.0001", 2, 5)]) == [("c.0001", "corners")]
    assert inbox.due() == []
    assert inbox.known_tasks([1, 2, 3, 5]) == {3, 5}


def test_a_cvat_that_lost_nothing_changes_nothing(tmp_path):
    inbox = filled(tmp_path)
    before = inbox.reviews()
    inbox.insert(completed(10, 1))
    assert move_tasks(inbox, [moved("a.0001", 1, 1)]) == []
    assert inbox.reviews() == before
    assert inbox.counts() == {("webhook", "new"): 1}
