"""A gate: who must look at a picture, the CVAT task with pre-labels inside, and reading back. No Dagster.

Creating and collecting are idempotent: the task is looked up by its name before it is made, and collecting reads the
state CVAT has now, whatever event led here.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assets.common.names import Gate
from assets.common.stage import Done, PictureError, StageResult, Work, run_stage, shapes_by_image
from labels.formats.cvat import UNPLACED, from_cvat, to_cvat
from labels.manifest import ManifestRow, Status
from labels.quadrats import safe_name
from labels.schema import Shape
from labels.survey import GatePolicy, SurveyConfig
from resources.cvat import CvatClient, Picture, ReviewTask
from resources.inbox import Inbox
from resources.tables import BatchTables

logger = logging.getLogger("reefline.gate")

CODE_VERSION = "1"


class GateNotReadyError(RuntimeError):
    """The gate cannot be created or collected now; the message says what is missing and what to do."""


@dataclass(frozen=True, slots=True)
class GateSpec:
    """What differs between the three gates.

    Attributes:
        pictures: the stage whose pictures people see.
        project: name of the CVAT project for a survey.
        labels: CVAT label definitions for a survey.
        check: what is wrong with the reviewed shapes of a picture; empty when all is well.
        colors: ``#rrggbb`` by label, for contact sheets.
    """

    gate: Gate
    pictures: str
    project: Callable[[SurveyConfig], str]
    labels: Callable[[SurveyConfig], list[dict[str, Any]]]
    check: Callable[[SurveyConfig, ManifestRow, Sequence[Shape]], list[str]]
    colors: Callable[[SurveyConfig], dict[str, str]] = lambda _: {}

    @property
    def proposed(self) -> str:
        """Key of the stage that proposes."""
        return f"{self.gate}/proposed"

    @property
    def review(self) -> str:
        """Key of the stage that asks people."""
        return f"{self.gate}/review"

    @property
    def reviewed(self) -> str:
        """Key of the stage that reads back."""
        return f"{self.gate}/reviewed"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a person must look at a picture, and why."""

    person: bool
    reason: str


def decide(policy: GatePolicy, row: ManifestRow) -> Decision:
    """Apply a gate's policy to one proposal (its score and self-checks are in ``row.extra``)."""
    if row.status == Status.SKIPPED:
        return Decision(False, row.reason or "the stage does not apply")
    score = float(row.extra.get("score", 0.0))
    defects = row.extra.get("defects", [])
    if policy.policy == "always":
        return Decision(True, "policy: always")
    if policy.policy == "never":
        return Decision(False, "policy: never")
    if defects:
        return Decision(True, f"self-check: {defects[0]}")
    if score < policy.min_score:
        return Decision(True, f"score {score:.2f} is under {policy.min_score:.2f}")
    return Decision(False, f"score {score:.2f}, self-checks passed")


def task_name(batch: str, gate: Gate) -> str:
    """Name of the CVAT task of a batch at a gate: the identity that is searched for before a task is made."""
    return f"{batch}.{gate}"


def create_review(
    spec: GateSpec, tables: BatchTables, survey: SurveyConfig, batch: str, cvat: CvatClient, inbox: Inbox
) -> StageResult:
    """Send the pictures that need a person to CVAT, pre-labels inside, and register what is waited for.

    Raises:
        GateNotReadyError: the gate's project does not exist in CVAT.
    """
    policy: GatePolicy = getattr(survey.gates, spec.gate)
    proposed = [row for row in tables.manifest(spec.proposed, batch) if row.usable]
    shapes = shapes_by_image(tables.labels(spec.proposed, batch))
    decisions = {row.image_id: decide(policy, row) for row in proposed}
    asked = [row for row in proposed if decisions[row.image_id].person]
    task = _task(spec, tables, survey, batch, cvat, asked, shapes) if asked else None
    inbox.register_review(
        batch,
        spec.gate,
        task.task_id if task else None,
        task.url if task else None,
        task.jobs if task else [],
    )

    def do(work: Work) -> Done:
        decision = decisions[work.image_id]
        applies = work.source.status != Status.SKIPPED
        extra: dict[str, Any] = {"applies": applies, "person": decision.person, "why": decision.reason}
        if decision.person and task:
            extra |= {"cvat_task": task.task_id, "cvat_url": task.url}
        return Done(status=Status.OK if decision.person else Status.SKIPPED, reason=decision.reason, extra=extra)

    works = [Work(row, {"task": task.task_id if task else None}) for row in proposed]
    return run_stage(tables, spec.review, batch, works, do, code_version=CODE_VERSION)


