"""Operations of the inbox, over SQLite (embedded) or Postgres.

Three kinds of processes use it at once: the receiver inserts, the ``reviews`` sensor interprets and asks what is due,
runs register reviews and mark them collected. Each operation is one transaction, and each can be repeated.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError

from resources.inbox.engine import make_engine
from resources.inbox.interpret import JobState, as_id, dedupe_key, interpret, parse_date, task_and_job
from resources.inbox.tables import deliveries, metadata, review_jobs, reviews

UNKNOWN_TASK_PATIENCE = timedelta(minutes=10)
"""How long an event of a task nobody has registered is kept waiting: its review may be registered any moment."""
REVIEWS_LOCK = 4703121
"""Postgres advisory lock of those who change what is known of reviews; any number of our own."""
GROUND_TRUTH = "ground_truth"
COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event as it came in. ``path`` and ``query`` are the receiver's URL, for sites that use the bridge's."""

    event: str
    body: dict[str, Any]
    source: str = "webhook"
    path: str = ""
    query: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Interpreted:
    """What looking at new rows found."""

    noise: int = 0
    transitions: int = 0
    waiting: int = 0

    def summary(self) -> str:
        """For people."""
        return f"{self.transitions} transitions, {self.noise} without meaning, {self.waiting} of unknown tasks"


@dataclass(frozen=True, slots=True)
class DueReview:
    """A review that people have finished and no run has collected. ``last_id``: the last row a run answers."""

    batch: str
    gate: str
    task_id: int | None
    last_id: int


@dataclass(frozen=True, slots=True)
class ReviewStatus:
    """A review for status tables. ``since``: when it began to wait for people."""

    batch: str
    gate: str
    task_id: int | None
    url: str | None
    state: str
    jobs_done: int
    jobs_total: int
    waiting_for: tuple[str, ...]
    since: datetime


