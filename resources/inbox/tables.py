"""The database schema of the inbox. Times are UTC text of fixed width (see ``model.format_time``)."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

SCHEMA_VERSION: Final = 1

metadata = sa.MetaData()
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite counts up only INTEGER PRIMARY KEY

meta = sa.Table(
    "inbox_meta",
    metadata,
    sa.Column("key", sa.String(40), primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)
"""``schema_version``; ``seq``, the counter of pending rows, whose row is also the lock of those who change reviews."""

reviews = sa.Table(
    "reviews",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("batch", sa.String(80), nullable=False),
    sa.Column("gate", sa.String(20), nullable=False),
    sa.Column("task_id", sa.BigInteger, index=True),
    sa.Column("url", sa.Text),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("created_at", sa.String(27), nullable=False),
    sa.Column("collected_id", sa.BigInteger),
    sa.Column("collected_at", sa.String(27)),
    sa.Column("run_id", sa.String(80)),
    sa.UniqueConstraint("batch", "gate"),
)

review_jobs = sa.Table(
    "review_jobs",
    metadata,
    sa.Column("job_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("task_id", sa.BigInteger, nullable=False, index=True),
    sa.Column("type", sa.String(30), nullable=False),
    sa.Column("state", sa.String(30), nullable=False),
    sa.Column("stage", sa.String(30), nullable=False),
    sa.Column("assignee", sa.String(150)),
    sa.Column("updated_date", sa.String(27), nullable=False),
    sa.Column("url", sa.Text),
)
"""The last known state of every job of a review. ``updated_date`` is when CVAT told of that state, not of a save."""

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("received_at", sa.String(27), nullable=False),
    sa.Column("source", sa.String(10), nullable=False),
    sa.Column("event", sa.String(100), nullable=False),
    sa.Column("webhook_id", sa.BigInteger),
    sa.Column("task_id", sa.BigInteger),
    sa.Column("job_id", sa.BigInteger),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("dedupe_key", sa.String(64), nullable=False, unique=True),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("review_id", sa.BigInteger),
    sa.Column("seq", sa.BigInteger),
    sa.Column("run_id", sa.String(80)),
    sa.Column("processed_at", sa.String(27)),
    sa.Index("deliveries_by_state", "state", "id"),
    sa.Index("deliveries_by_review", "review_id", "state"),
    sqlite_autoincrement=True,
)
"""``seq`` is given when a row becomes pending, under the lock: unlike ``id`` it cannot appear late, so "up to seq" is
exact even where several receivers commit at once."""
