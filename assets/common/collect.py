"""Reading a gate back from CVAT: reviewed labels, or asking people again where something is wrong. No Dagster.

Collecting reads the state CVAT has now, whatever event led here. What a person did becomes a label row, or a defect of
that picture: the first time it is met, an issue says on the picture what is wrong and the job goes back to its person;
met again, the picture is recorded as failed with its reason, and the batch goes on without it.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from assets.common.gate import CODE_VERSION, GateNotReadyError, GateSpec, frame_names, picture_of, task_name
from assets.common.replicas import REPLICA, Replicas, read_replicas, write_replicas
from assets.common.stage import Done, PictureError, StageResult, Work, run_stage, shapes_by_image
from assets.common.truth import Truth, answer_types, answering_jobs, read_truth, write_truth
from labels.formats.cvat import UNPLACED, from_cvat
from labels.manifest import ManifestRow, Status
from labels.schema import Shape
from labels.survey import SurveyConfig
from resources.cvat import CvatClient, Issue, ReviewedTask
from resources.inbox.jobs import is_done
from resources.tables import BatchTables

logger = logging.getLogger("reefline.gate")

SIGNED = "reefline: "
"""How an issue of the platform begins, so that it is not taken for a person's word."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What reading back gave.

    Attributes:
        result: the committed stage; ``None`` when people were asked again and nothing was committed.
        asked_again: one line per picture whose job went back to its person.
    """

    result: StageResult | None
    asked_again: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Answers:
    """What people did, by image id: shapes, what is wrong with them, removed pictures, words about them; the truth."""

    shapes: Mapping[str, list[Shape]]
    defects: Mapping[str, list[str]]
    removed: Mapping[str, str]
    words: Mapping[str, list[str]]
    frames: Mapping[str, int]
    truth: Truth = field(default_factory=Truth)
    replicas: Replicas = field(default_factory=Replicas)


NOTHING = _Answers({}, {}, {}, {}, {})


def collect_review(
    spec: GateSpec, tables: BatchTables, survey: SurveyConfig, batch: str, cvat: CvatClient
) -> Collected:
    """Reviewed labels of a batch: from CVAT where a person was asked, as proposed elsewhere.

    Raises:
        GateNotReadyError: jobs are still open, or the task is gone.
    """
    review = [row for row in tables.manifest(spec.review, batch) if row.usable]
    proposed = shapes_by_image(tables.labels(spec.proposed, batch))
    asked = [row for row in review if row.extra["person"]]
    task = _finished_task(spec, survey, batch, cvat, asked) if asked else None
    answers = _read(spec, tables, survey, batch, cvat, task, asked, proposed) if task else NOTHING
    final = {
        row.image_id: answers.shapes.get(row.image_id, []) if row.extra["person"] else proposed.get(row.image_id, [])
        for row in review
    }
    wrong = {
        row.image_id: [*answers.defects.get(row.image_id, []), *spec.check(survey, row, final[row.image_id])]
        for row in review
        if row.extra["applies"] and row.image_id not in answers.removed
    }
    again = _ask_again(cvat, task, answers, wrong) if task else []
    if again:
        return Collected(None, tuple(f"{task_name(batch, spec.gate)}, {line}" for line in again))

    def do(work: Work) -> Done:
        image_id = work.image_id
        if not work.source.extra["applies"]:
            return Done(status=Status.SKIPPED, reason=work.source.reason)
        if image_id in answers.removed:
            raise PictureError(answers.removed[image_id])
        if wrong[image_id]:
            raise PictureError("; ".join(wrong[image_id]))
        who = "person" if work.source.extra["person"] else "model"
        extra = {"by": who, "why": work.source.extra["why"], "issues": answers.words.get(image_id, [])}
        if image_id in answers.truth.about:
            extra["truth"] = answers.truth.about[image_id]
        if image_id in answers.replicas.about:
            extra["replicas"] = answers.replicas.about[image_id]
        return Done(extra=extra, shapes=final[image_id])

    write_truth(tables, spec.gate, batch, answers.truth)
    write_replicas(tables, spec.gate, batch, answers.replicas)
    works = [Work(row, _inputs(row.image_id, final, wrong, answers)) for row in review]
    return Collected(run_stage(tables, spec.reviewed, batch, works, do, code_version=CODE_VERSION, labels=True))


def _inputs(
    image_id: str, final: Mapping[str, list[Shape]], wrong: Mapping[str, list[str]], answers: _Answers
) -> dict[str, object]:
    """What a picture's outcome depends on: a rerun with the same redoes nothing."""
    truth, replicas = answers.truth.about.get(image_id), answers.replicas.about.get(image_id)
    return {
        **({"truth": truth} if truth else {}),
        **({"replicas": replicas} if replicas else {}),
        "labels": _digest(final[image_id]),
        "defects": wrong.get(image_id, []),
        "removed": answers.removed.get(image_id),
        "issues": answers.words.get(image_id, []),
    }


