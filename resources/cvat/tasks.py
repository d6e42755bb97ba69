"""What goes into a review task and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resources.inbox import JobState


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture for CVAT; its bytes are read when they are sent, so that a batch never lies in memory whole."""

    name: str
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class ReviewTask:
    """A task that people work in. ``frames``: picture name -> frame number."""

    task_id: int
    url: str
    jobs: Sequence[JobState]
    frames: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ReviewedJob:
    """A job with what is drawn in it."""

    job_id: int
    type: str
    stage: str
    state: str
    assignee: str | None
    updated_date: str
    annotations: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReviewedTask:
    """A task as CVAT has it now. ``labels``: CVAT's label objects by name."""

    task_id: int
    url: str
    labels: Mapping[str, Mapping[str, Any]]
    jobs: Sequence[ReviewedJob]
    frames: Mapping[str, int]
    deleted_frames: Sequence[int]
