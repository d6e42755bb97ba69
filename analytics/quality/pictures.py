"""One picture: pair its shapes, count, and name what differs.

Outlines (polygons and masks are one pool), skeletons and tags are paired apart, as in CVAT, and counted together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analytics.quality.counts import Confusion
from analytics.quality.keypoints import skeleton_similarity
from analytics.quality.overlap import Outlines, outline_iou, outlines_of
from analytics.quality.pairing import Pairing, pair
from analytics.quality.runs import areas, iou, visible
from labels.schema import Kind, Shape

OUTLINES = (Kind.POLYGON, Kind.MASK)
UNMATCHED = -1
"""Row and column of the confusion matrix for shapes alone."""
Similarity = Callable[[Sequence[Shape], Sequence[Shape]], NDArray[np.float64]]


class Conflict(StrEnum):
    """CVAT's kinds of conflict."""

    MISSING = "missing_annotation"
    EXTRA = "extra_annotation"
    LABEL = "mismatching_label"
    LOW_OVERLAP = "low_overlap"
    COVERED = "covered_annotation"
    ATTRIBUTES = "mismatching_attributes"


SEVERITY = {Conflict.MISSING: "error", Conflict.EXTRA: "error", Conflict.LABEL: "error"}
"""The others are warnings (CVAT 2.54; from 2.75 on it calls all of them errors)."""

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


@dataclass(frozen=True, slots=True)
class QualitySettings:
    """Thresholds; the defaults are CVAT's."""

    iou_threshold: float = 0.4
    low_overlap_threshold: float = 0.8
    oks_sigma: float = 0.09
    visibility_threshold: float = 0.05
    visible_only: bool = False
    """Compare only what is not covered by later shapes (CVAT's ``panoptic_comparison``)."""
    empty_is_annotated: bool = False
    """A picture that is rightly empty counts as one valid annotation, so that it weighs in the figures."""
    compared_attributes: tuple[str, ...] = ()


@dataclass(slots=True)
class PictureQuality:
    """What one picture adds to a report.

    Attributes:
        overlaps: similarity of every pair, and of every shape alone its best to any; their mean is CVAT's mean IoU.
        ious: similarity of pairs only.
        pairs: (ds, gt, similarity).
        outlines: of both sides, ``ds`` first; None where there is none, and in a batch, which is too big to keep them.
        pairing: of the outlines; likewise.
    """

    image_id: str
    confusion: Confusion
    overlaps: list[float] = field(default_factory=list)
    pairs: list[tuple[Shape, Shape, float]] = field(default_factory=list)
    conflicts: list[dict[str, object]] = field(default_factory=list)
    empty: Counter[str] = field(default_factory=Counter)
    outlines: Outlines | None = None
    pairing: Pairing | None = None

    @property
    def mean_iou(self) -> float:
        """CVAT's mean IoU of the picture, 0 for an empty one."""
        return float(np.mean(self.overlaps)) if self.overlaps else 0.0


def compare_picture(
    image_id: str,
    ds: Sequence[Shape],
    gt: Sequence[Shape],
    labels: tuple[str, ...],
    size: tuple[int, int],
    settings: QualitySettings | None = None,
) -> PictureQuality:
    """Compare two people's (or a model's and a person's) shapes of one picture.

    Args:
        ds: what is measured.
        gt: what it is measured against.
        labels: all labels that may occur.
        size: (width, height) of the picture in pixels.

    Raises:
        ValueError: a shape has a label that is not among ``labels``.
    """
    settings = settings or QualitySettings()
    index = {label: i for i, label in enumerate(labels)}
    unknown = sorted({s.label for s in [*ds, *gt]} - set(index))
    if unknown:
        raise ValueError(f"{image_id}: label {unknown[0]!r} is not in the taxonomy: add it, or a crosswalk for it")
    result = PictureQuality(image_id, Confusion.empty(labels))
    pools: list[tuple[tuple[Kind, ...], Callable[[Sequence[Shape], Sequence[Shape]], NDArray[np.float64]], float]] = [
        (OUTLINES, lambda a, b: _outline_similarity(a, b, size, settings, result), settings.iou_threshold),
        (
            (Kind.SKELETON, Kind.POINT),
            lambda a, b: skeleton_similarity(a, b, settings.oks_sigma),
            settings.iou_threshold,
        ),
        ((Kind.TAG,), _tag_similarity, 0.5),
    ]
    present = {s.kind for s in [*ds, *gt]}
    for kinds, similarity, threshold in pools:
        if present.isdisjoint(kinds):
            continue
        mine, theirs = ([s for s in side if s.kind in kinds] for side in (ds, gt))
        paired = pair(similarity(mine, theirs), [s.label for s in mine], [s.label for s in theirs], threshold)
        _count(result, paired, mine, theirs, index, settings)
        if kinds is OUTLINES:
            result.pairing = paired
    if settings.empty_is_annotated:
        _count_empty(result, bool(ds), bool(gt))
    return result


