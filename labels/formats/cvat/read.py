"""Reviewed labels from CVAT's ``LabeledData``. Whatever a person did becomes a valid row or a named defect."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from shapely.errors import ShapelyError

from labels.formats.cvat.answer import AnsweredJob, AnsweredTask
from labels.formats.cvat.geometry import HALF_PIXEL, OutlineError, ellipse, mask_outline, mend, rectangle
from labels.formats.cvat.match import MaskRuns, pair_up, unchanged
from labels.formats.cvat.write import OCCLUDED, label_list, node_order
from labels.schema import OUTSIDE, Kind, Shape, Source

_UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, ShapelyError)

ANNOTATION = frozenset({"annotation", ""})
"""Types of the jobs that people annotate in."""

UNPLACED = ""
"""Key of the defects that belong to no picture (shapes on frames that are not of this batch)."""


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A shape before it is compared with what was pushed. ``drawn``: its flat ring, or mask, as CVAT has it."""

    shape: Shape
    drawn: Sequence[float]
    source: str


def from_cvat(
    task: AnsweredTask,
    frame_to_image: Mapping[int, str],
    pushed: Sequence[Shape],
    *,
    types: Collection[str] = ANNOTATION,
) -> tuple[list[Shape], dict[str, list[str]]]:
    """Label rows of a reviewed task, and what is wrong with which picture.

    A row is ``model`` when the person left the pre-label as it was (it comes back exactly as pushed), ``edited`` when
    it was changed (it keeps its id, score and model), ``human`` when it was drawn anew. What lies on frames that people
    have removed is left out.

    Args:
        task: what CVAT has now.
        frame_to_image: ``frame number -> image_id``.
        pushed: the pre-labels, as given to :func:`to_cvat`.
        types: which jobs are read; ground-truth jobs and replicas of consensus jobs only when they are named.

    Returns:
        The rows, sorted by picture; and ``image_id -> defects``, with :data:`UNPLACED` for those of no picture.
    """
    labels = {int(label["id"]): label for label in label_list(task.labels)}
    defects: dict[str, list[str]] = defaultdict(list)
    drawn: dict[str, list[_Drawn]] = defaultdict(list)
    for job in task.jobs:
        if job.type not in types:
            continue
        for image_id, entry in _read_job(task.task_id, job, labels, frame_to_image, task.deleted_frames):
            if isinstance(entry, str):
                defects[image_id].append(entry)
            else:
                drawn[image_id].append(entry)
    before: dict[str, list[Shape]] = defaultdict(list)
    for shape in pushed:
        before[shape.image_id].append(shape)
    rows = [row for image_id in sorted(drawn) for row in _settle(drawn[image_id], before[image_id])]
    return rows, dict(defects)


def _read_job(
    task_id: int,
    job: AnsweredJob,
    labels: Mapping[int, Mapping[str, Any]],
    frame_to_image: Mapping[int, str],
    deleted: Collection[int],
) -> Iterator[tuple[str, _Drawn | str]]:
    who: dict[str, Any] = {"cvat_task": task_id, "cvat_job": job.job_id, "updated_at": _moment(job.updated_date)}
    # CVAT names only who has the job now: in the annotation stage the annotator, later the reviewer.
    who["annotator" if job.stage == "annotation" else "reviewer"] = job.assignee
    for part in ("shapes", "tags", "tracks"):
        for raw in job.annotations.get(part) or []:
            frame = raw.get("frame")
            if isinstance(frame, int) and frame in deleted:
                continue
            image_id = frame_to_image.get(frame, UNPLACED) if isinstance(frame, int) else UNPLACED
            where = f"job {job.job_id}, frame {frame}, {part[:-1]} {raw.get('id', '?')}"
            if image_id == UNPLACED:
                yield UNPLACED, f"{where}: the frame is not of this batch"
                continue
            if part == "tracks":
                yield (
                    image_id,
                    f"{where}: a track: delete it and draw a shape on each picture (choose Shape, not Track)",
                )
                continue
            try:
                entry = _read_shape(raw, "tag" if part == "tags" else str(raw.get("type")), labels)
            except OutlineError as error:
                yield image_id, f"{where}: {error}"
                continue
            except _UNREADABLE as error:
                yield (
                    image_id,
                    f"{where}: cannot be read ({type(error).__name__}: {error}): delete it and draw it again",
                )
                continue
            shape = replace(entry.shape, image_id=image_id, cvat_frame=frame, **who)
            shape.shape_id = f"{image_id}:cvat{raw.get('id', f'{job.job_id}-{id(raw)}')}"
            yield image_id, replace(entry, shape=shape)


