"""Quality reports as CVAT 2.54 writes them, worked out by reefline's own quality measures.

Compared are polygons and masks, skeletons, single points, tags, rectangles and ellipses, each with its like. As in
CVAT, the mean IoU of a whole task is always 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analytics.quality import Confusion, PictureQuality, QualitySettings, compare_picture
from deploy.local.sandbox.store import Document, Store
from deploy.local.sandbox.validation import honeypots_of
from deploy.local.sandbox.views import ACCEPTANCE, COMPLETED
from labels.formats.cvat.geometry import HALF_PIXEL, ellipse, rectangle
from labels.formats.cvat.write import node_order
from labels.formats.rle import encode_pixels
from labels.schema import OUTSIDE, Kind, Shape

ALONE = ("rectangle", "ellipse")
"""Types that CVAT pairs apart from polygons."""
TYPES = ("bbox", "points", "mask", "polygon", "polyline", "skeleton", "label", "ellipse")
_PARAMETERS = (
    "compare_attributes iou_threshold low_overlap_threshold oks_sigma point_size_base line_thickness "
    "compare_line_orientation line_orientation_threshold compare_groups group_match_threshold "
    "check_covered_annotations object_visibility_threshold panoptic_comparison empty_is_annotated"
)
Result = tuple[Confusion, list[float], list[Document]]
"""Counts, similarities, and conflicts of one frame."""


class ReportRefusedError(ValueError):
    """CVAT makes no report now; the message is CVAT's."""


def make_reports(store: Store, task: Document, settings: Document, when: str) -> list[Document]:
    """The report of a task and those of its jobs, kept; the task's first.

    Raises:
        ReportRefusedError: the task has no ground-truth job that is accepted and completed.
    """
    jobs = store.all("job", task_id=task["id"])
    truth = next((job for job in jobs if job["type"] == "ground_truth"), None)
    if truth is None or (truth["stage"], truth["state"]) != (ACCEPTANCE, COMPLETED):
        raise ReportRefusedError(
            "Quality reports require a Ground Truth job in the task at the acceptance stage and in the completed state"
        )
    compare = _Comparison(store, task, settings)
    whole: dict[int, Result] = {}
    made: list[Document] = []
    first = store.next_id("quality_report")
    for job in (job for job in jobs if job["type"] == "annotation"):
        results = compare.job(job, truth)
        whole |= results
        span = job["stop_frame"] - job["start_frame"] + 1
        head = {"id": store.next_id("quality_report"), "job_id": job["id"], "parent_id": first}
        made.append(_report(task, compare, head, results, span, job, truth, when))
        for row in made[-1]["conflicts"]:
            told = {"frame": row["frame_id"], **{k: row[k] for k in ("type", "annotation_ids", "severity")}}
            kept = {"id": store.next_id("quality_conflict"), **told, "report_id": head["id"]}
            store.put("quality_conflict", kept)
    total = _report(task, compare, {"id": first}, whole, task["size"], task, truth, when, jobs=made)
    return [store.put("quality_report", report) for report in (total, *made)]


