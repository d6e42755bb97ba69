"""Quality of a batch: what people changed in the pre-labels, per picture and per label.

Outlines are matched per picture as CVAT does (``cvat/apps/quality_control``): cost 1 - IoU, Hungarian, shape first and
label second, pairs below the threshold unmatched. Skeletons are compared node by node in pixels, because
CVAT's OKS accepts nodes that are hundreds of pixels off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from shapely import STRtree
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from labels.schema import Kind, Shape

MATCH_IOU = 0.4
"""CVAT's default ``iou_threshold``."""
LOW_OVERLAP_IOU = 0.8
"""CVAT's default ``low_overlap_threshold``."""
UNCHANGED_IOU = 0.995
UNMATCHED = "unmatched"

CONFLICT_SCHEMA = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("gate", pa.string(), nullable=False),
        pa.field("conflict", pa.string(), nullable=False),
        pa.field("severity", pa.string(), nullable=False),
        pa.field("proposed_id", pa.string()),
        pa.field("reviewed_id", pa.string()),
        pa.field("proposed_label", pa.string()),
        pa.field("reviewed_label", pa.string()),
        pa.field("value", pa.float64()),
    ]
)


@dataclass(slots=True)
class Comparison:
    """Proposals against reviewed outlines.

    Attributes:
        confusion: ``(n + 1, n + 1)`` counts, rows proposed, columns reviewed, last index unmatched.
        ious: IoU of every matched pair.
        changes: how many were unchanged, reshaped, relabelled, deleted, added.
    """

    labels: list[str]
    confusion: NDArray[np.int64]
    ious: list[float] = field(default_factory=list)
    changes: Counter[str] = field(default_factory=Counter)
    conflicts: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Figures as plain data; formulas as in CVAT's quality reports (a 0 denominator gives 1)."""
        matrix = self.confusion
        valid, total = int(np.trace(matrix)), int(matrix.sum())
        proposed, reviewed = int(matrix[:-1].sum()), int(matrix[:, :-1].sum())
        diagonal = np.diag(matrix)[:-1].astype(float)
        rows, columns = matrix.sum(axis=1)[:-1], matrix.sum(axis=0)[:-1]
        return {
            "labels": self.labels,
            "confusion": matrix.tolist(),
            "accuracy": _share(valid, total),
            "precision": _share(valid, proposed),
            "recall": _share(valid, reviewed),
            "mean_iou": float(np.mean(self.ious)) if self.ious else None,
            "changes": dict(self.changes),
            "per_label": {
                label: {
                    "precision": _share(diagonal[i], rows[i]),
                    "recall": _share(diagonal[i], columns[i]),
                    "jaccard": _share(diagonal[i], rows[i] + columns[i] - diagonal[i]),
                    "dice": _share(2 * diagonal[i], rows[i] + columns[i]),
                }
                for i, label in enumerate(self.labels)
            },
        }


def compare_outlines(
    proposed: Sequence[Shape], reviewed: Sequence[Shape], labels: Sequence[str], threshold: float = MATCH_IOU
) -> Comparison:
    """Match outlines picture by picture.

    Args:
        labels: all labels that may occur, in the order of the confusion matrix.
    """
    result = Comparison(list(labels), np.zeros((len(labels) + 1, len(labels) + 1), np.int64))
    for image_id in sorted({s.image_id for s in [*proposed, *reviewed]}):
        mine = [s for s in proposed if s.image_id == image_id and s.kind == Kind.POLYGON]
        theirs = [s for s in reviewed if s.image_id == image_id and s.kind == Kind.POLYGON]
        _compare_picture(mine, theirs, threshold, result)
    return result


def _compare_picture(mine: Sequence[Shape], theirs: Sequence[Shape], threshold: float, result: Comparison) -> None:
    index = {label: i for i, label in enumerate(result.labels)}
    ious = iou_matrix(mine, theirs)
    pairs = match(ious, threshold)
    for i, j in pairs:
        a, b, iou = mine[i], theirs[j], float(ious[i, j])
        result.confusion[index[a.label], index[b.label]] += 1
        result.ious.append(iou)
        if a.label != b.label:
            result.changes["relabelled"] += 1
            result.conflicts.append(_conflict("mismatching_label", "error", a, b, iou))
        else:
            result.changes["unchanged" if iou >= UNCHANGED_IOU else "reshaped"] += 1
        if iou < LOW_OVERLAP_IOU:
            result.conflicts.append(_conflict("low_overlap", "warning", a, b, iou))
    for i in sorted(set(range(len(mine))) - {i for i, _ in pairs}):
        result.confusion[index[mine[i].label], -1] += 1
        result.changes["deleted"] += 1
        result.conflicts.append(_conflict("extra_annotation", "error", mine[i], None, None))
    for j in sorted(set(range(len(theirs))) - {j for _, j in pairs}):
        result.confusion[-1, index[theirs[j].label]] += 1
        result.changes["added"] += 1
        result.conflicts.append(_conflict("missing_annotation", "error", None, theirs[j], None))


