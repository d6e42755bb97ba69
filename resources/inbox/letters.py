"""Looking into the inbox by hand: rows with their reasons, and sending one on its way again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from resources.inbox.inbox import Inbox
from resources.inbox.jobs import utc
from resources.inbox.model import Letter
from resources.inbox.tables import deliveries, reviews

STATES = ("new", "pending", "done", "ignored", "dead")
TARGET_PROJECT = "target_proj_id"
MODEL_NAME = "model_name"
REPLAYABLE = ("dead", "ignored")


class LetterError(ValueError):
    """The row cannot be shown or replayed; the message says why and what to do."""


def letters(inbox: Inbox, state: str | None = "dead", limit: int = 50) -> list[Letter]:
    """The newest rows in a state (``None``: in any), newest first."""
    query = sa.select(deliveries).order_by(deliveries.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(deliveries.c.state == state)
    with inbox.engine.connect() as connection:
        return [_letter(row) for row in connection.execute(query)]


def letter(inbox: Inbox, number: int) -> Letter:
    """One row.

    Raises:
        LetterError: there is none of this number.
    """
    with inbox.engine.connect() as connection:
        row = connection.execute(sa.select(deliveries).where(deliveries.c.id == number)).first()
    if row is None:
        raise LetterError(f"the inbox has no row {number}: 'reefline inbox list' shows those there are")
    return _letter(row)


def replay(inbox: Inbox, numbers: Sequence[int]) -> int:
    """Send dead or ignored rows on their way again: they are read anew, and may start a run; how many there were.

    Raises:
        LetterError: a row is missing, or is neither dead nor ignored; then none is replayed.
    """
    for number in numbers:
        found = letter(inbox, number)
        if found.state not in REPLAYABLE:
            raise LetterError(f"row {number} is {found.state}: only dead and ignored rows can be replayed")
    # A row that a run has failed on is known to be a transition; any other is judged from the beginning.
    again = sa.case((deliveries.c.run_id.is_not(None), "pending"), else_="new")
    change = {"state": again, "reason": None, "run_id": None, "replays": deliveries.c.replays + 1}
    with inbox.engine.begin() as connection:
        rows = sa.update(deliveries).where(deliveries.c.id.in_(numbers), deliveries.c.state.in_(REPLAYABLE))
        return connection.execute(rows.values(**change)).rowcount


def asked_project(inbox: Inbox, batch: str, gate: str) -> int | None:
    """The CVAT project in which a batch's task at a gate should be made, where a webhook's address says so.

    QUADRATSEG's webhooks carry ``target_proj_id`` on the gate before. ``None`` where nothing is asked for.
    """
    mine = sa.select(reviews).where(reviews.c.batch == batch, reviews.c.gate != gate).order_by(reviews.c.id.desc())
    with inbox.engine.connect() as connection:
        before = connection.execute(mine).first()
        if before is None or before.task_id is None:
            return None
        told = sa.select(deliveries.c.query).order_by(deliveries.c.id.desc())
        told = told.where(deliveries.c.task_id == before.task_id, deliveries.c.query.contains(TARGET_PROJECT))
        query = connection.execute(told).scalar()
    value = str(json.loads(query).get(TARGET_PROJECT, "")) if query else ""
    return int(value) if value.isdigit() else None


def asked_models(inbox: Inbox, batch: str, gate: str) -> list[str]:
    """Models that webhooks' addresses name for a batch, the one that counts most first.

    QUADRATSEG's detection webhooks carry ``model_name``. One on the task of ``gate`` itself comes before those on the
    batch's other gates, a later delivery before an earlier one.
    """
    with inbox.engine.connect() as connection:
        tasks = sa.select(reviews.c.task_id, reviews.c.gate).where(reviews.c.batch == batch)
        gates = {row.task_id: row.gate for row in connection.execute(tasks) if row.task_id is not None}
        told = sa.select(deliveries.c.task_id, deliveries.c.query).order_by(deliveries.c.id.desc())
        told = told.where(deliveries.c.task_id.in_(gates), deliveries.c.query.contains(MODEL_NAME))
        rows = sorted(connection.execute(told), key=lambda row: gates[row.task_id] != gate)  # the newest stays first
    names = (str(json.loads(row.query).get(MODEL_NAME, "")).strip() for row in rows)
    return list(dict.fromkeys(name for name in names if name))


def _letter(row: Any) -> Letter:
    return Letter(
        row.id, utc(row.received_at), row.source, row.event, row.task_id, row.job_id, row.state, row.reason,
        row.run_id, row.replays, row.path, row.query, row.body,
    )  # fmt: skip
