"""What CVAT tells of jobs, and what happens to it in an inbox."""

import threading
from datetime import UTC, datetime, timedelta

from resources.inbox import Delivery, Inbox, JobState

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


def loses_nothing_under_load(url):
    """Four receivers write what forty jobs tell, while the sensor works: their review is collected once, and whole."""
    sensor, jobs = Inbox(url), range(1, 41)
    sensor.register_review("reef.0001", "corners", TASK, None, [job(n) for n in jobs])
    failures, collected, finished = [], [], threading.Event()

    def receive(mine):
        receiver = Inbox(url)
        try:
            for number in mine:
                assert receiver.insert(to("completed", number + 1, number))
        except Exception as error:  # shown below: an assertion in a thread is silent
            failures.append(error)

    def work():
        try:
            while not finished.is_set():
                collected.append(collect(sensor))
        except Exception as error:
            failures.append(error)

    receivers = [threading.Thread(target=receive, args=(jobs[k::4],)) for k in range(4)]
    worker = threading.Thread(target=work)
    for thread in (*receivers, worker):
        thread.start()
    for thread in receivers:
        thread.join()
    finished.set()
    worker.join()
    collected.append(collect(sensor))
    assert failures == []
    assert sum(collected) == 1
    assert sensor.counts() == {("webhook", "done"): len(jobs)}
