"""What a delivery says. Pure: no database, no clock.

CVAT has had three dialects of ``update`` events, told apart by what the payload holds:

- ``before_update`` with the old values (up to 2.7x); after every annotation save it holds ``updated_date`` alone;
- ``changes`` beside or instead of it (2.73);
- neither (since cvat-ai/cvat#11104): what changed can only be found by comparing with what is known.

``before_update`` also shows false changes of ``jobs`` and ``issues``, so only ``state`` and ``stage`` count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from resources.inbox.model import JobState

TELLING = frozenset({"state", "stage", "status", "assignee"})


@dataclass(frozen=True, slots=True)
class Ping:
    """CVAT asks whether anybody listens."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Nothing that a review depends on; ``reason`` says why."""

    reason: str


@dataclass(frozen=True, slots=True)
class JobTransition:
    """A job was made, changed or deleted.

    Attributes:
        changed: names of the fields that changed; ``None`` when the dialect does not tell.
    """

    kind: Literal["create", "update", "delete"]
    job: JobState
    changed: frozenset[str] | None = None

    @property
    def state_changed(self) -> bool:
        """Whether the delivery itself proves that the state changed."""
        return self.changed is not None and "state" in self.changed


@dataclass(frozen=True, slots=True)
class TaskTransition:
    """A task changed its status or was deleted, or somebody asks by hand to have it collected again."""

    kind: Literal["update", "delete", "ask"]
    task_id: int
    status: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Not readable; ``reason`` says what is wrong, for the one who looks at the dead letter."""

    reason: str


Meaning = Ping | Noise | JobTransition | TaskTransition | Unknown


def interpret(event: str, body: Mapping[str, Any]) -> Meaning:
    """The meaning of a delivery with this event name and parsed body."""
    if event == "ping":
        return Ping()
    action, _, kind = event.partition(":")
    try:
        if not event:
            return _asked_by_hand(body)
        if kind == "job" and action in ("create", "update", "delete"):
            return _job(action, body)  # type: ignore[arg-type]
        if kind == "task" and action in ("update", "delete"):
            return _task(action, body)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return Unknown(f"{event or 'a body without event'} is not as CVAT documents it: {type(error).__name__} {error}")
    if action in ("create", "update", "delete", "completed") and kind:
        return Noise(f"{event} does not matter for a review")
    return Unknown(f"no such event in CVAT: {event[:60]!r}")


def changed_fields(body: Mapping[str, Any]) -> frozenset[str] | None:
    """Names of the changed fields, in either dialect that tells them; ``None`` when the payload does not tell."""
    told = [body[name] for name in ("changes", "before_update") if body.get(name)]
    if not told:
        return None
    names: set[str] = set()
    for changes in told:
        if isinstance(changes, Mapping):
            names.update(str(name) for name, value in changes.items() if not _same(value))
        else:
            names.update(str(item["field"] if isinstance(item, Mapping) else item) for item in changes)
    return frozenset(names)


def _same(change: Any) -> bool:
    """A change told as a pair of equal values."""
    if isinstance(change, Mapping):
        for old, new in (("old", "new"), ("from", "to")):
            if old in change and new in change:
                return bool(change[old] == change[new])
    return False


def _job(action: Literal["create", "update", "delete"], body: Mapping[str, Any]) -> Meaning:
    changed = changed_fields(body) if action == "update" else None
    if changed is not None and not changed & TELLING:
        return Noise(f"only {', '.join(sorted(changed))} changed")
    return JobTransition(action, JobState.from_cvat(body["job"]), changed)


def _task(action: str, body: Mapping[str, Any]) -> Meaning:
    task = body["task"]
    if action == "delete":
        return TaskTransition("delete", int(task["id"]))
    changed = changed_fields(body)
    if changed is None or "status" not in changed:
        what = ", ".join(sorted(changed)) if changed else "nothing told"
        return Noise(f"the task's status did not change ({what})")
    return TaskTransition("update", int(task["id"]), str(task["status"]))


def _asked_by_hand(body: Mapping[str, Any]) -> Meaning:
    """Bodies such as ``{"task_id": 123}``, which users of the old bridge posted to trigger it."""
    if isinstance(body.get("task_id"), int):
        return TaskTransition("ask", int(body["task_id"]))
    return Unknown("the body has neither an event nor a task_id")