class Inbox:
    """The inbox behind an SQLAlchemy URL. Connects, and makes its tables, on first use."""

    def __init__(self, url: str) -> None:
        """Use ``sqlite:///file`` or ``postgresql+psycopg2://user:password@host/db``."""
        self.url = url
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The connected engine."""
        if self._engine is None:
            engine = make_engine(self.url)
            with engine.begin() as connection:
                metadata.create_all(connection)
            self._engine = engine
        return self._engine

    @property
    def place(self) -> str:
        """The database's address, without its password."""
        return sa.engine.make_url(self.url).render_as_string(hide_password=True)

    def insert(self, delivery: Delivery) -> bool:
        """Keep a delivery; ``False`` when the same event is there already. Committed when it returns."""
        task_id, job_id = task_and_job(delivery.body)
        row = {
            "event": delivery.event.replace("\0", "")[:64],
            "source": delivery.source,
            "webhook_id": as_id(delivery.body.get("webhook_id")),
            "task_id": task_id,
            "job_id": job_id,
            "path": delivery.path,
            "query": json.dumps(delivery.query, sort_keys=True) if delivery.query else "",
            "body": json.dumps(delivery.body, sort_keys=True),
            "dedupe_key": dedupe_key(delivery.body),
            "received_at": datetime.now(UTC),
            "state": "new",
        }
        return self._insert(row)

    def _insert(self, row: dict[str, Any]) -> bool:
        try:
            with self.engine.begin() as connection:
                connection.execute(deliveries.insert().values(**row))
        except IntegrityError:
            return False
        return True

    def writable(self) -> None:
        """Prove that a row can be written, without leaving one.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database does not accept writes.
        """
        with self.engine.connect() as connection:
            transaction = connection.begin()
            connection.execute(sa.update(deliveries).where(deliveries.c.id == -1).values(reason=None))
            transaction.rollback()

    def interpret_new(self, limit: int = 5000) -> Interpreted:
        """Look at new rows in order: noise is put aside, transitions update what is known of the jobs."""
        noise = transitions = waiting = 0
        with self.engine.begin() as connection:
            _alone(connection)
            known = {task for (task,) in connection.execute(sa.select(reviews.c.task_id)) if task is not None}
            fresh = sa.select(deliveries).where(deliveries.c.state == "new").order_by(deliveries.c.id).limit(limit)
            for row in connection.execute(fresh).all():
                state, reason = self._judge(connection, row, known)
                if state == "new":
                    waiting += 1
                    continue
                noise += state == "ignored"
                transitions += state == "pending"
                now = datetime.now(UTC)
                change = {"state": state, "reason": reason, "processed_at": now if state == "ignored" else None}
                connection.execute(sa.update(deliveries).where(deliveries.c.id == row.id).values(**change))
        return Interpreted(noise, transitions, waiting)

    @staticmethod
    def _judge(connection: Connection, row: Any, known: set[int]) -> tuple[str, str | None]:
        if row.source == "platform":
            return "pending", None
        meaning = interpret(row.event, json.loads(row.body))
        if meaning.job is None:
            return "ignored", meaning.noise
        if meaning.job.task_id not in known:
            if datetime.now(UTC) - _utc(row.received_at) < UNKNOWN_TASK_PATIENCE:
                return "new", None
            return "ignored", f"task {meaning.job.task_id} is not a review of this installation"
        nothing = _update_job(connection, meaning.job, state_changed=meaning.state_changed)
        return ("ignored", nothing) if nothing else ("pending", None)

    def register_review(
        self, batch: str, gate: str, task_id: int | None, url: str | None, jobs: Sequence[JobState]
    ) -> None:
        """Say what is waited for. A gate that needs nobody is finished at once, by the same way as every other."""
        with self.engine.begin() as connection:
            _alone(connection)
            mine = sa.and_(reviews.c.batch == batch, reviews.c.gate == gate)
            existing = connection.execute(sa.select(reviews).where(mine)).first()
            if existing is None:
                values = {"batch": batch, "gate": gate, "task_id": task_id, "url": url, "state": "open"}
                connection.execute(reviews.insert().values(**values, created_at=datetime.now(UTC)))
            elif existing.task_id != task_id or task_id is None:
                connection.execute(sa.update(reviews).where(mine).values(task_id=task_id, url=url, state="open"))
            for job in jobs:
                _update_job(connection, job)
        people = [job for job in jobs if job.type != GROUND_TRUTH]
        if task_id is None:
            # A retried run finds the row of its first try; a rerun after the collection is a completion of its own.
            self._tell_passed(batch, gate, None, f"nobody needed, after run {existing.run_id if existing else None}")
        elif people and all(job.state == COMPLETED for job in people):
            self._tell_passed(batch, gate, task_id, max(job.updated_date.isoformat() for job in people))

    def _tell_passed(self, batch: str, gate: str, task_id: int | None, when: str) -> None:
        body = {"event": "review:finished", "batch": batch, "gate": gate, "task_id": task_id, "when": when}
        row = {
            "event": "review:finished",
            "source": "platform",
            "task_id": task_id,
            "path": _platform_path(batch, gate),
            "query": "",
            "body": json.dumps(body, sort_keys=True),
            "dedupe_key": hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest(),
            "received_at": datetime.now(UTC),
            "state": "new",
        }
        self._insert(row)

    def due(self) -> list[DueReview]:
        """Reviews whose jobs are all completed and that have rows no run has answered, oldest first."""
        found = []
        with self.engine.connect() as connection:
            for review in connection.execute(sa.select(reviews).order_by(reviews.c.id)).all():
                last = connection.execute(
                    sa.select(sa.func.max(deliveries.c.id)).where(_pending_of(review))
                ).scalar_one_or_none()
                if last is None:
                    continue
                if _finished(connection, review.task_id):
                    found.append(DueReview(review.batch, review.gate, review.task_id, last))
        return found

    def last_id(self) -> int:
        """Id of the newest row, 0 when there is none."""
        with self.engine.connect() as connection:
            return connection.execute(sa.select(sa.func.max(deliveries.c.id))).scalar_one_or_none() or 0

    def mark_done(self, batch: str, gate: str, up_to_id: int, run_id: str) -> int:
        """A run's last act: its rows are answered; how many there were."""
        now = datetime.now(UTC)
        with self.engine.begin() as connection:
            _alone(connection)
            mine = sa.and_(reviews.c.batch == batch, reviews.c.gate == gate)
            review = connection.execute(sa.select(reviews).where(mine)).first()
            if review is None:
                return 0
            change = {"state": "done", "run_id": run_id, "processed_at": now}
            rows = sa.update(deliveries).where(_pending_of(review), deliveries.c.id <= up_to_id).values(**change)
            answered = connection.execute(rows).rowcount
            # Reopened while the run worked: people are at it again, and reconciliation must go on looking.
            state = "collected" if _finished(connection, review.task_id) else "open"
            done = {"state": state, "collected_at": now, "run_id": run_id}
            connection.execute(sa.update(reviews).where(mine).values(**done))
        return answered

    def apply_job_states(self, jobs: Sequence[JobState], source: str = "reconcile") -> int:
        """Insert a row for every job whose state differs from what is known; how many there were (lost events)."""
        self.interpret_new()
        healed = 0
        for job in jobs:
            with self.engine.connect() as connection:
                known = connection.execute(sa.select(review_jobs).where(review_jobs.c.job_id == job.job_id)).first()
            if known is not None and (known.state == job.state or _utc(known.updated_date) > job.updated_date):
                continue
            before = {"state": known.state if known else None}
            body = {"event": "update:job", "job": _as_cvat(job), "before_update": before, "webhook_id": None}
            healed += self.insert(Delivery("update:job", body, source))
        return healed

    def reviews(self) -> list[ReviewStatus]:
        """All reviews, oldest first."""
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(reviews).order_by(reviews.c.id)).all()
            return [_status(row, _jobs(connection, row.task_id)) for row in rows]

    def counts(self) -> dict[tuple[str, str], int]:
        """Number of rows by (source, state)."""
        query = sa.select(deliveries.c.source, deliveries.c.state, sa.func.count()).group_by(
            deliveries.c.source, deliveries.c.state
        )
        with self.engine.connect() as connection:
            return {(source, state): number for source, state, number in connection.execute(query)}