def _read_shape(raw: Mapping[str, Any], kind: str, labels: Mapping[int, Mapping[str, Any]]) -> _Drawn:
    label = labels.get(int(raw["label_id"]))
    if label is None:
        raise OutlineError(_foreign_label(int(raw["label_id"]), labels))
    attributes = _attributes(raw, label)
    shape = Shape("", "", Kind.POLYGON, label["name"], [], attributes=attributes, source=Source.HUMAN)
    points = [float(v) for v in raw.get("points") or []]
    rotation = float(raw.get("rotation") or 0)
    if kind == "tag":
        shape.kind = Kind.TAG
        return _Drawn(shape, [], str(raw.get("source")))
    if label.get("type") == "skeleton" and kind != "skeleton":
        raise OutlineError(f"a {kind} with the label {label['name']!r}, which is a skeleton: delete it")
    if kind == "skeleton":
        return _read_skeleton(raw, label, shape)
    if not all(math.isfinite(v) for v in (*points, rotation)):
        raise OutlineError("an outline with coordinates that are no numbers: delete it and draw it again")
    if kind == "points" and len(points) == 2:
        shape.kind = Kind.POINT
        shape.points = [v - HALF_PIXEL for v in points]
        return _Drawn(shape, shape.points, str(raw.get("source")))
    if raw.get("occluded"):
        attributes[OCCLUDED] = "true"
    ring, holes = _outline(kind, points, rotation)
    shape.points = [v - HALF_PIXEL for v in ring]
    shape.holes = [[v - HALF_PIXEL for v in hole] for hole in holes]
    as_drawn: Sequence[float] = [v - HALF_PIXEL for v in points] if kind == "polygon" else shape.points
    if kind == "mask":
        as_drawn = MaskRuns(int(v) for v in points)
    return _Drawn(shape, as_drawn, str(raw.get("source")))


def _outline(kind: str, points: Sequence[float], rotation: float) -> tuple[list[float], list[list[float]]]:
    """Outer ring and holes of a drawn outline, in CVAT's coordinates."""
    match kind:
        case "polygon":
            return mend(points)
        case "rectangle":
            return mend(rectangle(points, rotation))
        case "ellipse":
            return mend(ellipse(points, rotation))
        case "mask":
            return mask_outline(points)
    raise OutlineError(f"a {kind} is not an outline: delete it and draw a polygon")


def _read_skeleton(raw: Mapping[str, Any], label: Mapping[str, Any], shape: Shape) -> _Drawn:
    nodes = node_order(label)
    names = {int(node["id"]): str(node["name"]) for node in nodes}
    places: dict[str, list[float]] = {}
    outside, occluded = set(), set()
    for element in raw.get("elements") or []:
        name = names.get(int(element["label_id"]))
        if name is None:
            raise OutlineError(
                f"a {label['name']} with a point that is not one of its nodes: delete it and place a new one"
            )
        if name in places:
            raise OutlineError(f"a {label['name']} whose node {name} occurs twice: delete it and place a new one")
        x, y = (float(v) - HALF_PIXEL for v in element["points"])
        if not (math.isfinite(x) and math.isfinite(y)):
            raise OutlineError(f"a {label['name']} whose node {name} is nowhere: delete it and place a new one")
        places[name] = [x, y]
        outside |= {name} if element.get("outside") else set()
        occluded |= {name} if element.get("occluded") else set()
    missing = [name for name in names.values() if name not in places]
    if missing or not names:
        listed = ", ".join(missing[:10]) + (" and more" if len(missing) > 10 else "")
        raise OutlineError(f"a {label['name']} without node {listed}: delete it and place a new one")
    order = [str(node["name"]) for node in nodes]
    shape.kind = Kind.SKELETON
    shape.points = [v for name in order for v in places[name]]
    for key, marked in ((OUTSIDE, outside), (OCCLUDED, occluded)):
        if marked:
            shape.attributes[key] = ",".join(name for name in order if name in marked)
    return _Drawn(shape, shape.points, str(raw.get("source")))


def _foreign_label(label_id: int, labels: Mapping[int, Mapping[str, Any]]) -> str:
    for label in labels.values():
        for node in label.get("sublabels") or []:
            if node["id"] == label_id:
                return f"a single point {node['name']!r} outside of a {label['name']}: delete it"
    return f"a label (id {label_id}) that the project does not have: choose one of the project's labels"


def _attributes(raw: Mapping[str, Any], label: Mapping[str, Any]) -> dict[str, str]:
    names = {spec["id"]: str(spec["name"]) for spec in label.get("attributes") or []}
    stated = raw.get("attributes") or []
    return {names[item["spec_id"]]: str(item["value"]) for item in stated if item["spec_id"] in names}


def _moment(value: datetime | str | None) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _settle(drawn: Sequence[_Drawn], pushed: Sequence[Shape]) -> list[Shape]:
    """Say of each drawn shape whether it is a pre-label left alone, a changed one, or new."""
    partner = pair_up([(entry.shape, entry.drawn, entry.source) for entry in drawn], pushed)
    rows = []
    for number, entry in enumerate(drawn):
        shape, before = entry.shape, partner.get(number)
        if before is None:
            rows.append(shape)
            continue
        place = {
            name: getattr(shape, name)
            for name in ("cvat_task", "cvat_job", "cvat_frame", "updated_at", "annotator", "reviewer")
        }
        if unchanged(shape, entry.drawn, before):
            place["annotator"] = before.annotator  # nobody drew anything; who had the job has seen it
            place["reviewer"] = shape.reviewer or shape.annotator
            rows.append(replace(before, **place))
        else:
            rows.append(replace(shape, shape_id=before.shape_id, score=before.score, model=before.model))
            rows[-1].source = Source.EDITED if before.source == Source.MODEL else before.source
    return sorted(rows, key=lambda row: row.shape_id)