def _outline_similarity(
    ds: Sequence[Shape], gt: Sequence[Shape], size: tuple[int, int], settings: QualitySettings, result: PictureQuality
) -> NDArray[np.float64]:
    result.outlines = outlines_of([*ds, *gt], *size)
    if not settings.visible_only:
        return outline_iou(result.outlines, len(ds))
    every = np.arange(len(result.outlines.shapes))
    mine, theirs = result.outlines.runs(every[: len(ds)]), result.outlines.runs(every[len(ds) :])
    seen, whole = visible(mine), areas(mine)
    share = np.divide(areas(seen), whole, out=np.ones(len(mine)), where=whole > 0)
    for i in np.flatnonzero(share < settings.visibility_threshold):
        result.conflicts.append(conflict(Conflict.COVERED, ds[int(i)], None, float(share[i])))
    return iou(seen, visible(theirs))


def _tag_similarity(ds: Sequence[Shape], gt: Sequence[Shape]) -> NDArray[np.float64]:
    return np.array([[0.5 + 0.5 * (a.label == b.label) for b in gt] for a in ds]).reshape(len(ds), len(gt))


def _count(
    result: PictureQuality,
    paired: Pairing,
    ds: Sequence[Shape],
    gt: Sequence[Shape],
    index: dict[str, int],
    settings: QualitySettings,
) -> None:
    result.overlaps += paired.overlaps()
    mine, theirs = [index[shape.label] for shape in ds], [index[shape.label] for shape in gt]
    cells = [(mine[i], theirs[j]) for i, j in paired.pairs]
    cells += [(mine[i], UNMATCHED) for i in paired.extra]
    cells += [(UNMATCHED, theirs[j]) for j in paired.missing]
    np.add.at(result.confusion.matrix, tuple(np.array(cells, np.int64).T), 1)
    for (i, j), value in zip(paired.pairs, paired.values, strict=True):
        a, b = ds[i], gt[j]
        result.pairs.append((a, b, value))
        if mine[i] != theirs[j]:
            result.conflicts.append(conflict(Conflict.LABEL, a, b, value))
        elif settings.compared_attributes and _differ(a, b, settings.compared_attributes):
            result.conflicts.append(conflict(Conflict.ATTRIBUTES, a, b, None))
        if 0 < value < settings.low_overlap_threshold:
            result.conflicts.append(conflict(Conflict.LOW_OVERLAP, a, b, value))
    result.conflicts += [conflict(Conflict.EXTRA, ds[i], None, None) for i in paired.extra]
    result.conflicts += [conflict(Conflict.MISSING, None, gt[j], None) for j in paired.missing]


def _differ(a: Shape, b: Shape, attributes: Sequence[str]) -> bool:
    return any(a.attributes.get(name) != b.attributes.get(name) for name in attributes)


def _count_empty(result: PictureQuality, some_ds: bool, some_gt: bool) -> None:
    """Count empty sides as one shape each.

    CVAT 2.54 tells an empty side by triangles of the matrix, so a picture whose only pair has two labels may count as
    empty; here the shapes themselves are asked.
    """
    if not some_ds and not some_gt:
        result.empty.update(valid=1, total=1, ds_count=1, gt_count=1)
    elif not some_ds:
        result.empty.update(ds_count=1)
    elif not some_gt:
        result.empty.update(gt_count=1)


def conflict(kind: Conflict, a: Shape | None, b: Shape | None, value: float | None) -> dict[str, object]:
    """A row of :data:`CONFLICT_SCHEMA`, but for its gate: ``a`` was measured, ``b`` is what it was held against."""
    either = a or b
    return {
        "image_id": either.image_id if either else "",
        "conflict": kind.value,
        "severity": SEVERITY.get(kind, "warning"),
        "proposed_id": a.shape_id if a else None,
        "reviewed_id": b.shape_id if b else None,
        "proposed_label": a.label if a else None,
        "reviewed_label": b.label if b else None,
        "value": value,
    }
