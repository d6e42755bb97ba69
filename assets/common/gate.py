"""A gate: who must look at a picture, and the CVAT task with the pre-labels inside. No Dagster.

Creating is idempotent: the task is looked up by its name before it is made. Reading back is in ``collect``.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assets.common.names import Gate
from assets.common.stage import Done, StageResult, Work, run_stage, shapes_by_image
from labels.formats.cvat import to_cvat
from labels.manifest import ManifestRow, Status
from labels.quadrats import safe_name
from labels.schema import Shape
from labels.survey import GatePolicy, SurveyConfig
from resources.cvat import Copies, CvatClient, Honeypots, Picture, ReviewTask, Validation
from resources.inbox import Inbox
from resources.inbox.letters import asked_project
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
        guide: what annotators read beside the picture, markdown.
        check: what is wrong with the reviewed shapes of a picture; empty when all is well.
        colors: ``#rrggbb`` by label, for contact sheets.
    """

    gate: Gate
    pictures: str
    project: Callable[[SurveyConfig], str]
    labels: Callable[[SurveyConfig], list[dict[str, Any]]]
    guide: Callable[[SurveyConfig], str]
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
    project = _project(spec, survey, batch, cvat, inbox) if asked else 0
    task = _task(spec, tables, survey, batch, cvat, project, asked, shapes) if asked else None
    inbox.register_review(
        batch,
        spec.gate,
        task.task_id if task else None,
        task.url if task else None,
        task.jobs if task else [],
        survey.cvat.done_at,
        truth_needed=bool(task and task.truth_needed),
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


def _project(spec: GateSpec, survey: SurveyConfig, batch: str, cvat: CvatClient, inbox: Inbox) -> int:
    """The gate's project by its name, or the one that a webhook of the old bridge asks for by its id."""
    asked = asked_project(inbox, batch, spec.gate)
    if asked is not None:
        missing = {str(label["name"]) for label in spec.labels(survey)} - set(cvat.labels(asked))
        if missing:
            raise GateNotReadyError(
                f"a webhook asks for CVAT project {asked} (target_proj_id), which lacks the labels "
                f"{', '.join(sorted(missing)[:5])}: add them, or take target_proj_id out of the webhook's address"
            )
        return asked
    name = spec.project(survey)
    project = cvat.find_project(name, survey.cvat.organization)
    if project is None:
        raise GateNotReadyError(f"CVAT has no project {name!r}: run 'reefline cvat apply' once, then retry this run")
    return project


def _task(
    spec: GateSpec,
    tables: BatchTables,
    survey: SurveyConfig,
    batch: str,
    cvat: CvatClient,
    project: int,
    asked: Sequence[ManifestRow],
    shapes: dict[str, list[Shape]],
) -> ReviewTask:
    names = frame_names(tables, batch, asked)
    asked = sorted(asked, key=lambda row: names[row.image_id])  # people find a photo by its name
    pushed = [s for row in asked for s in shapes.get(row.image_id, [])]
    pictures = {row.image_id: picture_of(tables, row, names) for row in asked}

    def annotations(frames: Mapping[str, int], labels: Mapping[str, Any]) -> dict[str, Any]:
        named = {i: cvat.frame_name(picture) for i, picture in pictures.items()}
        numbers = {i: frames[name] for i, name in named.items() if name in frames}
        mine = [shape for shape in pushed if shape.image_id in numbers]
        return to_cvat(mine, numbers, labels, masks=survey.cvat.outlines == "masks")

    return cvat.ensure_task(
        project,
        task_name(batch, spec.gate),
        list(pictures.values()),
        annotations,
        subset=survey.cvat.subset,
        segment_size=survey.cvat.job_size,
        assignees=survey.cvat.assignees,
        validation=_validation(spec, survey, batch, len(asked)),
        organization=survey.cvat.organization,
        copies=_copies(spec, survey),
    )


def _validation(spec: GateSpec, survey: SurveyConfig, batch: str, pictures: int) -> Validation | Honeypots | None:
    """The ground truth that the survey wants in a task."""
    truth, traps = survey.cvat.ground_truth, survey.cvat.honeypots
    if spec.gate != Gate.CORALS:
        return None
    if truth:
        return Validation(truth.method, truth.share, seed_of(batch))
    if traps and pictures < 2:
        logger.warning("%s: a single picture cannot be hidden among others: no honeypots", task_name(batch, spec.gate))
    return Honeypots(traps.pool_share, traps.per_job, seed_of(batch)) if traps and pictures > 1 else None


def _copies(spec: GateSpec, survey: SurveyConfig) -> Copies | None:
    """The copies of jobs that the survey wants at the coral gate."""
    wanted = survey.cvat.replicas
    return Copies(wanted.count, wanted.with_proposals) if wanted and spec.gate == Gate.CORALS else None


def seed_of(batch: str) -> int:
    """A number that belongs to a batch: what is drawn by lot is drawn alike when a task is made again."""
    return int.from_bytes(hashlib.sha256(batch.encode()).digest()[:4]) >> 1


def picture_of(tables: BatchTables, row: ManifestRow, names: Mapping[str, str]) -> Picture:
    """A manifest row as CVAT gets it; ``names`` from :func:`frame_names`."""
    return Picture(names[row.image_id], _reader(tables, row), row.uri or "")


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
