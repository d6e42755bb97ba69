"""Operations of the inbox, over SQLite (embedded) or Postgres.

Three kinds of processes use it at once: the receiver inserts, the ``reviews`` sensor interprets and asks what is due,
runs register reviews and mark them collected. Each operation is one transaction, and each can be repeated.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

from resources.inbox.engine import make_engine, make_tables
from resources.inbox.interpret import JobState, as_id, dedupe_key, interpret, task_and_job
from resources.inbox.jobs import (
    as_cvat,
    finished,
    holds_up,
    is_done,
    remember,
    unlike_known,
    utc,
)
from resources.inbox.model import Delivery, DueReview, Interpreted, ReviewStatus
from resources.inbox.tables import deliveries, reviews, watermarks
from resources.inbox.waiting import due_reviews, known_tasks, platform_path, statuses

UNKNOWN_TASK_PATIENCE = timedelta(minutes=10)
"""How long an event of a task nobody has registered is kept waiting: its review may be registered any moment."""
REVIEWS_LOCK = 4703121
"""Postgres advisory lock of those who change what is known of reviews; any number of our own."""


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
            make_tables(engine, REVIEWS_LOCK)
            self._engine = engine
        return self._engine

    @property
    def place(self) -> str:
        """The database's address, without its password."""
        return sa.engine.make_url(self.url).render_as_string(hide_password=True)

    def insert(self, delivery: Delivery) -> bool:
        """Keep a delivery; ``False`` when the same event is there already. Committed when it returns."""
        return self.insert_many([delivery])[0]

    def insert_many(self, several: Sequence[Delivery]) -> list[bool]:
        """Keep deliveries in one transaction, all or none; whether each was new. Committed when it returns."""
        return self._insert([delivery_row(delivery) for delivery in several])

    def _insert(self, rows: Sequence[dict[str, Any]]) -> list[bool]:
        unique: dict[str, dict[str, Any]] = {}
        for row in rows:
            unique.setdefault(row["dedupe_key"], row)
        dialect = postgresql if self.engine.dialect.name == "postgresql" else sqlite
        # Only an equal key is a duplicate; every other refusal of the database is an error.
        keep = dialect.insert(deliveries).on_conflict_do_nothing(index_elements=["dedupe_key"])
        with self.engine.begin() as connection:
            new = set(connection.execute(keep.returning(deliveries.c.dedupe_key), list(unique.values())).scalars())
        told = []
        for row in rows:  # of equal ones, the first is the new one
            told.append(row["dedupe_key"] in new)
            new.discard(row["dedupe_key"])
        return told

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
        seen = {"new": 0, "ignored": 0, "pending": 0, "dead": 0}
        with self.engine.begin() as connection:
            _alone(connection)
            fresh = sa.select(deliveries).where(deliveries.c.state == "new").order_by(deliveries.c.id).limit(limit)
            rows = connection.execute(fresh).all()
            known = known_tasks(connection, [row.task_id for row in rows if row.task_id is not None])
            for row in rows:
                state, reason = self._judge(connection, row, known)
                seen[state] += 1
                if state == "new":
                    continue
                ended = datetime.now(UTC) if state in ("ignored", "dead") else None
                change = {"state": state, "reason": reason, "processed_at": ended}
                connection.execute(sa.update(deliveries).where(deliveries.c.id == row.id).values(**change))
        return Interpreted(seen["ignored"], seen["pending"], seen["new"], seen["dead"])

    @staticmethod
    def _judge(connection: Connection, row: Any, known: set[int]) -> tuple[str, str | None]:
        if row.source == "platform":
            return "pending", None
        meaning = interpret(row.event, json.loads(row.body))
        if meaning.job is None:
            return ("dead" if meaning.unreadable else "ignored"), meaning.noise
        if meaning.job.task_id not in known:
            if datetime.now(UTC) - utc(row.received_at) < UNKNOWN_TASK_PATIENCE:
                return "new", None
            return "ignored", f"task {meaning.job.task_id} is not a review of this installation"
        nothing = remember(connection, meaning.job, state_changed=meaning.state_changed)
        return ("ignored", nothing) if nothing else ("pending", None)

    def register_review(
        self,
        batch: str,
        gate: str,
        task_id: int | None,
        url: str | None,
        jobs: Sequence[JobState],
        done_at: str = "annotation",
        *,
        truth_needed: bool = False,
    ) -> None:
        """Say what is waited for. A gate that needs nobody is finished at once, by the same way as every other.

        Args:
            batch: key of the batch.
            gate: where people are asked.
            task_id: the task in CVAT; ``None`` where no picture needs a person.
            url: its address.
            jobs: its jobs, as they are now.
            done_at: the stage of CVAT in which a job must be completed to count as done.
            truth_needed: whether the ground-truth job is waited for, too.
        """
        with self.engine.begin() as connection:
            _alone(connection)
            mine = sa.and_(reviews.c.batch == batch, reviews.c.gate == gate)
            told = (task_id, done_at, truth_needed)
            existing = connection.execute(sa.select(reviews).where(mine)).first()
            if existing is None:
                values: dict[str, Any] = {"batch": batch, "gate": gate, "task_id": task_id, "url": url, "state": "open"}
                values |= {"done_at": done_at, "truth_needed": truth_needed}
                connection.execute(reviews.insert().values(**values, created_at=datetime.now(UTC)))
            elif task_id is None or (existing.task_id, existing.done_at, existing.truth_needed) != told:
                change = {"task_id": task_id, "url": url, "state": "open", "done_at": done_at}
                change |= {"truth_needed": truth_needed}
                connection.execute(sa.update(reviews).where(mine).values(**change))
            for job in jobs:
                remember(connection, job)
        people = [job for job in jobs if holds_up(job, truth_needed)]
        if task_id is None:
            # A retried run finds the row of its first try; a rerun after the collection is a completion of its own.
            self._tell_passed(batch, gate, None, f"nobody needed, after run {existing.run_id if existing else None}")
        elif people and all(is_done(job, done_at) for job in people):
            self._tell_passed(batch, gate, task_id, max(job.updated_date.isoformat() for job in people))

    def _tell_passed(self, batch: str, gate: str, task_id: int | None, when: str) -> None:
        body = {"event": "review:finished", "batch": batch, "gate": gate, "task_id": task_id, "when": when}
        text = json.dumps(body, sort_keys=True)
        row = delivery_row(Delivery("review:finished", body, "platform", platform_path(batch, gate)))
        self._insert([{**row, "task_id": task_id, "dedupe_key": hashlib.sha256(text.encode()).hexdigest()}])

    def due(self) -> list[DueReview]:
        """Reviews whose jobs are all done and that have rows no run has answered, oldest first."""
        with self.engine.connect() as connection:
            return due_reviews(connection)

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
            change = {"state": "done", "run_id": run_id, "processed_at": now, "reason": None}
            rows = sa.update(deliveries).where(_rows_of(review, "pending", "dead"), deliveries.c.id <= up_to_id)
            answered = connection.execute(rows.values(**change)).rowcount
            # Reopened while the run worked: people are at it again, and reconciliation must go on looking.
            state = "collected" if finished(connection, review) else "open"
            done = {"state": state, "collected_at": now, "run_id": run_id}
            connection.execute(sa.update(reviews).where(mine).values(**done))
        return answered

    def mark_dead(self, batch: str, gate: str, up_to_id: int, run_id: str, reason: str) -> int:
        """A run has failed for good: its rows wait for a person with the reason; how many there are."""
        with self.engine.begin() as connection:
            _alone(connection)
            mine = sa.and_(reviews.c.batch == batch, reviews.c.gate == gate)
            review = connection.execute(sa.select(reviews).where(mine)).first()
            if review is None:
                return 0
            change = {"state": "dead", "run_id": run_id, "reason": reason[:2000], "processed_at": datetime.now(UTC)}
            rows = sa.update(deliveries).where(_rows_of(review, "pending"), deliveries.c.id <= up_to_id)
            return connection.execute(rows.values(**change)).rowcount

    def apply_job_states(self, jobs: Sequence[JobState], source: str = "reconcile") -> int:
        """Insert a row for every job whose state differs from what is known; how many there were (lost events)."""
        self.interpret_new()
        healed = 0
        for job in jobs:
            with self.engine.connect() as connection:
                before = unlike_known(connection, job)
            if before is None:
                continue
            body = {"event": "update:job", "job": as_cvat(job), "before_update": before, "webhook_id": None}
            healed += self.insert(Delivery("update:job", body, source))
        return healed

    def reviews(self, state: str | None = None) -> list[ReviewStatus]:
        """Reviews, oldest first: all of them, or those that are ``open`` or ``collected``."""
        with self.engine.connect() as connection:
            return statuses(connection, state)

    def known_tasks(self, tasks: Collection[int]) -> set[int]:
        """Those of the tasks that are reviews of this installation."""
        with self.engine.connect() as connection:
            return known_tasks(connection, tasks)

    def counts(self) -> dict[tuple[str, str], int]:
        """Number of rows by (source, state)."""
        query = sa.select(deliveries.c.source, deliveries.c.state, sa.func.count()).group_by(
            deliveries.c.source, deliveries.c.state
        )
        with self.engine.connect() as connection:
            return {(source, state): number for source, state, number in connection.execute(query)}

    def oldest_waiting(self) -> datetime | None:
        """When the oldest row came in that no run has answered."""
        waiting = sa.select(sa.func.min(deliveries.c.received_at)).where(deliveries.c.state.in_(("new", "pending")))
        with self.engine.connect() as connection:
            found = connection.execute(waiting).scalar()
        return utc(found) if found else None

    def watermark(self, name: str) -> str | None:
        """How far something has been read, as it was last set."""
        with self.engine.connect() as connection:
            return connection.execute(sa.select(watermarks.c.value).where(watermarks.c.name == name)).scalar()

    def set_watermark(self, name: str, value: str) -> None:
        """Remember how far something has been read."""
        with self.engine.begin() as connection:
            mine = watermarks.c.name == name
            if not connection.execute(sa.update(watermarks).where(mine).values(value=value)).rowcount:
                connection.execute(watermarks.insert().values(name=name, value=value))


def delivery_row(delivery: Delivery) -> dict[str, Any]:
    """A new row of the table ``deliveries``."""
    task_id, job_id = task_and_job(delivery.body)
    return {
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


def _alone(connection: Connection) -> None:
    """Wait until no other process changes reviews. SQLite writers are alone anyway; inserting goes on beside it."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(REVIEWS_LOCK)))


def _rows_of(review: Any, *states: str) -> Any:
    """The rows about this review in these states."""
    of_task = deliveries.c.task_id == review.task_id if review.task_id is not None else sa.false()
    of_platform = deliveries.c.path == platform_path(review.batch, review.gate)
    return sa.and_(deliveries.c.state.in_(states), sa.or_(of_task, of_platform))
