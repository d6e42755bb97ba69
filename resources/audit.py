"""The audit log: every act on CVAT and every release, with its cause; a table beside the inbox.

An act is written after it has been done. What it was done for (run, batch, gate, event) is what the work was about at
that moment (``resources.logs.about``). Rows are never changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from resources.inbox import Inbox
from resources.inbox.jobs import utc
from resources.inbox.tables import audit
from resources.logs import subjects

PLATFORM = "platform"
ACTS = (
    ("POST", r"/api/projects", "create project"),
    ("PATCH", r"/api/projects/\d+", "change project"),
    ("POST", r"/api/tasks", "create task"),
    ("POST", r"/api/tasks/\d+/data", "give pictures"),
    ("PATCH", r"/api/tasks/\d+", "change task"),
    ("DELETE", r"/api/tasks/\d+", "delete task"),
    ("PUT", r"/api/(tasks|jobs)/\d+/annotations", "write annotations"),
    ("POST", r"/api/jobs", "create ground-truth job"),
    ("PATCH", r"/api/jobs/\d+", "change job"),
    ("POST", r"/api/issues", "open issue"),
    ("POST", r"/api/webhooks", "create webhook"),
    ("PATCH", r"/api/webhooks/\d+", "change webhook"),
    ("POST", r"/api/webhooks/\d+/ping", "ping"),
    ("POST", r"/api/webhooks/\d+/deliveries/\d+/redelivery", "ask for a delivery again"),
    ("POST", r"/api/cloudstorages", "create cloud storage"),
)
"""What requests mean, for people; others keep their method and address."""
TOLD = ("name", "state", "stage", "assignee", "project_id", "task_id", "type", "message", "frame_count", "subset")
"""Fields of a request's body that are written down: none of them can hold a secret."""


class AuditError(RuntimeError):
    """Something was done and could not be written down."""


@dataclass(frozen=True, slots=True)
class Act:
    """Something that was done.

    Attributes:
        actor: ``platform``, or who ran the command.
        target: what it was done to, e.g. ``/api/tasks/7``.
        about: batch, gate, run, event it was done for; ``command`` where a person asked for it.
    """

    id: int
    at: datetime
    actor: str
    action: str
    target: str
    about: Mapping[str, str]
    details: Mapping[str, Any]


class Audit:
    """Writes and reads the log."""

    def __init__(self, inbox: Inbox, actor: str = PLATFORM, command: str = "") -> None:
        """Write into the inbox's database.

        Args:
            inbox: whose database.
            actor: who acts.
            command: what a person has asked for, as the cause.
        """
        self.inbox = inbox
        self.actor = actor
        self._command = {"command": command} if command else {}

    def record(self, action: str, target: str, **details: Any) -> None:
        """Write an act down.

        Raises:
            AuditError: the database does not take it.
        """
        about = {**self._command, **subjects()}
        row = {
            "at": datetime.now(UTC),
            "actor": self.actor[:150],
            "action": action[:64],
            "target": target,
            "batch": about.get("batch"),
            "run_id": about.get("run"),
            "about": json.dumps(about, sort_keys=True),
            "details": json.dumps({k: v for k, v in details.items() if v is not None}, sort_keys=True, default=str),
        }
        try:
            with self.inbox.engine.begin() as connection:
                connection.execute(audit.insert().values(**row))
        except SQLAlchemyError as error:
            why = str(error.args[0]).strip().splitlines()[0]
            raise AuditError(f"{action} {target} was done, but the audit log does not take it: {why}") from error

    def requested(self, method: str, path: str, body: Any, answer: Any) -> None:
        """Write a request to CVAT down that changes something."""
        made = answer.get("id") if isinstance(answer, dict) and method == "POST" else None
        details = {name: body[name] for name in TOLD if isinstance(body, dict) and name in body}
        if isinstance(body, dict) and "shapes" in body:
            details |= {kind: len(body.get(kind) or []) for kind in ("shapes", "tags", "tracks")}
        self.record(meaning(method, path), f"{path}/{made}" if made is not None else path, **details)

    def acts(self, batch: str | None = None, action: str | None = None, limit: int = 100) -> list[Act]:
        """The newest acts, newest first."""
        query = sa.select(audit).order_by(audit.c.id.desc()).limit(limit)
        if batch is not None:
            query = query.where(audit.c.batch == batch)
        if action is not None:
            query = query.where(audit.c.action == action)
        with self.inbox.engine.connect() as connection:
            rows = connection.execute(query).all()
        return [
            Act(r.id, utc(r.at), r.actor, r.action, r.target, json.loads(r.about), json.loads(r.details)) for r in rows
        ]


def meaning(method: str, path: str) -> str:
    """What a request does, in words."""
    for known, pattern, words in ACTS:
        if method == known and re.fullmatch(pattern, path):
            return words
    return f"{method} {re.sub(r'[0-9]+', 'N', path)}"
