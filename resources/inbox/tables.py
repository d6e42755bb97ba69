"""The inbox's database schema: SQLite (embedded) or Postgres."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("source", sa.String(16), nullable=False),  # webhook | reconcile | platform
    sa.Column("event", sa.String(64), nullable=False),
    sa.Column("webhook_id", sa.Integer),
    sa.Column("task_id", sa.Integer),
    sa.Column("job_id", sa.Integer),
    sa.Column("path", sa.Text, nullable=False, default=""),
    sa.Column("query", sa.Text, nullable=False, default=""),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("dedupe_key", sa.String(64), nullable=False, unique=True),
    sa.Column("state", sa.String(16), nullable=False, default="new"),  # new | pending | done | ignored | dead
    sa.Column("reason", sa.Text),
    sa.Column("run_id", sa.String(64)),
    sa.Column("processed_at", sa.DateTime(timezone=True)),
    sa.Column("replays", sa.Integer, nullable=False, server_default="0"),
)
sa.Index("deliveries_state", deliveries.c.state, deliveries.c.id)
sa.Index("deliveries_task", deliveries.c.task_id, deliveries.c.state)

reviews = sa.Table(
    "reviews",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("batch", sa.String(64), nullable=False),
    sa.Column("gate", sa.String(16), nullable=False),
    sa.Column("task_id", sa.Integer),  # null: no picture of the batch needs a person
    sa.Column("url", sa.Text),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),  # open | collected
    sa.Column("collected_at", sa.DateTime(timezone=True)),
    sa.Column("done_at", sa.String(16), nullable=False, server_default="annotation"),  # stage
    sa.Column("run_id", sa.String(64)),
    sa.Column("truth_needed", sa.Boolean, nullable=False, server_default=sa.false()),  # honeypots
    sa.UniqueConstraint("batch", "gate"),
)
sa.Index("reviews_state", reviews.c.state, reviews.c.id)
sa.Index("reviews_task", reviews.c.task_id)

watermarks = sa.Table(
    "watermarks",
    metadata,
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("value", sa.String(64), nullable=False),
)
"""How far reconciliation has read."""

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("actor", sa.String(150), nullable=False),
    sa.Column("action", sa.String(64), nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("batch", sa.String(64)),
    sa.Column("run_id", sa.String(64)),
    sa.Column("about", sa.Text, nullable=False),  # JSON
    sa.Column("details", sa.Text, nullable=False),  # JSON
)
"""What was done to CVAT and with releases, and why; see ``resources.audit``."""
sa.Index("audit_batch", audit.c.batch, audit.c.id)

review_jobs = sa.Table(
    "review_jobs",
    metadata,
    sa.Column("job_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("task_id", sa.Integer, nullable=False, index=True),
    sa.Column("type", sa.String(32), nullable=False),
    sa.Column("state", sa.String(32), nullable=False),
    sa.Column("stage", sa.String(32), nullable=False),
    sa.Column("assignee", sa.String(150)),
    sa.Column("updated_date", sa.DateTime(timezone=True), nullable=False),
    sa.Column("url", sa.Text, nullable=False, default=""),
)