class _Comparison:
    """What is compared of one task, and how."""

    def __init__(self, store: Store, task: Document, settings: Document) -> None:
        self.store, self.task = store, task
        self.labels = {label["id"]: label for label in store.all("label", project_id=task["project_id"])}
        self.names = tuple(label["name"] for label in self.labels.values())
        named = {a["name"] for label in self.labels.values() for a in label["attributes"]}
        self.settings = QualitySettings(
            settings["iou_threshold"],
            settings["low_overlap_threshold"],
            settings["oks_sigma"],
            settings["object_visibility_threshold"],
            settings["panoptic_comparison"],
            settings["empty_is_annotated"],
            tuple(sorted(named)) if settings["compare_attributes"] else (),
        )
        parameters = {name: settings[name] for name in _PARAMETERS.split()}
        self.parameters = {"included_annotation_types": list(TYPES), "ignored_attributes": [], **parameters}
        self.parameters |= {"inherited": True, "job_filter": settings["job_filter"]}

    def job(self, job: Document, truth: Document) -> dict[int, Result]:
        """What the frames of a job say that show a picture of the ground truth."""
        shown = honeypots_of(self.task)
        left_out = {*(self.task.get("disabled_frames") or []), *self.task["deleted_frames"]}
        chosen = truth["frames"] or range(truth["start_frame"], truth["stop_frame"] + 1)
        span = range(job["start_frame"], job["stop_frame"] + 1)
        pairs = {frame: shown.get(frame, frame) for frame in span}
        due = {frame: real for frame, real in pairs.items() if real in chosen and not {frame, real} & left_out}
        return {frame: self._frame(frame, self._of(job, frame), self._of(truth, real)) for frame, real in due.items()}

    def _of(self, job: Document, frame: int) -> list[tuple[str, Shape, Document]]:
        kept = self.store.get("annotations", job["id"]) or {"shapes": [], "tags": []}
        raws = [raw for raw in (*kept["shapes"], *kept["tags"]) if raw["frame"] == frame]
        found = []
        for raw in sorted(raws, key=lambda raw: raw.get("z_order", 0)):
            shape = _shape(raw, self.labels[raw["label_id"]], self.task["frames"][frame])
            if shape is not None:
                kind = raw.get("type", "tag")
                named = {"obj_id": raw["id"], "job_id": job["id"], "type": "shape" if "type" in raw else "tag"}
                found.append((kind, shape, {**named, "shape_type": raw.get("type")}))
        return found

    def _frame(self, frame: int, ds: Sequence[Any], gt: Sequence[Any]) -> Result:
        picture = self.task["frames"][frame]
        confusion = Confusion.empty(self.names)
        overlaps: list[float] = []
        conflicts: list[Document] = []
        for pool in ((), *((kind,) for kind in ALONE)):
            mine, theirs = (
                [e for e in side if (e[0] in pool) or (not pool and e[0] not in ALONE)] for side in (ds, gt)
            )
            size = (picture["width"], picture["height"])
            own, other = ([shape for _, shape, _ in side] for side in (mine, theirs))
            found = compare_picture(str(frame), own, other, self.names, size, self.settings)
            confusion, overlaps = confusion + found.confusion, overlaps + found.overlaps
            conflicts += _conflicts(frame, found, {shape.shape_id: named for _, shape, named in (*mine, *theirs)})
        return confusion, overlaps, conflicts


def _conflicts(frame: int, found: PictureQuality, named: Mapping[str, Document]) -> list[Document]:
    rows = []
    for row in found.conflicts:
        ids = [named[str(row[side])] for side in ("proposed_id", "reviewed_id") if row[side]]
        rows.append({"frame_id": frame, "type": row["conflict"], "annotation_ids": ids, "severity": row["severity"]})
    return rows


def _shape(raw: Document, label: Document, picture: Document) -> Shape | None:
    """A drawn shape as a label row; ``None`` for what is not compared."""
    names = {attribute["id"]: attribute["name"] for attribute in label["attributes"]}
    attributes = {names[a["spec_id"]]: str(a["value"]) for a in raw["attributes"] if a["spec_id"] in names}
    shape = Shape("", str(raw["id"]), Kind.POLYGON, label["name"], [], attributes=attributes)
    points, rotation = raw.get("points") or [], raw.get("rotation") or 0.0
    match raw.get("type", "tag"):
        case "tag":
            shape.kind = Kind.TAG
        case "skeleton":
            order = {node["id"]: place for place, node in enumerate(node_order(label), 1)}
            nodes = sorted(raw["elements"], key=lambda node: order[node["label_id"]])
            shape.kind, points = Kind.SKELETON, [v for node in nodes for v in node["points"]]
            shape.attributes[OUTSIDE] = ",".join(str(order[n["label_id"]]) for n in nodes if n["outside"])
        case "points" if len(points) == 2:
            shape.kind = Kind.POINT
        case "rectangle":
            points = rectangle(points, rotation)
        case "ellipse":
            points = ellipse(points, rotation)
        case "mask":
            *runs, left, top, right, bottom = (int(v) for v in points)
            on = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(bottom - top + 1, right - left + 1)
            shape.kind, points = Kind.MASK, []
            shape.rle = encode_pixels(on, left, top, picture["height"], picture["width"])
        case "polygon":
            pass
        case _:
            return None
    shape.points = [float(v) - HALF_PIXEL for v in points]
    return shape


