"""Review tasks that have other numbers now, because CVAT has made them anew from its backups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from resources.inbox.inbox import Inbox
from resources.inbox.interpret import JobState
from resources.inbox.tables import deliveries, review_jobs, reviews, watermarks

STALE = "told of a task by its number before it was brought back; CVAT is asked anew"
"""Why an event that nobody has looked at is put aside: its body has the old numbers."""


@dataclass(frozen=True, slots=True)
class MovedTask:
    """A review task, before and after.

    Attributes:
        batch: key of the batch.
        gate: where people are asked.
        before: number of the task before.
        now: number of the task now.
        url: its address now.
        jobs: numbers of its jobs now, by those before.
        states: its jobs as CVAT has them now.
    """

    batch: str
    gate: str
    before: int
    now: int
    url: str
    jobs: Mapping[int, int]
    states: Sequence[JobState]


def highest_numbers(inbox: Inbox) -> tuple[int, int]:
    """The highest numbers of a task and of a job of CVAT that the inbox has ever heard of; 0 where of none."""
    highest = [
        sa.select(*(sa.func.coalesce(sa.func.max(column), 0) for column in columns))
        for columns in (
            (deliveries.c.task_id, deliveries.c.job_id),
            (reviews.c.task_id, sa.literal(0)),
            (review_jobs.c.task_id, review_jobs.c.job_id),
        )
    ]
    with inbox.engine.connect() as connection:
        found = [connection.execute(query).one() for query in highest]
    return max(int(task) for task, _ in found), max(int(job) for _, job in found)


def move_tasks(inbox: Inbox, moved: Sequence[MovedTask]) -> list[tuple[str, str]]:
    """Tell the inbox the new numbers, all at once: a new number may be the old one of another task.

    What is known of the jobs stays as it was known, so that the next comparison with CVAT finds what was not told.
    Nothing is changed where all numbers are the same.

    Returns:
        Batches and gates whose task was not among those moved and whose number is another task's now. They are set
        to a number that no task has.
    """
    if all(task.before == task.now for task in moved):
        return []
    tasks = {task.before: task.now for task in moved}
    jobs = {before: now for task in moved for before, now in task.jobs.items()}
    with inbox.engine.begin() as connection:
        lost = _set_lost_aside(connection, moved)
        for task in moved:
            mine = sa.and_(reviews.c.batch == task.batch, reviews.c.gate == task.gate)
            connection.execute(sa.update(reviews).where(mine).values(task_id=task.now, url=task.url))
        _move_jobs(connection, moved)
        fresh = sa.and_(deliveries.c.state == "new", deliveries.c.source != "platform")
        aside = {"state": "ignored", "reason": STALE, "processed_at": datetime.now(UTC)}
        connection.execute(sa.update(deliveries).where(fresh).values(**aside))
        for column, numbers in ((deliveries.c.task_id, tasks), (deliveries.c.job_id, jobs)):
            _renumber(connection, column, numbers)
        # Webhooks and their deliveries are counted anew, too.
        connection.execute(sa.delete(watermarks).where(watermarks.c.name.like("webhook.%")))
    return lost


def _set_lost_aside(connection: Connection, moved: Sequence[MovedTask]) -> list[tuple[str, str]]:
    mine, taken = {(task.batch, task.gate) for task in moved}, {task.now for task in moved}
    lost = []
    for row in connection.execute(sa.select(reviews).where(reviews.c.task_id.is_not(None))).all():
        if (row.batch, row.gate) in mine or row.task_id not in taken:
            continue
        connection.execute(sa.update(reviews).where(reviews.c.id == row.id).values(task_id=-row.task_id))
        connection.execute(sa.delete(review_jobs).where(review_jobs.c.task_id == row.task_id))
        theirs = deliveries.c.task_id == row.task_id
        waiting = sa.and_(theirs, deliveries.c.state.in_(("new", "pending")))
        connection.execute(sa.update(deliveries).where(waiting).values(state="ignored", reason=STALE))
        connection.execute(sa.update(deliveries).where(theirs).values(task_id=None))
        lost.append((row.batch, row.gate))
    return lost


def _move_jobs(connection: Connection, moved: Sequence[MovedTask]) -> None:
    """All rows leave before the first returns, because numbers may be exchanged."""
    made: list[dict[str, Any]] = []
    for task in moved:
        states = {state.job_id: state for state in task.states}
        for row in connection.execute(sa.select(review_jobs).where(review_jobs.c.task_id == task.before)).mappings():
            state = states.get(task.jobs.get(row["job_id"], -1))
            if state is not None:
                now = {"job_id": state.job_id, "task_id": task.now, "url": state.url}
                made.append({**row, **now, "updated_date": state.updated_date})
    before = [task.before for task in moved]
    connection.execute(sa.delete(review_jobs).where(review_jobs.c.task_id.in_(before)))
    if made:
        connection.execute(review_jobs.insert(), made)


def _renumber(connection: Connection, column: Any, numbers: Mapping[int, int]) -> None:
    """Exchange numbers in a column by way of negative ones, which no task has."""
    changed = {before: now for before, now in numbers.items() if before != now}
    for before, now in changed.items():
        connection.execute(sa.update(deliveries).where(column == before).values({column: -now}))
    if changed:
        connection.execute(sa.update(deliveries).where(column < 0).values({column: -column}))