def _task(
    spec: GateSpec,
    tables: BatchTables,
    survey: SurveyConfig,
    batch: str,
    cvat: CvatClient,
    asked: Sequence[ManifestRow],
    shapes: dict[str, list[Shape]],
) -> ReviewTask:
    name = spec.project(survey)
    project = cvat.find_project(name)
    if project is None:
        raise GateNotReadyError(f"CVAT has no project {name!r}: run 'reefline cvat apply' once, then retry this run")
    names = frame_names(tables, batch, asked)
    asked = sorted(asked, key=lambda row: names[row.image_id])  # people find a photo by its name
    pushed = [s for row in asked for s in shapes.get(row.image_id, [])]
    pictures = [Picture(names[row.image_id], _reader(tables, row)) for row in asked]

    def annotations(frames: Mapping[str, int], labels: Mapping[str, Any]) -> dict[str, Any]:
        return to_cvat(pushed, {row.image_id: frames[names[row.image_id]] for row in asked}, labels)

    return cvat.ensure_task(
        project,
        task_name(batch, spec.gate),
        pictures,
        annotations,
        subset=survey.cvat.subset,
        segment_size=survey.cvat.job_size,
        assignees=survey.cvat.assignees,
    )


def frame_names(tables: BatchTables, batch: str, rows: Sequence[ManifestRow]) -> dict[str, str]:
    """Picture names for CVAT, unique and safe, with the photo's own name in them for people."""
    files = {row.image_id: str(row.extra.get("file", "")) for row in tables.manifest("images/raw", batch)}
    names = {}
    for row in rows:
        extension = (row.uri or "x.jpg").rpartition(".")[2]
        names[row.image_id] = safe_name(files.get(row.image_id, ""), row.image_id, extension)
    return names


def _reader(tables: BatchTables, row: ManifestRow) -> Callable[[], bytes]:
    return lambda: tables.image(row)


def collect_review(
    spec: GateSpec, tables: BatchTables, survey: SurveyConfig, batch: str, cvat: CvatClient
) -> StageResult:
    """Reviewed labels of a batch: from CVAT where a person was asked, as proposed elsewhere.

    Raises:
        GateNotReadyError: jobs are still open, or the task is gone.
    """
    review = [row for row in tables.manifest(spec.review, batch) if row.usable]
    proposed = shapes_by_image(tables.labels(spec.proposed, batch))
    asked = [row for row in review if row.extra["person"]]
    answers, defects = _answers(spec, tables, batch, cvat, asked, proposed) if asked else ({}, {})
    final = {
        row.image_id: answers.get(row.image_id, []) if row.extra["person"] else proposed.get(row.image_id, [])
        for row in review
    }

    def do(work: Work) -> Done:
        shapes = final[work.image_id]
        if not work.source.extra["applies"]:
            return Done(status=Status.SKIPPED, reason=work.source.reason)
        wrong = [*defects.get(work.image_id, []), *spec.check(survey, work.source, shapes)]
        if wrong:
            raise PictureError("; ".join(wrong))
        who = "person" if work.source.extra["person"] else "model"
        return Done(extra={"by": who, "why": work.source.extra["why"]}, shapes=shapes)

    works = [
        Work(row, {"labels": _digest(final[row.image_id]), "defects": defects.get(row.image_id, [])}) for row in review
    ]
    return run_stage(tables, spec.reviewed, batch, works, do, code_version=CODE_VERSION, labels=True)


def _answers(
    spec: GateSpec,
    tables: BatchTables,
    batch: str,
    cvat: CvatClient,
    asked: Sequence[ManifestRow],
    proposed: dict[str, list[Shape]],
) -> tuple[dict[str, list[Shape]], dict[str, list[str]]]:
    task_id = int(asked[0].extra["cvat_task"])
    task = cvat.read_task(task_id)
    waiting = [job for job in task.jobs if job.type != "ground_truth" and job.state != "completed"]
    if waiting:
        where = ", ".join(f"job {job.job_id} ({job.stage}, {job.state})" for job in waiting[:5])
        raise GateNotReadyError(f"{task_name(batch, spec.gate)} is not finished in CVAT: {where}")
    names = frame_names(tables, batch, asked)
    image_of = {frame: image_id for image_id, name in names.items() for frame in [task.frames[name]]}
    pushed = [s for row in asked for s in proposed.get(row.image_id, [])]
    shapes, defects = from_cvat(task, image_of, pushed)
    for defect in defects.pop(UNPLACED, []):
        logger.warning("%s: %s", task_name(batch, spec.gate), defect)
    return shapes_by_image(shapes), defects


def _digest(shapes: Sequence[Shape]) -> str:
    plain = [[s.shape_id, s.label, s.points, s.holes, s.attributes, s.source] for s in shapes]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]
