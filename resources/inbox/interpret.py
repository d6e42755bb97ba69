"""What a delivery of CVAT means. Pure functions over the event's JSON; all three of CVAT's dialects.

CVAT fires ``update:*`` on every save, also of annotations, so a state is never acted on: only a transition is, which
``before_update`` (CVAT up to 2.72) or ``changes`` (from 2.73) names. Newer servers send neither (cvat-ai/cvat#11104):
then the inbox compares with what it knows. Facts: CVAT's ``apps/webhooks/signals.py``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

TELLING = {"state", "stage", "assignee"}
"""Fields of a job whose change is a transition."""
RESOURCES = (
    "job",
    "task",
    "project",
    "issue",
    "comment",
    "organization",
    "membership",
    "invitation",
    "request",
    "webhook",
)


@dataclass(frozen=True, slots=True)
class JobState:
    """A CVAT job as last known. ``type`` is ``annotation``, ``ground_truth`` or ``consensus_replica``."""

    job_id: int
    task_id: int
    type: str
    state: str
    stage: str
    assignee: str | None
    updated_date: datetime
    url: str = ""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a delivery tells.

    Attributes:
        job: the job's state, when the delivery is a transition of a job, or may be one.
        noise: why the delivery tells nothing, otherwise.
        state_changed: whether the delivery itself says that the state changed.
        unreadable: it is about a job, and cannot be read.
    """

    job: JobState | None
    noise: str | None
    state_changed: bool = False
    unreadable: bool = False


def interpret(event: str, body: dict[str, Any]) -> Meaning:
    """Tell a transition of a job from everything else."""
    if event == "ping":
        return Meaning(None, "ping")
    if event not in ("update:job", "create:job"):
        return Meaning(None, f"{event} tells nothing about the state of a job")
    changed = changed_fields(body)
    if event == "update:job" and changed and not changed & TELLING:
        return Meaning(None, "a save without a change of state, stage or assignee")
    job = job_state(body.get("job"))
    if job is None:
        return Meaning(None, "the job in the payload cannot be read", unreadable=True)
    return Meaning(job, None, "state" in changed)


def changed_fields(body: dict[str, Any]) -> set[str]:
    """Names of the fields an update changed; empty when the payload does not tell."""
    changes = body.get("changes")
    before = body.get("before_update")
    names: set[str] = set(before) if isinstance(before, dict) else set()
    if isinstance(changes, dict):
        names |= set(changes)
    elif isinstance(changes, list):
        names |= {str(item.get("field", item)) if isinstance(item, dict) else str(item) for item in changes}
    return names


def job_state(job: Any) -> JobState | None:
    """A job out of CVAT's JSON (webhook or REST), ``None`` when it is not one."""
    if not isinstance(job, dict) or not {"id", "task_id", "state", "updated_date"} <= set(job):
        return None
    assignee = job.get("assignee")
    try:
        job_id, task_id = as_id(job["id"]), as_id(job["task_id"])
        if job_id is None or task_id is None:
            return None
        return JobState(
            job_id=job_id,
            task_id=task_id,
            type=str(job.get("type") or "annotation"),
            state=str(job["state"]),
            stage=str(job.get("stage") or "annotation"),
            assignee=assignee.get("username") if isinstance(assignee, dict) else None,
            updated_date=parse_date(str(job["updated_date"])),
            url=str(job.get("url") or ""),
        )
    except (TypeError, ValueError):
        return None


def parse_date(text: str) -> datetime:
    """An ISO date of CVAT as aware UTC."""
    date = datetime.fromisoformat(text)
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)


def dedupe_key(body: dict[str, Any]) -> str:
    """What makes a delivery the same event, whatever the order of its keys or the number of its sendings.

    CVAT sends no event id. The webhook, the event, the resource with its ``updated_date`` (microseconds) and what
    changed identify it; a redelivery comes from a database column that reorders keys.
    """
    event = str(body.get("event"))
    kind = next((name for name in RESOURCES if isinstance(body.get(name), dict)), None)
    resource = body[kind] if kind else {}
    identity = {
        "webhook": body.get("webhook_id"),
        "event": event,
        "kind": kind,
        "id": resource.get("id"),
        "updated": resource.get("updated_date"),
        "before": body.get("before_update"),
        "changes": body.get("changes"),
    }
    if kind is None or resource.get("updated_date") is None:
        identity["body"] = body  # nothing says when; the whole content must be the same
    return hashlib.sha256(json.dumps(identity, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def task_and_job(body: dict[str, Any]) -> tuple[int | None, int | None]:
    """Ids of the task and the job a delivery is about, where it says."""
    job, task = body.get("job"), body.get("task")
    if isinstance(job, dict):
        return as_id(job.get("task_id")), as_id(job.get("id"))
    return (as_id(task.get("id")) if isinstance(task, dict) else None), None


def as_id(value: Any) -> int | None:
    """An id of CVAT's, ``None`` for anything that a database column for ids would not take."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else None
