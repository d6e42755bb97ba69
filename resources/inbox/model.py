"""What goes into the inbox and what comes out of it. No database here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

SOURCES: Final = ("webhook", "reconcile", "platform")
"""Who tells: CVAT by a webhook, our comparison with CVAT, or the platform itself (a review that needs no person)."""
STATES: Final = ("new", "pending", "done", "ignored", "dead")
"""Not looked at; tells of a review that is not collected; collected; tells nothing; could not be read."""
GROUND_TRUTH: Final = "ground_truth"
"""CVAT's type of the job that holds the reference labels of a quality check; it never holds up a review."""
COMPLETED: Final = "completed"


class InboxError(RuntimeError):
    """The inbox database cannot be used as it is; the message says what to do."""


class InboxUnavailable(InboxError):
    """The inbox database cannot be reached or is locked; trying again later helps."""


@dataclass(frozen=True, slots=True)
class JobState:
    """A CVAT job as it was at ``updated_date`` (aware, UTC).

    Attributes:
        type: ``annotation``, ``ground_truth`` or ``consensus_replica``.
        state: ``new``, ``in progress``, ``completed`` or ``rejected``.
        stage: ``annotation``, ``validation`` or ``acceptance``.
        assignee: user name, ``None`` when the job is anyone's.
    """

    job_id: int
    task_id: int
    type: str
    state: str
    stage: str
    assignee: str | None
    updated_date: datetime
    url: str = ""

    @property
    def counts(self) -> bool:
        """Whether a review waits for this job."""
        return self.type != GROUND_TRUTH

    @classmethod
    def from_cvat(cls, job: Mapping[str, Any]) -> JobState:
        """From CVAT's JSON of a job (REST or webhook).

        Raises:
            KeyError, TypeError, ValueError: a field is missing or has another type than CVAT documents.
        """
        assignee = job.get("assignee")
        return cls(
            job_id=int(job["id"]),
            task_id=int(job["task_id"]),
            type=str(job.get("type") or "annotation"),
            state=str(job["state"]),
            stage=str(job["stage"]),
            assignee=assignee["username"] if isinstance(assignee, Mapping) else None,
            updated_date=parse_time(job["updated_date"]),
            url=str(job.get("url") or ""),
        )


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery to be kept: from CVAT, from reconciliation, or from the platform.

    Attributes:
        source: one of :data:`SOURCES`.
        event: CVAT's event name, e.g. ``update:job``; empty when the body has none.
        body: the parsed JSON.
        dedupe_key: equal for two deliveries that tell the same thing.
        path: URL path it was posted to; ``query``: its query string (the old bridge URLs carry parameters there).
    """

    source: str
    event: str
    body: Mapping[str, Any]
    dedupe_key: str
    webhook_id: int | None = None
    task_id: int | None = None
    job_id: int | None = None
    path: str = ""
    query: str = ""

    @classmethod
    def from_body(cls, body: Mapping[str, Any], *, source: str = "webhook", path: str = "", query: str = "") -> Delivery:
        """A delivery from its parsed JSON; takes any object, what it means is found out later."""
        event = body.get("event")
        event = event if isinstance(event, str) else ""
        job, task = _mapping(body.get("job")), _mapping(body.get("task"))
        return cls(
            source=source,
            event=event[:100],
            body=redacted(body),
            dedupe_key=dedupe_key(body, path=path, query=query),
            webhook_id=_integer(body.get("webhook_id")),
            task_id=_integer(job.get("task_id")) or _integer(task.get("id")) or _integer(body.get("task_id")),
            job_id=_integer(job.get("id")) or _integer(body.get("job_id")),
            path=path,
            query=query,
        )


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the inbox, for people and for tests."""

    id: int
    received_at: datetime
    source: str
    event: str
    webhook_id: int | None
    task_id: int | None
    job_id: int | None
    state: str
    reason: str | None
    run_id: str | None
    processed_at: datetime | None
    path: str
    query: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DueReview:
    """A review to be collected now. ``last_id`` counts up over the whole inbox and goes back to ``mark_done``."""

    batch: str
    gate: str
    task_id: int | None
    last_id: int