def iou_matrix(mine: Sequence[Shape], theirs: Sequence[Shape]) -> NDArray[np.float64]:
    """IoU of every pair of polygons, ``(len(mine), len(theirs))``."""
    ious = np.zeros((len(mine), len(theirs)))
    if not mine or not theirs:
        return ious
    first, second = [geometry(s) for s in mine], [geometry(s) for s in theirs]
    for i, j in zip(*STRtree(second).query(first, predicate="intersects"), strict=True):
        common = first[i].intersection(second[j]).area
        union = first[i].area + second[j].area - common
        ious[i, j] = common / union if union else 0.0
    return ious


def match(ious: NDArray[np.float64], threshold: float) -> list[tuple[int, int]]:
    """Pairs of an optimal assignment whose IoU reaches the threshold (a pair exactly at it matches)."""
    if not ious.size:
        return []
    cost = np.where(ious >= threshold, 1 - ious, 1.0)
    rows, columns = linear_sum_assignment(cost)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if ious[i, j] >= threshold and ious[i, j] > 0]


def geometry(shape: Shape) -> BaseGeometry:
    """A polygon row as a valid geometry."""
    holes = [np.array(hole).reshape(-1, 2) for hole in shape.holes]
    polygon = Polygon(np.array(shape.points).reshape(-1, 2), holes)
    return polygon if polygon.is_valid else polygon.buffer(0)


def compare_skeletons(proposed: Sequence[Shape], reviewed: Sequence[Shape]) -> dict[str, Any]:
    """How far people moved nodes, in pixels: over all nodes, and the worst pictures first."""
    before = {s.image_id: s for s in proposed if s.kind == Kind.SKELETON}
    pictures: list[dict[str, Any]] = []
    moved: list[NDArray[np.float64]] = []
    for shape in reviewed:
        known = before.get(shape.image_id)
        if shape.kind != Kind.SKELETON or known is None or len(known.points) != len(shape.points):
            continue
        distance = np.linalg.norm(np.array(known.xy()) - np.array(shape.xy()), axis=1)
        moved.append(distance)
        worst = {"rms_px": float(np.sqrt((distance**2).mean())), "max_px": float(distance.max())}
        pictures.append({"image_id": shape.image_id, **worst, "moved": int((distance > 0.5).sum())})
    pictures.sort(key=lambda p: p["max_px"], reverse=True)
    every = np.concatenate(moved) if moved else np.zeros(0)
    return {
        "pictures": len(pictures),
        "nodes": len(every),
        "moved_share": float((every > 0.5).mean()) if len(every) else 0.0,
        "rms_px": float(np.sqrt((every**2).mean())) if len(every) else 0.0,
        "max_px": float(every.max()) if len(every) else 0.0,
        "worst": pictures[:10],
        "drawn_anew": len([s for s in reviewed if s.image_id not in before]),
    }


def conflicts_table(conflicts: Sequence[dict[str, Any]], gate: str) -> pa.Table:
    """Conflicts as a table of :data:`CONFLICT_SCHEMA`."""
    return pa.Table.from_pylist([{**c, "gate": gate} for c in conflicts], schema=CONFLICT_SCHEMA)


def _conflict(kind: str, severity: str, a: Shape | None, b: Shape | None, value: float | None) -> dict[str, Any]:
    either = a or b
    return {
        "image_id": either.image_id if either else "",
        "conflict": kind,
        "severity": severity,
        "proposed_id": a.shape_id if a else None,
        "reviewed_id": b.shape_id if b else None,
        "proposed_label": a.label if a else None,
        "reviewed_label": b.label if b else None,
        "value": value,
    }


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 1.0
