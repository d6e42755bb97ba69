"""Which reviews wait for people, and which for a run. Works on open connections.

A review's ``state`` is changed in the transaction that makes, reopens or collects it, so the index over it is never
behind. Everything here reads what is open or asked for, never all reviews that there have been: an installation keeps
tens of thousands of collected ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from resources.inbox.jobs import finished, holds_up, status_of
from resources.inbox.model import DueReview, ReviewStatus
from resources.inbox.tables import deliveries, review_jobs, reviews

PLATFORM = "review/"
AT_ONCE = 400
"""Values in one query; SQLite before 3.32 takes 999."""


def platform_path(batch: str, gate: str) -> str:
    """Path of the platform's own rows about a review; those of webhooks begin with a slash."""
    return f"{PLATFORM}{batch}/{gate}"


def due_reviews(connection: Connection) -> list[DueReview]:
    """Reviews whose jobs are all done and that have rows no run has answered, oldest first."""
    columns = (deliveries.c.task_id, deliveries.c.path, deliveries.c.id, deliveries.c.replays)
    pending = sa.select(*columns).where(deliveries.c.state == "pending").order_by(deliveries.c.id)
    rows = connection.execute(pending).all()
    by_task = {row.task_id: row for row in rows if row.task_id is not None}
    by_path = {row.path: row for row in rows}
    found = []
    for review in _reviews_of(connection, by_task, by_path):
        told = (by_task.get(review.task_id), by_path.get(platform_path(review.batch, review.gate)))
        mine = [row for row in told if row is not None]
        if mine and finished(connection, review):
            last = max(mine, key=lambda row: row.id)
            found.append(DueReview(review.batch, review.gate, review.task_id, last.id, last.replays))
    return found


def _reviews_of(connection: Connection, tasks: Collection[int], paths: Collection[str]) -> list[Any]:
    """The reviews that rows of these tasks and paths are about, oldest first."""
    named = [tuple(path.split("/")[1:3]) for path in paths if path.startswith(PLATFORM)]
    query = sa.select(reviews)
    found = {}
    for some in _parts(sorted(tasks)):
        for review in connection.execute(query.where(reviews.c.task_id.in_(some))):
            found[review.id] = review
    for some in _parts(named):
        for review in connection.execute(query.where(sa.tuple_(reviews.c.batch, reviews.c.gate).in_(some))):
            found[review.id] = review
    return [found[number] for number in sorted(found)]


def known_tasks(connection: Connection, tasks: Collection[int]) -> set[int]:
    """Those of the tasks that are reviews of this installation."""
    query = sa.select(reviews.c.task_id)
    parts = _parts(sorted(set(tasks)))
    return {task for some in parts for task in connection.execute(query.where(reviews.c.task_id.in_(some))).scalars()}


def statuses(connection: Connection, state: str | None = None) -> list[ReviewStatus]:
    """Reviews, all or those in a state, with their jobs, oldest first. Two queries, however many there are."""
    wanted = sa.select(reviews) if state is None else sa.select(reviews).where(reviews.c.state == state)
    rows = connection.execute(wanted.order_by(reviews.c.id)).all()
    of = sa.select(review_jobs).where(review_jobs.c.task_id.in_(wanted.with_only_columns(reviews.c.task_id)))
    jobs = defaultdict(list)
    for job in connection.execute(of) if rows else ():
        jobs[job.task_id].append(job)
    return [status_of(row, [job for job in jobs[row.task_id] if holds_up(job, row.truth_needed)]) for row in rows]


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), AT_ONCE):
        yield values[start : start + AT_ONCE]
