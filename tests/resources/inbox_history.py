"""An inbox with a long past, and how much work its database has with a question."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from resources.inbox.tables import deliveries, review_jobs, reviews

LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
FIRST_TASK = 1_000_000


def collected_before(inbox, count):
    """As if so many reviews had been made, finished and collected long ago."""
    made, jobs, told = [], [], []
    for number in range(count):
        task, when = FIRST_TASK + number, LONG_AGO + timedelta(minutes=number)
        review = {"batch": f"old.{number:06d}", "gate": "corners", "task_id": task, "state": "collected"}
        made.append({**review, "created_at": when, "collected_at": when, "done_at": "annotation", "run_id": "run"})
        job = {"job_id": task, "task_id": task, "type": "annotation", "state": "completed", "stage": "annotation"}
        jobs.append({**job, "updated_date": when, "url": ""})
        row = {"received_at": when, "source": "webhook", "event": "update:job", "task_id": task, "job_id": task}
        told.append({**row, "path": "/cvat/webhook", "body": "{}", "dedupe_key": f"old-{number}", "state": "done"})
    with inbox.engine.begin() as connection:
        for table, rows in ((reviews, made), (review_jobs, jobs), (deliveries, told)):
            connection.execute(table.insert(), rows)


def work_of(inbox, act):
    """Steps of SQLite's virtual machine for what ``act`` asks, in tens: rows that are looked at, however fast."""
    steps = 0

    def count():
        nonlocal steps
        steps += 1
        return 0

    def begin(connection, *_):
        connection.set_progress_handler(count, 10)

    inbox.engine.dispose()  # the handler is set when a connection is taken
    sa.event.listen(inbox.engine, "checkout", begin)
    try:
        act()
    finally:
        sa.event.remove(inbox.engine, "checkout", begin)
        inbox.engine.dispose()
    return steps