def _report(
    task: Document,
    compare: _Comparison,
    head: Document,
    results: Mapping[int, Result],
    frames: int,
    target: Document,
    truth: Document,
    when: str,
    jobs: Sequence[Document] | None = None,
) -> Document:
    """A report as it is kept: what its list tells, its data, and its own conflicts."""
    conflicts = [row for _, _, rows in results.values() for row in rows]
    whole = sum((confusion for confusion, _, _ in results.values()), Confusion.empty(compare.names))
    figures, common = _annotations(whole), _conflict_counts(conflicts)
    share = len(results) / frames
    # Jobs count one by one in the figures of their task, and CVAT never fills in the mean there.
    overlaps = None if jobs is not None else [v for _, values, _ in results.values() for v in values]
    summary: Document = {
        "frames": sorted(results),
        "total_frames": frames,
        **common,
        "annotations": figures,
        "annotation_components": _components(whole, overlaps),
        "tasks": None,
        "jobs": None if jobs is None else _jobs([report["job_id"] for report in jobs], jobs),
        "mean_conflict_count": len(conflicts) / max(1, len(results)),
        "frame_share": share,
        "frame_count": len(results),
        "frame_share_percent": 100 * share,
    }
    return {
        **{"job_id": None, "parent_id": None, "task_id": task["id"], "project_id": task["project_id"], **head},
        "created_date": when,
        "target_last_updated": target["updated_date"],
        "gt_last_updated": truth["updated_date"],
        "assignee": target["assignee"],
        "parameters": compare.parameters,
        "comparison_summary": summary,
        "frame_results": {str(frame): _frame_result(result) for frame, result in sorted(results.items())},
        "conflicts": conflicts,
    }


def _frame_result(result: Result) -> Document:
    confusion, overlaps, conflicts = result
    parts = {"annotations": _annotations(confusion), "annotation_components": _components(confusion, overlaps)}
    return {"conflicts": conflicts, **parts, **_conflict_counts(conflicts)}


def _conflict_counts(conflicts: Sequence[Document]) -> Document:
    kinds = Counter(row["severity"] for row in conflicts)
    types = dict(Counter(row["type"] for row in conflicts))
    counts = {"conflict_count": len(conflicts), "warning_count": kinds["warning"], "error_count": kinds["error"]}
    return {**counts, "conflicts_by_type": types}


def _counts(confusion: Confusion) -> Document:
    names = {"valid_count": "valid", "missing_count": "missing", "extra_count": "extra", "total_count": "total"}
    return {
        told: getattr(confusion, own) for told, own in {**names, "ds_count": "ds_count", "gt_count": "gt_count"}.items()
    }


def _annotations(confusion: Confusion) -> Document:
    per_label = confusion.per_label()
    matrix: Document = {
        "labels": [*confusion.labels, "unmatched"],
        "rows": confusion.matrix.tolist(),
        "axes": {"cols": "gt", "rows": "ds"},
        "jaccard_index": per_label["jaccard"].tolist(),
        **{name: per_label[name].tolist() for name in ("recall", "precision", "accuracy")},
    }
    figures = {name: confusion.micro()[name] for name in ("recall", "precision", "accuracy")}
    return {**_counts(confusion), "confusion_matrix": matrix, **figures}


def _components(confusion: Confusion, overlaps: Sequence[float] | None) -> Document:
    paired = confusion.valid + confusion.mismatching
    mean = float(np.mean(overlaps)) if overlaps else 0.0
    shape = {**_counts(confusion), "valid_count": paired, "mean_iou": mean}
    shape["accuracy"] = paired / max(1, confusion.total)
    label = {"valid_count": confusion.valid, "invalid_count": confusion.mismatching, "total_count": paired}
    return {"shape": shape, "label": {**label, "accuracy": confusion.valid / max(1, paired)}}


def _jobs(ids: Sequence[int], reports: Sequence[Document]) -> Document:
    idle = [r["job_id"] for r in reports if not r["comparison_summary"]["frame_count"]]
    listed: Document = {"all": list(ids), "excluded": [], "not_checkable": idle}
    counts = {"total_count": len(ids), "excluded_count": 0, "not_checkable_count": len(idle)}
    return {**listed, **counts, "included_count": len(ids)}