@dataclass(frozen=True, slots=True)
class ReviewStatus:
    """A review as people want to see it.

    Attributes:
        state: ``open`` (waits for people or for its run), ``collected``, or ``gone`` (its task was deleted in CVAT).
        jobs_done: completed jobs of ``jobs_total``; ground-truth jobs are not counted.
        waiting_for: user names of those whose jobs are not completed; empty when nobody is assigned.
        since: when it was opened, or collected.
        run_id: the run that collected it last.
    """

    batch: str
    gate: str
    task_id: int | None
    url: str | None
    state: str
    jobs_done: int
    jobs_total: int
    waiting_for: tuple[str, ...]
    since: datetime
    run_id: str | None


@dataclass(slots=True)
class Interpreted:
    """What a look at the new rows found.

    Attributes:
        noise: rows that tell nothing (annotation saves, pings, events of no interest).
        transitions: rows that changed what is known of a review.
        stale: transitions older than what is known, or of tasks that are none of ours.
        unknown: rows that could not be read (dead letters).
        kept: rows of tasks not known yet; they are looked at again.
    """

    noise: int = 0
    transitions: int = 0
    stale: int = 0
    unknown: int = 0
    kept: int = 0

    def summary(self) -> str:
        """One line for a log or a skip reason."""
        parts = [f"{getattr(self, name)} {name}" for name in ("transitions", "noise", "stale", "unknown", "kept")]
        shown = [part for part in parts if not part.startswith("0 ")]
        return ", ".join(shown) or "nothing new"


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by state and source, and how long the oldest row not looked at has waited (seconds)."""

    rows: Mapping[tuple[str, str], int] = field(default_factory=dict)
    oldest_new_s: float = 0.0

    def total(self, state: str | None = None, source: str | None = None) -> int:
        """Number of rows, of one state or source if given."""
        return sum(n for (s, w), n in self.rows.items() if state in (None, s) and source in (None, w))


def now() -> datetime:
    """The time, aware, UTC."""
    return datetime.now(UTC)


def parse_time(text: Any) -> datetime:
    """ISO 8601 text (or a datetime) to an aware UTC datetime; without an offset it is taken as UTC.

    Raises:
        ValueError, TypeError: not a time.
    """
    value = text if isinstance(text, datetime) else datetime.fromisoformat(text)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def format_time(value: datetime) -> str:
    """UTC text of fixed width, so that text order is time order in every database."""
    return parse_time(value).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def dedupe_key(body: Mapping[str, Any], *, path: str = "", query: str = "") -> str:
    """What two deliveries of the same thing have in common, as sha256.

    CVAT sends no delivery id, and a redelivery has another key order and so other bytes. Equal are webhook, event,
    resource, its ``updated_date`` and what changed; a body without a resource is compared whole. The path counts, as
    the old bridge URLs ask for different things.
    """
    event = body.get("event")
    kind = event.rpartition(":")[2] if isinstance(event, str) else ""
    resource = body.get(kind if kind != "ping" else "webhook")
    if isinstance(resource, Mapping) and "id" in resource and "updated_date" in resource:
        changes = {name: body[name] for name in ("before_update", "changes") if name in body}
        essence: dict[str, Any] = {
            "webhook_id": body.get("webhook_id"),
            "event": event,
            "resource": [kind, resource["id"], resource["updated_date"]],
            "changes": changes,
        }
    else:
        essence = {"body": body}
    essence["to"] = [path, query]
    canonical = json.dumps(essence, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def redacted(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body without e-mail addresses of people, which nobody here needs."""
    sender = body.get("sender")
    if not isinstance(sender, Mapping) or "email" not in sender:
        return dict(body)
    return {**body, "sender": {key: value for key, value in sender.items() if key != "email"}}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _integer(value: Any) -> int | None:
    # SQLite and Postgres hold 64 bits; anything else is no id of CVAT.
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None
