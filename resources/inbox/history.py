"""The inbox as a table: what came when, and what became of it. For the analytics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from resources.inbox.inbox import Inbox
from resources.inbox.interpret import parse_date
from resources.inbox.jobs import utc
from resources.inbox.tables import deliveries

PAGE = 2000
SUBJECTS = ("job", "task", "project")


def deliveries_after(inbox: Inbox, number: int) -> Iterator[list[dict[str, Any]]]:
    """Rows with a higher number, in pages, without their bodies; ``happened_at`` is CVAT's date of the change."""
    while True:
        query = sa.select(deliveries).where(deliveries.c.id > number).order_by(deliveries.c.id).limit(PAGE)
        with inbox.engine.connect() as connection:
            rows = connection.execute(query).all()
        if not rows:
            return
        yield [_told(row) for row in rows]
        number = rows[-1].id


def _told(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "received_at": utc(row.received_at),
        "source": row.source,
        "event": row.event,
        "task_id": row.task_id,
        "job_id": row.job_id,
        "state": row.state,
        "reason": row.reason or "",
        "happened_at": _happened(json.loads(row.body)),
        "processed_at": utc(row.processed_at) if row.processed_at else None,
        "run_id": row.run_id or "",
        "replays": row.replays,
    }


def _happened(body: dict[str, Any]) -> datetime | None:
    for subject in SUBJECTS:
        told = body.get(subject)
        if isinstance(told, dict) and isinstance(told.get("updated_date"), str):
            try:
                return parse_date(told["updated_date"])
            except ValueError:  # what a webhook tells is not ours; without a date it has no latency
                return None
    return None
