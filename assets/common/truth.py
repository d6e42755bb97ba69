"""Ground truth beside the reviewed labels, so that quality can compare people with it. No Dagster.

A ground-truth job holds pictures drawn without proposals. In a task with honeypots it is the only place where the
pictures of the pool are labelled: their reviewed labels are its shapes, and what annotators drew where such a picture
was shown among theirs is a measurement of annotators, never a label. Two label tables are kept per batch,
``<gate>/truth`` and ``<gate>/honeypots``; the manifest of ``<gate>/reviewed`` says under ``extra["truth"]`` which
pictures they are about, because a picture without any shape is an answer, too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from assets.common.names import Gate
from labels.formats.cvat import ANNOTATION, from_cvat
from labels.schema import Shape
from resources.cvat import ReviewedJob, ReviewedTask
from resources.inbox.jobs import GROUND_TRUTH, is_done
from resources.tables import BatchTables


@dataclass(frozen=True, slots=True)
class Truth:
    """What the ground-truth job says, and what annotators drew without knowing.

    Attributes:
        shapes: of the ground-truth job.
        copies: of annotators, on placeholders of pool pictures; ``cvat_job`` tells them apart.
        about: by image id: ``job``, ``done``, ``disabled`` (left out of the validation by a person), and
            ``honeypots``, a list of ``job``, ``frame`` and ``annotator``.
    """

    shapes: Sequence[Shape] = ()
    copies: Sequence[Shape] = ()
    about: Mapping[str, dict[str, Any]] = field(default_factory=dict)


def truth_stage(gate: Gate) -> str:
    """Name of the label table with the shapes of ground-truth jobs."""
    return f"{gate}/truth"


def honeypots_stage(gate: Gate) -> str:
    """Name of the label table with what annotators drew on honeypots."""
    return f"{gate}/honeypots"


def answering_jobs(task: ReviewedTask) -> list[ReviewedJob]:
    """The jobs that reviewed labels come from: the ground-truth job only where it alone has some pictures."""
    return [job for job in task.jobs if job.type in answer_types(task)]


def answer_types(task: ReviewedTask) -> frozenset[str]:
    """Types of the jobs whose shapes are labels."""
    return ANNOTATION | {GROUND_TRUTH} if task.layout.pooled else ANNOTATION


def read_truth(
    task: ReviewedTask, image_of: Mapping[int, str], proposed: Mapping[str, Sequence[Shape]], done_at: str
) -> Truth:
    """Read the ground truth of a task.

    Args:
        task: as CVAT has it now.
        image_of: frame number -> image id, of the pictures' own frames.
        proposed: pre-labels by image id.
        done_at: stage of CVAT in which the ground-truth job counts as done.
    """
    job = next((job for job in task.jobs if job.type == GROUND_TRUTH), None)
    if job is None:
        return Truth()
    layout = task.layout
    frames = {frame: image_of[frame] for frame in layout.truth if frame in image_of}
    shapes, _ = from_cvat(replace(task, jobs=[_only(job, frames)]), frames, [], types={GROUND_TRUTH})
    done = is_done(job, done_at)
    about: dict[str, dict[str, Any]] = {
        image_id: {"job": job.job_id, "done": done, "disabled": frame in layout.disabled, "honeypots": []}
        for frame, image_id in sorted(frames.items())
    }
    copies: list[Shape] = []
    for annotated in (job for job in task.jobs if job.type in ANNOTATION):
        shown = _shown(annotated, task, frames)
        pushed = [shape for image_id in shown.values() for shape in proposed.get(image_id, [])]
        drawn, _ = from_cvat(replace(task, jobs=[_only(annotated, shown)]), shown, pushed)
        # The same pre-label goes to several jobs: each copy needs an id of its own.
        copies += [replace(shape, shape_id=f"{shape.shape_id}:job{annotated.job_id}") for shape in drawn]
        for frame, image_id in shown.items():
            seen = {"job": annotated.job_id, "frame": frame, "annotator": annotated.assignee}
            about[image_id]["honeypots"].append(seen)
    return Truth(shapes, copies, about)


def write_truth(tables: BatchTables, gate: Gate, batch: str, truth: Truth) -> None:
    """Keep both label tables of a batch that has ground truth. To be called before its manifest is committed."""
    if truth.about:
        tables.write_labels(truth_stage(gate), batch, truth.shapes)
        tables.write_labels(honeypots_stage(gate), batch, truth.copies)


def _shown(job: ReviewedJob, task: ReviewedTask, frames: Mapping[int, str]) -> dict[int, str]:
    """Placeholders of a job that nobody has removed -> whose picture they show."""
    return {
        frame: frames[real]
        for frame, real in sorted(task.layout.honeypots.items())
        if job.start_frame <= frame <= job.stop_frame and real in frames and frame not in task.deleted_frames
    }


def _only(job: ReviewedJob, frames: Collection[int]) -> ReviewedJob:
    """A job as if nothing else were drawn in it."""
    kept = {
        part: [mark for mark in job.annotations.get(part) or [] if mark.get("frame") in frames]
        for part in ("shapes", "tags", "tracks")
    }
    return replace(job, annotations=kept)
