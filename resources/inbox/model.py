"""What goes into the inbox and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


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
    dead: int = 0

    def summary(self) -> str:
        """For people."""
        dead = f", {self.dead} dead letters" if self.dead else ""
        return f"{self.transitions} transitions, {self.noise} without meaning, {self.waiting} of unknown tasks{dead}"


@dataclass(frozen=True, slots=True)
class DueReview:
    """A review that people have finished and no run has collected.

    Attributes:
        last_id: the last row a run answers.
        replays: how often a person has sent that row on its way again.
    """

    batch: str
    gate: str
    task_id: int | None
    last_id: int
    replays: int = 0

    @property
    def key(self) -> str:
        """What a run answers: the same delivery never starts two runs, unless a person replays it."""
        again = f":replay{self.replays}" if self.replays else ""
        return f"{self.batch}:{self.gate}:{self.last_id}{again}"


@dataclass(frozen=True, slots=True)
class ReviewStatus:
    """A review for status tables.

    Attributes:
        state: ``open`` (people are at it), ``collected``.
        waiting_for: user names of who has an open job.
        stages: stages of CVAT in which the open jobs are.
        since: when it began to wait for people.
        asked_at: when people were asked.
        collected_at: when a run took the answer; ``None`` while it is open.
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
    stages: tuple[str, ...] = ()
    asked_at: datetime | None = None
    collected_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """A row of the inbox as people see it."""

    id: int
    received_at: datetime
    source: str
    event: str
    task_id: int | None
    job_id: int | None
    state: str
    reason: str | None
    run_id: str | None
    replays: int
    path: str
    query: str
    body: str
