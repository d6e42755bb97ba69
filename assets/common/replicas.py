"""Jobs of which several people have copies: what each drew, kept beside the reviewed labels. No Dagster.

A survey may ask for replicas (``cvat.replicas``, CVAT's consensus jobs): every job of the coral gate has copies for
other people. Reviewed labels are those of the job itself; the copies measure how far people agree. A label table per
batch, ``corals/replicas``, holds what was drawn in them, and the manifest of ``corals/reviewed`` says under
``extra["replicas"]`` who looked at a picture, because a picture without any shape is an answer, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from analytics.quality.replicas import Drawing
from assets.common.names import Gate
from labels.formats.cvat import ANNOTATION, from_cvat
from labels.manifest import ManifestRow
from labels.schema import Shape
from resources.cvat import ReviewedJob, ReviewedTask
from resources.tables import BatchTables

REPLICA = "consensus_replica"
CONSENSUS = "consensus"
"""Source of a shape that CVAT has merged from the replicas: its job is nobody's own view."""


@dataclass(frozen=True, slots=True)
class Replicas:
    """What was drawn in replicas.

    Attributes:
        shapes: of the replicas; ``cvat_job`` tells them apart.
        about: by image id: who drew it, a list of ``job``, ``annotator`` and ``replica`` (not the job itself).
    """

    shapes: Sequence[Shape] = ()
    about: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)


def replicas_stage(gate: Gate) -> str:
    """Name of the label table with the shapes of replicas."""
    return f"{gate}/replicas"


def read_replicas(task: ReviewedTask, image_of: Mapping[int, str], proposed: Mapping[str, Sequence[Shape]]) -> Replicas:
    """Read the replicas of a task.

    Args:
        task: as CVAT has it now, everyone done.
        image_of: frame number -> image id, of the pictures' own frames.
        proposed: pre-labels by image id.
    """
    copies = [job for job in task.jobs if job.type == REPLICA]
    if not copies:
        return Replicas()
    shapes: list[Shape] = []
    about: dict[str, list[dict[str, Any]]] = {}
    own = [job for job in task.jobs if job.type in ANNOTATION and not _merged(job)]
    for job in (*own, *copies):
        frames = _frames(job, task, image_of)
        for image_id in frames.values():
            seen = {"job": job.job_id, "annotator": job.assignee, "replica": job.type == REPLICA}
            about.setdefault(image_id, []).append(seen)
        if job.type == REPLICA:
            pushed = [shape for image_id in frames.values() for shape in proposed.get(image_id, [])]
            drawn, _ = from_cvat(replace(task, jobs=[job]), frames, pushed, types={REPLICA})
            # The same pre-label goes to several jobs: each copy needs an id of its own.
            shapes += [replace(shape, shape_id=f"{shape.shape_id}:job{job.job_id}") for shape in drawn]
    return Replicas(shapes, about)


def write_replicas(tables: BatchTables, gate: Gate, batch: str, found: Replicas) -> None:
    """Keep the label table of a batch that has replicas. To be called before its manifest is committed."""
    if found.about:
        tables.write_labels(replicas_stage(gate), batch, found.shapes)


def drawings(
    tables: BatchTables, batch: str, rows: Sequence[ManifestRow], reviewed: Mapping[str, Sequence[Shape]]
) -> list[Drawing]:
    """Who drew what, for pictures that several people have drawn; empty where there are no replicas."""
    about = {row.image_id: row.extra["replicas"] for row in rows if row.usable and row.extra.get("replicas")}
    if not about:
        return []
    copies: dict[tuple[str, int | None], list[Shape]] = {}
    for shape in tables.labels(replicas_stage(Gate.CORALS), batch):
        copies.setdefault((shape.image_id, shape.cvat_job), []).append(shape)
    found = []
    for image_id, people in about.items():
        for seen in people:
            mine = copies.get((image_id, seen["job"]), []) if seen["replica"] else reviewed.get(image_id, [])
            found.append(Drawing(image_id, seen["annotator"] or f"job {seen['job']}", mine))
    return found


def _merged(job: ReviewedJob) -> bool:
    return any(raw.get("source") == CONSENSUS for raw in job.annotations.get("shapes") or [])


def _frames(job: ReviewedJob, task: ReviewedTask, image_of: Mapping[int, str]) -> dict[int, str]:
    span = range(job.start_frame, job.stop_frame + 1)
    return {frame: image_of[frame] for frame in span if frame in image_of and frame not in task.deleted_frames}
