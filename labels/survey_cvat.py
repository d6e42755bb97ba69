"""The fields of a survey file that say how the work appears in CVAT."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from labels.survey_base import Part, Text


class GroundTruth(Part):
    """Pictures of a task that are drawn twice, without seeing the proposals, to measure quality."""

    share: float = Field(0.05, gt=0, le=1, description="Share of a task's pictures (0 to 1), at least one.")
    method: Literal["random_uniform", "random_per_job"] = Field(
        "random_uniform", description="'random_uniform' = over the whole task; 'random_per_job' = from every job."
    )


class Honeypots(Part):
    """Pictures that are drawn once as ground truth and hidden among the pictures of every job, to measure people."""

    pool_share: float = Field(
        0.05, gt=0, lt=1, description="Share of a task's pictures that make the pool (above 0, under 1), at least one."
    )
    per_job: int = Field(
        2, ge=1, le=100, description="Pictures of the pool hidden in every job, in addition to its job_size own ones."
    )


class Replicas(Part):
    """Copies of every job for other people, to measure how far they agree (CVAT's consensus jobs)."""

    count: int = Field(2, ge=2, le=10, description="Copies of every job beside the job itself (2 to 10).")
    with_proposals: bool = Field(
        True,
        description="Whether the copies begin with the proposals, as the job itself does; false = they begin empty, "
        "which measures people alone.",
    )


class Cvat(Part):
    """How the work appears in CVAT."""

    organization: str | None = Field(None, description="Short name of the CVAT organization; empty = personal space.")
    job_size: int | None = Field(
        None, ge=1, le=500, description="Pictures per CVAT job; empty = the whole batch is one job."
    )
    assignees: list[Text] = Field(
        default_factory=list, description="CVAT user names; jobs are handed out to them in turn. Empty = nobody."
    )
    subset: str | None = Field(None, description="CVAT subset of the tasks, for example 'train'; empty = none.")
    outlines: Literal["polygons", "masks"] = Field(
        "polygons", description="How colonies are drawn in CVAT: 'polygons', or 'masks' (brush and eraser)."
    )
    keep_events_days: int | None = Field(
        None,
        ge=1,
        le=36500,
        description="Days that the analytics keep CVAT's events of the survey's tasks (who did what when); working "
        "time stays. Empty = as long as the installation keeps them (REEFLINE_EVENTS_KEEP_DAYS).",
    )
    done_at: Literal["annotation", "validation", "acceptance"] = Field(
        "annotation",
        description="A job is done when it is completed in this stage of CVAT or a later one: 'annotation' = when the "
        "annotator says so; 'validation' = when a second person has looked; 'acceptance' = when it is accepted.",
    )
    ground_truth: GroundTruth | None = Field(
        None, description="A ground-truth job in every task of the coral gate; empty = none."
    )
    honeypots: Honeypots | None = Field(
        None,
        description="Instead of ground_truth: a pool of pictures that a ground-truth job labels, shown to annotators "
        "among their own; needs job_size. A batch waits for the ground-truth job. Empty = none.",
    )
    replicas: Replicas | None = Field(
        None,
        description="Copies of every job of the coral gate for other people, to measure how far annotators agree. A "
        "batch waits for them; its labels are those of the jobs themselves. Not together with honeypots. Empty = none.",
    )