def _alone(connection: Connection) -> None:
    """Wait until no other process changes reviews. SQLite writers are alone anyway; inserting goes on beside it."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(REVIEWS_LOCK)))


def _update_job(connection: Connection, job: JobState, *, state_changed: bool = False) -> str | None:
    """Remember a job's state when it is news; why it is none, otherwise.

    ``updated_date`` is kept as of the last news, not of the last save: a late event is judged by it.
    """
    mine = review_jobs.c.job_id == job.job_id
    known = connection.execute(sa.select(review_jobs).where(mine)).first()
    shown = {"stage": job.stage, "assignee": job.assignee, "url": job.url}
    values = {"task_id": job.task_id, "type": job.type, "state": job.state, "updated_date": job.updated_date, **shown}
    if known is None:
        connection.execute(review_jobs.insert().values(job_id=job.job_id, **values))
    else:
        same, since = known.state == job.state, _utc(known.updated_date)
        if job.updated_date < since or (same and job.updated_date == since):
            return "older than what is known of the job"
        if same and not state_changed:
            connection.execute(sa.update(review_jobs).where(mine).values(**shown))
            return "the state of the job did not change"
        connection.execute(sa.update(review_jobs).where(mine).values(**values))
    if job.state != COMPLETED:
        connection.execute(sa.update(reviews).where(reviews.c.task_id == job.task_id).values(state="open"))
    return None


def _finished(connection: Connection, task_id: int | None) -> bool:
    """Whether nobody has to do anything any more. A task without known jobs is not finished."""
    jobs = _jobs(connection, task_id)
    return task_id is None or (bool(jobs) and all(job.state == COMPLETED for job in jobs))


def _jobs(connection: Connection, task_id: int | None) -> list[Any]:
    if task_id is None:
        return []
    mine = sa.and_(review_jobs.c.task_id == task_id, review_jobs.c.type != GROUND_TRUTH)
    return list(connection.execute(sa.select(review_jobs).where(mine)).all())


def _pending_of(review: Any) -> Any:
    """The rows that wait for this review's collection."""
    of_task = deliveries.c.task_id == review.task_id if review.task_id is not None else sa.false()
    of_platform = deliveries.c.path == _platform_path(review.batch, review.gate)
    return sa.and_(deliveries.c.state == "pending", sa.or_(of_task, of_platform))


def _platform_path(batch: str, gate: str) -> str:
    return f"review/{batch}/{gate}"


def _status(row: Any, jobs: Sequence[Any]) -> ReviewStatus:
    waiting = [job for job in jobs if job.state != COMPLETED]
    since = max([_utc(row.created_at), *(_utc(job.updated_date) for job in waiting)])
    people = tuple(sorted({job.assignee for job in waiting if job.assignee}))
    return ReviewStatus(
        row.batch, row.gate, row.task_id, row.url, row.state, len(jobs) - len(waiting), len(jobs), people, since
    )


def _as_cvat(job: JobState) -> dict[str, Any]:
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


def _utc(date: datetime | str) -> datetime:
    if isinstance(date, str):
        return parse_date(date)
    return date if date.tzinfo else date.replace(tzinfo=UTC)