def _finished_task(
    spec: GateSpec, survey: SurveyConfig, batch: str, cvat: CvatClient, asked: Sequence[ManifestRow]
) -> ReviewedTask:
    task = cvat.read_task(int(asked[0].extra["cvat_task"]))
    due = [*answering_jobs(task), *(job for job in task.jobs if job.type == REPLICA)]
    waiting = [job for job in due if not is_done(job, survey.cvat.done_at)]
    if waiting:
        where = ", ".join(f"job {job.job_id} ({job.stage}, {job.state})" for job in waiting[:5])
        raise GateNotReadyError(f"{task_name(batch, spec.gate)} is not finished in CVAT: {where}")
    return task


def _read(
    spec: GateSpec,
    tables: BatchTables,
    survey: SurveyConfig,
    batch: str,
    cvat: CvatClient,
    task: ReviewedTask,
    asked: Sequence[ManifestRow],
    proposed: Mapping[str, list[Shape]],
) -> _Answers:
    names = frame_names(tables, batch, asked)
    frames = {row.image_id: task.frames[cvat.frame_name(picture_of(tables, row, names))] for row in asked}
    image_of = {frame: image_id for image_id, frame in frames.items()}
    layout = task.layout
    shown = image_of | {trap: image_of[real] for trap, real in layout.honeypots.items() if real in image_of}
    words: dict[str, list[str]] = {}
    for issue in cvat.issues(task.task_id):
        if issue.frame in shown:
            words.setdefault(shown[issue.frame], []).extend(_said(issue))
    # The ground-truth job was given no proposals, and what is drawn on placeholders is no label.
    blind = {image_of[frame] for frame in layout.truth if frame in image_of} if layout.pooled else set()
    pushed = [s for row in asked if row.image_id not in blind for s in proposed.get(row.image_id, [])]
    own = replace(task, deleted_frames=[*task.deleted_frames, *layout.honeypots])
    drawn, defects = from_cvat(own, image_of, pushed, types=answer_types(task))
    for defect in defects.pop(UNPLACED, []):
        logger.warning("%s: %s", task_name(batch, spec.gate), defect)
    shapes = shapes_by_image(drawn)
    # A pool picture left out of the validation keeps what was drawn; with nothing drawn, its person gave it up.
    given_up = {frame for frame in layout.disabled if layout.pooled and image_of.get(frame) not in shapes}
    gone = [image_of[frame] for frame in (*task.deleted_frames, *given_up) if frame in image_of]
    removed = {image_id: _reason(words.get(image_id, [])) for image_id in gone}
    truth = read_truth(task, image_of, proposed, survey.cvat.done_at)
    replicas = read_replicas(task, image_of, proposed)
    return _Answers(shapes, defects, removed, words, frames, truth, replicas)


def _said(issue: Issue) -> list[str]:
    return [f"{issue.owner or 'somebody'}: {word}" for word in issue.words]


def _reason(words: Sequence[str]) -> str:
    said = [word for word in words if SIGNED not in word]
    return "removed from the task by a person in CVAT" + (f" ({said[0]})" if said else "")


def _ask_again(
    cvat: CvatClient, task: ReviewedTask, answers: _Answers, wrong: Mapping[str, Sequence[str]]
) -> list[str]:
    """Send pictures back whose defects their person has not been told of yet; a line for each."""
    lines = []
    for image_id, defects in wrong.items():
        frame = answers.frames.get(image_id)
        message = SIGNED + "; ".join(defects)
        if frame is None or not defects or any(message in word for word in answers.words.get(image_id, [])):
            continue
        job = next(j for j in answering_jobs(task) if j.start_frame <= frame <= j.stop_frame)
        cvat.ask_again(job.job_id, frame, message)
        lines.append(f"frame {frame} ({image_id}): {'; '.join(defects)}")
    return lines


def _digest(shapes: Sequence[Shape]) -> str:
    plain = [[s.shape_id, s.label, s.points, s.holes, s.attributes, s.source] for s in shapes]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]
