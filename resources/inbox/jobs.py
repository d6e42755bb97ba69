"""What is known of CVAT's jobs: remembering states, and telling whether a review is done. Works on open connections."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from resources.inbox.interpret import JobState, parse_date
from resources.inbox.model import ReviewStatus
from resources.inbox.tables import review_jobs, reviews

GROUND_TRUTH = "ground_truth"
COMPLETED = "completed"
STAGES = ("annotation", "validation", "acceptance")


def is_done(job: Any, done_at: str) -> bool:
    """Whether nobody has to work in a job any more: completed, in the stage the survey asks for or a later one."""
    return job.state == COMPLETED and _rank(job.stage) >= _rank(done_at)


def _rank(stage: str) -> int:
    return STAGES.index(stage) if stage in STAGES else 0


def remember(connection: Connection, job: JobState, *, state_changed: bool = False) -> str | None:
    """Remember a job's state when it is news; why it is none, otherwise.

    ``updated_date`` is kept as of the last news, not of the last save: a late event is judged by it.
    """
    mine = review_jobs.c.job_id == job.job_id
    known = connection.execute(sa.select(review_jobs).where(mine)).first()
    done_at = done_at_of(connection, job.task_id)
    shown = {"stage": job.stage, "assignee": job.assignee, "url": job.url}
    values = {"task_id": job.task_id, "type": job.type, "state": job.state, "updated_date": job.updated_date, **shown}
    if known is None:
        connection.execute(review_jobs.insert().values(job_id=job.job_id, **values))
    else:
        since = utc(known.updated_date)
        same = known.state == job.state and is_done(known, done_at) == is_done(job, done_at)
        if job.updated_date < since or (same and job.updated_date == since):
            return "older than what is known of the job"
        if same and not state_changed:
            connection.execute(sa.update(review_jobs).where(mine).values(**shown))
            return "the state of the job did not change"
        connection.execute(sa.update(review_jobs).where(mine).values(**values))
    if not is_done(job, done_at):
        reopened = sa.update(reviews).where(reviews.c.task_id == job.task_id)
        if job.type == GROUND_TRUTH:  # as in holds_up
            reopened = reopened.where(reviews.c.truth_needed)
        connection.execute(reopened.values(state="open"))
    return None


def unlike_known(connection: Connection, job: JobState) -> dict[str, str | None] | None:
    """What a lost event would have said had changed; ``None`` when nothing is lost.

    A job that is completed as before, but was touched after its review was collected, may have been reopened, changed
    and completed again without a word: it is collected once more.
    """
    known = connection.execute(sa.select(review_jobs).where(review_jobs.c.job_id == job.job_id)).first()
    if known is None:
        return {"state": None}
    if utc(known.updated_date) > job.updated_date:
        return None
    done_at = done_at_of(connection, job.task_id)
    if known.state != job.state or is_done(known, done_at) != is_done(job, done_at):
        return {"state": known.state}
    collected = connection.execute(sa.select(reviews.c.collected_at).where(reviews.c.task_id == job.task_id)).scalar()
    touched = collected is not None and job.updated_date > max(utc(collected), utc(known.updated_date))
    return {"state": "unknown"} if touched and is_done(job, done_at) else None


def done_at_of(connection: Connection, task_id: int) -> str:
    """The stage in which jobs of a task must be completed."""
    query = sa.select(reviews.c.done_at).where(reviews.c.task_id == task_id)
    return connection.execute(query).scalar() or STAGES[0]


def finished(connection: Connection, review: Any) -> bool:
    """Whether nobody has to do anything any more. A task without known jobs is not finished."""
    jobs = jobs_of(connection, review)
    return review.task_id is None or (bool(jobs) and all(is_done(job, review.done_at) for job in jobs))


def jobs_of(connection: Connection, review: Any) -> list[Any]:
    """The jobs of a review that people have to finish."""
    if review.task_id is None:
        return []
    mine = sa.select(review_jobs).where(review_jobs.c.task_id == review.task_id)
    return [job for job in connection.execute(mine).all() if holds_up(job, review.truth_needed)]


def holds_up(job: Any, truth_needed: bool) -> bool:
    """Whether a review waits for a job: for the ground-truth job only where it alone labels some pictures."""
    return job.type != GROUND_TRUTH or truth_needed


def status_of(review: Any, jobs: Sequence[Any]) -> ReviewStatus:
    """A review and its jobs for people."""
    waiting = [job for job in jobs if not is_done(job, review.done_at)]
    since = max([utc(review.created_at), *(utc(job.updated_date) for job in waiting)])
    people = tuple(sorted({job.assignee for job in waiting if job.assignee}))
    stages = tuple(stage for stage in STAGES if any(job.stage == stage for job in waiting))
    done = len(jobs) - len(waiting)
    collected = utc(review.collected_at) if review.state == "collected" and review.collected_at else None
    return ReviewStatus(
        review.batch, review.gate, review.task_id, review.url, review.state, done, len(jobs), people, since, stages,
        utc(review.created_at), collected,
    )  # fmt: skip


def as_cvat(job: JobState) -> dict[str, Any]:
    """A job as CVAT's payloads have it."""
    return {
        "id": job.job_id,
        "task_id": job.task_id,
        "type": job.type,
        "state": job.state,
        "stage": job.stage,
        "assignee": {"username": job.assignee} if job.assignee else None,
        "updated_date": job.updated_date.isoformat(),
        "url": job.url,
    }


def utc(date: datetime | str) -> datetime:
    """A date of the database as aware UTC; SQLite forgets the zone."""
    if isinstance(date, str):
        return parse_date(date)
    return date if date.tzinfo else date.replace(tzinfo=UTC)
