"""What goes into a review task and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from resources.inbox import JobState


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture for CVAT; its bytes are read when they are sent, so that a batch never lies in memory whole.

    ``key``: where it lies in the object store, for a CVAT that reads it from there by itself.
    """

    name: str
    read: Callable[[], bytes]
    key: str = ""


@dataclass(frozen=True, slots=True)
class StoredPictures:
    """How CVAT itself reaches the object store, so that no picture is uploaded.

    Attributes:
        storage: name of a cloud storage in CVAT; empty where the store lies in CVAT's connected file share.
        prefix: what stands before an object's key, in the bucket or the share; empty or ending with ``/``.
    """

    storage: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Validation:
    """A ground-truth job of a task: how its pictures are chosen.

    Attributes:
        method: ``random_uniform`` (over the task) or ``random_per_job``.
        share: of the pictures, 0..1.
        seed: the same pictures are chosen when a task is made again.
    """

    method: str
    share: float
    seed: int


@dataclass(frozen=True, slots=True)
class Honeypots:
    """Ground truth hidden in every job: CVAT's validation mode ``gt_pool``.

    A pool of pictures is put at the end of the task, in the ground-truth job alone; placeholders that show them are
    mixed into the annotation jobs. All frames are in an order drawn by lot.

    Attributes:
        share: of the pictures in the pool, 0..1.
        per_job: placeholders in each job.
        seed: the same layout is drawn when a task is made again.
    """

    share: float
    per_job: int
    seed: int


@dataclass(frozen=True, slots=True)
class Copies:
    """Copies of every job for other people (CVAT's consensus replicas). ``proposals``: whether pre-labels go in."""

    count: int
    proposals: bool = True


@dataclass(frozen=True, slots=True)
class Layout:
    """Which frames of a task are ground truth, and which only show one (CVAT's validation layout).

    Attributes:
        mode: ``gt`` (a ground-truth job beside the others), ``gt_pool`` (honeypots), or ``None``.
        truth: frames of the ground-truth job.
        disabled: of these, frames that people left out of the validation.
        honeypots: placeholder -> frame of the pool whose picture it shows.
    """

    mode: str | None = None
    truth: frozenset[int] = frozenset()
    disabled: frozenset[int] = frozenset()
    honeypots: Mapping[int, int] = field(default_factory=dict)

    @property
    def pooled(self) -> bool:
        """Whether some pictures are labelled in the ground-truth job alone."""
        return self.mode == "gt_pool"


@dataclass(frozen=True, slots=True)
class Issue:
    """What people have said about a place in a picture. ``words``: the messages, oldest first."""

    issue_id: int
    job_id: int
    frame: int
    resolved: bool
    owner: str | None
    words: Sequence[str]


@dataclass(frozen=True, slots=True)
class ReviewTask:
    """A task that people work in.

    Attributes:
        frames: picture name -> frame number; where honeypots show a picture again, its own frame.
        truth_needed: whether the ground-truth job has to be done, too: it alone labels some pictures.
    """

    task_id: int
    url: str
    jobs: Sequence[JobState]
    frames: Mapping[str, int]
    truth_needed: bool = False


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
    start_frame: int
    stop_frame: int


@dataclass(frozen=True, slots=True)
class ReviewedTask:
    """A task as CVAT has it now. ``labels``: CVAT's label objects by name. ``frames``: as in :class:`ReviewTask`."""

    task_id: int
    url: str
    labels: Mapping[str, Mapping[str, Any]]
    jobs: Sequence[ReviewedJob]
    frames: Mapping[str, int]
    deleted_frames: Sequence[int]
    layout: Layout = field(default_factory=Layout)
