"""What has to be known of a CVAT task to read its labels back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

Labels = Mapping[str, Mapping[str, Any]] | Sequence[Mapping[str, Any]]
"""CVAT's labels as ``GET /api/labels`` gives them (``id, name, type, attributes, sublabels``): a list, or by name."""


class AnsweredJob(Protocol):
    """A CVAT job and what is drawn in it."""

    @property
    def job_id(self) -> int:
        """Id of the job."""

    @property
    def type(self) -> str:
        """``annotation``, ``ground_truth`` or ``consensus_replica``."""

    @property
    def stage(self) -> str:
        """``annotation``, ``validation`` or ``acceptance``."""

    @property
    def assignee(self) -> str | None:
        """User name of who has the job now."""

    @property
    def updated_date(self) -> datetime | str | None:
        """When the job was last changed."""

    @property
    def annotations(self) -> Mapping[str, Any]:
        """JSON of ``GET /api/jobs/{id}/annotations/``; frames are counted from the start of the task."""


class AnsweredTask(Protocol):
    """A CVAT task with its labels and jobs."""

    @property
    def task_id(self) -> int:
        """Id of the task."""

    @property
    def labels(self) -> Labels:
        """The labels of the task's project."""

    @property
    def jobs(self) -> Sequence[AnsweredJob]:
        """All jobs of the task."""

    @property
    def deleted_frames(self) -> Collection[int]:
        """Frames that people removed from the task (``GET /api/tasks/{id}/data/meta``)."""


@dataclass(frozen=True, slots=True)
class JobAnswer:
    """A plain :class:`AnsweredJob`."""

    job_id: int
    annotations: Mapping[str, Any]
    type: str = "annotation"
    stage: str = "annotation"
    assignee: str | None = None
    updated_date: datetime | str | None = None


@dataclass(frozen=True, slots=True)
class TaskAnswer:
    """A plain :class:`AnsweredTask`."""

    task_id: int
    labels: Labels
    jobs: Sequence[JobAnswer]
    deleted_frames: Collection[int] = field(default_factory=tuple)
